"""The paper's seven conclusions, each a tuple of parts, and the verdict on each."""

from dataclasses import dataclass
from typing import Literal

from asymbp_cli.analysis.conclusions.grading import Finding, Grade, Outcome
from asymbp_cli.analysis.conclusions.numbers import Numbers
from asymbp_cli.analysis.conclusions.parts import (
    Part,
    alike,
    alive,
    better,
    close_behind,
    dead,
    every_sign_matters,
    hardly_learns,
    most_on_small_sets,
    no_worse,
    often_better,
    signs_matter,
    worse,
)

Verdict = Literal[
    "supported",
    "not supported",
    "no consistent direction",
    "cannot be told at this size of error",
    "not enough runs",
    "not enough datasets",
]


@dataclass(frozen=True)
class Judgement:
    """The verdict on a conclusion, given a set of numbers."""

    key: str
    claim: str
    verdict: Verdict
    grade: Grade  # open if the verdict is neither of the first two
    count: str  # of the part that decides least clearly, and what the neighbouring thresholds give
    datasets: tuple[str, ...]  # those with every number of at least one part
    evidence: tuple[str, ...]  # a sentence for each part
    reason: str  # what fails or is missing, or holds least clearly; which words of the authors go too far


@dataclass(frozen=True)
class Check:
    """A conclusion of the paper: it is supported if all its claimed parts hold."""

    key: str
    claim: str
    parts: tuple[Part, ...]


CHECKS = (
    Check(
        "magnitudes-of-feedback",
        "Only the signs of feedback weights are needed: with BN and BM, unit, redrawn and fixed magnitudes are "
        "alike, and like SGD or better (Table 2).",
        (
            alike("uSF+BN+BM", "brSF+BN+BM", "frSF+BN+BM"),
            no_worse("uSF+BN+BM", "SGD"),
            no_worse("brSF+BN+BM", "SGD"),
            no_worse("frSF+BN+BM", "SGD"),
        ),
    ),
    Check(
        "magnitudes-of-updates",
        "Only the signs of gradients are needed: BM settings 1 to 3 are alike, and BM with or without BN is like "
        "SGD or better (Tables 2, 5).",
        (
            alike("BM", "BM2", "BM3"),
            alike("uSF+BN+BM", "uSF+BN+BM2", "uSF+BN+BM3"),
            no_worse("BM", "SGD"),
            no_worse("BN+BM", "SGD"),
        ),
    ),
    Check(
        "normalization-needed",
        "Sign-concordant feedback needs BN or BM: by itself it kills the network, scaled down it lives but stays "
        "behind SGD, with BN it is like SGD or better, with BM less than 3 points behind (Table 2).",
        (
            dead("uSF"),
            alive("NuSF"),
            worse("NuSF", "SGD"),
            no_worse("uSF+BN", "SGD"),
            close_behind("uSF+BM", "SGD"),  # it errs more on most datasets, by less
        ),
    ),
    Check(
        "signs-matter",
        "Signs of feedback weights matter: with up to a quarter of them opposite the error is far below that "
        "with half or more (Table 3).",
        (
            signs_matter("brSF"),
            signs_matter("frSF"),
            every_sign_matters("brSF"),
            every_sign_matters("frSF"),
        ),
    ),
    Check(
        "random-feedback-needs-bn",
        "Fixed random feedback is far better with BN than without, be the update SGD or BM (Table 4, C1).",
        (
            better("RndF+BN", "RndF"),
            better("RndF+BN+BM", "RndF+BM"),
            hardly_learns("RndF", "SGD", claimed=False),  # the text: close to chance
            hardly_learns("RndF+BM", "SGD", claimed=False),
        ),
    ),
    Check(
        "frozen-last-layer",
        "Under a frozen random last layer, sign-concordant feedback trains the others and random feedback hardly "
        "does; with only the last layer trained, all are alike (Table 4, C2).",
        (
            no_worse("uSF+BN+BM Bottom", "SGD Bottom"),
            hardly_learns("RndF Bottom", "SGD Bottom"),
            hardly_learns("RndF+BN+BM Bottom", "SGD Bottom"),
            alike("SGD Top", "RndF Top", "RndF+BN+BM Top", "uSF+BN+BM Top"),
        ),
    ),
    Check(
        "small-training-sets",
        "BM with BN often beats both SGD and BN alone, and adds most to BN on small training sets (Table 2).",
        (
            often_better("BN+BM", "SGD"),
            often_better("BN+BM", "BN"),
            most_on_small_sets("BN+BM", "BN"),  # what BM adds: BN by itself gains as much on large sets
            most_on_small_sets("BN+BM", "SGD", claimed=False),
        ),
    ),
)


def judge(numbers: Numbers) -> tuple[Judgement, ...]:
    """Return the verdict on each conclusion.

    A part that fails refutes the whole, whatever else is missing. A part with too few numbers leaves it open, and
    so does one that can hardly fail, or shows no consistent direction. Remarks do not count.
    """
    return tuple(_judge(check, numbers) for check in CHECKS)


@dataclass(frozen=True)
class _Evaluation:
    """The parts of one conclusion on a set of numbers."""

    complete: dict[Part, list[str]]  # the datasets that have everything that a part needs
    findings: dict[Part, Finding]  # of the parts with enough datasets

    def with_outcome(self, outcome: Outcome, *, claimed: bool = True) -> list[Part]:
        """Return the parts with this outcome."""
        found = self.findings.items()
        return [part for part, finding in found if finding.outcome == outcome and part.claimed == claimed]

    @property
    def missing(self) -> list[Part]:
        """The claimed parts with too few datasets."""
        return [part for part in self.complete if part.claimed and part not in self.findings]


@dataclass(frozen=True)
class _Conclusion:
    verdict: Verdict
    grade: Grade
    count: str
    reason: str


def _judge(check: Check, numbers: Numbers) -> Judgement:
    evaluation = _evaluate(check, numbers)
    used = {at for part in evaluation.findings for at in evaluation.complete[part] if part.claimed}
    conclusion = _conclude(evaluation, numbers)
    reason = conclusion.reason
    if remarks := evaluation.with_outcome("no", claimed=False):
        reason += f" Not borne out, but no part of the verdict: {_list(remarks)}."
    return Judgement(
        key=check.key,
        claim=check.claim,
        verdict=conclusion.verdict,
        grade=conclusion.grade,
        count=conclusion.count,
        datasets=tuple(at for at in numbers.datasets if at in used),
        evidence=tuple(_sentence(part, evaluation) for part in check.parts),
        reason=reason,
    )


def _evaluate(check: Check, numbers: Numbers) -> _Evaluation:
    complete = {part: [at for at in numbers.datasets if not part.missing(numbers, at)] for part in check.parts}
    findings = {
        part: part.evaluate(numbers, datasets)
        for part, datasets in complete.items()
        if datasets and len(datasets) >= part.min_datasets
    }
    return _Evaluation(complete, findings)


def _conclude(evaluation: _Evaluation, numbers: Numbers) -> _Conclusion:
    """Return the verdict: what refutes comes first, then what is missing, then what leaves the claim open."""
    if failed := evaluation.with_outcome("no"):
        clearest = max((evaluation.findings[part] for part in failed), key=_clearness)
        return _Conclusion("not supported", clearest.grade, clearest.count, f"Does not hold: {_list(failed)}.")
    if missing := evaluation.missing:
        needed = dict.fromkeys(_needed(part, numbers, evaluation.complete[part]) for part in missing)
        too_few: Verdict = (
            "not enough datasets" if all(evaluation.complete[part] for part in missing) else "not enough runs"
        )
        return _Conclusion(too_few, "open", "", f"Missing: {'; '.join(needed)}.")
    if untold := evaluation.with_outcome("cannot be told at this size of error"):
        return _open(evaluation, "cannot be told at this size of error", untold)
    if undirected := evaluation.with_outcome("no consistent direction"):
        return _open(evaluation, "no consistent direction", undirected)
    claimed = {part: finding for part, finding in evaluation.findings.items() if part.claimed}
    part, finding = min(claimed.items(), key=lambda item: _clearness(item[1]))
    weak = finding.count or not finding.is_clear
    least = f"; least clearly: {_place(part, finding)}" if weak else ""
    return _Conclusion("supported", finding.grade, finding.count, f"Every part holds{least}.")


def _open(evaluation: _Evaluation, verdict: Verdict, parts: list[Part]) -> _Conclusion:
    places = [_place(part, evaluation.findings[part]) for part in parts]
    count = evaluation.findings[parts[0]].count
    return _Conclusion(verdict, "open", count, f"Open, {verdict}: {'; '.join(places)}.")


def _place(part: Part, finding: Finding) -> str:
    """Return a part and, with several datasets, on which of them it holds."""
    return f"{part.text}, on {finding.where}" if finding.count else part.text


def _clearness(finding: Finding) -> tuple[bool, float]:
    """Return the key that orders findings from the least to the most clear."""
    return finding.is_clear, finding.margin


def _sentence(part: Part, evaluation: _Evaluation) -> str:
    remark, finding = "" if part.claimed else "remark: ", evaluation.findings.get(part)
    if finding is None:
        return f"{remark}{part.text}: not enough {'datasets' if evaluation.complete[part] else 'runs'}"
    is_said = finding.grade in ("open", "on this dataset")  # by the outcome, or by where it holds
    answer = finding.outcome if is_said else f"{finding.outcome}, {finding.grade}"
    neighbours = finding.count.partition(", ")[2]
    texts = (f"{remark}{part.text}: {answer}, on {finding.where}", neighbours, finding.detail)
    return "; ".join(filter(None, texts))


def _list(parts: list[Part]) -> str:
    return "; ".join(part.text for part in parts)


def _needed(part: Part, numbers: Numbers, complete: list[str]) -> str:
    """Name what a part needs: more datasets, or what the dataset that has most of it does not have."""
    if complete:
        return f"{', '.join(part.methods)} on {part.min_datasets} datasets (complete on {len(complete)})"
    if not numbers.datasets:
        return ", ".join(part.methods)
    nearest = min(numbers.datasets, key=lambda at: len(part.missing(numbers, at)))
    return f"{', '.join(part.missing(numbers, nearest))} on {nearest}"

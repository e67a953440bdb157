"""The seven conclusions, each a tuple of parts, and the verdict on them."""

from dataclasses import dataclass
from typing import Literal

from asymbp_cli.analysis.conclusions.numbers import Numbers
from asymbp_cli.analysis.conclusions.parts import (
    Finding,
    Part,
    alike,
    alive,
    better,
    dead,
    every_sign_matters,
    hardly_learns,
    most_on_small_sets,
    no_worse,
    often_better,
    signs_matter,
    worse,
)

Verdict = Literal["supported", "not supported", "not enough runs"]


@dataclass(frozen=True)
class Judgement:
    """What a conclusion comes to on a set of numbers."""

    key: str
    claim: str
    verdict: Verdict
    datasets: tuple[str, ...]  # had every number of at least one part
    evidence: tuple[str, ...]  # a sentence for each part
    reason: str  # what fails or is missing, what holds least clearly, and which words of the authors go too far


@dataclass(frozen=True)
class Check:
    """A conclusion of the paper: it stands if all its claimed parts do."""

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
        "behind SGD, with BN or BM it is like SGD or better (Table 2).",
        (
            dead("uSF"),
            alive("NuSF"),
            worse("NuSF", "SGD"),
            no_worse("uSF+BN", "SGD"),
            no_worse("uSF+BM", "SGD"),
        ),
    ),
    Check(
        "signs-matter",
        "Signs of feedback weights matter: with up to a quarter of them opposite the error lies far below that "
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

    A part that fails refutes the whole, whatever is missing elsewhere; one that has too few numbers leaves it
    open; remarks do not count.
    """
    return tuple(_judge(check, numbers) for check in CHECKS)


def _judge(check: Check, numbers: Numbers) -> Judgement:
    asked = {part: [at for at in numbers.datasets if not part.lacks(numbers, at)] for part in check.parts}
    findings = {part: part.find(numbers, on) for part, on in asked.items() if on and len(on) >= part.least}
    missing = [part for part in check.parts if part not in findings]
    failed = [part for part, finding in findings.items() if finding.share < part.enough]
    taking_part = {at for part in findings for at in asked[part] if part.claimed}
    verdict: Verdict = "supported"
    if any(part.claimed for part in failed):
        verdict = "not supported"
        reason = f"Does not hold: {_list(failed, claimed=True)}."
    elif any(part.claimed for part in missing):
        verdict = "not enough runs"
        wanted = dict.fromkeys(_wanted(part, numbers, asked[part]) for part in missing if part.claimed)
        reason = f"Missing: {'; '.join(wanted)}."
    else:
        claimed = {part: finding for part, finding in findings.items() if part.claimed}
        part, finding = min(claimed.items(), key=lambda item: item[1].share - item[0].enough)
        least = "" if finding.share == 1 else f", least clearly: {part.says}, on {finding.where}"
        reason = f"Every part holds{least}."
    if remarks := _list(failed, claimed=False):
        reason += f" Not borne out, but no part of the verdict: {remarks}."
    return Judgement(
        key=check.key,
        claim=check.claim,
        verdict=verdict,
        datasets=tuple(at for at in numbers.datasets if at in taking_part),
        evidence=tuple(_sentence(part, findings.get(part)) for part in check.parts),
        reason=reason,
    )


def _sentence(part: Part, finding: Finding | None) -> str:
    remark = "" if part.claimed else "remark: "
    if finding is None:
        return f"{remark}{part.says}: not enough runs"
    answer = "yes" if finding.share >= part.enough else "no"
    return f"{remark}{part.says}: {answer}, on {finding.where}" + (f"; {finding.detail}" if finding.detail else "")


def _list(parts: list[Part], *, claimed: bool) -> str:
    return "; ".join(part.says for part in parts if part.claimed == claimed)


def _wanted(part: Part, numbers: Numbers, complete: list[str]) -> str:
    """Return what a part would need: datasets, or what the dataset that has most of it still lacks."""
    if complete:
        return f"{', '.join(part.needs)} on {part.least} datasets (complete on {len(complete)})"
    if not numbers.datasets:
        return ", ".join(part.needs)
    nearest = min(numbers.datasets, key=lambda at: len(part.lacks(numbers, at)))
    return f"{', '.join(part.lacks(numbers, nearest))} on {nearest}"

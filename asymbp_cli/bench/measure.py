"""A measure, and a baseline to hold later ones against. No torch."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from asymbp_cli.errors import UsageError


@dataclass(frozen=True)
class Measure:
    """Seconds of a step per replica, and its ratio to the reference of the same round: median, least, most.

    A lower ratio is better.
    """

    name: str
    seconds: float
    ratio: float
    lowest: float
    highest: float


def interleaved(candidates: Mapping[str, Callable[[], float]], rounds: int) -> list[Measure]:
    """Measure every candidate once a round, after one round of warming up; the first is the reference.

    Compared round by round, so that a machine whose speed drifts still gives honest ratios.
    """
    for run in candidates.values():
        run()
    table = [{name: run() for name, run in candidates.items()} for _ in range(rounds)]
    reference = next(iter(candidates))
    found = []
    for name in candidates:
        ratios = [line[name] / line[reference] for line in table]
        found.append(Measure(name, median(line[name] for line in table), median(ratios), min(ratios), max(ratios)))
    return found


Groups = Mapping[str, Sequence[Measure]]


def save(groups: Groups, machine: str, file: Path) -> None:
    """Keep measures as a baseline; raises UsageError where the file cannot be written."""
    content = {"machine": machine} | {name: [asdict(m) for m in found] for name, found in groups.items()}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=1), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write the baseline {file}: {error.strerror}") from error


def slower(groups: Groups, machine: str, file: Path) -> list[str] | None:
    """Return a line for each ratio that is worse: its median than the old rounds, its rounds than the old median.

    None without a baseline of this machine. Raises UsageError where the baseline is damaged.
    """
    if not file.exists():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content.pop("machine") != machine:
            return None
        before = {(group, m["name"]): Measure(**m) for group, found in content.items() for m in found}
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise UsageError(f"the baseline {file} is damaged ({error}); make a new one with --save") from error
    return list(_worse(groups, before))


def _worse(groups: Groups, before: Mapping[tuple[str, str], Measure]) -> Iterable[str]:
    for group, found in groups.items():
        for m in found:
            old = before.get((group, m.name))
            if old and m.ratio > old.highest and m.lowest > old.ratio:
                change = f"{m.ratio / old.ratio - 1:+.0%}"
                yield f"{group}, {m.name}: {old.ratio:.2f} before, now {m.ratio:.2f} ({change})"

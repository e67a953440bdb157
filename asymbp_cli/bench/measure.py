"""Measures, as ratios within each round, and a baseline to compare later ones with. No torch."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from asymbp_cli.errors import UsageError


@dataclass(frozen=True)
class Measure:
    """Seconds of a step per replica, and its ratio to the reference in the same round: median, lowest, highest.

    A lower ratio is better.
    """

    name: str
    seconds: float
    ratio: float
    lowest: float
    highest: float


Groups = Mapping[str, Sequence[Measure]]


def measure_interleaved(candidates: Mapping[str, Callable[[], float]], rounds: int) -> list[Measure]:
    """Measure every candidate once a round, after a warm-up round; the first candidate is the reference.

    Ratios are taken within each round, so that they stay honest on a machine whose speed drifts.
    """
    for run in candidates.values():
        run()
    seconds = [{name: run() for name, run in candidates.items()} for _ in range(rounds)]
    reference = next(iter(candidates))
    return [_summarize(name, seconds, reference) for name in candidates]


def _summarize(name: str, rounds: Sequence[Mapping[str, float]], reference: str) -> Measure:
    ratios = [seconds[name] / seconds[reference] for seconds in rounds]
    return Measure(
        name=name,
        seconds=median(seconds[name] for seconds in rounds),
        ratio=median(ratios),
        lowest=min(ratios),
        highest=max(ratios),
    )


def save_baseline(groups: Groups, machine: str, file: Path) -> None:
    """Keep measures as a baseline. Raises UsageError if the file cannot be written."""
    content = {"machine": machine} | {name: [asdict(m) for m in measures] for name, measures in groups.items()}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=1), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write the baseline {file}: {error.strerror}") from error


def find_slower(groups: Groups, machine: str, file: Path) -> list[str] | None:
    """Return a line for each measure that got slower than this machine's baseline, or None if it has none.

    A measure is slower if its median is above all rounds of the baseline, and all its rounds are above the
    baseline's median. Raises UsageError if the baseline is damaged.
    """
    if not file.exists():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content.pop("machine") != machine:
            return None
        before = {(group, m["name"]): Measure(**m) for group, measures in content.items() for m in measures}
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise UsageError(f"the baseline {file} is damaged ({error}). Make a new one with --save") from error
    return list(_slower(groups, before))


def _slower(groups: Groups, before: Mapping[tuple[str, str], Measure]) -> Iterable[str]:
    for group, measures in groups.items():
        for m in measures:
            old = before.get((group, m.name))
            if old and m.ratio > old.highest and m.lowest > old.ratio:
                change = f"{m.ratio / old.ratio - 1:+.0%}"
                yield f"{group}, {m.name}: {old.ratio:.2f} before, now {m.ratio:.2f} ({change})"

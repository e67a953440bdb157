"""What results have cost: the time of each device, by table and in total, those of failed runs too."""

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

from asymbp_cli.analysis.agreement import Conditions
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.report.document import Listing
from asymbp_cli.report.text import shorten_titles
from asymbp_cli.results.store import Store
from asymbp_cli.results.summaries import Effort
from asymbp_cli.text import format_duration

_NOTES = (
    "A time is from the start of an attempt to its end, on one worker: a core, or a GPU. Runs of a stack share "
    "it equally. What is lost is of attempts that failed or were interrupted: a later attempt may have "
    "continued from their checkpoints.",
    "A run of several tables counts in each, and once in all that is stored. Runs of no table count there too.",
)


def list_compute(tables: Sequence[FilledGrid], store: Store) -> list[Listing]:
    """Return the time of each table by device, and of everything in the store."""
    efforts, names = store.efforts(), shorten_titles([filled.grid.title for filled in tables])
    conditions = [Conditions.of(filled.grid) for filled in tables]
    groups = [
        (f"{name}, {own.describe_among(conditions)}", make_compute_records(efforts, filled.grid.all_runs()))
        for name, own, filled in zip(names, conditions, tables, strict=True)
    ]
    rows = [row for name, records in groups for row in _rows(name, records)]
    if not rows:
        return []
    rows += _rows("all that is stored", make_compute_records(efforts))
    return [Listing("Compute", ("table", "device", "runs", "time", "lost"), tuple(rows), _NOTES)]


def add_up_hours(store: Store, runs: Container[str]) -> float:
    """Return the hours of `runs` on all devices, as their compute has them."""
    return sum(float(record["hours"]) for record in make_compute_records(store.efforts(), runs))


def _rows(name: str, records: Iterable[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    for record in records:
        times = (format_duration(3600 * record[key]) for key in ("hours", "lost_hours"))
        yield name, record["device"], f"{record['runs']:,}", *times


def make_compute_records(efforts: Iterable[Effort], runs: Container[str] | None = None) -> list[dict[str, Any]]:
    """Return runs and hours of each device that trained `runs`, or all of them."""
    by_device: dict[str, list[Effort]] = {}
    for effort in efforts:
        if runs is None or effort.run in runs:
            by_device.setdefault(effort.device, []).append(effort)
    return [
        {
            "device": device,
            "runs": len({effort.run for effort in own}),
            "hours": sum(effort.seconds for effort in own) / 3600,
            "lost_hours": sum(effort.seconds for effort in own if effort.lost) / 3600,
        }
        for device, own in sorted(by_device.items())
    ]

"""How to get the results of a report again: commands, datasets, software, devices, time spent."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from asymbp_cli import __version__
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.recipe.labels import name_data
from asymbp_cli.report.compute_listing import add_up_hours
from asymbp_cli.report.document import Listing
from asymbp_cli.results.provenance import describe_software
from asymbp_cli.results.store import Store
from asymbp_cli.scheduling.multiplications import flop_per_sample
from asymbp_cli.specs.runs import Run
from asymbp_cli.text import count, format_duration

Fact = tuple[str, str]  # what, value


def list_provenance(tables: Sequence[FilledGrid], store: Store) -> Listing:
    """Return the facts that one needs to get the same numbers again."""
    grids = [filled.grid for filled in tables]
    runs = {run_id: run for grid in grids for run_id, run in grid.all_runs().items()}
    facts = (
        ("rendered by", f"asymbp {__version__}"),
        *_commands(grids, store),
        ("seeds", ", ".join(map(str, sorted({seed for grid in grids for seed in grid.seeds})))),
        *_datasets(grids, store.datasets()),
        *_attempts(runs, store),
        *_spent(runs, store),
    )
    return Listing("Provenance", ("what", "value"), facts)


def _commands(grids: Sequence[Grid], store: Store) -> Iterator[Fact]:
    for command in dict.fromkeys(command for grid in grids for command in store.commands(grid)):
        yield "command", f"`{command}`"


def _datasets(grids: Sequence[Grid], datasets: Mapping[str, DecodedDataset]) -> Iterator[Fact]:
    fingerprints = dict.fromkeys(row.dataset for grid in grids for row in grid.rows if row.dataset)
    infos = [datasets[fingerprint] for fingerprint in fingerprints if fingerprint in datasets]
    counts = Counter(info.label for info in infos)
    for info in infos:
        label = info.label if counts[info.label] == 1 else f"{info.label} ({name_data(info.fingerprint)})"
        samples = f"{info.train_count:,} to train, {info.test_count:,} to test"
        yield "dataset", f"{label}: {samples}, SHA-256 of pixels and labels {info.fingerprint[:16]}"
        yield f"classes of {label}", ", ".join(info.classes)


def _attempts(runs: Mapping[str, Run], store: Store) -> Iterator[Fact]:
    attempts = [attempt for attempt in store.attempts(runs) if attempt.began]
    yield from _each("software", (describe_software(a.software) for a in attempts))
    yield from _each("device", (f"{a.device} on {a.host}" for a in attempts))
    yield from _each("instruction set", (a.instruction_set for a in attempts if a.instruction_set))
    yield from _each("checkout", (a.git for a in attempts if a.git))


def _each(what: str, values: Iterable[str]) -> Iterator[Fact]:
    """Yield a fact for every different value."""
    for value in dict.fromkeys(values):
        yield what, value


def _spent(runs: Mapping[str, Run], store: Store) -> Iterator[Fact]:
    spent = store.spent(runs)
    took = format_duration(3600 * add_up_hours(store, runs))
    yield "time", f"{took} of training, added up over {count(len(spent), 'run')}"
    flop = sum(flop_per_sample(run) * spent[run_id].samples for run_id, run in runs.items() if run_id in spent)
    yield "cost", f"about {flop / 1e15:.3g} PFLOP of training"

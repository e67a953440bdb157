"""The order in which epochs are selected: the same in Python, in SQL and in the live display."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import small_study
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.console import Console
from sample_tables import make_epoch

from asymbp_cli.analysis.cells import Pick
from asymbp_cli.analysis.tables import fill_grid, select_epoch
from asymbp_cli.cli.live_view import render_progress
from asymbp_cli.cli.progress import StudyProgress
from asymbp_cli.events import EpochEnded
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.recipe.procedure import Procedure
from asymbp_cli.results.provenance import collect
from asymbp_cli.results.store import Store
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.protocol import Protocol

INFO = small_study.INFO.model_copy(update={"train_count": 100, "test_count": 1000})  # as `make_epoch` has them
SEEN = 20  # validation samples
SIZES = {"validation_seen": SEEN, "train_seen": INFO.train_count - SEEN}
Counts = tuple[int, int, float | None]  # wrong of the test set, of the validation set; validation loss


def make_grid(fraction: float) -> Grid:
    protocol = Protocol(rate_multipliers=(0.1, 10.0, 1.0), validation_fraction=fraction)
    columns = (small_study.column("SGD", protocol),)
    return small_study.grid("SGD").model_copy(update={"columns": columns, "baseline": None})


GRIDS = {"held-out": make_grid(0.1), "paper": make_grid(0.0)}


def make_epochs(grid: Grid, found: Sequence[Sequence[Counts]]) -> dict[str, list[EpochEnded]]:
    """Return the epochs of each run; under the paper's rule nothing of the held-out data."""
    return {
        run_id: [
            make_epoch(run_id, epoch, wrong, validation_wrong=held_out, validation_loss=loss, **SIZES)
            if grid.validation_fraction
            else make_epoch(run_id, epoch, wrong)
            for epoch, (wrong, held_out, loss) in enumerate(counts, start=1)
        ]
        for run_id, counts in zip(grid.all_runs(), found, strict=True)
    }


def select(grid: Grid, epochs: dict[str, list[EpochEnded]]) -> Pick | None:
    return fill_grid(grid, epochs, {}, {}).cells[0][0].pick


def picked(*found: Sequence[Counts], rule: str = "held-out") -> tuple[float, int]:
    """Return rate and epoch of the pick among the runs at rates 0.1, 10 and 1."""
    pick = select(GRIDS[rule], make_epochs(GRIDS[rule], found))
    assert pick is not None
    return pick.rate_multiplier, pick.epoch


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (([(9, 2, 0.1)], [(9, 2, 0.2)], [(9, 1, 0.9)]), (1.0, 1)),  # the error before the loss
        (([(9, 2, 0.1)], [(1, 2, 0.2)], [(1, 2, 0.3)]), (0.1, 1)),  # the loss before rate and test error
        (([(9, 2, 0.4), (9, 2, 0.1)], [(9, 2, 0.2)], []), (0.1, 2)),  # and before the epoch
        (([(9, 2, 0.1)], [(9, 2, 0.1)], [(9, 2, 0.1)]), (10.0, 1)),  # then the largest rate
        (([], [(9, 3, 0.1), (9, 2, 0.1), (1, 2, 0.1)], []), (10.0, 2)),  # then the earliest epoch
        (([(9, 2, 99.0)], [(9, 2, None)], [(9, 2, math.nan)]), (0.1, 1)),  # no number: last
        (
            ([(9, 2, None)], [(9, 2, None), (1, 2, None)], [(9, 2, None)]),
            (10.0, 1),
        ),  # as before losses were stored
    ],
)
def test_ties_of_held_out_errors_go_to_the_lowest_loss(
    found: tuple[list[Counts], ...], expected: tuple[float, int]
) -> None:
    assert picked(*found) == expected


def test_ties_under_the_papers_rule_go_to_the_largest_rate_then_to_the_earliest_epoch() -> None:
    assert picked([(2, 0, None)], [(3, 0, None), (2, 0, None), (2, 0, None)], [(2, 0, None)], rule="paper") == (
        10.0,
        2,
    )


def test_ties_of_procedures_with_other_base_rates_go_to_the_largest_rate_and_not_multiplier() -> None:
    slow = Protocol(rate_multipliers=(10.0,), base_rate=1e-3)
    fast = Protocol(rate_multipliers=(1.0,), base_rate=0.02)
    entries = tuple(Procedure(method=parse_method("SGD"), protocol=protocol) for protocol in (slow, fast))
    grid = GRIDS["paper"]
    column = grid.columns[0].model_copy(update={"entries": entries})
    grid = grid.model_copy(update={"columns": (column,)})
    pick = select(grid, {run_id: [make_epoch(run_id, 1, 2)] for run_id in grid.all_runs()})
    assert pick is not None
    assert pick.rate_multiplier == 1.0


losses = st.none() | st.sampled_from([0.0, 0.25, 0.5, math.inf, math.nan]) | st.floats(0.0)
epoch_counts = st.tuples(st.integers(0, 3), st.integers(0, 2), losses)
runs_of_epochs = st.lists(st.lists(epoch_counts, max_size=5), min_size=3, max_size=3)


@settings(max_examples=60, deadline=None)
@given(rule=st.sampled_from(sorted(GRIDS)), found=runs_of_epochs)
@example("held-out", [[(1, 1, None), (2, 1, math.inf)], [(3, 1, math.nan)], [(0, 1, 1e308)]])
def test_python_sql_and_the_live_display_select_the_same_epoch(rule: str, found: list[list[Counts]]) -> None:
    grid = GRIDS[rule]
    epochs = make_epochs(grid, found)
    expected = select(grid, epochs)
    progress = watch(grid, epochs)
    with TemporaryDirectory() as directory, store_of(Path(directory), grid, epochs) as store:
        assert select(grid, store.selected(epochs)) == expected
        for run_id, points in epochs.items():
            best = select_epoch((point, grid.all_runs()[run_id]) for point in points)
            summary = store.run(run_id).summary.best
            if best is None:
                assert (summary, progress.best.get(run_id)) == (None, None)
            else:
                (point, _) = best
                assert summary == (point.test_wrong, point.test_seen, point.epoch)
                assert progress.best[run_id] is point
    assert shown(progress) == ("-" if expected is None else f"{expected.error_percent:.2f}")


def watch(grid: Grid, epochs: dict[str, list[EpochEnded]]) -> StudyProgress:
    """Return the progress of a study after these epochs."""
    runs = grid.all_runs()
    cost = dict.fromkeys(runs, 1.0)
    progress = StudyProgress([grid], runs, dict.fromkeys(runs, 5), cost)
    for points in epochs.values():
        for point in points:
            progress.handle(point)
    return progress


def store_of(directory: Path, grid: Grid, epochs: dict[str, list[EpochEnded]]) -> Store:
    """Return a store that holds these epochs, each recorded as it ends."""
    store = Store.open(directory)
    with store.writing():
        store.save_dataset(INFO)
        store.begin(grid.all_runs().values(), 0, collect("cpu"))
        for points in epochs.values():
            for point in points:
                store.record(point)
    return store


def shown(progress: StudyProgress) -> str:
    """Return the error that the live display has for SGD on the digits."""
    text = io.StringIO()
    Console(file=text, width=80).print(render_progress(progress))
    (line,) = [line for line in text.getvalue().splitlines() if line.strip().startswith("SGD ")]
    return line.split()[-1]

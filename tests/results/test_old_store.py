"""A store that an earlier commit left unfinished: its ids, runs, checkpoints and cache still count."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from asymbp_cli import study
from asymbp_cli.api.asked import prepare_recipe
from asymbp_cli.cli.app import cli
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.events import EpochEnded
from asymbp_cli.executors import StackStarted
from asymbp_cli.recipe.build import make_table_grid
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.recipe.protocols import load_protocol
from asymbp_cli.recipe.recipe import load_recipe
from asymbp_cli.recipe.table import load_table
from asymbp_cli.results.migrations import MIGRATIONS
from asymbp_cli.results.store import Store
from asymbp_cli.specs.runs import Run

OLD = Path(__file__).parent / "old_store"
EXPECTED = json.loads((OLD / "expected.json").read_text())
INTERRUPTED = {run: epochs for run, epochs in EXPECTED["interrupted"].items() if epochs < 6}
FINISHED = set(EXPECTED["interrupted"]) - set(INTERRUPTED)
NOW = len(MIGRATIONS)  # version of the schema
DATE = 1_000_000_000  # seconds since 1970; older than any new file


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a copy of the old directory, all its files of one date."""
    directory = tmp_path / "old"
    shutil.copytree(OLD, directory)
    for path in directory.rglob("*"):
        os.utime(path, (DATE, DATE))
    return directory


def plan(directory: Path) -> tuple[Grid, dict[str, DecodedDataset]]:
    """Return the grid of the old recipe and its dataset, taken from the old cache."""
    recipe = load_recipe(directory / "old.yaml", ())
    source = DataSource(cache_dir=directory / "cache")
    asked = prepare_recipe(recipe, source)
    return asked.grids[0], {info.fingerprint: info for info in asked.infos}


def test_the_cache_is_used_as_it_is(old: Path) -> None:
    plan(old)
    arrays = list(old.rglob("[xy]_*.npy"))
    assert len(arrays) == 4
    assert {path.stat().st_mtime for path in arrays} == {DATE}
    assert len(list((old / "cache/resident").glob("[!.]*"))) == 1


def id_before_short_epochs_cycled(run: Run) -> str:
    """Return the id that a run had before `demo` cycled through short epochs."""
    protocol = run.protocol.model_copy(update={"batch_norm_short_epochs": "once"})
    return Run.model_validate(run.model_dump() | {"protocol": protocol}).id


@pytest.mark.parametrize("expected", ["epochs", "demo_runs"])
def test_runs_have_the_ids_that_they_had_except_for_bn_on_short_epochs(expected: str, old: Path) -> None:
    """The digits have 15 mini-batches, and test statistics average 20."""
    grid, infos = plan(old)
    grids = [grid]
    if expected == "demo_runs":
        protocol, label = load_protocol("demo", ())
        tables = [spec for number in "2345" for spec in load_table(number)]
        grids = [make_table_grid(spec, protocol, label, list(infos.values())) for spec in tables]
    runs = {run.id: run for grid in grids for run in grid.all_runs().values()}
    assert {id_before_short_epochs_cycled(run) for run in runs.values()} == set(EXPECTED[expected])
    moved = set(runs) - set(EXPECTED[expected])
    assert moved == {run.id for run in runs.values() if run.method.batch_norm != "none"}
    assert moved


def test_on_a_set_with_enough_mini_batches_no_id_has_moved(old: Path) -> None:
    _, infos = plan(old)
    protocol, label = load_protocol("demo", ())
    large = [info.model_copy(update={"train_count": 1901}) for info in infos.values()]
    grids = [make_table_grid(spec, protocol, label, large) for number in "2345" for spec in load_table(number)]
    assert sorted({run for grid in grids for run in grid.all_runs()}) == EXPECTED["demo_runs"]


def test_what_was_finished_is_not_trained_again_and_the_rest_ends_with_the_old_numbers(old: Path) -> None:
    grid, infos = plan(old)
    starts: dict[str, int] = {}

    def note(event: object) -> None:
        if isinstance(event, StackStarted):
            starts.update(dict.fromkeys(event.runs, event.start_epoch))

    with Store.open(old / "results") as store:
        (old_grid,) = store.grids()
        assert set(old_grid.all_runs()) == set(EXPECTED["epochs"])
        assert store.finished_ids() == FINISHED
        stored = store.epochs(EXPECTED["epochs"])
        assert {run: len(epochs) for run, epochs in stored.items() if epochs} == EXPECTED["interrupted"]
        outcome = study.run([old_grid], infos, store, study.Execution(), on_event=note)
        epochs = store.epochs(EXPECTED["epochs"])
        for run_id, start in starts.items():  # attempts of the old commit did not record it
            *earlier, latest = [attempt.instruction_set for attempt in store.attempts([run_id])]
            assert latest == torch.backends.cpu.get_cpu_capability()
            assert earlier == [None] * (start > 0)
        with store.writing():
            store.save_grid(grid)
        assert store.grids() == [grid]  # still the same table, though its runs with BN are others
    assert (set(outcome.skipped), outcome.failed) == (FINISHED, {})
    new = set(EXPECTED["epochs"]) - set(EXPECTED["interrupted"])
    assert starts == INTERRUPTED | dict.fromkeys(new, 0)
    for run in FINISHED:
        assert epochs[run] == stored[run]
    for run, expected in EXPECTED["epochs"].items():
        compare(epochs[run], expected)


#: of losses, test and training errors: on the old commit's kind of processor, and on others
_TOLERANCES = {True: (1e-3, 2, 8), False: (0.02, 4, 16)}


def compare(epochs: list[EpochEnded], expected: list[list[Any]]) -> None:
    """Compare a run with the numbers of the old commit, perhaps on another kind of processor."""
    assert len(epochs) == len(expected)
    for event, row in zip(epochs, expected, strict=True):
        epoch, train_wrong, train_seen, test_wrong, test_seen, train_loss, test_loss, one_class, diverged = row
        assert (event.epoch, event.train_seen, event.test_seen) == (epoch, train_seen, test_seen)
        assert (event.one_class, event.diverged) == (one_class, diverged)
        loss, few, more = _TOLERANCES[torch.backends.cpu.get_cpu_capability() == "AVX512"]
        assert event.train_loss == pytest.approx(float(train_loss), abs=loss)
        assert event.test_loss == pytest.approx(float(test_loss), abs=loss)
        assert abs(event.test_wrong - test_wrong) <= few  # of 360
        assert abs(event.train_wrong - train_wrong) <= more  # of 1437


def test_its_report_is_rendered(old: Path) -> None:
    done = CliRunner().invoke(cli, ["report", "--results", str(old / "results")], catch_exceptions=False)
    assert done.exit_code == 0
    assert "RndF Top" in done.output
    assert "asymbp train --recipe old.yaml" in done.output
    shown = CliRunner().invoke(
        cli, ["show", next(iter(INTERRUPTED)), "--results", str(old / "results")], catch_exceptions=False
    )
    assert shown.exit_code == 0
    assert "interrupted" in shown.output


@pytest.mark.parametrize("command", [["report"], ["ls", "runs"], ["train", "--recipe", "old.yaml", "--quiet"]])
def test_an_older_tool_leaves_a_newer_store_alone_and_says_so_once(command: list[str], old: Path) -> None:
    database = old / "results" / "asymbp.sqlite"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 7")
    content = database.read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "asymbp_cli", *command], cwd=old, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    (message,) = done.stderr.splitlines()
    assert f"was written by a newer asymbp (version 7 of its schema, this one knows {NOW}). " in message
    assert "Upgrade asymbp, or use another directory with --results DIR" in message
    assert database.read_bytes() == content
    assert len(list((old / "results" / "checkpoints").iterdir())) == 2

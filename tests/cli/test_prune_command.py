"""`asymbp store prune`: what no table needs is listed and deleted, and nothing else."""

from pathlib import Path

import pytest
import small_study
from click.testing import CliRunner, Result

from asymbp_cli.cli.app import cli
from asymbp_cli.errors import AsymbpError, StoreError
from asymbp_cli.results.check import check_results
from asymbp_cli.results.provenance import collect
from asymbp_cli.results.store import Store
from asymbp_cli.training.resume import checkpoint_path

GRID = small_study.grid("SGD", multipliers=(1.0,))


def prune(*options: str, results: Path, answer: str | None = None) -> Result:
    arguments = ["store", "prune", *options, "--results", str(results)]
    return CliRunner().invoke(cli, arguments, input=answer, catch_exceptions=False, standalone_mode=False)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Results with a finished run of a table, and of none an unfinished run and three checkpoints."""
    small_study.train(tmp_path, GRID)
    other = small_study.grid("uSF", multipliers=(1.0,)).runs(
        small_study.row(), small_study.column("uSF", GRID.protocol)
    )
    with Store.open(tmp_path) as store, store.writing():
        store.begin(other, 0, collect("cpu"))
    store.checkpoints.mkdir(exist_ok=True)
    for run_id in (other[0].id, *GRID.all_runs(), "0123456789abcdef"):
        checkpoint_path(store.checkpoints, run_id).write_bytes(b"x" * 2000)
    return tmp_path


def test_what_no_table_needs_is_listed_and_deleted(results: Path) -> None:
    done = prune("--yes", results=results)
    *listed, end = done.stdout.splitlines()
    assert listed[0].endswith(": uSF on digits, 0 of 4 epochs")
    assert [line.rpartition(": ")[2] for line in listed[1:]] == ["2 kB"] * 3
    assert end == f"{results}/: deleted 1 run and 3 checkpoints"
    assert small_study.change(results) == list(GRID.all_runs())
    assert small_study.checkpoints(results) == []
    assert check_results(results).problems == ()
    assert prune(results=results).stdout == f"{results}/: tables need everything, nothing is deleted\n"


def test_what_a_study_continues_from_stays(results: Path) -> None:
    small_study.change(results, "UPDATE runs SET state = NULL", take_checksums=True)
    (run_id,) = GRID.all_runs()
    prune("--yes", results=results)
    assert [file.stem for file in small_study.checkpoints(results)] == [run_id]
    assert small_study.change(results) == [run_id]


def test_while_a_study_writes_nothing_is_listed_or_deleted(results: Path) -> None:
    """It deletes checkpoints of its own meanwhile, and stores tables that need others."""
    with Store.open(results) as store, store.writing(), pytest.raises(StoreError, match="is writing to"):
        prune("--yes", results=results)
    assert len(small_study.checkpoints(results)) == 3


def test_nothing_is_deleted_unless_somebody_says_so(results: Path) -> None:
    before = small_study.change(results)
    with pytest.raises(AsymbpError, match=r"nobody can be asked here whether to delete this\. Add --yes"):
        prune(results=results, answer="")
    assert small_study.change(results) == before
    assert len(small_study.checkpoints(results)) == 3


def test_what_others_keep_next_to_the_checkpoints_stays(results: Path) -> None:
    checkpoints = results / "checkpoints"
    names = (
        "mine.safetensors",
        "a.b.safetensors",
        "0123456789ABCDEF.safetensors",
        "0123456789abcdef.safetensors.old",
    )
    for name in names:
        (checkpoints / name).write_bytes(b"x")
    (checkpoints / "fedcba9876543210.safetensors").mkdir()
    assert prune("--yes", results=results).stdout.endswith("deleted 1 run and 3 checkpoints\n")
    assert {file.name for file in small_study.checkpoints(results)} == {*names, "fedcba9876543210.safetensors"}

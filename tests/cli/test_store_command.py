"""`asymbp store` as a user meets it: files, selections, messages, exit codes."""

import json
import os
import re
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
import small_study
from click.testing import CliRunner, Result

from asymbp_cli.cli.app import cli
from asymbp_cli.errors import AsymbpError, UsageError
from asymbp_cli.events import EpochEnded
from asymbp_cli.results.contents import Contents
from asymbp_cli.results.store import Store

OLD = Path(__file__).parents[1] / "results/old_store"


def invoke(*arguments: object) -> Result:
    """Run the command; `return_value` is the exit code of one that ends by itself."""
    return CliRunner().invoke(cli, ["store", *map(str, arguments)], catch_exceptions=False, standalone_mode=False)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Results of Table 2 on digits and MNIST, and of a recipe on digits."""
    mnist = small_study.INFO.model_copy(update={"fingerprint": "m" * 64, "label": "MNIST"})
    infos = {**small_study.INFOS, mnist.fingerprint: mnist}
    mnist_row = small_study.row(mnist.fingerprint, "MNIST").model_copy(update={"key": "mnist"})
    rows = (small_study.row(), mnist_row)
    tables = [
        small_study.grid("SGD", rows=rows),
        small_study.grid("BM", key="recipe-mine").model_copy(update={"protocol_label": "quick"}),
    ]
    small_study.train(tmp_path / "results", *tables, infos=infos)
    return tmp_path / "results"


def load(directory: Path) -> Contents:
    with Store.open(directory, create=False) as store:
        return store.contents()


def test_results_travel_in_a_file(results: Path, tmp_path: Path) -> None:
    file, other = tmp_path / "a.jsonl.xz", tmp_path / "other"
    done = invoke("export", file, "--results", results)
    assert (done.return_value, done.stdout) == (None, "")
    assert f"wrote {file}: 6 runs, 24 epochs, {len(file.read_bytes()) / 1000:.0f} kB" in done.stderr
    first = invoke("merge", file, "--results", other)
    assert (first.return_value, first.stdout) == (0, f"{file}: 6 runs: 6 new\n")
    assert invoke("merge", file, results, "--results", other).stdout == (
        f"{file}: 6 runs: 6 already there\n{results}: 6 runs: 6 already there\n"
    )
    again = tmp_path / "b.jsonl.xz"
    invoke("export", again, "--results", other)
    assert again.read_bytes() == file.read_bytes()
    reports = [CliRunner().invoke(cli, ["report", "--results", str(d)]).stdout for d in (results, other)]
    assert reports[0] == reports[1]


@pytest.mark.parametrize(
    ("selection", "labels"),
    [
        (["--table", "2"], {("table-2", "digits"), ("table-2", "MNIST")}),
        (["--table", "2", "--dataset", "mnist"], {("table-2", "MNIST")}),
        (["--dataset", "digits"], {("table-2", "digits"), ("recipe-mine", "digits")}),
        (["--protocol", "quick"], {("recipe-mine", "digits")}),
        (["--table", "mine", "--table", "2", "--dataset", "MNIST"], {("table-2", "MNIST")}),
    ],
)
def test_a_part_is_exported(
    selection: list[str], labels: set[tuple[str, str]], results: Path, tmp_path: Path
) -> None:
    invoke("export", tmp_path / "a.jsonl.xz", *selection, "--results", results)
    invoke("merge", tmp_path / "a.jsonl.xz", "--results", tmp_path / "other")
    part = load(tmp_path / "other")
    grids = [stored.grid for stored in part.grids.values()]
    assert {(grid.key, row.label) for grid in grids for row in grid.rows} == labels
    assert set(part.runs) == {run_id for grid in grids for run_id in grid.all_runs()}
    assert set(part.datasets) == {row.dataset for grid in grids for row in grid.rows}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["export", "x.xz", "--protocol", "qick"],
            r'no results with the protocol "qick"\. Did you mean "quick"\?',
        ),
        (
            ["export", "x.xz", "--dataset", "svhn"],
            r'no results with the dataset "svhn"\. Available: "MNIST", "digits"$',
        ),
        (["export", "x.xz", "--table", "3"], 'no results for table "3"'),
        (["export", "results/asymbp.sqlite"], "belongs to stored results"),
        (["export", "results/.lock/x.xz"], r"cannot write results/\.lock/x\.xz: .*\. Choose another file$"),
        (["export", "x.xz", "--results", "none"], "there are no results in none/"),
        (["export", "x.xz", "--results", "new"], "there are no runs to export"),
        (
            ["merge", "none.xz"],
            r"there is no file or directory none\.xz\. Name a file that asymbp store export has written, or a",
        ),
        (["merge", "empty"], "there are no results in empty/"),
        (["merge", "results"], "results/ is the results directory itself"),
        (["merge", "results/asymbp.sqlite"], "is the database of a results directory. Name the directory"),
        (
            ["merge", "notes.txt"],
            r"notes\.txt is no exported file\. Name one that asymbp store export has written",
        ),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    arguments: list[str], message: str, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(results.parent)
    Path("empty").mkdir()
    Store.open(Path("new")).close()
    Path("notes.txt").write_text("my notes")
    before = repr(load(results))
    with pytest.raises(AsymbpError, match=message) as caught:
        invoke(*arguments)
    assert caught.value.exit_code == 2
    assert repr(load(results)) == before
    assert not Path("x.xz").exists()


def test_an_exported_file_cannot_be_compared_before_it_is_merged(results: Path, tmp_path: Path) -> None:
    file = tmp_path / "a b.xz"
    invoke("export", file, "--results", results)
    with pytest.raises(AsymbpError, match=rf"is a file.* asymbp store merge '{file}' --results DIR$"):
        CliRunner().invoke(
            cli, ["compare", str(results), str(file)], catch_exceptions=False, standalone_mode=False
        )


def test_one_damaged_file_of_several_stops_the_merge_before_it_starts(results: Path, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.jsonl.xz", tmp_path / "bad.jsonl.xz"
    invoke("export", good, "--results", results)
    bad.write_bytes(good.read_bytes()[:-100])
    with pytest.raises(AsymbpError, match=r"bad\.jsonl\.xz is damaged or incomplete \(its end is missing\)"):
        invoke("merge", good, bad, "--results", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_directory_of_an_older_version_is_merged_and_stays_as_it_is(results: Path, tmp_path: Path) -> None:
    older = tmp_path / "older"
    shutil.copytree(OLD / "results", older)
    before = files(older)
    done = invoke("merge", older, "--results", results)
    assert (done.return_value, done.stdout) == (0, f"{older}: 6 runs: 6 new\n")
    assert files(older) == before
    with closing(sqlite3.connect(older / "asymbp.sqlite")) as connection:
        ids = {run_id for (run_id,) in connection.execute("SELECT id FROM runs")}
    assert ids < load(results).runs.keys()


def test_a_directory_that_a_study_writes_is_merged_as_it_stands(results: Path, tmp_path: Path) -> None:
    with Store.open(results) as store, store.writing():
        store.save_dataset(small_study.INFO)
        store.flush()
        assert invoke("merge", results, "--results", tmp_path / "other").stdout == f"{results}: 6 runs: 6 new\n"


def test_a_directory_with_impossible_results_is_refused(results: Path, tmp_path: Path) -> None:
    small_study.change(results, "UPDATE epochs SET epoch = 9 WHERE epoch = 4", take_checksums=True)
    with pytest.raises(
        AsymbpError, match=r"asymbp\.sqlite is damaged \(.* has other epochs than 1, 2, .*Put back a copy"
    ):
        invoke("merge", results, "--results", tmp_path / "other")


def counts(event: EpochEnded) -> dict[str, int | None]:
    names = ("train_wrong", "train_seen", "test_wrong", "test_seen", "validation_wrong", "validation_seen")
    return {name: getattr(event, name) for name in names}


def test_a_table_that_other_runs_fill_now_is_named(results: Path, tmp_path: Path) -> None:
    """The table was made by an earlier version, which averaged the test statistics of short epochs once."""
    grids = {}
    for name, count, short_epochs in (("early", None, "once"), ("present", 1437, "cycle")):
        grid = small_study.grid("SGD", "uSF+BN")
        protocol = grid.protocol.model_copy(update={"batch_norm_short_epochs": short_epochs})
        row = small_study.row().model_copy(update={"train_count": count})
        columns = tuple(small_study.column(column.header, protocol) for column in grid.columns)
        grids[name] = grid.model_copy(update={"rows": (row,), "columns": columns})
        small_study.train(tmp_path / name, grids[name])
    done = invoke("merge", tmp_path / "present", "--results", tmp_path / "early")
    assert done.stdout.splitlines()[1] == (
        f"{tmp_path / 'present'}: A small table (--table 2), protocol paper with fewer epochs: "
        "1 cell now comes from other runs"
    )
    small_study.train(tmp_path / "again", grids["early"])
    (record,) = json.loads(invoke("merge", tmp_path / "present", "--json", "--results", tmp_path / "again").stdout)
    assert record["moved"] == [{"table": "table-2", "protocol": "paper with fewer epochs", "count": 1}]
    assert len(record["new"]) + len(record["same"]) > 1


@pytest.mark.parametrize(
    ("here", "there", "said"),
    [
        (
            "'AVX512'",
            "'AVX2'",
            "Processors, whose bits differ, may be why for 6 of them: AVX2 here, AVX512 there.",
        ),
        ("'AVX2'", "'AVX2'", None),
        ("NULL", "'AVX2'", None),
    ],
)
def test_other_numbers_are_listed_run_by_run(
    here: str, there: str, said: str | None, results: Path, tmp_path: Path
) -> None:
    file, other = tmp_path / "a.jsonl.xz", tmp_path / "other"
    small_study.change(
        results, f"UPDATE attempts SET device = 'cpu (a)', instruction_set = {here}", take_checksums=True
    )
    invoke("export", file, "--results", results)
    invoke("merge", file, "--results", other)
    small_study.change(
        other,
        f"UPDATE attempts SET instruction_set = {there}",
        "UPDATE epochs SET test_wrong = 360 - test_wrong WHERE epoch > 2",
        take_checksums=True,
    )
    kept = load(other)
    done = invoke("merge", file, "--results", other)
    assert done.return_value == 1
    assert f"{file}: 6 runs: 6 with other numbers, not merged" in done.stdout
    for run_id, stored in kept.runs.items():
        (line,) = [line for line in done.stdout.splitlines() if run_id in line]
        event = stored.epochs[2]
        numbers = [
            f"{event.train_wrong:,} of 1,437, {wrong} of 360"
            for wrong in (event.test_wrong, 360 - event.test_wrong)
        ]
        assert re.split("  +", line)[2:5] == ["3", *numbers]
    assert (said in done.stdout) if said else ("Processors" not in done.stdout)
    assert repr(load(other)) == repr(kept)
    as_json = invoke("merge", file, "--json", "--results", other)
    (record,) = json.loads(as_json.stdout)
    assert as_json.return_value == 1
    assert record == {
        "source": str(file),
        "new": [],
        "longer": [],
        "same": [],
        "different": [
            {
                "run": run_id,
                "epoch": 3,
                "kept": {"state": stored.state, "processor": there[1:-1], "counts": counts(stored.epochs[2])},
                "other": {
                    "state": stored.state,
                    "processor": None if here == "NULL" else here[1:-1],
                    "counts": counts(stored.epochs[2]) | {"test_wrong": 360 - stored.epochs[2].test_wrong},
                },
            }
            for run_id, stored in sorted(kept.runs.items())
        ],
        "moved": [],
        "shards": [],
    }


def test_results_travel_through_a_pipe(results: Path, tmp_path: Path) -> None:
    file, other = tmp_path / "a.jsonl.xz", tmp_path / "other"
    invoke("export", file, "--results", results)
    sent = CliRunner().invoke(cli, ["store", "export", "-", "--results", str(results)], catch_exceptions=False)
    assert sent.stdout_bytes == file.read_bytes()
    assert sent.stderr.startswith("wrote the results: 6 runs, 24 epochs")
    line = ["store", "merge", "-", "--results", str(other)]
    assert CliRunner().invoke(cli, line, input=sent.stdout_bytes).stdout == "-: 6 runs: 6 new\n"
    cut = CliRunner().invoke(cli, line, input=sent.stdout_bytes[:-9], standalone_mode=False)
    assert str(cut.exception).startswith("standard input is ")
    os.mkfifo(pipe := tmp_path / "pipe")
    threading.Thread(target=pipe.write_bytes, args=[sent.stdout_bytes], daemon=True).start()
    assert invoke("merge", pipe, "--results", other).stdout == f"{pipe}: 6 runs: 6 already there\n"


def test_a_terminal_gets_no_bytes(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asymbp_cli.cli.store.sys", SimpleNamespace(stdout=SimpleNamespace(isatty=lambda: True)))
    with pytest.raises(UsageError, match=r"no text for a terminal\. Name a file"):
        invoke("export", "-", "--results", results)

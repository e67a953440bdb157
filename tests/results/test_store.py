"""The results directory: what is kept, who may write, and what is said when something is wrong with it."""

import math
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_study

from asymbp_cli.errors import StoreError, UsageError, WorkerError
from asymbp_cli.events import EpochEnded, Provenance, RunFinished, WorkerFound
from asymbp_cli.results.provenance import Program, check_same_program, collect
from asymbp_cli.results.store import Store
from asymbp_cli.specs.runs import Run

HERE = Provenance(
    host="here", device="cpu (a slow one)", software={"torch": "2"}, git="abc (changed)", semantics=1
)
RUNS = list(small_study.grid("SGD").all_runs().values())
RUN = RUNS[0]


def ended(run: Run = RUN, epoch: int = 1, wrong: int = 30, **other: object) -> EpochEnded:
    usual = EpochEnded(
        run=run.id, epoch=epoch, rate=0.005, train_loss=0.1, train_wrong=7, train_seen=1437, test_loss=0.2,
        test_wrong=wrong, test_seen=360, validation_wrong=None, validation_seen=None, one_class=False,
        diverged=False, seconds=1.5,
    )  # fmt: skip
    held_out = other.get("validation_seen", 0)
    return replace(usual, train_seen=1437 - held_out, **other)  # type: ignore[arg-type, operator]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "results") as opened:
        yield opened


@pytest.fixture
def begun(store: Store) -> Iterator[Store]:
    """A store in which an attempt at all runs has begun."""
    with store.writing():
        store.save_dataset(small_study.INFO)
        store.begin(RUNS, 0, HERE)
        yield store


def test_events_come_back_as_they_were(begun: Store) -> None:
    events = [
        ended(epoch=1, validation_wrong=3, validation_seen=100, validation_loss=0.1 + 0.2),
        ended(epoch=2, train_loss=math.nan, test_loss=math.inf, one_class=True, diverged=True),
    ]
    for event in reversed(events):
        begun.record(event)
    found = begun.epochs([RUN.id, "unknown"])
    assert repr(found) == repr({RUN.id: events, "unknown": []})
    assert isinstance(found[RUN.id][1].diverged, bool)


def test_an_epoch_recorded_again_replaces_the_first(begun: Store) -> None:
    begun.record(ended(wrong=30))
    begun.record(ended(wrong=29))
    assert [event.test_wrong for event in begun.epochs([RUN.id])[RUN.id]] == [29]


def test_epochs_stored_counts_only_without_a_gap(begun: Store) -> None:
    for run, epochs in zip(RUNS, [(1, 2, 3), (1, 3)], strict=True):
        for epoch in epochs:
            begun.record(ended(run, epoch))
    assert begun.epochs_stored([RUNS[0].id, RUNS[1].id, "x"]) == {RUNS[0].id: 3, RUNS[1].id: 0, "x": 0}


def test_summaries_tell_progress_state_and_the_best_epoch(begun: Store) -> None:
    for epoch, wrong in ((1, 50), (2, 40), (3, 40)):
        begun.record(ended(RUNS[0], epoch, wrong))
    for epoch in range(1, 5):
        begun.record(ended(RUNS[1], epoch, 324, one_class=True))
    begun.record(RunFinished(RUNS[1].id, "collapsed", 4))
    found = {summary.id: summary for summary in begun.runs()}
    first = found[RUNS[0].id]
    assert (first.method, first.dataset, first.rate_multiplier, first.seed) == ("SGD", "digits", 10.0, 0)
    assert (first.progress, first.best) == ("3/4", (40, 360, 2))
    assert (found[RUNS[1].id].progress, found[RUNS[1].id].best) == ("collapsed", (324, 360, 1))
    assert begun.states() == {RUNS[1].id: "collapsed"}


def test_a_run_is_found_by_the_beginning_of_its_id(begun: Store) -> None:
    begun.record(ended(epoch=1))
    detail = begun.run(RUN.id[:6].upper())
    assert detail.run == RUN
    assert [event.epoch for event in detail.epochs] == [1]
    (attempt,) = detail.attempts
    assert (attempt.host, attempt.device, attempt.software) == (HERE.host, HERE.device, HERE.software)
    assert (attempt.git, attempt.outcome, attempt.ended) == (HERE.git, None, None)


@pytest.mark.parametrize(("prefix", "message"), [("", "2 run ids start"), ("zz", "no run id starts with .zz.")])
def test_a_prefix_must_name_one_run(begun: Store, prefix: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        begun.run(prefix)


def test_attempts_end_finished_failed_or_interrupted(store: Store) -> None:
    with store.writing():
        store.save_dataset(small_study.INFO)
        store.begin(RUNS, 0, HERE)
        store.fail([RUNS[0].id], "out of memory", "Traceback ...")
        assert store.failures() == {RUNS[0].id: "out of memory"}
        assert store.run(RUNS[0].id).summary.progress == "failed"
        store.begin(RUNS[:1], 2, HERE)
        assert store.failures() == {}
        for epoch in range(1, 5):
            store.record(ended(RUNS[0], epoch))
        store.record(RunFinished(RUNS[0].id, "finished", 4))
    first, second = store.run(RUNS[0].id).attempts
    assert (first.outcome, first.message, first.traceback) == ("failed", "out of memory", "Traceback ...")
    assert (second.outcome, second.message, second.start_epoch) == ("finished", None, 2)
    (third,) = store.run(RUNS[1].id).attempts
    assert third.outcome == "interrupted"


def test_a_grid_asked_for_again_with_other_datasets_grows(store: Store) -> None:
    mnist = small_study.grid("SGD", rows=(small_study.row("m" * 64, "MNIST"),))
    other = small_study.grid("SGD", epochs=5)
    with store.writing():
        store.save_grid(small_study.grid("SGD"), "asymbp reproduce --table 2")
        store.save_grid(mnist, "asymbp reproduce --table 2 --dataset mnist")
        store.save_grid(mnist, "asymbp reproduce --table 2 --dataset mnist")
        store.save_grid(other)
    both, last = store.grids()
    assert [row.label for row in both.rows] == ["digits", "MNIST"]
    assert both.columns == mnist.columns
    assert store.commands(mnist) == (
        "asymbp reproduce --table 2",
        "asymbp reproduce --table 2 --dataset mnist",
    )
    assert last == other
    assert store.commands(other) == ()


def test_datasets_come_back(store: Store) -> None:
    with store.writing():
        store.save_dataset(small_study.INFO)
        store.save_dataset(small_study.INFO.model_copy(update={"directory": "/moved"}))
    assert store.datasets()[small_study.INFO.fingerprint].directory == "/moved"


def test_events_reach_the_disk_within_a_second(begun: Store) -> None:
    with Store.open(begun.directory, create=False) as reader:
        begun.record(ended())
        small_study.wait_for(lambda: reader.epochs_stored([RUN.id])[RUN.id] == 1, seconds=10)


def test_events_are_not_committed_one_by_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asymbp_cli.results.journal._FLUSH_SECONDS", 3600.0)
    with Store.open(store.directory, create=False) as reader, store.writing():
        store.save_dataset(small_study.INFO)
        store.begin(RUNS, 0, HERE)
        for epoch in range(1, 101):
            store.record(ended(epoch=epoch))
        assert reader.epochs_stored([RUN.id])[RUN.id] == 0
        store.flush()
        assert reader.epochs_stored([RUN.id])[RUN.id] == 100


def test_readers_do_not_wait_for_a_transaction(begun: Store) -> None:
    begun._connection.execute("BEGIN IMMEDIATE")
    with Store.open(begun.directory, create=False) as reader:
        assert len(reader.runs()) == len(RUNS)
    begun._connection.execute("ROLLBACK")


def test_what_is_read_together_is_of_one_moment(store: Store) -> None:
    def count(connection: sqlite3.Connection) -> int:
        return len(connection.execute("SELECT id FROM runs").fetchall())

    def read(connection: sqlite3.Connection) -> tuple[int, int]:
        first = count(connection)
        small_study.train(store.directory, small_study.grid("SGD"))
        return first, count(connection)

    assert store._journal.read_together(read) == (0, 0)
    assert store._journal.read_together(count) == len(RUNS)


def test_what_was_recorded_is_stored_when_an_error_ends_the_writing(store: Store) -> None:
    def write_and_break() -> None:
        with store.writing():
            store.save_dataset(small_study.INFO)
            store.begin(RUNS, 0, HERE)
            store.record(ended(epoch=1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_break()
    with Store.open(store.directory, create=False) as reader:
        assert reader.epochs_stored([RUN.id]) == {RUN.id: 1}


def test_writing_needs_the_lock(store: Store) -> None:
    with pytest.raises(RuntimeError, match=r"store\.writing"):
        store.save_dataset(small_study.INFO)


# one writer ---------------------------------------------------------------------------------------------------

_HOLD = """
import sys, time
from pathlib import Path
from asymbp_cli.results.store import Store
with Store.open(Path(sys.argv[1])) as store, store.writing():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that writes to the results directory."""
    command = [sys.executable, "-c", _HOLD, str(tmp_path / "results")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_writer_is_told_who_writes(holder: subprocess.Popen[str], store: Store) -> None:
    expected = rf"another asymbp \(pid {holder.pid}\) is writing to .*/results/\. Wait for it"
    with pytest.raises(StoreError, match=expected), store.writing():
        pass
    assert store.runs() == []  # reading goes on


def test_a_killed_writer_holds_nothing(holder: subprocess.Popen[str], store: Store) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with store.writing():
        pass


def test_a_full_disk_stops_the_study_and_loses_nothing_that_was_stored(begun: Store) -> None:
    begun.record(ended(epoch=1))
    begun.flush()
    pages = begun._connection.execute("PRAGMA page_count").fetchone()[0]
    begun._connection.execute(f"PRAGMA max_page_count = {pages}")
    for epoch in range(2, 1000):
        begun.record(ended(epoch=epoch))
    with pytest.raises(StoreError, match=r"no space left for .*asymbp\.sqlite\. Free some"):
        begun.flush()
    with Store.open(begun.directory, create=False) as reader:
        assert reader.epochs_stored([RUN.id]) == {RUN.id: 1}
    begun._connection.execute("PRAGMA max_page_count = 100000")
    assert begun.epochs_stored([RUN.id]) == {RUN.id: 999}  # there is space again


def test_a_disk_found_full_by_the_flushing_thread_is_reported(
    begun: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(begun._journal, "_write", full)
        small_study.wait_for(lambda: begun._journal._failure, seconds=5)
    with pytest.raises(StoreError, match="no space left"):
        begun.record(ended())


def test_foreign_keys_are_enforced(store: Store) -> None:
    with pytest.raises(StoreError, match="FOREIGN KEY"), store.writing():
        store.begin(RUNS, 0, HERE)  # whose dataset nobody has saved


def test_provenance_is_known_without_torch() -> None:
    script = (
        "import sys; from asymbp_cli.results.provenance import collect; p = collect('cpu');"
        "assert p.software['torch'] and p.host and p.device.startswith('cpu (');"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert collect("cuda:1", "NVIDIA H100").device == "cuda:1 (NVIDIA H100, standard precision: tf32)"


def test_an_attempt_starts_once_its_worker_has_a_device(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    there = replace(HERE, host="node7")
    clock = iter([100.0, 700.0, 800.0])  # handed over, out of the queue, said again by the worker
    monkeypatch.setattr("asymbp_cli.results.store.time.time", lambda: next(clock, 900.0))
    with store.writing():
        store.save_dataset(small_study.INFO)
        store.begin([RUN], 0, HERE)
        store.record(WorkerFound((RUN.id,), there))
    (attempt,) = store.run(RUN.id).attempts
    assert attempt.started == 700.0


def test_an_attempt_has_what_its_worker_says_and_earlier_ones_keep_theirs(store: Store) -> None:
    there = Provenance("node7", "cuda:1 (a fast one)", {"torch": "3"}, None, 1, "AVX512")
    with store.writing():
        store.save_dataset(small_study.INFO)
        store.begin(RUNS, 0, HERE)
        store.fail([RUN.id], "lost")
        store.begin([RUN], 0, HERE)
        store.record(WorkerFound((RUN.id,), there))
    first, second = store.run(RUN.id).attempts
    (other,) = store.run(RUNS[1].id).attempts
    for attempt, said in ((first, HERE), (second, there), (other, HERE)):
        assert (attempt.host, attempt.device, attempt.git) == (said.host, said.device, said.git)
        assert (attempt.software, attempt.instruction_set) == (said.software, said.instruction_set)


@pytest.mark.parametrize(
    "change",
    [{"software": {"asymbp": "0.1.0"}}, {"semantics": 2}, {"software": {}}],
    ids=["version", "numbers", "none"],
)
def test_a_worker_of_another_version_is_refused(change: dict[str, Any]) -> None:
    ours = replace(HERE, software={"asymbp": "0.6.0", "torch": "2"})
    study = Program.of(ours)
    other = replace(ours, host="node7", device="cuda", software={"asymbp": "0.6.0", "torch": "3"})
    check_same_program("node7", Program.of(other), study)
    theirs = replace(ours, host="node7", **change)
    with pytest.raises(WorkerError) as caught:
        check_same_program("node7", Program.of(theirs), study)
    assert str(caught.value) == (
        f"the worker on node7 has asymbp {theirs.software.get('asymbp')} (semantics {theirs.semantics}), and the "
        "study is of asymbp 0.6.0 (semantics 1). Install the same version on all machines, then run the same "
        "command again"
    )


def test_the_best_epoch_is_the_one_with_the_lowest_held_out_error(begun: Store) -> None:
    for epoch, (wrong, held_out) in enumerate([(5, 9), (9, 3), (7, 3)], 1):
        begun.record(ended(epoch=epoch, wrong=wrong, validation_wrong=held_out, validation_seen=20))
    begun.flush()
    (summary,) = begun.runs(RUN.id)
    assert summary.best == (9, 360, 2)


@pytest.mark.parametrize("how", ["deleted", "replaced", "moved"])
def test_results_that_go_while_they_are_written_are_missed_at_once(how: str, store: Store) -> None:
    path = store.directory / "asymbp.sqlite"

    def write() -> None:
        with store.writing():
            store.save_dataset(small_study.INFO)
            store.begin(RUNS, 0, HERE)
            if how == "deleted":
                path.unlink()
            elif how == "replaced":
                os.replace(shutil.copy(path, store.directory / "copy"), path)
            else:
                store.directory.rename(store.directory.with_name("elsewhere"))
            store.record(ended())
            store.flush()

    with pytest.raises(StoreError, match=r"asymbp\.sqlite was deleted or replaced while asymbp was writing to it"):
        write()


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "asymbp.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (x)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"is a database of another program\. Choose another"):
        Store.open(tmp_path)
    assert path.read_bytes() == before


NEWER = "json_set({column}, '$.future', 1)"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        *((text, "is damaged (") for text in ("'{'", "'{}'", "'null'", "x'ff'")),
        (NEWER, 'holds "future", which only a newer asymbp knows. Upgrade asymbp, or use another directory'),
    ],
)
@pytest.mark.parametrize(
    ("table", "column", "key"),
    [("grids", "spec", "id"), ("runs", "spec", "id"), ("datasets", "info", "fingerprint")],
)
def test_rows_that_cannot_be_read_are_said(
    table: str, column: str, key: str, value: str, said: str, tmp_path: Path
) -> None:
    with Store.open(tmp_path) as store, store.writing():
        store.save_dataset(small_study.INFO)
        store.save_grid(small_study.grid())
        store.begin(RUNS[:1], 0, HERE)
    small_study.change(
        tmp_path, f"UPDATE {table} SET {column} = {value.replace('{column}', column)}", take_checksums=True
    )
    with closing(sqlite3.connect(tmp_path / "asymbp.sqlite")) as connection:
        ((identity,),) = connection.execute(f"SELECT {key} FROM {table}")
    with Store.open(tmp_path) as store:
        readers = {
            "grids": [store.grids, lambda: _save(store)],
            "runs": [store.runs, lambda: store.run("")],
            "datasets": [store.datasets, store.runs],
        }
        for read in readers[table]:
            with pytest.raises(StoreError) as caught:
                read()
            assert f"asymbp.sqlite: the row {identity} of the table {table} {said}" in str(caught.value)
            if value != NEWER:
                assert f"let asymbp store check --drop --results {tmp_path} delete" in str(caught.value)


def _save(store: Store) -> None:
    with store.writing():
        store.save_grid(small_study.grid())


@pytest.mark.parametrize("content", ["{", "[]"])
def test_software_that_cannot_be_read_is_said(content: str, begun: Store) -> None:
    begun.flush()
    begun._connection.execute("UPDATE attempts SET software = ?", (content,))
    with pytest.raises(StoreError, match=r"the row .* of the table attempts is damaged"):
        begun.attempts([RUN.id])


def test_checkpoints_that_are_no_folder_are_said(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").touch()
    with pytest.raises(StoreError, match=r"checkpoints is a file\. Move it away"):
        Store.open(tmp_path)


def test_a_reworded_title_leaves_a_table_of_the_paper_whole(tmp_path: Path) -> None:
    first = small_study.grid("SGD")
    second = small_study.grid("SGD", rows=(small_study.row("e" * 64, "others"),))
    with Store.open(tmp_path) as store, store.writing():
        store.save_grid(first, "asymbp reproduce --table 2")
        store.save_grid(second.model_copy(update={"title": "In other words"}))
        (grid,) = store.grids()
        assert grid.title == "In other words"
        assert [row.label for row in grid.rows] == ["digits", "others"]
        assert store.commands(first) == ("asymbp reproduce --table 2",)


def damage(directory: Path, statement: str) -> str:
    """Train a run in `directory` and change it in the database; return its id."""
    small_study.train(directory, small_study.grid("SGD", multipliers=(1.0,)))
    (run_id,) = small_study.change(directory, statement, take_checksums=True)
    return run_id


OTHERS = "an epoch of it has other samples than its dataset"
GAP = r"its epochs are not 1, 2, \.\.\. up to 4 at most"


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("DELETE FROM epochs WHERE epoch = 2", GAP),
        ("UPDATE epochs SET epoch = 5 WHERE epoch = 4", GAP),
        ("UPDATE epochs SET epoch = epoch - 1", GAP),
        ("UPDATE runs SET dataset = 'x'", "its dataset is missing"),
        ("DELETE FROM epochs WHERE epoch > 3", "it has ended before its last epoch"),
        ("DELETE FROM epochs", "it has ended before its last epoch"),
        ("UPDATE epochs SET test_seen = 361 WHERE epoch = 2", OTHERS),
        ("UPDATE epochs SET train_seen = 1436 WHERE epoch = 2", OTHERS),
        ("UPDATE epochs SET validation_seen = 1, validation_wrong = 1 WHERE epoch = 2", OTHERS),
        ("UPDATE epochs SET validation_wrong = 0 WHERE epoch = 2", "wrong answers"),
        ("UPDATE epochs SET test_wrong = -1 WHERE epoch = 2", "wrong answers"),
        ("UPDATE epochs SET train_wrong = 1438 WHERE epoch = 2", "wrong answers"),
    ],
)
def test_epochs_that_no_training_has_are_named_with_their_run(statement: str, reason: str, tmp_path: Path) -> None:
    """Also in epochs that are not shown: the second one is neither the selected one nor the last."""
    run_id = damage(tmp_path, statement)
    with Store.open(tmp_path) as store:
        for read in (store.runs, lambda: store.epochs([run_id]), lambda: store.selected([run_id])):
            with pytest.raises(StoreError, match=rf"the row {run_id} of the table runs is damaged \(.*{reason}"):
                read()


def test_epochs_without_their_run_are_said(tmp_path: Path) -> None:
    run_id = damage(tmp_path, "SELECT 1")
    small_study.change(tmp_path, "DELETE FROM runs", take_checksums=True)
    with Store.open(tmp_path) as store, pytest.raises(StoreError, match="it has epochs, and is missing"):
        store.selected([run_id])


def test_a_run_with_the_content_of_another_is_said(tmp_path: Path) -> None:
    damage(tmp_path, "UPDATE runs SET spec = json_set(spec, '$.seed', 7)")
    with Store.open(tmp_path) as store, pytest.raises(StoreError, match="it has the content of another run"):
        store.runs()


def test_a_frozen_run_trains_on_nothing(tmp_path: Path) -> None:
    damage(tmp_path, "UPDATE epochs SET train_seen = 0, train_wrong = 0 WHERE epoch > 2")
    with Store.open(tmp_path) as store:
        assert len(store.runs()) == 1


@pytest.mark.parametrize(
    "setting", ["test_seen = 0", "test_wrong = 'abc'", "test_wrong = -5", "test_wrong = 1000", "train_wrong = -1"]
)
def test_counts_that_cannot_be_are_named_with_their_run(setting: str, tmp_path: Path) -> None:
    run_id = damage(tmp_path, f"UPDATE epochs SET {setting}")
    with Store.open(tmp_path) as store:
        for read in (store.epochs, store.selected):
            with pytest.raises(StoreError, match=rf"the row {run_id} of the table runs is damaged \(an"):
                read([run_id])
        if "train" not in setting:
            with pytest.raises(StoreError, match="is damaged"):
                store.runs()


def test_selected_epochs_are_the_picked_one_and_the_last(begun: Store) -> None:
    for epoch, wrong in enumerate((30, 12, 12, 20), start=1):
        begun.record(ended(epoch=epoch, wrong=wrong))
        begun.record(ended(RUNS[1], epoch=epoch, wrong=40 - epoch))
    begun.flush()
    found = begun.selected([run.id for run in RUNS[:2]])
    assert [point.epoch for point in found[RUN.id]] == [2, 4]  # of equal ones the first
    assert [point.epoch for point in found[RUNS[1].id]] == [4]
    assert begun.selected(["unknown"]) == {}

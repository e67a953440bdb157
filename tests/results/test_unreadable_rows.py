"""Rows that cannot be, or cannot be read: each is said with its place."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import small_study
from run_material import HERE, RUN, RUNS

from asymbp_cli.errors import StoreError
from asymbp_cli.results.store import Store


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

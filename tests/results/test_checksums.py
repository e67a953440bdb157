"""Checksums of the rows: every way to write keeps them right, and no other change of a row is believed."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import small_study
from click.testing import CliRunner

from asymbp_cli.cli.app import cli
from asymbp_cli.errors import StoreError
from asymbp_cli.recipe.grid import grid_id
from asymbp_cli.results import checksums
from asymbp_cli.results.database import connect
from asymbp_cli.results.migrations import MIGRATIONS, TABLES, apply_steps, read_version
from asymbp_cli.results.provenance import collect
from asymbp_cli.results.store import FILE_NAME, Store

GRID = small_study.grid("SGD", "uSF", multipliers=(1.0,))
RUN, OTHER = sorted(GRID.all_runs())


@pytest.fixture
def results(tmp_path: Path) -> Path:
    small_study.train(tmp_path / "results", GRID)
    return tmp_path / "results"


def damaged(directory: Path) -> list[str]:
    with closing(sqlite3.connect(directory / FILE_NAME)) as connection:
        return [str(owner) for owner in checksums.find_damaged(connection)]


def test_the_checksum_of_a_row_is_the_same_everywhere() -> None:
    with closing(connect_to_nothing()) as connection:
        ((found,),) = connection.execute("SELECT asymbp_crc32(x'c3a9', 7, -5000000000, 0.1, 9e999, NULL)")
    assert found == 153384218


def connect_to_nothing() -> sqlite3.Connection:
    """Return a new database of the present version."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    apply_steps(connection, 0, len(MIGRATIONS))
    return connection


def test_a_study_leaves_nothing_to_find(results: Path) -> None:
    """Also one with a run that diverges, epochs that are trained anew, and a failure."""
    small_study.train(results, small_study.grid("BM", "uSF", multipliers=(1000.0, 1.0)))
    with Store.open(results) as store, store.writing():
        store.begin(GRID.all_runs().values(), 2, collect("cpu"))
        store.fail([RUN], "no memory", "traceback")
    assert damaged(results) == []


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT OR REPLACE INTO epochs SELECT * FROM epochs",
        "INSERT OR REPLACE INTO grids SELECT * FROM grids",
        "INSERT OR IGNORE INTO runs SELECT * FROM runs",
        "INSERT INTO datasets SELECT * FROM datasets WHERE 1 ON CONFLICT (fingerprint) DO UPDATE SET info = '{}'",
        "UPDATE epochs SET train_loss = -0.0, test_loss = 9e999, rate = 1, validation_loss = NULL",
        "UPDATE runs SET updated = 7, state = NULL",
        "UPDATE attempts SET message = 'a', started = started + 1",
        f"UPDATE epochs SET run = '{RUN}', epoch = epoch + 4 WHERE run = '{OTHER}'",
        "DELETE FROM epochs WHERE epoch > 2",
        "DELETE FROM epochs; DELETE FROM attempts; DELETE FROM runs; DELETE FROM grids; DELETE FROM datasets",
    ],
)
def test_every_way_to_write_keeps_them(statement: str, results: Path) -> None:
    with closing(connect(results / FILE_NAME)) as connection:
        before = connection.total_changes
        connection.executescript(statement)
        assert (connection.total_changes > before) == ("IGNORE" not in statement)
    assert damaged(results) == []


OWNERS = {
    "datasets": ("fingerprint", f"the dataset {small_study.INFO.fingerprint}"),
    "grids": ("id", f"the table {grid_id(GRID)}"),
    "runs": ("id", f"the run {RUN}"),
    "attempts": ("run", f"the run {RUN}"),
    "epochs": ("run", f"the run {RUN}"),
}


def columns(kind: str = "") -> list[tuple[str, str]]:
    """Return (table, column) of all columns, or of those of one type."""
    sql = f"SELECT name FROM pragma_table_info(?) WHERE '{kind}' IN ('', type)"
    with closing(connect_to_nothing()) as connection:
        names = {table: connection.execute(sql, (table,)) for table in OWNERS}
        return [(table, name) for table, rows in names.items() for (name,) in rows]


def test_all_tables_have_checksums() -> None:
    assert OWNERS.keys() == TABLES


@pytest.mark.parametrize(("table", "column"), columns())
def test_a_change_of_any_column_is_named_and_no_later_write_hides_it(
    table: str, column: str, results: Path
) -> None:
    key, owner = OWNERS[table]
    value = f"CASE WHEN typeof({column}) = 'text' THEN {column} || 'x' ELSE coalesce({column}, 0) + 1 END"
    where = f"{key} = (SELECT min({key}) FROM {table})" + (" AND epoch = 4" if table == "epochs" else "")
    small_study.change(results, f"UPDATE {table} SET {column} = {value} WHERE {where}")
    assert owner in damaged(results)
    with closing(connect(results / FILE_NAME)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        for name in OWNERS:
            connection.execute(f"UPDATE {name} SET {OWNERS[name][0]} = {OWNERS[name][0]}")
        connection.execute("UPDATE runs SET updated = 7")
        connection.execute("UPDATE attempts SET message = 'later'")
    assert owner in damaged(results)


@pytest.mark.parametrize(("table", "column"), columns("TEXT"))
def test_a_text_that_becomes_a_blob_of_the_same_bytes_is_named(table: str, column: str, results: Path) -> None:
    """One flipped bit of the row's header does that."""
    with closing(connect(results / FILE_NAME)) as connection:
        connection.execute("UPDATE attempts SET git = 'a', message = 'b', traceback = 'c', instruction_set = 'd'")
    assert damaged(results) == []
    small_study.change(results, f"UPDATE {table} SET {column} = CAST({column} AS BLOB)")
    assert OWNERS[table][1] in damaged(results)


@pytest.mark.parametrize(
    ("statement", "owners"),
    [
        (f"DELETE FROM epochs WHERE run = '{RUN}' AND epoch = 4", [f"the run {RUN}"]),
        (f"DELETE FROM attempts WHERE run = '{RUN}'", [f"the run {RUN}"]),
        ("DELETE FROM grids", [OWNERS["grids"][1]]),
        (f"DELETE FROM epochs WHERE run = '{RUN}'; DELETE FROM runs WHERE id = '{RUN}'", [f"the run {RUN}"]),
        (
            f"UPDATE epochs SET run = '{RUN}', epoch = 5 WHERE run = '{OTHER}' AND epoch = 4",
            [f"the run {RUN}", f"the run {OTHER}"],
        ),
        (f"UPDATE epochs SET seconds = CAST(x'ff' AS TEXT) WHERE run = '{RUN}'", [f"the run {RUN}"]),
        (
            f"UPDATE runs SET id = CAST(x'ff' AS TEXT) WHERE id = '{RUN}'",
            [f"the run {RUN}", "the run \N{REPLACEMENT CHARACTER}"],
        ),
        (f"UPDATE checksums SET checksum = checksum + 1 WHERE id = '{RUN}'", [f"the run {RUN}"]),
        (f"UPDATE checksums SET late = 1 WHERE id = '{RUN}'", [f"the run {RUN}"]),
        (f"DELETE FROM checksums WHERE id = '{RUN}'", [f"the run {RUN}"]),
    ],
)
def test_what_is_lost_or_moved_is_named(statement: str, owners: list[str], results: Path) -> None:
    small_study.change(results, *statement.split("; "))
    assert damaged(results) == owners


CHANGED = f"UPDATE epochs SET test_wrong = test_wrong + 1 WHERE run = '{RUN}' AND epoch = 2"
READERS = (
    "report",
    "report --to csv --table conclusions",
    "ls runs",
    f"show {OTHER}",
    "compare {0} {0}",
    "store export out.jsonl.xz",
    "store merge {0} --results elsewhere",
    "reproduce --table 2",
    "reproduce --table 2 --dry-run",
)


@pytest.mark.parametrize("command", READERS)
def test_every_command_that_reads_says_what_is_damaged_and_what_to_do(
    command: str, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(results.parent)
    small_study.change(results, CHANGED)
    before = (results / FILE_NAME).read_bytes()
    with pytest.raises(StoreError) as caught:
        CliRunner().invoke(cli, command.format("results").split(), catch_exceptions=False)
    message = str(caught.value)
    assert f"asymbp.sqlite is damaged: what was written of the run {RUN} has changed. Put back a copy" in message
    assert "let asymbp store check --drop --results results delete what is damaged" in message
    assert (results / FILE_NAME).read_bytes() == before
    assert not Path("out.jsonl.xz").exists()


def test_many_damaged_runs_are_one_line(results: Path) -> None:
    small_study.train(results, small_study.grid("BM", "NuSF", "uSF+BN", "RndF", multipliers=(1.0,)))
    small_study.change(results, "UPDATE runs SET updated = 7")
    with Store.open(results) as store, pytest.raises(StoreError, match=r"the run \w+ and 1 more has changed"):
        store.runs()


def test_an_index_that_misses_a_row_is_damage(results: Path) -> None:
    """Rows are read by it, so a run would be trained twice."""
    with closing(sqlite3.connect(results / FILE_NAME, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        index = "type = 'index' AND tbl_name = 'runs'"
        ((page,),) = connection.execute(f"SELECT rootpage FROM sqlite_master WHERE {index}")
        ((size,),) = connection.execute("PRAGMA page_size")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray((results / FILE_NAME).read_bytes())
    start = (page - 1) * size
    place = content.index(OTHER.encode(), start, start + size)
    content[place : place + 16] = b"f" * 16
    (results / FILE_NAME).write_bytes(content)
    with Store.open(results) as store, pytest.raises(StoreError, match=r"is damaged: .* Put back a copy"):
        store.states()


def test_rows_are_verified_once_until_others_write(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verified = []
    monkeypatch.setattr(checksums, "find_damaged", lambda connection: verified.append(connection) or [])
    with Store.open(results) as store:
        store.runs()
        store.contents()
        assert len(verified) == 1
        with Store.open(results) as other, other.writing():
            other.save_grid(small_study.grid("BM"))
            assert len(verified) == 2  # by the other one, before it writes
        assert len(store.grids()) == 2
        assert len(verified) == 3
        with store.writing():
            store.save_grid(small_study.grid("NuSF"))
        assert len(verified) == 3
        store.runs()  # after the study
        assert len(verified) == 4


def test_results_that_are_older_than_checksums_get_them(results: Path) -> None:
    small_study.change(results, *small_study.TO_VERSION_3)
    check = ["store", "check", "--results", str(results)]
    late = "2 runs are older than their checksums: earlier damage to them may not be seen\n"
    for _ in range(2):
        assert CliRunner().invoke(cli, check).output == f"{results}/: ok, 2 runs, 8 epochs\n{late}"
        small_study.train(results, GRID)  # brings it up to date
    assert damaged(results) == []
    small_study.change(results, CHANGED)
    assert damaged(results) == [f"the run {RUN}"]


def test_a_migration_keeps_the_checksums_of_the_rows_that_it_changes(results: Path) -> None:
    """Damage before it stays damage, and no run becomes one without a checksum from the start."""
    path = results / FILE_NAME
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:  # as version 4 left it
        checksums.change_rows(connection, "ALTER TABLE epochs DROP COLUMN measures")
        connection.execute("PRAGMA user_version = 4")
    sound = path.read_bytes()
    check = ["store", "check", "--results", str(results)]
    assert CliRunner().invoke(cli, check).output == f"{results}/: ok, 2 runs, 8 epochs\n"

    for statement, owner in (
        (f"UPDATE epochs SET test_wrong = test_wrong - 1 WHERE run = '{RUN}' AND epoch = 2", f"the run {RUN}"),
        (f"DELETE FROM attempts WHERE run = '{RUN}'", f"the run {RUN}"),
        ("DELETE FROM grids", OWNERS["grids"][1]),
    ):
        path.write_bytes(sound)
        small_study.change(results, statement)
        assert damaged(results) == [owner]
        with closing(connect(path)) as connection:  # brings it up to date
            assert read_version(connection) == len(MIGRATIONS)
        assert damaged(results) == [owner]


def test_a_database_without_its_version_is_damaged(results: Path) -> None:
    small_study.change(results, "PRAGMA user_version = 0")
    with pytest.raises(StoreError, match=r"is damaged \(malformed: without a version\)"):
        Store.open(results)

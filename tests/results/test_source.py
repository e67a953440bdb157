"""Results of others before they are merged: what cannot be is seen, and what is copied can be checked again."""

from pathlib import Path

import pytest
import small_study
from foreign_results import merge
from stored_content import cut, make_source, with_runs

from asymbp_cli.errors import StoreError
from asymbp_cli.results.check import check_results
from asymbp_cli.results.contents import Contents
from asymbp_cli.results.export import decode, encode
from asymbp_cli.results.source import read_directory
from asymbp_cli.results.store import Store
from asymbp_cli.results.validity import LOSSES


def fill(directory: Path, contents: Contents) -> None:
    with Store.open(directory) as store:
        merge([make_source(contents)], store)


def test_what_is_merged_has_checksums_of_its_own(contents: Contents, run_id: str, tmp_path: Path) -> None:
    """They are copied with the rows, from a directory of an older version and from a file too."""
    fill(tmp_path / "part", with_runs(contents, **{run_id: cut(contents.runs[run_id], 2)}))
    fill(tmp_path / "whole", contents)
    small_study.change(tmp_path / "whole", *small_study.TO_VERSION_3)
    old = Path(__file__).parent / "old_store/results"
    with Store.open(tmp_path / "part") as store:
        (longer, new, _) = merge(
            [read_directory(tmp_path / "whole"), read_directory(old), decode(encode(contents), tmp_path)], store
        )
    assert longer.longer == (run_id,)
    assert len(new.new) == 6
    checked = check_results(tmp_path / "part")
    assert (checked.problems, checked.late, checked.runs) == ((), 0, len(contents.runs) + 6)


def test_specs_of_an_older_version_are_written_as_this_one_writes_them(contents: Contents, tmp_path: Path) -> None:
    fill(tmp_path / "older", contents)
    remove = "UPDATE runs SET spec = json_remove(spec, '$.protocol.precision', '$.network.activation')"
    small_study.change(tmp_path / "older", remove, take_checksums=True)
    with Store.open(tmp_path / "new") as store:
        merge([read_directory(tmp_path / "older")], store)
        specs = store._connection.execute("SELECT id, spec FROM runs ORDER BY id").fetchall()
    assert specs == [(key, stored.run.model_dump_json()) for key, stored in contents.runs.items()]
    assert check_results(tmp_path / "new").problems == ()


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE epochs ADD COLUMN more TEXT",
        "ALTER TABLE runs RENAME COLUMN created TO first",
        "CREATE TRIGGER act AFTER UPDATE ON runs BEGIN DELETE FROM epochs; END",
        "CREATE VIEW more AS SELECT * FROM runs",
    ],
)
def test_a_database_with_a_schema_of_its_own_is_refused(
    statement: str, contents: Contents, tmp_path: Path
) -> None:
    fill(tmp_path, contents)
    small_study.change(tmp_path, statement, take_checksums=True)
    with pytest.raises(StoreError, match=r"is damaged \(its tables are not those that asymbp makes\); "):
        read_directory(tmp_path)


def _set(column: str, value: str) -> str:
    return f"UPDATE epochs SET {column} = {value} WHERE epoch = 3"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (_set("test_wrong", "-1"), "an epoch of it has -1 wrong answers"),
        (_set("test_wrong", "'x'"), "an epoch of it has 'x' wrong answers"),
        (_set("train_wrong", "1438"), "an epoch of it has 1438 wrong answers"),
        (_set("validation_wrong", "1"), "an epoch of it has 1 wrong answers"),
        (_set("validation_seen", "10"), "an epoch of it has None wrong answers"),
        (_set("test_seen", "359"), "epoch 3 of the run .* has seen other samples"),
        (_set("train_seen", "1436"), "epoch 3 of the run .* has seen other samples"),
        (_set("rate", "0"), "epoch 3 of the run .* has a rate or a duration that cannot be"),
        (_set("rate", "9e999"), "epoch 3 of the run .* has a rate or a duration that cannot be"),
        (_set("seconds", "-1"), "epoch 3 of the run .* has a rate or a duration that cannot be"),
        (_set("seconds", "'x'"), "a value is of another type than asymbp writes"),
        *((_set(name, "'x'"), "epoch 3 of the run .* has a loss that is no number") for name in LOSSES),
        (_set("test_loss", "x'00'"), "epoch 3 of the run .* has a loss that is no number"),
        (_set("measures", "'{'"), "the measures of an epoch are damaged"),
        (_set("epoch", "9"), "has other epochs than 1, 2"),
        ("DELETE FROM epochs WHERE epoch = 4", "has ended before its last epoch"),
        ("UPDATE grids SET created = 'x'", "a value is of another type than asymbp writes"),
        ("UPDATE grids SET updated = -1", "has a date that cannot be"),
        ("UPDATE grids SET command = x'00'", "has a command that is no text"),
        ("UPDATE runs SET created = 'x'", "a value is of another type than asymbp writes"),
        ("UPDATE runs SET created = -1", "has a date that cannot be"),
        ("UPDATE attempts SET started = -1", "has a date that cannot be"),
        ("UPDATE attempts SET software = '[]'", "software is not a mapping"),
        ("DELETE FROM datasets", "is on a dataset that is missing"),
    ],
)
def test_what_cannot_be_is_seen_before_it_is_merged(
    statement: str, message: str, contents: Contents, run_id: str, tmp_path: Path
) -> None:
    """Most runs are checked by SQLite, all at once: it leaves none to be believed that a look at each refuses."""
    fill(tmp_path, with_runs(contents, **{run_id: contents.runs[run_id]}))
    small_study.change(tmp_path, statement, take_checksums=True)
    with pytest.raises(StoreError, match=message):
        read_directory(tmp_path)

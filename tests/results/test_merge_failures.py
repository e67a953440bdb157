"""A merge that fails, or is killed, changes nothing."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from foreign_results import merge
from stored_content import EPOCHS, cut, load, make_source, merge_all, with_runs

from asymbp_cli.errors import StoreError
from asymbp_cli.files.paths import FILE_NAME
from asymbp_cli.results.contents import Contents
from asymbp_cli.results.store import Store


def test_if_one_of_several_sources_cannot_be_written_none_is(
    contents: Contents, run_id: str, tmp_path: Path
) -> None:
    with Store.open(tmp_path) as store:
        _refuse_last_epoch(store)
        with pytest.raises(StoreError):
            merge(
                map(make_source, [with_runs(contents, **{run_id: cut(contents.runs[run_id], 2)}), contents]), store
            )
    assert load(tmp_path) == Contents({}, {}, {})


def _refuse_last_epoch(store: Store) -> None:
    store._connection.execute(
        f"CREATE TRIGGER refuse BEFORE INSERT ON epochs WHEN NEW.epoch = {EPOCHS} "
        "BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END"
    )


def _fill_disk(store: Store) -> None:
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")


@pytest.mark.parametrize("break_down", [_refuse_last_epoch, _fill_disk])
def test_a_merge_that_fails_changes_nothing(
    break_down: Callable[[Store], None], contents: Contents, run_id: str, tmp_path: Path
) -> None:
    before = with_runs(contents, **{run_id: cut(contents.runs[run_id], 2)})
    merge_all(tmp_path, before)
    with Store.open(tmp_path) as store:
        break_down(store)
        with pytest.raises(StoreError):
            merge([make_source(contents)], store)
    assert repr(load(tmp_path)) == repr(before)


_KILLED = """
import os, signal, sys
from pathlib import Path
from stored_content import load, make_source
from foreign_results import merge
from asymbp_cli.results.provenance import collect
from asymbp_cli.results.store import Store

contents = load(Path(sys.argv[1]))
with Store.open(Path(sys.argv[2])) as store:
    store._connection.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
    store._connection.execute(
        "CREATE TEMP TRIGGER killed BEFORE INSERT ON main.epochs WHEN NEW.epoch = 4 BEGIN SELECT die(); END"
    )
    merge([make_source(contents)], store)
"""


def test_a_merge_that_is_killed_changes_nothing(contents: Contents, tmp_path: Path) -> None:
    merge_all(tmp_path / "other", contents)
    command = [sys.executable, "-c", _KILLED, str(tmp_path / "other"), str(tmp_path / "mine")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run(command, env=environment, check=False, capture_output=True)
    assert done.returncode == -9, done.stderr
    assert load(tmp_path / "mine") == Contents({}, {}, {})
    assert merge_all(tmp_path / "mine", contents)[0].new == tuple(contents.runs)


def test_nothing_is_merged_into_a_store_that_a_study_writes(contents: Contents, tmp_path: Path) -> None:
    with Store.open(tmp_path) as store, store.writing():
        message = rf"another asymbp \(pid {os.getpid()}\) is writing to .*\. Wait for it or use --results DIR"
        with pytest.raises(StoreError, match=message), Store.open(tmp_path) as second:
            merge([make_source(contents)], second)
    merge_all(tmp_path, contents)
    assert repr(load(tmp_path)) == repr(contents)


def test_a_merge_says_what_it_waits_for(contents: Contents, tmp_path: Path) -> None:
    said: list[str] = []
    with Store.open(tmp_path) as store, closing(sqlite3.connect(tmp_path / FILE_NAME)) as other:
        other.execute("BEGIN IMMEDIATE")

        def hear(message: str) -> None:
            said.append(message)
            other.rollback()

        merge([make_source(contents)], store, hear)
    (message,) = said
    assert "asymbp.sqlite is locked by another program" in message
    assert repr(load(tmp_path)) == repr(contents)

"""The exported file: what comes back, the same bytes, and every damage noticed."""

import hashlib
import json
import lzma
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_study
from foreign_results import decode
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_content import load, with_runs

from asymbp_cli.errors import StoreError
from asymbp_cli.events import EpochEnded
from asymbp_cli.results import migrations
from asymbp_cli.results.contents import Contents, StoredRun
from asymbp_cli.results.export import encode
from asymbp_cli.results.provenance import collect
from asymbp_cli.results.store import Store
from asymbp_cli.results.summaries import Attempt

FILE = Path("some.jsonl.xz")


def test_what_is_exported_comes_back(contents: Contents) -> None:
    back = decode(encode(contents), FILE)
    assert repr(back) == repr(contents)
    assert len(back.runs) == 4
    assert sorted(stored.state or "" for stored in back.runs.values()) == [
        "diverged",
        "diverged",
        "finished",
        "finished",
    ]
    assert any(math.isnan(event.test_loss) for stored in back.runs.values() for event in stored.epochs)


def test_directories_of_this_machine_stay_here(contents: Contents) -> None:
    assert [info.directory for info in contents.datasets.values()] == [""]


INFO = small_study.INFO

numbers = st.floats(min_value=0.0, exclude_min=True, allow_nan=False, allow_infinity=False)

times = st.floats(0.0, 2e9)

texts = st.none() | st.text()

epochs = st.builds(
    EpochEnded, run=st.just(""), epoch=st.just(0), rate=numbers, train_loss=st.floats(0.0) | st.just(math.nan),
    train_wrong=st.just(0), train_seen=st.sampled_from([0, INFO.train_count]), test_loss=st.floats(0.0),
    test_wrong=st.just(1), test_seen=st.just(INFO.test_count),
    validation_wrong=st.none(), validation_seen=st.none(),
    one_class=st.booleans(), diverged=st.booleans(), seconds=numbers, validation_loss=st.none() | st.floats(0.0),
    measures=st.dictionaries(
        st.sampled_from(["angle", "rank"]),
        st.dictionaries(st.integers(0, 9), st.none() | numbers, min_size=1),
    ),
)  # fmt: skip

attempts = st.builds(
    Attempt, started=times, ended=st.none() | times, start_epoch=st.integers(0, 99), host=st.text(),
    device=st.text(), software=st.dictionaries(st.text(), st.text()), git=texts,
    outcome=st.sampled_from(["finished", "failed", "interrupted", None]), message=texts, traceback=texts,
    instruction_set=texts,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    found=st.lists(epochs, max_size=4) | st.lists(epochs, min_size=4, max_size=4),
    tries=st.lists(attempts, max_size=3, unique_by=lambda attempt: attempt.started),
    state=st.sampled_from(["finished", "collapsed", "diverged", None]),
)
def test_whatever_a_run_holds_comes_back(
    found: list[EpochEnded], tries: list[Attempt], state: str | None, small: Contents
) -> None:
    (run_id,) = small.runs
    stored = replace(
        small.runs[run_id],
        state=state if len(found) == small.runs[run_id].run.protocol.epochs else None,
        epochs=tuple(replace(event, run=run_id, epoch=i) for i, event in enumerate(found, 1)),
        attempts=tuple(sorted(tries, key=lambda attempt: attempt.started)),
    )
    content = encode(with_runs(small, **{run_id: stored}))
    back = decode(content, FILE)
    assert repr(back.runs) == repr({run_id: stored})
    assert encode(back) == content


def rewrite(content: bytes, change: Callable[[list[Any]], object]) -> bytes:
    """Return an exported file with changed lines and the checksum that fits them."""
    lines = [json.loads(line) for line in lzma.decompress(content).splitlines()[:-1]]
    change(lines)
    text = "".join(json.dumps(line) + "\n" for line in lines).encode()
    return lzma.compress(text + json.dumps({"sha256": hashlib.sha256(text).hexdigest()}).encode())


def test_results_that_a_file_could_not_hold_are_not_exported(
    small: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asymbp_cli.results.export._MOST_BYTES", 1000)
    with pytest.raises(StoreError, match=r"too many results for one file\. Export parts with --table"):
        encode(small)


def without_measures(contents: Contents) -> Contents:
    ((run_id, stored),) = contents.runs.items()
    epochs = tuple(replace(event, measures={}) for event in stored.epochs)
    return with_runs(contents, **{run_id: replace(stored, epochs=epochs)})


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_file_of_an_older_schema_is_migrated(version: int, small: Contents) -> None:
    def age(lines: list[Any]) -> None:
        lines[0]["schema"] = version
        del lines[2]["epochs"]["measures"]
        if version < 3:
            del lines[2]["epochs"]["validation_loss"]
        if version == 1:
            del lines[2]["attempts"]["instruction_set"]

    assert repr(decode(rewrite(encode(small), age), FILE)) == repr(without_measures(small))


def test_a_later_step_of_the_schema_changes_what_is_read(small: Contents, monkeypatch: pytest.MonkeyPatch) -> None:
    content = encode(small)
    sql = "UPDATE attempts SET host = 'moved'"
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, lambda database: database.execute(sql)))
    (stored,) = decode(content, FILE).runs.values()
    assert [attempt.host for attempt in stored.attempts] == ["moved"]


def test_a_study_that_is_running_is_exported_as_it_stands(tmp_path: Path) -> None:
    grid = small_study.grid("SGD")
    with Store.open(tmp_path) as store, store.writing():
        store.save_dataset(small_study.INFO)
        store.begin(grid.all_runs().values(), 0, collect("cpu"))
        running: list[StoredRun] = list(decode(encode(load(tmp_path)), FILE).runs.values())
    assert [attempt.outcome for stored in running for attempt in stored.attempts] == [None, None]


@pytest.mark.parametrize("measured", [False, True])
def test_versions_before_measures_can_read_a_file_without_any(measured: bool, small: Contents) -> None:
    header, *lines = lzma.decompress(encode(small if measured else without_measures(small))).splitlines()
    assert json.loads(header) == {"asymbp_export": 1, "schema": 5 if measured else 3}
    assert any(b"measures" in line for line in lines) == measured

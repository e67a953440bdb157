"""Merging next to the same in plain dictionaries, made of exported files, in every order of merging."""

import json
import lzma
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from random import Random
from typing import Any

import pytest
from foreign_results import merge
from stored_content import cut, trained, with_runs

from asymbp_cli.results.contents import Contents, StoredRun
from asymbp_cli.results.export import decode, encode
from asymbp_cli.results.store import Store

EPOCHS = 4
COUNTS = ("train_wrong", "train_seen", "test_wrong", "test_seen", "validation_wrong", "validation_seen")
Run = dict[str, Any]  # its row, and its attempts and epochs as lists of rows


def read(file: bytes) -> dict[str, Run]:
    """Return the runs in an exported file, by id."""
    runs: dict[str, Run] = {}
    for line in lzma.decompress(file).decode().splitlines()[1:-1]:
        tables = {
            table: [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
            for table, columns in json.loads(line).items()
        }
        for row in tables.get("runs", []):
            runs[row["id"]] = {"row": row, "attempts": tables["attempts"], "epochs": tables.get("epochs", [])}
    return runs


def count(run: Run, epoch: int) -> list[Any]:
    row = run["epochs"][epoch]
    return [row[name] for name in (*COUNTS, "one_class", "diverged")]


def differ(kept: Run, other: Run) -> bool:
    common = min(len(kept["epochs"]), len(other["epochs"]))
    states = {run["row"]["state"] for run in (kept, other)} - {None}
    return len(states) > 1 or any(count(kept, epoch) != count(other, epoch) for epoch in range(common))


def join(files: Sequence[dict[str, Run]]) -> tuple[dict[str, Run], list[dict[str, set[str]]]]:
    """Return the runs of files that are merged one after the other, and what became of the runs of each."""
    joined: dict[str, Run] = {}
    outcomes = []
    for file in files:
        outcome: dict[str, set[str]] = {"new": set(), "longer": set(), "same": set(), "different": set()}
        for run_id, run in file.items():
            kept = joined.get(run_id)
            if kept is None:
                what = "new"
            elif differ(kept, run):
                what = "different"
            elif len(run["epochs"]) > len(kept["epochs"]) or (run["row"]["state"] and not kept["row"]["state"]):
                what = "longer"
            else:
                what = "same"
            outcome[what].add(run_id)
            if what in ("new", "longer"):
                joined[run_id] = run
        outcomes.append(outcome)
    return joined, outcomes


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    return trained(tmp_path_factory.mktemp("store"), "SGD", "uSF+BN", epochs=EPOCHS)


def vary(stored: StoredRun, choose: Random) -> StoredRun | None:
    """Return a run as a store may have it: all, a part, nothing, other counts, losses or another end."""
    what = choose.choice(["all", "all", "none", "part", "part", "counts", "counts", "losses", "end", "end"])
    epoch = choose.randint(1, EPOCHS)
    if what == "none":
        return None
    if what == "end" and stored.state != "diverged":
        return replace(stored, state="collapsed")
    if what in ("counts", "losses"):
        change = {"test_wrong": choose.randint(0, 2)} if what == "counts" else {"test_loss": choose.random()}
        changed = replace(stored.epochs[epoch - 1], **change)  # type: ignore[arg-type]
        stored = replace(stored, epochs=(*stored.epochs[: epoch - 1], changed, *stored.epochs[epoch:]))
    return stored if what == "all" else cut(stored, choose.randint(0, EPOCHS))


def make_file(whole: Contents, choose: Random) -> bytes:
    """Return an exported store that has something of some runs."""
    varied = {run_id: vary(stored, choose) for run_id, stored in whole.runs.items()}
    return encode(with_runs(whole, **{run_id: stored for run_id, stored in varied.items() if stored}))


@pytest.mark.parametrize("number", range(3))
def test_merging_is_what_dictionaries_do_in_every_order(number: int, whole: Contents, tmp_path: Path) -> None:
    choose = Random(number)
    files = [make_file(whole, choose) for _ in range(3)]
    for order in permutations(range(3)):
        expected, outcomes = join([read(files[place]) for place in order])
        with Store.open(tmp_path / "".join(map(str, order))) as store:
            merged = merge([decode(files[place], tmp_path) for place in order], store)
            found = read(encode(store.contents()))
        assert found == expected
        assert [
            {
                "new": set(one.new),
                "longer": set(one.longer),
                "same": set(one.same),
                "different": {difference.run for difference in one.different},
            }
            for one in merged
        ] == outcomes


def test_the_random_stores_show_every_outcome(whole: Contents) -> None:
    """Or the comparison would show less than it says."""
    choose = Random(0)
    _, outcomes = join([read(make_file(whole, choose)) for _ in range(20)])
    assert {what for outcome in outcomes for what, runs in outcome.items() if runs} == set(outcomes[0])

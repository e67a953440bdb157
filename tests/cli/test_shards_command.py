"""Shards as a user meets them: trained on machines that share nothing, joined to what one would have trained."""

import json
import re
import shlex
import sys
from collections import defaultdict
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import fake_engine
import pytest
import small_study
import yaml
from click.testing import CliRunner, Result

from asymbp_cli import study
from asymbp_cli.api import arguments
from asymbp_cli.cli.app import cli
from asymbp_cli.errors import UsageError
from asymbp_cli.results.contents import Contents
from asymbp_cli.results.store import Store
from asymbp_cli.scheduling import shards
from asymbp_cli.specs.shards import split_mark

RECIPE = {
    "title": "small",
    "dataset": "digits",
    "network": {"input": "8x8x1", "layers": ["FC 4", "FC classes"]},
    "method": ["SGD", "uSF", "uSF+BN"],
    "seed": [0, 1],
    "protocol": {"extends": "demo", "epochs": 3, "rate_multipliers": [10, 1, 0.1]},
}
RUNS = 18
UNFINISHED = ("DELETE FROM epochs WHERE epoch = 3", "UPDATE runs SET state = NULL")
PROTOCOL = "demo with epochs=3, rate_multipliers=[10.0, 1.0, 0.1]"
NAME = f"small (--table mine), protocol {PROTOCOL}"


@pytest.fixture(autouse=True)
def _fake_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(arguments, "Execution", partial(study.Execution, train=fake_engine.train))
    monkeypatch.setattr(study, "_measure_steps", lambda *_: defaultdict(lambda: 0.001))
    Path("mine.yaml").write_text(yaml.safe_dump(RECIPE))


def asymbp(line: str) -> Result:
    """Run a command; `return_value` is its exit code."""
    words = shlex.split(line)
    with patch.object(sys, "argv", ["asymbp", *words]):
        return CliRunner().invoke(cli, words, catch_exceptions=False, standalone_mode=False)


def train(results: str, shard: str = "", more: str = "") -> Result:
    option = f"--shard {shard}" if shard else ""
    done = asymbp(f"train --recipe mine.yaml --workers 1 --results {results} {option} {more}")
    assert done.return_value == 0
    return done


def load(results: str) -> Contents:
    with Store.open(Path(results), create=False) as store:
        return store.contents()


def numbers(results: str) -> dict[str, str]:
    """Return all that is stored of runs and epochs, but for times."""
    return {
        run_id: repr((stored.run, stored.state, [replace(event, seconds=0.0) for event in stored.epochs]))
        for run_id, stored in load(results).runs.items()
    }


def report(results: str, form: str) -> str:
    """Return a report without when and by which commands it was made."""
    text = asymbp(f"report --to {form} --results {results}").stdout
    text = re.sub(r'\{\s+"what": "(command|time)".*?\},?', "", text, flags=re.DOTALL)  # in json
    lines = [
        line for line in text.splitlines() if line.strip() and not re.search("command|time|seconds|hours", line)
    ]
    assert len(lines) >= RUNS / 3  # rates to a cell
    return "\n".join(lines)


def test_eight_shards_are_one_study(tmp_path: Path) -> None:
    train("one")
    for number in range(1, 9):
        said = train(f"m{number}", f"{number}/8").stderr
        assert re.search(
            rf"this is shard {number} of 8: [23] of the study's {RUNS} runs\. Once all 8 are trained, join them "
            r"with asymbp store merge DIR\.\.\. --results DIR\n",
            said,
        )
    sources = " ".join(f"m{number}" for number in range(1, 9))
    done = asymbp(f"store merge {sources} --results all")
    assert done.return_value == 0
    assert done.stdout.splitlines()[-1] == f"{NAME}: 8 of 8 shards, all {RUNS} runs have ended"
    assert numbers("all") == numbers("one")
    assert len(numbers("all")) == RUNS
    for form in ("csv", "json", "markdown"):
        assert report("all", form) == report("one", form)
    assert [stored.grid for stored in load("all").grids.values()] == [
        stored.grid for stored in load("one").grids.values()
    ]
    assert len(train("all").stderr.splitlines()) == 0  # nothing is left


def test_what_is_missing_is_said_after_each_merge() -> None:
    for number in (1, 2, 3, 4):
        train(f"m{number}", f"{number}/4")
    said = asymbp("store merge m1 --results all").stdout.splitlines()[-1]
    assert said.startswith(f"{NAME}: shards 2, 3 and 4 of 4 are missing (13 of 18 runs).")
    assert said.endswith("Train and merge them too, or train the rest here: the same command without --shard")
    small_study.change(Path("m3"), *UNFINISHED, take_checksums=True)
    said = asymbp("store merge m2 m3 --results all").stdout.splitlines()[-1]
    assert "shard 4 of 4 is missing, shard 3 of 4 is not done (9 of 18 runs)." in said
    train("all")
    assert asymbp("store merge m4 --results all").stdout.splitlines() == [
        "m4: 4 runs: 4 already there",
        f"{NAME}: 4 of 4 shards, all 18 runs have ended",
    ]


def test_a_store_goes_on_with_its_shard_with_another_one_or_with_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train("m", "1/3")
    first = set(numbers("m"))
    assert not train("m", "1/3").stdout.count("runs to train")
    assert set(numbers("m")) == first
    train("m", "2/3")
    assert first < set(numbers("m"))
    assert len(numbers("m")) == 12
    train("m")
    assert len(numbers("m")) == RUNS
    train("one")
    assert numbers("m") == numbers("one")


def test_shards_that_overlap_are_one() -> None:
    train("m1", "1/2")
    train("m2", "2/2")
    train("again", "1/2")
    assert asymbp("store merge m1 m2 again --results all").stdout.splitlines()[2:] == [
        "again: 9 runs: 9 already there",
        f"{NAME}: 2 of 2 shards, all 18 runs have ended",
        f"{NAME}: shard 1 of 2 is in m1 and again",
    ]
    train("other", "2/4")
    said = asymbp("store merge m1 other --results divisions").stdout
    assert "already there" in said
    train("divisions")
    assert numbers("divisions") == numbers("all")


def test_a_shard_of_another_study_in_place_of_one_that_is_missing_is_refused() -> None:
    train("m1", "1/3")
    train("m2", "2/3")
    train("other", "3/3", "--set protocol.epochs=2")
    for sources in ("m1 m2 other", "other m1 m2"):
        with pytest.raises(UsageError, match="other: its shard 3/3 is of another study") as refused:
            asymbp(f"store merge {sources} --results all")
        assert "--set protocol.epochs=2" in str(refused.value)
        assert "Nothing was merged. Leave it out, or merge it by itself" in str(refused.value)
        assert not Path("all").exists()
    asymbp("store merge m1 m2 --results all")
    (said,) = asymbp("store merge other --results all").stdout.splitlines()[1:]
    assert said.startswith(
        f"{NAME.replace('epochs=3', 'epochs=2')}: shards 1 and 2 of 3 are missing (12 of 18 runs)"
    )
    train("m1", "2/3", "--set protocol.epochs=2")  # its directory has a part of each study, which is no mistake
    train("m2", "1/3", "--set protocol.epochs=2")
    train("m3", "3/3")
    said = asymbp("store merge m1 m2 m3 other --results new").stdout
    assert said.count("3 of 3 shards, all 18 runs have ended") == 2
    assert len(load("new").grids) == 2
    said = asymbp("store merge m3 other --results two").stdout  # both are third shards
    assert said.count("shards 1 and 2 of 3 are missing (12 of 18 runs)") == 2


def test_versions_that_divide_a_study_otherwise_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    train("m1", "1/2")
    monkeypatch.setattr(shards, "flop_left", lambda run, count: 1 + 5 * (run.method.batch_norm == "none"))
    train("m2", "2/2")
    both = numbers("m1").keys() | numbers("m2").keys()
    assert len(both) < RUNS
    said = asymbp("store merge m1 m2 --results all").stdout.splitlines()[-1]
    assert said == (
        f"{NAME}: its shards are of 2 divisions, as other versions of asymbp make them ({RUNS - len(both)} of 18 "
        "runs). Train the rest here: the same command without --shard"
    )
    asymbp("store merge m1 --results one")  # by the version that divides otherwise
    said = asymbp("store merge m1 --results one").stdout.splitlines()[-1]
    assert f"{NAME}: shard 2 of 2 is missing ({RUNS - len(numbers('m1'))} of 18 runs)" in said
    train("all")
    said = asymbp("store merge m1 --results all").stdout.splitlines()[-1]
    assert said == f"{NAME}: 2 of 2 shards, all 18 runs have ended"


def test_as_json_shards_have_the_same_facts() -> None:
    for number in (1, 2, 3):
        train(f"m{number}", f"{number}/4")
    train("again", "1/4")
    train("plain")
    small_study.change(Path("m3"), *UNFINISHED, take_checksums=True)
    records = json.loads(asymbp("store merge m1 m2 m3 again plain --results all --json").stdout)
    assert [[study["in_source"] for study in record["shards"]] for record in records] == [
        [[1]],
        [[2]],
        [[3]],
        [[1]],
        [],
    ]
    first, *_ = records[0]["shards"]
    ((_, mark),) = {split_mark(line) for stored in load("m1").grids.values() for line in stored.commands}
    assert mark
    assert first == {
        "study": mark.study,
        "name": f"recipe-mine ({PROTOCOL})",
        "shards": 4,
        "in_source": [1],
        "divisions": 1,
        "present": [1, 2, 3, 4],  # by what is in `plain`
        "unfinished": [],
        "missing": [],
        "left": 0,
        "total": RUNS,
        "begun": False,
        "overlaps": [{"shard": 1, "sources": ["m1", "again"]}],
    }
    (record,) = json.loads(asymbp("store merge m3 --results new --json").stdout)
    (alone,) = record["shards"]
    assert (alone["missing"], alone["unfinished"], alone["left"], alone["total"]) == ([1, 2, 4], [3], RUNS, RUNS)


def test_a_study_whose_dataset_was_dropped_is_counted_by_commands() -> None:
    train("m1", "1/2")
    drop = ("DELETE FROM epochs", "DELETE FROM attempts", "DELETE FROM runs", "DELETE FROM datasets")
    small_study.change(Path("m1"), *drop, take_checksums=True)
    done = asymbp("store merge m1 --results all")
    assert done.return_value == 0
    assert f"{NAME}: shard 2 of 2 is missing (18 of 18 runs)" in done.stdout


def test_without_the_tables_as_they_were_shards_are_counted_by_commands() -> None:
    """Merged tables have rows of more than the study."""
    train("m1", "1/2")
    train("m2", "2/2")
    recipe = RECIPE | {"network": {"input": "8x8x1", "layers": ["FC 5", "FC classes"]}}
    for name in ("m1", "m2"):
        Path("mine.yaml").write_text(yaml.safe_dump(recipe))
        train(name, "1/3")
    said = asymbp("store merge m1 --results all").stdout.splitlines()
    assert f"{NAME}: shard 2 of 2 is missing" in said[1]
    assert f"{NAME}: shards 2 and 3 of 3 are missing" in said[2]
    assert asymbp("store merge m2 --results all").stdout.splitlines()[1] == (
        f"{NAME}: 2 of 2 shards were begun, but whether all runs have ended cannot be told. "
        "Train the rest here: the same command without --shard"
    )


def test_an_exported_shard_is_a_shard(tmp_path: Path) -> None:
    train("m1", "1/2")
    asymbp("store export m1.jsonl.xz --results m1")
    assert "shard 2 of 2 is missing" in asymbp("store merge m1.jsonl.xz --results all").stdout


def test_the_plan_of_a_shard() -> None:
    train("one", "1/2")  # decodes the digits
    lines = asymbp("train --recipe mine.yaml --dry-run --shard 2/2 --results one").stdout.splitlines()
    assert ": 9 runs, about" in lines[0]
    assert lines[1] == f"shard 2 of 2: 9 of the study's {RUNS} runs"
    assert lines[2].startswith("to train: 9 of 9 runs")
    none = asymbp("train --recipe mine.yaml --dry-run --shard 25/40").stdout.splitlines()
    assert none[1] == f"shard 25 of 40: 1 of the study's {RUNS} runs"


def test_the_plan_of_a_shard_of_what_is_not_decoded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ASYMBP_CACHE", str(tmp_path / "cache"))
    lines = asymbp("train --recipe mine.yaml --dry-run --shard 2/2").stdout.splitlines()
    assert "which runs these are is known once all datasets are decoded" in lines


@pytest.mark.parametrize("text", ["0/8", "9/8", "3", "a/b", "1/0"])
def test_what_is_no_shard_is_said_in_one_message(text: str) -> None:
    done = CliRunner().invoke(cli, ["train", "--recipe", "mine.yaml", "--shard", text])
    assert done.exit_code == 2
    assert done.stderr.count("is no shard. Write K/N, for instance 3/8") == 1
    assert not Path("results").exists()

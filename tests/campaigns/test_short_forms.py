"""The campaigns of faults, in short: a few seconds each, with the same functions as in long."""

from collections.abc import Callable
from pathlib import Path

import converted_speed
import disks
import fuzz
import kills
import learned_feedback_speed
import local_jobs
import lowest
import memory
import merging
import pages
import pytest
import signals
import small_study
import soak
import studies
import torch
import writers
from click.testing import CliRunner
from studies import Study
from tally import Record, Tally

from asymbp_cli.bench.steps import make_random_data
from asymbp_cli.cli.app import cli
from asymbp_cli.errors import AsymbpError
from asymbp_cli.recipe.networks import NETWORKS

FAKE_SECONDS = "0.01"  # of an epoch
Run = Callable[[Tally, int], None]


def limited_files(tally: Tally, seed: int) -> None:
    """Disks whose files may not grow, which need no root."""
    disks.run(tally, seed, mount=False)


@pytest.mark.parametrize(
    ("run", "seed"),
    [
        pytest.param(kills.run, 1, id="kills"),
        pytest.param(signals.run, 0, id="signals"),
        pytest.param(limited_files, 1, id="files"),
        pytest.param(memory.run, 0, id="memory"),
        pytest.param(writers.run, 2, id="writers"),
    ],
)
def test_nothing_is_lost_or_believed(run: Run, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the fake engine, whose commands start without torch."""
    monkeypatch.setenv("FAKE_EPOCH_SECONDS", FAKE_SECONDS)
    tally = Tally(1)
    run(tally, seed)
    assert tally.found == []
    assert tally.count


def test_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_EPOCH_SECONDS", FAKE_SECONDS)
    if not disks.may_mount():
        pytest.skip("not run: only root may mount a small disk")
    tally = Tally(1)
    disks.run(tally, 0, mount=True)
    assert tally.found == []
    assert tally.count == 1


def test_jobs_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit", reason="not run: submitit is not installed (pip install 'asymbp[slurm]')")
    monkeypatch.setenv("FAKE_EPOCH_SECONDS", "0.05")
    monkeypatch.setattr(local_jobs, "LONGEST_WAIT", 0.0)
    tally = Tally(1)
    local_jobs.run(tally, 1, burners=0, epochs=15)
    assert tally.found == []
    assert tally.count == 1


def test_odd_files_are_loaded_or_refused() -> None:
    tally = Tally(160)
    fuzz.run(tally, 0)
    assert tally.found == []
    assert tally.count == 160
    (outcomes,) = tally.notes
    assert "loaded" in outcomes
    assert "refused" in outcomes


def test_memory_stays_flat() -> None:
    tally = Tally(40)
    soak.run(tally, 0, most_growth=1.25)  # a tenth of so few runs is too early
    assert tally.found == []
    assert len(tally.notes) >= 2  # the parent and a worker


def merge_here(*sources: Path, into: Path) -> merging.Measured:
    """Merge in this process, which starts in no time, and whose time and memory say nothing."""
    arguments = ["store", "merge", *map(str, sources), "--results", str(into)]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False, standalone_mode=False)
    return merging.Measured(0.0, 0, done.return_value, done.stdout)


def test_merges_are_what_they_should_be() -> None:
    tally = Tally(20)
    merging.run(tally, 0, merge_here)
    assert tally.found == []
    assert tally.count == 4


def test_a_merge_that_takes_too_long_or_too_much_or_loses_something_is_seen() -> None:
    tally = Tally(9)

    def merge_badly(*sources: Path, into: Path) -> merging.Measured:
        done = merge_here(*sources, into=into)
        small_study.change(into, "UPDATE epochs SET train_loss = 7 WHERE epoch = 2", take_checksums=True)
        return merging.Measured(9.0, 400_000_000, done.code + 1, done.text)

    merging.run(tally, 0, merge_badly)
    assert [len(faults) for faults in tally.faults.values()] == [12, 1, 0]


def test_a_merge_is_measured(tmp_path: Path) -> None:
    """Its memory is its own: this process, which has loaded torch, takes more."""
    grid, (part, _) = merging.take_parts(9)
    merging.fill(tmp_path / "a", grid, part)
    found = merging.merge(tmp_path / "a", into=tmp_path / "b")
    assert (found.code, found.text.splitlines()[0]) == (0, f"{tmp_path / 'a'}: 9 runs: 9 new")
    assert found.seconds > 0.05
    assert 20e6 < found.peak < 200e6


def test_pages_are_small_and_made_fast() -> None:
    tally = Tally(9)
    pages.run(tally, 0)
    assert tally.found == []
    assert dict(tally.tried) == {"one table": 1}


def test_a_campaign_sees_what_is_lost_and_what_differs(tmp_path: Path) -> None:
    recipe = studies.make_recipe("SGD", epochs=2)
    expected = studies.train_undisturbed(tmp_path, recipe)
    study = Study(tmp_path / "study", recipe)
    events = study.start()
    assert events.end() == 0
    tally, record = Tally(1), Record()
    record.note(events.events, tally, "once")
    studies.check_end(study, expected, tally, "as it is")
    assert tally.found == []
    record.note(events.events, tally, "twice")
    assert {"had finished" in fault or "was kept" in fault for fault in tally.faults["lost"]} == {True}
    (study.results / ".asymbp.sqlite.1-2").touch()
    run = next(iter(expected))
    studies.check_end(study, expected | {run: ("collapsed", [])}, tally, "another")
    assert len(tally.faults["believed"]) == 1
    assert "stay for ever" in tally.faults["lost"][-1]
    tally.check_words("Traceback (most recent call last):", "words")
    assert len(tally.faults["tracebacks"]) == 1
    assert tally.print("a campaign") == 1


@pytest.mark.parametrize(
    ("text", "fault"),
    [("kaputt", "tracebacks"), ("slow", "lost"), ("mute", "lost"), ("other", "believed")],
)
def test_fuzzing_sees_every_fault(text: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(kind: str, file: Path) -> bool:
        if text == "kaputt":
            raise KeyError(text)
        if text == "mute":
            raise AsymbpError("")
        return text != "other"

    monkeypatch.setattr(fuzz, "load", load)
    if text == "slow":
        monkeypatch.setattr(fuzz, "MOST_SECONDS", 0.0)
    tally = Tally(1)
    fuzz.judge("recipe", text, tmp_path / "odd.yaml", tally)
    assert [kind for kind, faults in tally.faults.items() if faults] == [fault]


def test_growth_is_seen() -> None:
    tally = Tally(1)
    soak.compare([soak.Sample(k, 1000 + k, 5) for k in range(100)], 1.05, tally, "memory")
    soak.compare([soak.Sample(k, 1000, 5 + k // 50) for k in range(100)], 1.05, tally, "files")
    soak.compare([soak.Sample(k, 1000, 5) for k in range(100)], 1.05, tally, "flat")
    assert len(tally.faults["lost"]) == 2
    assert "memory has grown" in tally.faults["lost"][0]
    assert "files had 5 open files" in tally.faults["lost"][1]


@pytest.mark.parametrize(
    ("line", "pinned"),
    [("numpy>=1.26", "numpy==1.26"), ("types-PyYAML", "types-PyYAML"), ("torch>=2.11,<3", "torch==2.11")],
)
def test_the_lowest_version_is_the_bound(line: str, pinned: str) -> None:
    assert lowest.pin(line) == pinned


def test_every_requirement_has_a_bound_but_stubs() -> None:
    requirements = lowest.read_requirements(studies.ROOT / "pyproject.toml")
    assert len(requirements) > 20
    assert {line for line in requirements if "==" not in line} == {"types-PyYAML", "types-tabulate"}


def test_the_plain_loop_does_what_its_schemes_do() -> None:
    """BP has V = W, FA's V stays at right angles, KP's and WM's come nearer."""
    data = make_random_data(NETWORKS["mnist"].resolve(10), 10, 1280, torch.device("cpu"))
    angles = {}
    for scheme in learned_feedback_speed.SCHEMES:
        loop = learned_feedback_speed.Loop(scheme, data)
        before, *_ = losses = [loop.train()[0] for _ in range(3)]
        assert losses[-1] < before
        angles[scheme] = loop.train()[2]
    assert angles["BP"] == pytest.approx([0, 0], abs=0.1)
    assert angles["FA"][0] > 88
    assert angles["KP"][1] < angles["FA"][1] - 5
    assert max(angles["WM"]) < 86


def test_converted_modules_are_timed() -> None:
    ratios = converted_speed.measure(("sham", "DFA"), rounds=1, steps=2)
    assert list(ratios) == ["sham", "DFA"]
    assert all(0.1 < ratio < 10 for ratio in ratios.values())

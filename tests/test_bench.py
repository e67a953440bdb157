"""Measures, baselines, the projection of the paper's tables; the whole study planned and rendered."""

import math
from pathlib import Path

import pytest
import torch

from asymbp_cli.bench import ceiling, memory, projection, report, steps
from asymbp_cli.bench.measure import Measure, interleaved, save, slower
from asymbp_cli.errors import DeviceError, UsageError


def test_ratios_are_taken_within_each_round() -> None:
    seconds = {"one": iter([9.0, 1.0, 2.0, 4.0]), "two": iter([9.0, 3.0, 4.0, 4.0])}
    one, two = interleaved({name: (lambda times=times: next(times)) for name, times in seconds.items()}, rounds=3)  # type: ignore[misc]
    assert (one.seconds, one.ratio) == (2.0, 1.0)
    assert two == Measure("two", 4.0, 2.0, 1.0, 3.0)  # the first of each warms up


def test_a_baseline_names_what_became_slower(tmp_path: Path) -> None:
    file = tmp_path / "there" / "bench.json"
    before = {"overhead": [Measure("SGD", 1, 1, 1, 1), Measure("uSF", 1, 1.02, 1.0, 1.1)]}
    assert slower(before, "here", file) is None
    save(before, "here", file)
    assert slower(before, "here", file) == []
    assert slower(before, "another machine", file) is None
    now = {
        "overhead": [Measure("uSF", 1, 1.53, 1.2, 1.6), Measure("new", 9, 9, 9, 9)],
        "loops": before["overhead"],
    }
    assert slower(now, "here", file) == ["overhead, uSF: 1.02 before, now 1.53 (+50%)"]
    within = {"overhead": [Measure("uSF", 1, 1.53, 1.05, 1.6)]}  # rounds overlap
    assert slower(within, "here", file) == []
    file.write_text("{")
    with pytest.raises(UsageError, match="is damaged"):
        slower(before, "here", file)
    with pytest.raises(UsageError, match="cannot write the baseline"):
        save(before, "here", Path("/proc/none/bench.json"))


def test_the_whole_paper_is_2520_runs_and_673_petaflop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both follow from the tables, Table 1's shapes and the sizes of the datasets."""
    asked: list[str] = []

    def rates(networks: set[str], *_: object) -> dict[tuple[str, str], float]:
        asked.extend(sorted(networks))
        return {(key, bn): 1e-12 for key in networks for bn in ("none", "plain", "learnable")}

    monkeypatch.setattr(projection, "_rates", rates)
    *tables, whole = projection.project("cpu", workers=2, replicas=1)
    assert asked == ["cifar", "large", "mnist", "svhn", "timit"]
    assert whole.runs == 2520
    assert whole.petaflop == pytest.approx(673, abs=1)
    assert [table.runs for table in tables] == [900, 825, 600, 675, 240]
    assert whole.hours > whole.petaflop * 1e15 * 1e-12 / 2 / 3600  # evaluation comes on top
    assert whole.hours < sum(table.hours for table in tables)  # shared runs once


@pytest.mark.parametrize("key", steps.SIZES)
def test_every_network_of_the_paper_steps_on_random_data(key: str) -> None:
    made = steps.Steps(key, ["uSF"], torch.device("cpu"))
    assert made.measure(1) > 0
    assert made.flop > 1e6


def test_the_ceiling_is_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceiling, "SIZES", {"mnist": (10, 6000)})
    product, mnist = ceiling.ceiling("cpu", replicas=1, rounds=1, seconds=0.05)
    assert (product.name, mnist.name) == (ceiling.MATMUL, "mnist")
    assert 0.1 < 1 / product.seconds < 1e5  # GFLOP/s
    assert math.isclose(mnist.ratio, mnist.seconds / product.seconds)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measures resident memory of Linux")
def test_memory_is_as_predicted() -> None:
    training, testing = memory.measure([memory.Candidate("cifar", "uSF+BN", 1, "cpu")])
    assert (training.part, testing.part) == ("training", "testing")
    for found in (training, testing):
        assert 0.7 < found.ratio < 1.3
        assert found.kept > 0.7 * found.measured
    assert training.predicted != testing.predicted


def test_memory_is_measured_of_every_network_without_bn_and_with_it() -> None:
    found = memory.candidates("cpu", (1, 8))
    assert len(set(found)) == len(found) == 5 * 2 * 2
    with pytest.raises(DeviceError, match="not on meta"):
        memory._gauge(torch.device("meta"))


def test_the_whole_study_is_planned_and_rendered(tmp_path: Path) -> None:
    found = report.measure(tmp_path, epochs=2)
    assert (found.runs, found.epochs) == (2520, 2520 * 2)
    assert found.seconds > 0
    assert found.peak_mib > 0

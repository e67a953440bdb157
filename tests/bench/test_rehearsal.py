"""Steps of stacks, measured on random data: how many runs they hold, and that these are trained."""

import pytest
import small_study
import torch

from asymbp_cli import study
from asymbp_cli.bench import rehearsal
from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.specs.runs import Run, Stack, StepKind, representatives
from asymbp_cli.training import timing
from asymbp_cli.training.engine import Trainer


@pytest.fixture
def runs() -> list[Run]:
    return list(study.plan_work([small_study.grid("SGD", "uSF+BN")], None).runs.values())


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What would be measured: normalization and runs of each stack. A run takes a second."""
    timed = []

    def seconds_per_step(run: Run, data: ResidentData, *, device: str, steps: int, replicas: int) -> float:
        timed.append((run.method.batch_norm, replicas))
        return float(replicas)

    monkeypatch.setattr(rehearsal, "seconds_per_step", seconds_per_step)
    monkeypatch.setattr(rehearsal, "open_device", lambda name: torch.device("cpu"))
    return timed


def test_on_the_cpu_one_run_is_measured(runs: list[Run], timed: list[tuple[str, int]]) -> None:
    found = rehearsal.time_stacks(runs, "cpu", lambda run: 5)
    assert found == {kind: {1: 1.0} for kind in representatives(runs)}
    assert timed == [("none", 1), ("plain", 1)]


def test_on_a_gpu_stacks_are_measured_up_to_what_fits(runs: list[Run], timed: list[tuple[str, int]]) -> None:
    found = rehearsal.time_stacks(runs, "cuda:0", lambda run: 20 if run.method.batch_norm == "none" else 2)
    assert [(kind.batch_norm, dict(times)) for kind, times in found.items()] == [
        ("none", {1: 1.0, 4: 4.0, 16: 16.0, 20: 20.0}),
        ("plain", {1: 1.0, 2: 2.0}),
    ]
    assert timed == [("none", 1), ("none", 4), ("none", 16), ("none", 20), ("plain", 1), ("plain", 2)]


def test_a_stack_of_several_runs_is_trained(
    runs: list[Run], digits: ResidentData, monkeypatch: pytest.MonkeyPatch
) -> None:
    stacks: list[Stack] = []

    def make(stack: Stack, *arguments: object) -> Trainer:
        stacks.append(stack)
        return Trainer(stack, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(timing, "Trainer", make)
    assert timing.seconds_per_step(runs[0], digits, steps=1, replicas=3) > 0
    (stack,) = stacks
    assert len({run.id for run in stack.runs}) == 3
    assert stack.runs[0] == runs[0]


@pytest.mark.gpu
def test_on_a_gpu_a_stack_takes_less_than_its_runs_one_by_one(runs: list[Run]) -> None:
    (kind, times), *_ = rehearsal.time_stacks(runs[:1], "cuda:0", lambda run: 16).items()
    assert isinstance(kind, StepKind)
    assert list(times) == [1, 4, 16]
    assert 0 < times[16] < 16 * times[1]

"""Measures, baselines, the projection of the paper's tables; the whole study planned and rendered."""

import math
import operator
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import pytest
import torch

from asymbp_cli import machine
from asymbp_cli.bench import ceiling, loops, memory, projection, ratios, report, steps
from asymbp_cli.bench.measure import Measure, find_slower, measure_interleaved, save_baseline
from asymbp_cli.errors import DeviceError, UsageError
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.scheduling.multiplications import multiplications_over_bp
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.networks import Network


def test_ratios_are_taken_within_each_round() -> None:
    seconds = {"one": iter([9.0, 1.0, 2.0, 4.0]), "two": iter([9.0, 3.0, 4.0, 4.0])}
    one, two = measure_interleaved(
        {name: (lambda times=times: next(times)) for name, times in seconds.items()}, rounds=3
    )  # type: ignore[misc]
    assert (one.seconds, one.ratio) == (2.0, 1.0)
    assert two == Measure("two", 4.0, 2.0, 1.0, 3.0)  # the first of each warms up


def test_a_baseline_names_what_became_slower(tmp_path: Path) -> None:
    file = tmp_path / "there" / "bench.json"
    before = {"overhead": [Measure("SGD", 1, 1, 1, 1), Measure("uSF", 1, 1.02, 1.0, 1.1)]}
    assert find_slower(before, "here", file) is None
    save_baseline(before, "here", file)
    assert find_slower(before, "here", file) == []
    assert find_slower(before, "another machine", file) is None
    now = {
        "overhead": [Measure("uSF", 1, 1.53, 1.2, 1.6), Measure("new", 9, 9, 9, 9)],
        "loops": before["overhead"],
    }
    assert find_slower(now, "here", file) == ["overhead, uSF: 1.02 before, now 1.53 (+50%)"]
    for ratio, lowest in ((1.53, 1.01), (1.09, 1.05)):  # a round like before; before, a round like these
        within = {"overhead": [Measure("uSF", 1, ratio, lowest, 1.6)]}
        assert find_slower(within, "here", file) == []
    file.write_text("{")
    with pytest.raises(UsageError, match="is damaged"):
        find_slower(before, "here", file)
    with pytest.raises(UsageError, match="cannot write the baseline"):
        save_baseline(before, "here", Path("/proc/none/bench.json"))


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


def test_batches_have_the_size_asked_for() -> None:
    small, usual = (steps.Steps("mnist", ["uSF"], torch.device("cpu"), batch=batch) for batch in (25, 100))
    assert 4 * small.flop == usual.flop
    assert {len(batch) for batch in small.batches} == {25}
    assert {len(batch) for batch in usual.batches} == {100}


def test_growth_is_per_sample_over_batch_100(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps.Steps, "measure", lambda self, count: 1.0 * count)
    found = ratios.measure_batch_sizes("cpu", replicas=1, rounds=1, steps=10)
    assert [
        (m.name, m.seconds) for m in found
    ] == [  # as many steps as see 1000 samples, each of a second per step
        ("batch 25", 40 / 25),
        ("batch 50", 20 / 50),
        ("batch 100", 10 / 100),
        ("batch 200", 5 / 200),
        ("batch 500", 2 / 500),
    ]
    assert [m.ratio for m in found] == pytest.approx([16, 4, 1, 1 / 4, 1 / 25])


def test_precisions_are_compared_on_two_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(self: steps.Steps, count: int) -> float:
        return 1.0 if self.trainer.model.dtype == torch.bfloat16 else 2.0

    monkeypatch.setattr(steps.Steps, "measure", measure)
    found = ratios.measure_precisions("cpu", replicas=2, rounds=1, seconds=0.1)
    assert [(m.name, m.ratio) for m in found] == [
        ("mnist, fp32", 1),
        ("mnist, bf16", 0.5),
        ("cifar, fp32", 1),
        ("cifar, bf16", 0.5),
    ]


def test_steps_last_about_as_long_as_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made = steps.Steps("mnist", ["uSF", "SGD"], torch.device("cpu"))
    asked: list[int] = []
    monkeypatch.setattr(made, "measure", lambda count: asked.append(count) or 0.1)
    steps.repeat_for(1.0, made.measure, made.replicas)()
    assert asked == [1, 5]  # of 0.2 s each, for two replicas


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="only Linux says how busy it is")
def test_a_busy_core_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([(1000, 5000), (1150, 5200)])
    monkeypatch.setattr(machine, "_busy_and_total", lambda: next(ticks))
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 4)
    assert machine.busy_cores(0.0) == 3
    monkeypatch.undo()
    before, after = (machine._busy_and_total() for _ in range(2))
    assert 0 < before[0] < before[1]
    assert after >= before


def test_the_engine_is_measured_against_the_resident_loop_on_one_device() -> None:
    loop, engine = loops.measure_resident_loop("cpu", replicas=2, rounds=1, steps=1)
    assert (loop.name, engine.name) == ("resident loop", "engine")
    assert (loop.ratio, engine.ratio) == (1, engine.seconds / loop.seconds)
    assert min(loop.seconds, engine.seconds) > 0


def test_the_resident_loop_learns_every_sample_once_an_epoch() -> None:
    device = torch.device("cpu")
    data = steps.make_random_data(NETWORKS["mnist"].resolve(10), 10, 300, device)
    data.train.x[:, 0, 0, 0] = torch.arange(300).remainder(256).byte()  # a mark each
    epoch = loops.iterate_resident(data)
    for _ in range(2):
        batches = list(epoch())
        assert [len(y) for _, y in batches] == [100, 100, 100]
        seen = torch.cat([x[:, 0, 0, 0] for x, _ in batches]) * 73.6 + 127.5
        assert torch.equal(seen.round().sort()[0], data.train.x[:, 0, 0, 0].float().sort()[0])
    made = loops.UserLoop(epoch, device, torch.channels_last)
    before = [p.detach().clone() for p in made._model.parameters()]
    assert before[2].is_contiguous(memory_format=torch.channels_last)
    made.measure(4)
    assert not any(torch.equal(old, new) for old, new in zip(before, made._model.parameters(), strict=True))


def test_the_ceiling_is_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ceiling, "SIZES", {"mnist": (10, 6000)})
    product, mnist = ceiling.measure_ceiling("cpu", replicas=1, rounds=1, seconds=0.05)
    assert (product.name, mnist.name) == (ceiling.MATMUL, "mnist")
    assert 0.1 < 1 / product.seconds < 1e5  # GFLOP/s
    assert math.isclose(mnist.ratio, mnist.seconds / product.seconds)


@pytest.fixture
def strange_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The working directory holds files with names of the standard library, which nothing may import."""
    monkeypatch.chdir(tmp_path)
    for name in ("random", "threading"):
        Path(f"{name}.py").write_text(f"open('imported-{name}', 'w').close()\n")
    yield
    assert list(tmp_path.glob("imported-*")) == []


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measures resident memory of Linux")
@pytest.mark.usefixtures("strange_files")
def test_memory_is_as_predicted() -> None:
    training, testing = memory.measure_memory([memory.Candidate("cifar", "uSF+BN", 1, "cpu")])
    assert (training.part, testing.part) == ("training", "testing")
    for found in (training, testing):
        assert 0.85 < found.ratio < 1.15
        assert found.kept > 0.7 * found.measured
    assert training.predicted != testing.predicted


def test_memory_is_measured_of_every_network_without_bn_and_with_it() -> None:
    found = memory.list_candidates("cpu", (1, 8))
    assert len(set(found)) == len(found) == 5 * 2 * 2
    with pytest.raises(DeviceError, match="cannot be measured on meta"):
        memory._gauge(torch.device("meta"))


@pytest.mark.usefixtures("strange_files")
def test_loops_in_processes_import_nothing_strange(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "_worker", operator.is_)
    with pytest.raises(EOFError), loops._processes(1, replicas=1):
        raise AssertionError("it has not said that it is ready")


@pytest.mark.usefixtures("strange_files")
def test_the_whole_study_is_planned_and_rendered(tmp_path: Path) -> None:
    found = report.measure_report(tmp_path, epochs=2)
    assert (found.runs, found.epochs) == (2520, 2520 * 2)
    assert found.seconds > 0
    assert found.peak_mib > 0


def test_stacks_that_no_memory_holds_are_refused_before_they_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = memory.list_candidates("cpu", [4096])
    monkeypatch.setattr(memory, "available_bytes", lambda: 1 << 30)
    message = (
        r"^4,096 replicas of the network mnist: more memory is needed than is free on cpu, about \d+\.\d GiB\. Use"
    )
    with pytest.raises(DeviceError, match=message):
        next(memory.measure_memory(candidates))


@pytest.mark.parametrize("fault", [MemoryError, BrokenProcessPool, partial(RuntimeError, "CUDA out of memory")])
def test_memory_that_runs_out_after_all_is_said(
    fault: Callable[[], Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise fault()

    monkeypatch.setattr(memory.ProcessPoolExecutor, "submit", fail)
    with pytest.raises(DeviceError, match="2 replicas of the network mnist: more memory is needed"):
        next(memory.measure_memory(memory.list_candidates("cpu", [2])))


#: of layers with 50, 200 and 40 multiplications
PLAIN = 2 * 50 + 3 * 240


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("SGD", PLAIN),
        ("uSF+BN", PLAIN),
        ("KP", PLAIN),
        ("WM", 2 * 50 + 5 * 240),
        ("PFA-o", 2 * 50 + 4 * 240 + 4 * 4 + 10 * 10),
        ("PFA", 2 * 50 + 22 * 240 + 4 * 40 + 10 * 100),
        ("DFA", 2 * 50 + 2 * 240 + 10 * (50 + 4)),
        ("DKP", 2 * 50 + 2 * 240 + 20 * (50 + 4)),
    ],
)
def test_multiplications_are_counted_as_schemes_are_defined(method: str, expected: int) -> None:
    network = Network(input=(5, 2, 1), layers=("Conv 1x1x5/1", "FC 4", "FC 10")).resolve(10)
    found = multiplications_over_bp(network, parse_method(method).feedback)
    assert found == pytest.approx(expected / PLAIN)

"""Bytes of stacks, counted by hand and against torch; how many runs a stack may hold."""

from collections.abc import Callable
from math import prod
from pathlib import Path

import pytest
import small_study
import torch
from torch.profiler import profile

from asymbp_cli.bench.steps import make_random_data
from asymbp_cli.executors import StackStarted
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.scheduling import bank_sizes, memory
from asymbp_cli.scheduling import replica_limit as packing
from asymbp_cli.scheduling.stacks import plan_stacks
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run, Stack
from asymbp_cli.training import evaluation
from asymbp_cli.training.engine import Trainer
from asymbp_cli.training.model import Model

BEYOND = ("KP", "WM+BN", "DFA", "DKP+BN", "FA")
METHODS = ("SGD", "NuSF", "brSF", "brSF-50%", "frSF-50%", "RndF", "uSF+BN", "BN", "uSF Top", "uSF Bottom", *BEYOND)
SMALL = Network(input=(6, 6, 1), layers=("Conv 3x3x4/1", "Max 2x2/2", "FC 5", "FC 10"))
#: every order of convolutions, poolings and ReLU
MIXED = Network(
    input=(20, 20, 3),
    layers=(
        *("Conv 5x5x32/1 pad 2", "Max 3x3/2 pad_end 1", "Conv 3x3x64/1 pad 1", "Avg 3x3/2 pad_end 1"),
        *("Conv 3x3x64/1 pad 1", "Conv 3x3x16/1 pad 1", "Max 2x2/1", "Max 2x2/2", "FC 300", "FC classes"),
    ),
)


def run(method: str = "uSF", network: Network = SMALL, **protocol: object) -> Run:
    return Run(
        dataset="d",
        network=network.resolve(10),
        method=parse_method(method),
        protocol=Protocol.model_validate(protocol),
        rate_multiplier=1.0,
        seed=0,
    )


def test_a_small_network_by_hand() -> None:
    """Conv 6x6x1 -> 4x4x4, Max -> 2x2x4, FC 5, FC 10; 2 samples a batch."""
    found = run(batch_size=2)
    weights, biases, fed = 36 + 80 + 50, 4 + 5 + 10, 80 + 50
    assert bank_sizes.row_size(found) == weights + biases == 185
    assert bank_sizes.bank_bytes(found, 3) == 4 * 3 * (3 * 185 + fed)
    forward = 64 + 16 + 2 * 16 + 5 + 10 + 10  # floats a sample: indices are twice as wide, the loss keeps 10
    # back in the pooling: its input and indices, the logits, both errors, and all gradients but the convolution's
    pooling = 4 * (2 * (64 + 2 * 16 + 10 + 16 + 64) + 80 + 50)
    assert pooling > 4 * 2 * (forward + 10)
    assert memory.step_bytes(found, 1, parallel=False) == 4 * 2 * 36 + pooling
    # at once: back in FC 5, whose input was copied from an image, and whose gradient is summed in parts: one
    fc = 4 * (2 * (64 + 16 + 16 + 2 * 16 + 10 + 5 + 16) + 50 + 2 * 80)
    assert fc > pooling
    assert memory.step_bytes(found, 3, parallel=True) == 4 * 2 * 36 + 3 * fc
    # testing: the images, and at the pooling its input, output and indices
    assert memory.evaluation_bytes(found, 1, parallel=False) == 4 * 250 * (36 + 64 + 16 + 32)
    assert memory.evaluation_bytes(found, 3, parallel=True) == 4 * 250 * (36 + 3 * (64 + 16 + 32))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("biases", ["all", "without-batch-norm", "none"])
def test_a_row_is_the_models_but_for_its_gaps(method: str, biases: str) -> None:
    found = run(method, MIXED, biases=biases)
    model = Model.of(found.network, found.protocol, found.method)
    assert bank_sizes.row_size(found) == sum(part.size for part in (*model.parameters, *model.learned))
    assert bank_sizes.feedback_size(found) == sum(part.size for part in model.fed)


def test_evaluation_batches_are_as_large_as_counted() -> None:
    assert evaluation._SAMPLES_PER_BATCH == memory.EVALUATION_SAMPLES


def test_parts_of_gradients_are_as_long_as_counted() -> None:
    pytest.importorskip("triton", reason="not run: Triton is not installed")
    from asymbp_cli.training.kernels import products

    assert products._CHUNK == memory.SUMMED_POSITIONS


def in_use(call: Callable[[], object]) -> int:
    """Return the most bytes that torch's allocator had handed out during a call, beyond those before."""
    call()  # libraries set up
    with profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True, acc_events=True) as seen:
        call()
    events = seen.profiler.kineto_results.events()  # type: ignore[union-attr]
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    now = peak = 0
    for _, size in changes:
        now += size
        peak = max(peak, now)
    return peak


@pytest.mark.parametrize(
    ("method", "protocol"),
    [
        *(("uSF", {}), ("uSF+BN", {}), ("BN", {"biases": "all"}), ("uSF Top", {}), ("uSF Bottom", {})),
        ("uSF", {"average_pool_border": "padded"}),
        ("uSF Top", {"crop_padding": 40}),
        ("BM", {"batch_size": 7, "zero_sign": 1}),
        *((name, {"precision": "bf16"}) for name in ("uSF", "uSF+BN", "uSF Top")),
    ],
)
def test_activations_are_what_torch_allocates(method: str, protocol: dict[str, object]) -> None:
    found = run(method, MIXED, **protocol)
    data = make_random_data(found.network, 10, 300, torch.device("cpu"))
    trainer = Trainer(Stack((found,)), data, torch.device("cpu"))
    trainer.begin_epoch(1, [0])
    index = trainer.batches(1)[0]
    step = in_use(lambda: trainer.step(index))
    coming = trainer.statistics_batches(1)
    test = in_use(lambda: trainer.evaluation.scores([0], coming))
    counted = [memory.step_bytes(found, 1, parallel=False), memory.evaluation_bytes(found, 1, parallel=False)]
    if "precision" in protocol and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        for count, used in zip(counted, (step, test), strict=True):  # copies in float32, which are not counted
            assert count <= 1.05 * used <= 3.15 * count
    else:
        assert counted == pytest.approx([step, test], rel=0.05)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("key", NETWORKS)
def test_more_replicas_or_more_work_take_more(key: str, method: str) -> None:
    found = run(method, NETWORKS[key])
    for parallel in (False, True):
        sizes = [memory.stack_bytes(found, count, parallel=parallel) for count in range(1, 9)]
        assert sizes == sorted(set(sizes))
    assert memory.stack_bytes(found, 8, parallel=True) > sizes_of(found, 8) > sizes_of(found, 1)
    larger = run(method, NETWORKS[key], batch_size=1000)
    assert sizes_of(larger, 1) > sizes_of(found, 1)


def sizes_of(found: Run, count: int) -> int:
    return memory.stack_bytes(found, count, parallel=False)


@pytest.mark.parametrize("key", ["mnist", "cifar", "svhn", "large"])
def test_batch_norm_takes_more_and_bf16_less(key: str) -> None:
    plain, normalized = run("uSF", NETWORKS[key]), run("uSF+BN", NETWORKS[key])
    half = run("uSF", NETWORKS[key], precision="bf16")
    assert memory.step_bytes(half, 8, parallel=True) < 0.8 * memory.step_bytes(plain, 8, parallel=True)
    assert memory.step_bytes(normalized, 1, parallel=False) > 1.3 * memory.step_bytes(plain, 1, parallel=False)


@pytest.mark.parametrize("parallel", [False, True])
def test_what_fits_fits_and_one_more_does_not(parallel: bool) -> None:
    found = run("uSF+BN", NETWORKS["cifar"])
    for room in (1 << 30, 1 << 32):
        count = memory.replicas_that_fit(found, room, most=10_000, parallel=parallel)
        assert 1 < count < 10_000
        assert memory.stack_bytes(found, count, parallel=parallel) <= room
        assert memory.stack_bytes(found, count + 1, parallel=parallel) > room
    assert memory.replicas_that_fit(found, 1 << 40, most=7, parallel=parallel) == 7
    assert memory.replicas_that_fit(found, 0, most=7, parallel=parallel) == 1


def limits(monkeypatch: pytest.MonkeyPatch, device: str, available: int | None, workers: int = 1) -> list[int]:
    """Return how many runs on MNIST's and the large network a stack may hold."""
    monkeypatch.setattr(packing, "available_bytes", lambda device: available)
    limit = packing.replica_limit([device] * workers, {"d": small_study.INFO})
    return [limit(run("uSF", NETWORKS[key])) for key in ("mnist", "large")]


def test_each_network_has_its_own_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    gib = 1 << 30
    assert limits(monkeypatch, "cuda", 100 * gib) == [64, 64]
    mnist, large = limits(monkeypatch, "cuda:0", 8 * gib)
    assert mnist == 64
    assert 1 < large < 64
    assert limits(monkeypatch, "cuda", 8 * gib, workers=2)[1] < large
    assert limits(monkeypatch, "cuda", 1) == [1, 1]
    assert limits(monkeypatch, "cpu", 100 * gib) == limits(monkeypatch, "cpu", None) == [5, 5]
    assert limits(monkeypatch, "cpu", gib // 2, workers=2) == [5, 1]
    assert limits(monkeypatch, "mps", None) == [5, 5]
    assert limits(monkeypatch, "cuda", None) == [64, 64]  # it is missing, which the training says


def test_what_a_gpu_has_holds_the_stack_and_its_data(monkeypatch: pytest.MonkeyPatch) -> None:
    found = run("uSF", NETWORKS["large"])
    info = small_study.INFO.model_copy(update={"train_count": 10**9 // 42_491, "shape": (119, 119, 3)})
    data = packing.dataset_bytes(info)
    assert data == pytest.approx(1e9, rel=0.03)
    need = memory.stack_bytes(found, 3, parallel=True)
    monkeypatch.setattr(packing, "available_bytes", lambda device: int(need / 0.8 + data + 1))
    assert packing.replica_limit(["cuda"], {"d": info})(found) == 3
    monkeypatch.setattr(packing, "available_bytes", lambda device: int(need / 0.8 + data - 100))
    assert packing.replica_limit(["cuda"], {"d": info})(found) == 2


def test_the_machine_says_what_is_available() -> None:
    available = packing.available_bytes("cpu")
    assert available is None or (1 << 24) < available < (1 << 50)
    if not torch.cuda.is_available():
        assert packing.available_bytes("cuda") is None
    assert packing.available_bytes("mps") is None


def test_measures_on_request_take_a_step_next_to_what_a_graph_keeps() -> None:
    plain = run("uSF", NETWORKS["mnist"])
    asked, first = (
        plain.model_copy(update={"protocol": plain.protocol.model_copy(update={"measure": (name,)})})
        for name in ("rank", "first-layer-feedback")
    )
    step = memory.step_bytes(plain, 4, parallel=True)
    more = memory.stack_bytes(asked, 4, parallel=True) - memory.stack_bytes(plain, 4, parallel=True)
    assert more == step
    assert memory.stack_bytes(asked, 4, parallel=False) == memory.stack_bytes(plain, 4, parallel=False)
    weights = prod(plain.network.weighted()[0].weight_shape)
    assert bank_sizes.feedback_size(first) - bank_sizes.feedback_size(plain) == weights


def test_vectors_are_floats() -> None:
    info = small_study.INFO.model_copy(update={"shape": (10,), "train_count": 3, "test_count": 2})
    assert packing.dataset_bytes(info) == 5 * (40 + 8)
    assert packing.dataset_bytes(small_study.INFO) == (1437 + 360) * (prod((8, 8, 1)) + 8)


def test_the_dearest_method_of_a_group_sets_its_limit() -> None:
    runs = [run(m).model_copy(update={"rate_multiplier": 1.0 + i}) for i in range(4) for m in ("SGD", "uSF")]
    by_method = {"bp": 8, "usf": 3}
    found = plan_stacks(
        runs, {}, {"d": 100}, max_replicas=lambda r: by_method[r.method.feedback.scheme], workers=1
    )
    assert [len(stack.runs) for stack in found] == [3, 3, 2]


def test_a_study_trains_the_same_in_the_little_memory_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    for available in (1 << 40, 1):
        monkeypatch.setattr(packing, "available_bytes", lambda device, have=available: have)
        seen: list[int] = []

        def note(report: object, seen: list[int] = seen) -> None:
            if isinstance(report, StackStarted):
                seen.append(len(report.runs))

        small_study.train(tmp_path / f"{available}", small_study.grid("SGD", "uSF"), on_event=note)
        sizes.append(seen)
    assert max(sizes[0]) > 1
    assert set(sizes[1]) == {1}
    assert small_study.numbers(tmp_path / "1") == small_study.numbers(tmp_path / f"{1 << 40}")

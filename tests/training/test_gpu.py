"""CUDA against the CPU. Skipped, and not counted as passed, if there is no GPU."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from gpu_runs import make_runs
from layer_cases import BEYOND

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.resident import ResidentData, load
from asymbp_cli.events import CheckpointSaved, EpochEnded, RunDiverged
from asymbp_cli.specs.measures import ON_REQUEST
from asymbp_cli.specs.protocol import Precision, Protocol
from asymbp_cli.specs.runs import Run, Stack
from asymbp_cli.training.bank import Bank
from asymbp_cli.training.engine import Trainer, train_stack
from asymbp_cli.training.kernels import AMPERE, explain_plain
from asymbp_cli.training.model import Model
from asymbp_cli.training.probe import probe_device

pytestmark = pytest.mark.gpu

_TOLERANCE = 0.04  # of the test set: tf32, on digits after 5 epochs


@contextmanager
def _no_waiting() -> Iterator[None]:
    """Let everything that waits for the GPU raise."""
    torch.cuda.synchronize()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the mode warns that it does not see everything
        try:
            torch.cuda.set_sync_debug_mode("error")
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("methods", [("SGD", "BM", "NuSF"), ("uSF+BN", "uSF+BN+BM", "RndF+BN"), ("BN", "BN+BM")])
def test_error_counts_agree(methods: tuple[str, ...], digits_info: DecodedDataset, digits: ResidentData) -> None:
    runs = tuple(run.model_copy(update={"rate_multiplier": 0.1}) for run in make_runs(digits_info, *methods))
    on_gpu = load(digits_info, device="cuda")
    last = {}
    for device, data in (("cpu", digits), ("cuda", on_gpu)):
        for event in train_stack(Stack(runs), data, device=device):
            if isinstance(event, EpochEnded):
                last[device, event.run] = event.test_wrong / event.test_seen
    for run in runs:
        assert last["cuda", run.id] == pytest.approx(last["cpu", run.id], abs=_TOLERANCE)


def test_a_device_has_an_index_and_its_facts(gpu: torch.device) -> None:
    assert gpu.index is not None
    assert torch.cuda.current_device() == gpu.index
    facts = probe_device(f"cuda:{gpu.index}")
    assert facts.model == torch.cuda.get_device_name(gpu)
    assert 0 < facts.free_bytes <= torch.cuda.get_device_properties(gpu).total_memory  # type: ignore[operator]
    assert facts.workspace_bytes > 0


def test_kernels_run_here(gpu: torch.device) -> None:
    if torch.cuda.get_device_capability(gpu) < AMPERE or torch.version.hip:
        pytest.skip("not run: this GPU has no tensor cores for tf32")
    assert explain_plain(gpu) is None


def test_feedback_weights_that_are_not_redrawn_are_equal(digits_info: DecodedDataset, gpu: torch.device) -> None:
    runs = make_runs(digits_info, "uSF", "NuSF", "RndF", "frSF", "frSF-25%")
    model = Model.of(runs[0].network, runs[0].protocol, runs[0].method)
    banks = [Bank(runs, model, device) for device in (torch.device("cpu"), gpu)]
    for bank in banks:
        bank.begin_epoch(1, 1.0)
    for replica in range(len(runs)):
        for name, expected in banks[0].feedback(replica).items():
            torch.testing.assert_close(banks[1].feedback(replica)[name].cpu(), expected)


@pytest.mark.parametrize(
    "methods", [("SGD", "brSF-25%", "frSF", "RndF", "BM3"), ("uSF+BN", "brSF+BN+BM"), ("BN",), *BEYOND]
)
@pytest.mark.parametrize("zero_sign", [0, 1])
def test_no_value_is_read_inside_an_epoch(
    methods: tuple[str, ...], zero_sign: Literal[0, 1], digits_info: DecodedDataset, gpu: torch.device
) -> None:
    protocol = Protocol(epochs=5, zero_sign=zero_sign)
    runs = tuple(run.model_copy(update={"protocol": protocol}) for run in make_runs(digits_info, *methods))
    trainer = Trainer(Stack(runs), load(digits_info, device=gpu), gpu)
    trainer.begin_epoch(1, range(len(runs)))
    batches = trainer.batches(1)
    for index in batches[:5]:  # plain, then captured
        trainer.step(index)
    with _no_waiting():
        for index in batches[5:]:
            trainer.step(index)
    assert bool(trainer.bank.alive.all())


@pytest.mark.parametrize("methods", [("SGD", "brSF-25%", "frSF", "RndF", "BM3"), ("uSF+BN",), *BEYOND])
def test_measures_move_no_other_bit_of_a_captured_training(
    methods: tuple[str, ...], digits_info: DecodedDataset, gpu: torch.device
) -> None:
    """Nor do those of the first layer's V; values are those of the CPU, but for its rounding."""
    found = []
    for device, measure in ((gpu, ()), (gpu, ON_REQUEST), (torch.device("cpu"), ON_REQUEST)):
        protocol = Protocol(epochs=2, measure=measure, precision="fp32")
        runs = tuple(run.model_copy(update={"protocol": protocol}) for run in make_runs(digits_info, *methods))
        trainer = Trainer(Stack(runs), load(digits_info, device=device), device)
        events = [e for epoch in (1, 2) for e in trainer.train_epoch(epoch) if isinstance(e, EpochEnded)]
        found.append((trainer.bank.weights[:, : trainer.model.learned_from].cpu(), events))
    (plain, _), (measured, ours), (_, expected) = found
    assert torch.equal(plain, measured)
    for one, other in zip(ours[: len(methods)], expected, strict=False):
        assert one.measures.keys() == other.measures.keys()
        for key, values in other.measures.items():
            assert one.measures[key] == pytest.approx(values, rel=0.1, abs=1.0), key


def test_choices_of_other_papers_train_captured_as_plainly(digits_info: DecodedDataset, gpu: torch.device) -> None:
    phases = [{"share": 1, "factor": 1, "decay": decay} for decay in (1.0, 0.5)]
    choices = {"loss": "sigmoid-cross-entropy", "bias_gradient": 0.5, "order": "file", "phases": phases}
    choices |= {"gradient_clip": 1.0, "nesterov": True, "crop_padding": 1, "horizontal_flip": True}
    protocol = Protocol.model_validate({"epochs": 4, "weight_decay": 0.01, **choices})
    weights = []
    for graphs in (False, True):
        runs = tuple(run.model_copy(update={"protocol": protocol}) for run in make_runs(digits_info, "SGD", "FA"))
        network = runs[0].network.model_copy(update={"activation": "sigmoid"})
        runs = tuple(run.model_copy(update={"network": network}) for run in runs)
        trainer = Trainer(Stack(runs), load(digits_info, device=gpu), gpu, graphs=graphs)
        for epoch in range(1, 5):
            list(trainer.train_epoch(epoch))
        weights.append(trainer.bank.weights.cpu())
    assert torch.equal(*weights)


def test_a_replica_that_diverges_does_not_touch_its_neighbour(digits_info: DecodedDataset) -> None:
    (good,) = make_runs(digits_info, "uSF")
    data = load(digits_info, device="cuda")
    good, bad = (good.model_copy(update={"rate_multiplier": value}) for value in (1e-3, 1e6))
    both = list(train_stack(Stack((good, bad)), data, device="cuda"))
    assert [event.run for event in both if isinstance(event, RunDiverged)] == [bad.id]
    alone = list(train_stack(Stack((good,)), data, device="cuda"))
    together, single = (
        [e.test_wrong for e in events if isinstance(e, EpochEnded) and e.run == good.id]
        for events in (both, alone)
    )
    assert together == single


def test_the_same_run_twice_is_the_same(digits_info: DecodedDataset) -> None:
    stack, data = Stack(make_runs(digits_info, "brSF", "SGD", "uSF+BM")), load(digits_info, device="cuda")
    first, second = (
        [replace(e, seconds=0) for e in train_stack(stack, data, device="cuda") if isinstance(e, EpochEnded)]
        for _ in range(2)
    )
    assert first == second


def _last(data: ResidentData, runs: tuple[Run, ...], *, graphs: bool = True) -> list[tuple[int, int]]:
    events = train_stack(Stack(runs), data, device="cuda", graphs=graphs)
    return [(e.train_wrong, e.test_wrong) for e in events if isinstance(e, EpochEnded) and e.epoch == 5]


@pytest.mark.parametrize(
    "methods", [("SGD", "BM3", "brSF-25%", "frSF", "RndF"), ("uSF+BN", "brSF+BN+BM"), *BEYOND]
)
@pytest.mark.parametrize("precision", ["standard", "fp32", "bf16"])
def test_captured_steps_train_as_plain_ones(
    methods: tuple[str, ...],
    precision: Precision,
    digits_info: DecodedDataset,
    gpu: torch.device,
) -> None:
    runs = tuple(
        run.model_copy(update={"protocol": Protocol(epochs=5, precision=precision), "rate_multiplier": 0.1})
        for run in make_runs(digits_info, *methods)
    )
    data = load(digits_info, device=gpu)
    assert _last(data, runs) == _last(data, runs, graphs=False)


def test_a_replica_trains_the_same_in_any_stack(digits_info: DecodedDataset) -> None:
    (first,) = make_runs(digits_info, "uSF")
    runs = tuple(first.model_copy(update={"rate_multiplier": 0.1 / (1 + i)}) for i in range(40))
    data = load(digits_info, device="cuda")
    many = _last(data, runs)
    for replica in (0, 31, 32, 39):
        assert _last(data, runs[replica : replica + 1]) == many[replica : replica + 1]


def test_stacks_leave_no_memory_behind(digits_info: DecodedDataset) -> None:
    data, runs = load(digits_info, device="cuda"), make_runs(digits_info, "brSF-25%+BN", "uSF+BN")

    def reserved() -> int:
        _last(data, runs)
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        return torch.cuda.memory_reserved()

    first = reserved()  # with the libraries' workspaces
    assert [reserved() for _ in range(3)] == [first] * 3


def test_testing_reads_nothing_before_its_end(digits_info: DecodedDataset, gpu: torch.device) -> None:
    trainer = Trainer(Stack(make_runs(digits_info, "uSF+BN")), load(digits_info, device=gpu), gpu)
    for epoch in range(1, 6):  # plain, then captured
        list(trainer.train_epoch(epoch))
    coming = trainer.statistics_batches(5)
    with _no_waiting():
        trainer.evaluation.observe(coming)


def test_killed_after_an_epoch_and_resumed_goes_on(
    digits_info: DecodedDataset, tmp_path: Path, gpu: torch.device
) -> None:
    stack, data = Stack(make_runs(digits_info, "SGD", "brSF-25%")), load(digits_info, device=gpu)
    whole = _last(data, stack.runs)
    training = train_stack(stack, data, device="cuda", checkpoints=tmp_path, checkpoint_seconds=0)
    for event in training:
        if isinstance(event, CheckpointSaved) and event.epoch == 2:
            break
    training.close()
    rest = train_stack(replace(stack, start_epoch=2), data, device="cuda", checkpoints=tmp_path)
    found = [(e.train_wrong, e.test_wrong) for e in rest if isinstance(e, EpochEnded) and e.epoch == 5]
    assert found == whole

"""Stacks, resuming, divergence: on the CPU everything here is equal bit for bit."""

import itertools
import math
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.resident import ResidentData, load
from asymbp_cli.errors import DeviceError, StoreError
from asymbp_cli.events import (
    CheckpointDue,
    CheckpointSaved,
    EpochEnded,
    EpochKept,
    Event,
    Progress,
    RunDiverged,
    RunFinished,
)
from asymbp_cli.results.contents import read_contents
from asymbp_cli.results.export import decode, encode
from asymbp_cli.results.provenance import collect
from asymbp_cli.results.store import Store
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run, Stack
from asymbp_cli.training import checkpoint, engine, timing
from asymbp_cli.training.bank import Bank
from asymbp_cli.training.device import open_device
from asymbp_cli.training.engine import train_stack

TINY = Network(input=(8, 8, 1), layers=("Conv 3x3x4/1", "Max 2x2/2", "FC 12", "FC classes")).resolve(10)
SHARED = {
    "no BN": ("SGD", "BM", "BM2", "BM3", "uSF", "NuSF", "uSF+BM", "brSF", "frSF-25%", "RndF", "RndF+BM"),
    "plain BN": ("uSF+BN", "uSF+BN+BM", "uSF+BN+BM2", "uSF+BN+BM3", "brSF-75%+BN+BM", "frSF+BN+BM", "RndF+BN"),
    "learnable BN": ("BN", "BN+BM"),
    "top": ("SGD Top", "RndF Top"),
    "top with BN": ("RndF+BN+BM Top", "uSF+BN+BM Top"),
    "bottom": ("SGD Bottom", "RndF Bottom"),
}


def make(data: ResidentData, method: str, multiplier: float = 1.0, *, seed: int = 0, **protocol: object) -> Run:
    settings = Protocol.model_validate({"epochs": 3, **protocol})
    return Run(
        dataset=data.info.fingerprint,
        network=TINY,
        method=parse_method(method),
        protocol=settings,
        rate_multiplier=multiplier,
        seed=seed,
    )


def facts(events: Sequence[Event] | object) -> list[Event]:
    """What happened, without times and progress; not-a-number made comparable."""
    found: list[Event] = []
    for event in events:  # type: ignore[attr-defined]
        if isinstance(event, EpochEnded):
            losses = {name: -1.0 for name in ("train_loss", "test_loss") if math.isnan(getattr(event, name))}
            event = replace(event, seconds=0.0, **losses)
        if not isinstance(event, Progress | CheckpointDue | CheckpointSaved | EpochKept):
            found.append(event)
    return found


def of(run: Run, events: Sequence[Event]) -> list[Event]:
    return [event for event in events if getattr(event, "run", None) == run.id]


@pytest.mark.parametrize("kind", SHARED)
def test_a_stack_equals_its_single_runs(kind: str, digits: ResidentData) -> None:
    runs = [make(digits, name, rate) for name in SHARED[kind] for rate in (1e9, 30.0, 0.3)]
    assert len({run.stack_key for run in runs}) == 1
    together = facts(train_stack(Stack(tuple(runs)), digits))
    for run in runs:
        assert facts(train_stack(Stack((run,)), digits)) == of(run, together)


@pytest.mark.parametrize("pair", [SHARED["top"], SHARED["top with BN"]])
def test_feedback_does_not_matter_where_only_the_last_layer_trains(
    pair: tuple[str, str], digits: ResidentData
) -> None:
    one, other = (make(digits, name) for name in pair)
    events = facts(train_stack(Stack((one, other)), digits))
    assert [replace(e, run="") for e in of(one, events)] == [replace(e, run="") for e in of(other, events)]  # type: ignore[type-var]


@pytest.mark.parametrize("kind", SHARED)
def test_killed_after_an_epoch_and_resumed_gives_the_same_bits(
    kind: str, digits: ResidentData, tmp_path: Path
) -> None:
    stack = Stack(tuple(make(digits, name, rate) for name in SHARED[kind] for rate in (1e6, 1.0)))
    whole = facts(train_stack(stack, digits))
    training = train_stack(stack, digits, checkpoints=tmp_path, checkpoint_seconds=0)
    before = []
    for event in training:
        before.append(event)
        if isinstance(event, CheckpointSaved) and event.epoch == 2:
            break
    training.close()
    after = train_stack(replace(stack, start_epoch=2), digits, checkpoints=tmp_path)
    assert facts(before) + facts(after) == whole


def test_runs_resume_in_another_packing(digits: ResidentData, tmp_path: Path) -> None:
    runs = [make(digits, name) for name in ("SGD", "brSF", "BM")]
    whole = facts(train_stack(Stack(tuple(runs)), digits))
    for _ in train_stack(Stack(tuple(runs)), digits, checkpoints=tmp_path, checkpoint_seconds=0):
        pass  # the last checkpoint is of epoch 2
    alone = facts(train_stack(Stack((runs[1],), 2), digits, checkpoints=tmp_path))
    assert alone == [e for e in of(runs[1], whole) if getattr(e, "epoch", 3) == 3]
    with pytest.raises(StoreError, match="not of epoch 1"):
        list(train_stack(Stack((runs[1],), 1), digits, checkpoints=tmp_path))
    (tmp_path / f"{runs[1].id}.safetensors").write_bytes(b"damaged")
    with pytest.raises(StoreError, match="is damaged"):
        list(train_stack(Stack((runs[1],), 2), digits, checkpoints=tmp_path))


def test_a_diverged_run_is_scored_as_the_first_class_and_spares_its_neighbours(digits: ResidentData) -> None:
    good, bad = make(digits, "SGD", 1.0), make(digits, "SGD", 1e9)
    events = facts(train_stack(Stack((good, bad)), digits))
    assert of(good, events) == facts(train_stack(Stack((good,)), digits))
    assert [e for e in events if isinstance(e, RunDiverged)] == [RunDiverged(bad.id, 1)]
    ended = [e for e in of(bad, events) if isinstance(e, EpochEnded)]
    assert [e.test_wrong for e in ended] == [int((digits.test.y != 0).sum())] * 3
    assert all(e.diverged and e.one_class for e in ended)
    assert RunFinished(bad.id, "diverged", 3) in events
    assert RunFinished(good.id, "finished", 3) in events


def test_a_run_that_answers_one_class_is_collapsed(digits: ResidentData) -> None:
    run = make(digits, "SGD", 1e-9, epochs=1, initialization="normal", initial_std=1e-30)
    events = facts(train_stack(Stack((run,)), digits))
    assert events[-1] == RunFinished(run.id, "collapsed", 1)
    ended = next(e for e in events if isinstance(e, EpochEnded))
    assert ended.one_class
    assert not ended.diverged


def test_results_depend_on_the_seed_and_on_nothing_global(digits: ResidentData) -> None:
    def train(seed: int) -> list[Event]:
        return facts(train_stack(Stack((make(digits, "brSF-25%+BN", seed=seed, epochs=1),)), digits))

    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = train(0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert train(0) == first
    assert [replace(e, run="") for e in train(1)] != [replace(e, run="") for e in first]  # type: ignore[type-var]


@pytest.mark.parametrize(
    "change",
    [
        {"gradient": "mean"},
        {"weight_decay": 0.0},
        {"momentum": 0.0},
        {"batch_size": 50},
        {"batch_size": [{"from_epoch": 1, "size": 100}, {"from_epoch": 2, "size": 300}]},
        {"order": "fixed"},
        {"last_batch": "drop"},
        {"momentum_at_change": "reset"},
        {"initialization": "he-normal"},
        {"decay_biases": False},
    ],
    ids=str,
)
def test_every_choice_of_the_protocol_changes_the_training(
    change: dict[str, object], digits: ResidentData
) -> None:
    plain, changed = make(digits, "SGD"), make(digits, "SGD", **change)
    one, other = (
        [(e.train_loss, e.test_loss) for e in train_stack(Stack((run,)), digits) if isinstance(e, EpochEnded)]
        for run in (plain, changed)
    )
    assert plain.id != changed.id
    assert one != other


def test_held_out_samples_are_not_trained_on(digits_info, digits: ResidentData) -> None:  # type: ignore[no-untyped-def]
    held = load(digits_info, validation_fraction=0.1)
    assert held.validation is not None
    run = make(digits, "SGD", validation_fraction=0.1)
    ended = [e for e in train_stack(Stack((run,)), held) if isinstance(e, EpochEnded)]
    assert ended[0].train_seen + len(held.validation.y) == digits.info.train_count
    assert ended[0].validation_seen == len(held.validation.y)
    assert ended[-1].validation_wrong is not None
    assert ended[-1].validation_wrong < 0.5 * len(held.validation.y)


def test_the_loss_on_held_out_data_is_that_of_the_same_data_as_test_set(digits_info, digits: ResidentData) -> None:  # type: ignore[no-untyped-def]
    held = load(digits_info, validation_fraction=0.1)
    assert held.validation is not None
    run = make(digits, "SGD", validation_fraction=0.1, epochs=1)
    swapped = replace(held, test=held.validation, validation=held.test)
    first, second = (
        next(e for e in train_stack(Stack((run,)), data) if isinstance(e, EpochEnded)) for data in (held, swapped)
    )
    assert (first.validation_loss, first.test_loss) == (second.test_loss, second.validation_loss)
    assert first.validation_loss != first.test_loss
    plain = make(digits, "SGD", epochs=1)
    (whole,) = [e for e in train_stack(Stack((plain,)), digits) if isinstance(e, EpochEnded)]
    assert whole.validation_loss is None


def test_a_device_that_does_not_exist_is_named() -> None:
    with pytest.raises(DeviceError, match=r'no device "tpu" here: .* Use --device cpu'):
        open_device("tpu")


def test_memory_that_is_too_small_to_measure_a_step_is_said(
    digits: ResidentData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bank(*_: Any, **__: Any) -> Bank:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(engine, "Bank", bank)
    with pytest.raises(DeviceError, match="at batch size 100 needs more memory than there is; make one of them"):
        timing.seconds_per_step(make(digits, "SGD"), digits)


def test_seconds_are_of_one_step(digits: ResidentData, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()  # a second passes at every look
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    assert timing.seconds_per_step(make(digits, "SGD"), digits) == 1


def test_checkpoints_written_in_the_background_hold_their_own_epoch(
    digits: ResidentData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: the training goes on meanwhile, and says that they are saved once they are."""
    stack = Stack(tuple(make(digits, "SGD", rate) for rate in (1e6, 1.0)))
    whole = facts(train_stack(stack, digits))
    written, real = threading.Event(), checkpoint.write

    def slow(*arguments: Any, **how: Any) -> None:
        assert threading.current_thread() is not threading.main_thread()
        assert written.wait(30)
        real(*arguments, **how)

    def copied(trainer: engine.Trainer, epoch: int) -> Any:
        found = real_checkpoints(trainer, epoch)
        return {k: replace(c, weights=c.weights.clone(), state=c.state.clone()) for k, c in found.items()}

    real_checkpoints, real_writer = engine.Trainer.checkpoints, checkpoint.Writer
    monkeypatch.setattr(checkpoint, "write", slow)
    monkeypatch.setattr(engine.Trainer, "checkpoints", copied)
    monkeypatch.setattr(
        checkpoint, "Writer", lambda directory, background: real_writer(directory, background=True)
    )
    seen: list[Event] = []
    for event in train_stack(stack, digits, checkpoints=tmp_path, checkpoint_seconds=0):
        seen.append(event)
        if isinstance(event, EpochEnded) and event.epoch == 2:
            assert not any(isinstance(e, CheckpointSaved) for e in seen)
            written.set()
    assert facts(seen) == whole
    due, saved = ([e for e in seen if isinstance(e, kind)] for kind in (CheckpointDue, CheckpointSaved))
    assert [e.epoch for e in saved] == [1, 2]
    assert len(due) == 2
    for first, then in zip(due, saved, strict=True):
        assert seen.index(first) < seen.index(then)
    assert seen.index(saved[-1]) < next(i for i, e in enumerate(seen) if isinstance(e, RunFinished))
    rest = train_stack(replace(stack, start_epoch=2), digits, checkpoints=tmp_path)
    assert facts(rest) == [e for e in whole if isinstance(e, RunFinished) or getattr(e, "epoch", 0) > 2]


@pytest.mark.parametrize("epoch", [1, 2])
def test_the_last_epoch_is_kept_for_an_interruption(digits: ResidentData, tmp_path: Path, epoch: int) -> None:
    """Whatever is trained after it, and whichever thread saves it."""
    stack = Stack(tuple(make(digits, "uSF+BN+BM", rate) for rate in (1e6, 1.0)))
    whole = facts(train_stack(stack, digits))
    training = train_stack(stack, digits, checkpoints=tmp_path)
    kept = next(e for e in training if isinstance(e, EpochKept) and e.epoch == epoch)
    next(e for e in training if isinstance(e, EpochEnded))
    assert list(tmp_path.iterdir()) == []
    training.close()
    thread = threading.Thread(target=kept.save)
    thread.start()
    thread.join()
    rest = facts(train_stack(replace(stack, start_epoch=epoch), digits, checkpoints=tmp_path))
    assert rest == [e for e in whole if isinstance(e, RunFinished) or getattr(e, "epoch", 0) > epoch]


def test_a_checkpoint_that_the_background_cannot_write_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = checkpoint.Checkpoint(1, torch.zeros(2), torch.zeros(2), False)
    with checkpoint.Writer(tmp_path / "file" / "below", background=True) as writer:
        writer.start({"run": found})
        with pytest.raises(StoreError, match="cannot write the checkpoint"):
            writer.wait()
        writer.wait()  # said once


OTHER_VALUES: dict[str, object] = {
    "epochs": 4,
    "phases": [{"share": 1, "factor": 1}, {"share": 1, "factor": 0.5}],
    "base_rate": 1e-3,
    "batch_size": 50,
    "momentum": 0.5,
    "weight_decay": 0.1,
    "gradient": "mean",
    "zero_sign": 1,
    "decay_biases": False,
    "manhattan_biases": False,
    "decay_batch_norm": False,
    "momentum_at_change": "reset",
    "initialization": "he-normal",
    "initial_std": 0.05,
    "biases": "all",
    "batch_norm_epsilon": 0.1,
    "batch_norm_average": 0.5,
    "batch_norm_batches": 2,
    "batch_norm_short_epochs": "cycle",
    "average_pool_border": "padded",
    "order": "fixed",
    "last_batch": "drop",
    "precision": "bf16",
    "loss": "sigmoid-cross-entropy",
    "bias_gradient": 0.5,
    "initial_biases": "as-weights",
    "preprocessing": "mean-pixel",
    "validation_fraction": 0.2,
}
NEEDED: dict[str, dict[str, object]] = {  # without which the field has nothing to change
    "initial_std": {"initialization": "normal"},
    "decay_batch_norm": {"weight_decay": 0.1},
    "decay_biases": {"weight_decay": 0.1},
    "batch_norm_short_epochs": {"batch_size": 100},  # 15 mini-batches
}
METHOD_FOR = {
    "decay_batch_norm": "BN",
    "zero_sign": "BM",
    "gradient": "uSF+BN",
    "bias_gradient": "uSF",
}  # signs know no mean
RATE_FOR = {"zero_sign": 30.0}  # so large that units die: their gradients are exactly 0
#: one of the multipliers is the run's own; what is decoded is the reader's; measures change nothing
NOT_TRAINING = {"rate_multipliers", "resize", "measure"}


def test_every_field_of_the_protocol_is_tried_below() -> None:
    assert {*OTHER_VALUES, *NOT_TRAINING} == set(Protocol.model_fields)


@pytest.mark.parametrize("field", OTHER_VALUES)
def test_every_field_of_the_protocol_changes_the_training(field: str, digits_info: DecodedDataset) -> None:
    """A choice that the paper leaves open and that a recipe can set is one that the engine makes."""
    layers = ("Conv 3x3x4/1 pad 1", "Avg 3x3/2 pad_end 1", "FC 12", "FC classes")
    network = Network(input=(8, 8, 1), layers=layers).resolve(10)
    found = []
    for changes in ({}, {field: OTHER_VALUES[field]}):
        content = {"epochs": 3, "batch_size": 64} | NEEDED.get(field, {}) | changes
        protocol = Protocol.model_validate(content)
        run = make(load(digits_info), METHOD_FOR.get(field, "uSF+BN+BM"), RATE_FOR.get(field, 0.1))
        run = run.model_copy(update={"protocol": protocol, "network": network})
        data = load(
            digits_info,
            preprocessing=protocol.preprocessing,
            validation_fraction=protocol.validation_fraction,
        )
        events = list(train_stack(Stack((run,)), data))
        found.append([(e.test_loss, e.train_loss) for e in events if isinstance(e, EpochEnded)])
    assert found[0] != found[1]


@pytest.mark.parametrize("last_batch", ["keep", "drop"])
@pytest.mark.parametrize("fraction", [0.0, 0.2])
@pytest.mark.parametrize("size", [100, 5000, [{"from_epoch": 1, "size": 100}, {"from_epoch": 2, "size": 300}]])
def test_what_any_batches_train_is_stored_read_and_exported(
    last_batch: str, fraction: float, size: object, digits_info: DecodedDataset, tmp_path: Path
) -> None:
    """The samples of an epoch are checked whenever it is read."""
    content = {"epochs": 2, "batch_size": size, "last_batch": last_batch, "validation_fraction": fraction}
    protocol = Protocol.model_validate(content)
    data = load(digits_info, validation_fraction=fraction)
    run = make(data, "SGD", 0.1).model_copy(update={"protocol": protocol, "dataset": digits_info.fingerprint})
    events = list(train_stack(Stack((run,)), data))
    with Store.open(tmp_path) as store:
        with store.writing():
            store.save_dataset(digits_info)
            store.begin([run], 0, collect("cpu"))
            for event in events:
                store.record(event)
        assert [point.epoch for point in store.epochs([run.id])[run.id]] == [1, 2]
        assert list(read_contents(decode(encode(store.contents()), tmp_path).connection).runs) == [run.id]
        seen = {point.train_seen for point in store.epochs([run.id])[run.id]}
    count = len(data.train.y)
    assert (seen == {count}) == (last_batch == "keep" or size == 5000)
    assert {protocol.trained_samples(epoch, count) for epoch in (1, 2)} == seen

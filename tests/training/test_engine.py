"""Stacks, resuming, divergence: on the CPU everything here is equal bit for bit."""

import itertools
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_stacks import SHARED, facts, make, of

from asymbp_cli.datasets.resident import ResidentData, load
from asymbp_cli.errors import DeviceError, StoreError
from asymbp_cli.events import (
    CheckpointDue,
    CheckpointSaved,
    EpochEnded,
    EpochKept,
    Event,
    RunDiverged,
    RunFinished,
)
from asymbp_cli.specs.runs import Stack
from asymbp_cli.training import checkpoint, engine, timing
from asymbp_cli.training.bank import Bank
from asymbp_cli.training.device import open_device
from asymbp_cli.training.engine import train_stack
from asymbp_cli.training.feedback.mirror import Mirror


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


def test_a_timed_run_mirrors_nothing_before_its_first_step(
    digits: ResidentData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is a pass over the training set, for each kind of runs, before anything of a study is seen."""
    calls = []
    monkeypatch.setattr(Mirror, "__call__", lambda mirror, blocks: calls.append(mirror))
    timing.seconds_per_step(make(digits, "WM"), digits)
    assert len(calls) == 4  # a step to warm up, and three that are timed


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

"""Weights that are kept: plain modules of PyTorch get the stored error from them, to the count."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_trainers
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.resident import ResidentData, Split, load
from asymbp_cli.errors import StoreError
from asymbp_cli.events import CheckpointSaved, EpochEnded, Event
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.modules import list_modules, write_loading
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run, Stack
from asymbp_cli.training import checkpoint
from asymbp_cli.training.engine import train_stack
from asymbp_cli.training.weight_files import FORMAT, KeepWeights, read_weights, weights_path
from asymbp_cli.training.weights import Kept, WeightKeeper

PAGE = Path(__file__).parents[2] / "asymbp_cli/results/README.md"
DIGITS = NETWORKS["digits"]
EPOCHS = 4


def layers(*texts: str) -> Network:
    return Network(input=(8, 8, 1), layers=(*texts, "FC classes"))


AVERAGE = layers("Conv 3x3x6/1 pad 1", "Avg 3x3/2 pad_end 1", "FC 12")
MAXIMUM = layers("Conv 3x3x6/1 pad 1", "Max 3x3/2 pad_end 1", "FC 12")
ODD = layers("Conv 3x2x6/1 pad 1", "Conv 3x3x4/2 pad 2 dilation 2 groups 2", "FC 9")
VECTORS = layers("FC 16", "FC 12")
TANH = MAXIMUM.model_copy(update={"activation": "tanh"})
SIGMOID = VECTORS.model_copy(update={"activation": "sigmoid"})


@pytest.fixture(scope="module")
def few(digits: ResidentData) -> ResidentData:
    """The first digits only, so that an epoch takes little time."""
    return select_few(digits)


def select_few(data: ResidentData) -> ResidentData:
    return replace(data, **{name: Split(part.x[:300], part.y[:300]) for name, part in splits(data).items()})


def splits(data: ResidentData) -> dict[str, Split]:
    return {"train": data.train, "test": data.test}


def make_stack(
    *methods: str, network: Network = DIGITS, multipliers: Iterable[float] = (1.0,), **protocol: Any
) -> Stack:
    settings = Protocol.model_validate({"epochs": EPOCHS, "batch_size": 20, **protocol})
    return Stack(
        tuple(
            Run(
                dataset="x",
                network=network.resolve(10),
                method=parse_method(method),
                protocol=settings,
                rate_multiplier=multiplier,
                seed=0,
            )
            for method in methods
            for multiplier in multipliers
        )
    )


def train(
    stack: Stack, data: ResidentData, directory: Path, which: Any = "best", *, checkpoints: bool = False
) -> list[Event]:
    keep = KeepWeights(which, directory / "weights")
    saved = directory / "checkpoints" if checkpoints else None
    return list(train_stack(stack, data, keep=keep, checkpoints=saved, checkpoint_seconds=0.0))


def epochs(events: Iterable[Event], run: Run) -> list[EpochEnded]:
    return [event for event in events if isinstance(event, EpochEnded) and event.run == run.id]


def count_errors(run: Run, file: Path, data: ResidentData) -> int:
    """Return the wrong answers that the printed lines of Python lead to, on raw images of the test set."""
    names: dict[str, Any] = {}
    exec(write_loading(list_modules(run.network, run.protocol, run.method.batch_norm), str(file)), names)
    x = data.test.x.float()
    raw = x.permute(0, 3, 1, 2).contiguous() if x.ndim == 4 else x
    with torch.no_grad():
        answers = names["net"]((raw - names["mean"]) * names["scale"]).argmax(1)
    return int((answers != data.test.y).sum())


@pytest.mark.parametrize(
    ("method", "network", "protocol"),
    [
        ("SGD", DIGITS, {}),
        ("BN", DIGITS, {}),
        ("uSF+BN+BM", DIGITS, {}),
        ("uSF+BN", DIGITS, {"biases": "all", "batch_norm_epsilon": 0.3}),
        ("SGD", AVERAGE, {}),
        ("BN", AVERAGE, {"average_pool_border": "padded"}),
        ("SGD", MAXIMUM, {}),
        ("BN", ODD, {}),
        ("BN", VECTORS, {"preprocessing": "mean-pixel"}),
        ("SGD", VECTORS, {"preprocessing": "none"}),
        ("SGD", ODD, {"preprocessing": "mean-image-unscaled", "base_rate": 1e-6}),
        ("KP+BN", DIGITS, {}),
        ("BN", TANH, {}),
        (
            "SGD",
            SIGMOID,
            {"loss": "sigmoid-cross-entropy", "base_rate": 0.02},
        ),
    ],
)
def test_a_plain_module_gets_the_stored_error(
    method: str, network: Network, protocol: dict[str, Any], digits_info: DecodedDataset, tmp_path: Path
) -> None:
    stack = make_stack(method, network=network, **{"epochs": 2} | protocol)
    data = select_few(load(digits_info, preprocessing=stack.runs[0].protocol.preprocessing))
    (run,) = stack.runs
    best = min(epochs(train(stack, data, tmp_path), run), key=lambda epoch: epoch.criterion)
    assert best.test_wrong  # so that the count tells something
    assert not best.one_class
    file = weights_path(tmp_path / "weights", run.id)
    assert count_errors(run, file, data) == best.test_wrong
    weights = read_weights(tmp_path / "weights", run.id)
    assert weights
    assert (weights.epoch, weights.test_wrong, weights.test_seen) == (best.epoch, best.test_wrong, best.test_seen)


def test_vectors_are_taken_as_they_are(tmp_path: Path) -> None:
    trainer = small_trainers.make("BN")
    (run,) = trainer.stack.runs
    keeper = WeightKeeper("best", trainer.stack.runs, trainer.bank, trainer.evaluation, trainer.data)
    (epoch,) = (event for event in trainer.train_epoch(1) if isinstance(event, EpochEnded))
    keeper.note(epoch)
    keeper.write(tmp_path)
    assert count_errors(run, weights_path(tmp_path, run.id), trainer.data) == epoch.test_wrong


def test_the_best_is_the_first_of_the_lowest(few: ResidentData, tmp_path: Path) -> None:
    stack = make_stack("SGD", "uSF", network=VECTORS, multipliers=(1.0, 0.1))
    events = train(stack, few, tmp_path / "best")
    train(stack, few, tmp_path / "last", "last")
    for run in stack.runs:
        best, last = (read_weights(tmp_path / which / "weights", run.id) for which in ("best", "last"))
        lowest = min(epoch.test_wrong for epoch in epochs(events, run))
        first = next(epoch.epoch for epoch in epochs(events, run) if epoch.test_wrong == lowest)
        assert best
        assert last
        assert (best.epoch, best.test_wrong, last.epoch) == (first, lowest, EPOCHS)
        assert (best.which, last.which) == ("best", "last")
        file = weights_path(tmp_path / "last" / "weights", run.id)
        assert count_errors(run, file, few) == epochs(events, run)[-1].test_wrong


def test_held_out_data_choose_the_epoch(digits_info: DecodedDataset, tmp_path: Path) -> None:
    stack = make_stack("SGD", network=VECTORS, validation_fraction=0.1, epochs=2, batch_size=100)
    data = load(digits_info, validation_fraction=0.1)
    (run,) = stack.runs
    found = epochs(train(stack, data, tmp_path), run)
    weights = read_weights(tmp_path / "weights", run.id)
    assert weights
    assert weights.epoch == min(found, key=lambda epoch: epoch.criterion).epoch


def test_interrupted_and_resumed_gives_the_same_file(few: ResidentData, tmp_path: Path) -> None:
    stack = make_stack("uSF+BN", network=VECTORS, multipliers=(10.0, 1.0))
    whole = train(stack, few, tmp_path / "whole")
    firsts = {min(epochs(whole, run), key=lambda epoch: epoch.criterion).epoch for run in stack.runs}
    keep = KeepWeights("best", tmp_path / "weights")
    saved = tmp_path / "checkpoints"
    for event in train_stack(stack, few, keep=keep, checkpoints=saved, checkpoint_seconds=0.0):
        if isinstance(event, CheckpointSaved) and event.epoch == EPOCHS - 1:
            break
    assert not keep.directory.exists()
    assert min(firsts) < EPOCHS  # so the file is made of what the checkpoint has
    list(train_stack(replace(stack, start_epoch=EPOCHS - 1), few, keep=keep, checkpoints=saved))
    for run in stack.runs:
        resumed, at_once = (weights_path(folder / "weights", run.id) for folder in (tmp_path, tmp_path / "whole"))
        assert resumed.read_bytes() == at_once.read_bytes()


def test_a_checkpoint_without_kept_weights_is_continued(few: ResidentData, tmp_path: Path) -> None:
    stack, saved = make_stack("SGD", network=VECTORS), tmp_path / "checkpoints"
    for event in train_stack(stack, few, checkpoints=saved, checkpoint_seconds=0.0):
        if isinstance(event, CheckpointSaved):
            break
    keep = KeepWeights("best", tmp_path / "weights")
    (run,) = stack.runs
    found = epochs(train_stack(replace(stack, start_epoch=1), few, keep=keep, checkpoints=saved), run)
    weights = read_weights(keep.directory, run.id)
    assert weights
    assert weights.epoch == min(found, key=lambda epoch: epoch.criterion).epoch > 1
    with safe_open(weights_path(keep.directory, run.id), framework="pt") as opened:
        assert opened.metadata()["kept_from"] == "2"


def test_facts_of_earlier_checkpoints_are_of_the_best() -> None:
    kept = Kept.of_facts("[3, [0.1, 2.0], 7, 70]", {})
    assert kept == Kept("best", 1, 3, (0.1, 2.0), 7, 70, {})
    assert (
        Kept.of_facts(replace(kept, which="last", kept_from=2).facts, {}).facts
        == '["last", 2, 3, [0.1, 2.0], 7, 70]'
    )


@pytest.mark.parametrize("diverges", [False, True])
def test_the_best_of_before_is_not_written_as_the_last(diverges: bool, few: ResidentData, tmp_path: Path) -> None:
    stack, saved = make_stack("SGD", network=VECTORS), tmp_path / "checkpoints"
    (run,) = stack.runs
    best, last = (KeepWeights(which, tmp_path / "weights") for which in ("best", "last"))
    for event in train_stack(stack, few, keep=best, checkpoints=saved, checkpoint_seconds=0.0):
        if isinstance(event, CheckpointSaved) and event.epoch == EPOCHS - 1:
            break
    if diverges:
        checkpoint.write(saved, run.id, replace(checkpoint.read(saved, run.id), diverged=True))
    list(train_stack(replace(stack, start_epoch=EPOCHS - 1), few, keep=last, checkpoints=saved))
    weights = read_weights(last.directory, run.id)
    assert (weights is None) if diverges else (weights and (weights.which, weights.epoch) == ("last", EPOCHS))


def test_a_diverged_run_keeps_its_best_epoch_or_nothing(few: ResidentData, tmp_path: Path) -> None:
    stack = make_stack("SGD", network=VECTORS, multipliers=(1e6, 1.0))
    diverged, other = stack.runs
    events = train(stack, few, tmp_path)
    assert [epoch.diverged for epoch in epochs(events, diverged)] == [True] * EPOCHS
    assert read_weights(tmp_path / "weights", diverged.id) is None
    assert read_weights(tmp_path / "weights", other.id)


def test_the_file_says_what_it_is(few: ResidentData, tmp_path: Path) -> None:
    stack = make_stack("BN")
    (run,) = stack.runs
    train(stack, few, tmp_path)
    file = weights_path(tmp_path / "weights", run.id)
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    assert Run.model_validate_json(metadata["spec"]) == run
    page = PAGE.read_text(encoding="utf-8").partition(f"## Weights, version {FORMAT}\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == metadata.keys()
    lines = write_loading(list_modules(run.network, run.protocol, "none"), "FILE.safetensors").splitlines()
    documented = page.partition("```text\n")[2].partition("```")[0].splitlines()
    assert [line for line in lines if line not in documented] == [lines[6]]
    assert (metadata["run"], metadata["kept"], metadata["test_seen"]) == (run.id, "best", "300")
    assert metadata["network"].startswith("Sequential(")
    assert all(tensor.is_contiguous() for tensor in load_file(file).values())


@pytest.mark.parametrize("damage", ["flip", "cut", "rename", "empty"])
def test_damage_is_a_message(damage: str, few: ResidentData, tmp_path: Path) -> None:
    stack = make_stack("SGD", network=VECTORS, epochs=1)
    (run,) = stack.runs
    train(stack, few, tmp_path)
    file = weights_path(tmp_path / "weights", run.id)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    run_id = "0" * 16 if damage == "rename" else run.id
    damaged = {"flip": bytes(content), "cut": file.read_bytes()[:-1], "rename": file.read_bytes(), "empty": b""}
    weights_path(tmp_path / "weights", run_id).write_bytes(damaged[damage])
    with pytest.raises(StoreError, match=r"is damaged, or of another version\. Delete it"):
        read_weights(tmp_path / "weights", run_id)


def test_a_full_disk_is_a_message(few: ResidentData, tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("a file")
    with pytest.raises(StoreError, match="cannot write the weights"):
        train(make_stack("SGD", network=VECTORS, epochs=1), few, tmp_path)

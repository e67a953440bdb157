"""Feedback weights that are kept beside the weights: those of the stored measures, laid out as PyTorch does."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from test_weights import DIGITS, VECTORS, epochs, layers, make_stack, select_few, train

from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.specs.modules import FEEDBACK, list_modules, write_loading
from asymbp_cli.specs.networks import Network, Weighted
from asymbp_cli.specs.runs import Run
from asymbp_cli.training import weight_files
from asymbp_cli.training.engine import Trainer
from asymbp_cli.training.resume import seal
from asymbp_cli.training.weight_files import pack, read_weights, weights_path

DEEP = layers("Conv 3x3x6/1 pad 1", "Max 2x2/2", "Conv 3x3x8/1", "FC 12")


@pytest.fixture(scope="module")
def few(digits: ResidentData) -> ResidentData:
    """The first digits only, so that an epoch takes little time."""
    return select_few(digits)


def load_by_printed_lines(run: Run, file: Path) -> dict[str, Any]:
    """Return the names that the printed lines of Python define."""
    names: dict[str, Any] = {}
    exec(write_loading(list_modules(run.network, run.protocol, run.method.batch_norm), str(file)), names)
    return names


def places(run: Run) -> dict[str, int]:
    """Return the number of the layer at each place of the plain module."""
    modules = list_modules(run.network, run.protocol, run.method.batch_norm)
    return {
        str(place): module.operation.number
        for place, module in enumerate(modules)
        if isinstance(module.operation, Weighted)
    }


@pytest.mark.parametrize("network", [DEEP, VECTORS], ids=["images", "vectors"])
@pytest.mark.parametrize("method", ["uSF+BN", "brSF-25%", "FA", "KP", "PFA", "WM", "sham"])
def test_angles_of_kept_v_and_w_are_the_stored_ones(
    method: str, network: Network, few: ResidentData, tmp_path: Path
) -> None:
    stack = make_stack(method, network=network, epochs=2, base_rate=1e-4)
    (run,) = stack.runs
    last = epochs(train(stack, few, tmp_path, "last"), run)[-1]
    names = load_by_printed_lines(run, weights_path(tmp_path / "weights", run.id))
    kept = {name.removeprefix(FEEDBACK).partition(".")[0]: v for name, v in names["feedback"].items()}
    numbers = places(run)
    assert {numbers[place] for place in kept} == last.measures["angle"].keys()
    for place, v in kept.items():
        w = names["net"][int(place)].weight.detach()
        assert v.shape == w.shape
        cosine = torch.nn.functional.cosine_similarity(v.double().flatten(), w.double().flatten(), dim=0)
        angle = torch.rad2deg(torch.acos(cosine.clamp(-1, 1))).item()
        assert angle == pytest.approx(last.measures["angle"][numbers[place]], abs=0.05)


@pytest.mark.parametrize("method", ["DFA", "DKP"])
def test_direct_v_carries_the_same_errors_as_in_training(method: str, few: ResidentData, tmp_path: Path) -> None:
    """The error of a layer's input is e V, in PyTorch's order of the values of an image."""
    stack = make_stack(method, network=DEEP, epochs=1, base_rate=1e-4)
    (run,) = stack.runs
    train(stack, few, tmp_path, "last")
    trainer = Trainer(stack, few, torch.device("cpu"))
    list(trainer.train_epoch(1))
    names = load_by_printed_lines(run, weights_path(tmp_path / "weights", run.id))
    numbers, operations = places(run), {one.number: one for one in trainer.model.weighted}
    error = torch.linspace(-1, 1, 10)[None]
    assert len(names["feedback"]) == 3
    for name, v in names["feedback"].items():
        number = numbers[name.split(".")[1]]
        ours = (error @ trainer.bank.feedback(0)[f"{number}.weight"][0]).flatten()
        before = operations[number].before
        if len(before) == 3:
            ours = ours.view(before).permute(2, 0, 1).flatten()
        torch.testing.assert_close((error @ v).flatten(), ours)


@pytest.mark.parametrize("method", ["SGD", "uSF Top"])
def test_without_a_v_of_its_own_nothing_is_kept(method: str, few: ResidentData, tmp_path: Path) -> None:
    stack = make_stack(method, network=DIGITS, epochs=1)
    (run,) = stack.runs
    train(stack, few, tmp_path)
    file = weights_path(tmp_path / "weights", run.id)
    assert not [name for name in load_file(file) if name.startswith(FEEDBACK)]
    assert load_by_printed_lines(run, file)["feedback"] == {}


def test_v_in_bf16_is_kept_as_it_is(few: ResidentData, tmp_path: Path) -> None:
    stack = make_stack("FA", network=VECTORS, epochs=1, precision="bf16")
    (run,) = stack.runs
    train(stack, few, tmp_path)
    kept = load_file(weights_path(tmp_path / "weights", run.id))
    found = [v for name, v in kept.items() if name.startswith(FEEDBACK)]
    assert len(found) == 2
    for v in found:
        assert v.dtype == torch.float32
        assert torch.equal(v, v.bfloat16().float())


def test_files_of_the_version_before_are_read(tmp_path: Path) -> None:
    facts = {"format": "1", "run": "a" * 16, "kept": "best", "epoch": "3", "test_wrong": "7", "test_seen": "70"}
    weight_files.write_weights(tmp_path, "a" * 16, seal(lambda metadata: pack({}, metadata), facts))
    found = read_weights(tmp_path, "a" * 16)
    assert found
    assert (found.which, found.epoch, found.test_wrong) == ("best", 3, 7)

"""A scheme is a row and a builder: with both registered, its name trains, plans, reports and validates."""

from pathlib import Path

import pytest
import small_study
import torch
from torch import Tensor

from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.errors import UsageError
from asymbp_cli.events import EpochEnded, RunFinished
from asymbp_cli.recipe.recipe import load_recipe
from asymbp_cli.scheduling.memory import bank_bytes
from asymbp_cli.specs.feedback import Feedback, LayerFeedback
from asymbp_cli.specs.methods import method_name, parse_method
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run, Stack
from asymbp_cli.specs.schemes import SCHEMES, Scheme, find_scheme
from asymbp_cli.training.engine import Trainer, train_stack
from asymbp_cli.training.feedback.forms import Computed, Form
from asymbp_cli.training.feedback.schemes import BUILDERS
from asymbp_cli.training.feedback.site import Site

CPU = torch.device("cpu")


def noisy(feedback: LayerFeedback, site: Site) -> Form:
    """V = W + N, and N is N(0, sigma^2) drawn once."""
    noise = site.normal(feedback.sigma)

    def write(weights: Tensor, values: Tensor) -> None:
        torch.add(weights, noise, out=values)

    return Computed(write)


@pytest.fixture
def _noisy(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Scheme(
        name="noisyBP", formula="W + N", redrawn="never", source="nobody", parameters=("sigma",), per_stack=1
    )
    monkeypatch.setitem(SCHEMES, "noisybp", row)
    monkeypatch.setitem(BUILDERS, "noisybp", noisy)


def run(name: str, **protocol: object) -> Run:
    return Run(
        dataset="x",
        network=small_study.NETWORK,
        method=parse_method(name),
        protocol=Protocol.model_validate({"epochs": 3, **protocol}),
        rate_multiplier=0.1,
        seed=0,
    )


def test_every_scheme_has_a_builder() -> None:
    assert SCHEMES.keys() == BUILDERS.keys()


@pytest.mark.usefixtures("_noisy")
def test_its_v_follows_w_in_every_step(digits: ResidentData) -> None:
    trainer = Trainer(Stack((run("SGD"), run("noisyBP"), run("uSF"))), digits, CPU)
    trainer.begin_epoch(1, range(3))
    noise = trainer.model.feedback_views(trainer.model.random_feedback(0, 0.05)[None])
    for index in trainer.batches(1)[:3]:
        for name, values in trainer.bank.feedback(1).items():
            assert torch.equal(values, trainer.bank.parameters(1)[name] + noise[name])
        trainer.step(index)
    assert not trainer.bank.feedback(0)
    for name, values in trainer.bank.feedback(2).items():
        assert torch.equal(values, torch.copysign(torch.ones(()), trainer.bank.parameters(2)[name]))


@pytest.mark.usefixtures("_noisy")
@pytest.mark.parametrize("precision", ["standard", "bf16"])
def test_it_trains_beside_the_others_as_alone(digits: ResidentData, precision: str) -> None:
    runs = [run(name, precision=precision) for name in ("SGD", "noisyBP", "noisyBP+BM", "brSF-25%")]

    def errors(*trained: Run) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for event in train_stack(Stack(trained), digits):
            if isinstance(event, EpochEnded):
                found.setdefault(event.run, []).append(event.test_wrong)
            assert not isinstance(event, RunFinished) or event.state == "finished"
        return found

    together = errors(*runs)
    for one in runs:
        assert errors(one)[one.id] == together[one.id]
    assert together[runs[0].id] != together[runs[1].id]


@pytest.mark.usefixtures("_noisy")
def test_its_name_is_known_everywhere(tmp_path: Path) -> None:
    assert find_scheme("NoisyBP") == "noisybp"
    for name in ("noisyBP", "noisyBP+BN+BM2", "noisyBP Top"):
        assert method_name(parse_method(name)) == name
    assert "noisybp" in str(Feedback.model_json_schema())
    assert bank_bytes(run("noisyBP"), 3) > bank_bytes(run("SGD"), 3)
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("dataset: digits\nprotocol: demo\nfeedback: {scheme: noisybp, sigma: 0.2}\n")
    (entry,) = load_recipe(recipe).methods
    assert entry.procedure.method.feedback == Feedback(scheme="noisybp", sigma=0.2)
    with pytest.raises(ValueError, match=r"flip_probability belongs to brsf and frsf.*, not to noisybp"):
        Feedback(scheme="noisybp", flip_probability=0.5)


def test_without_its_row_nobody_knows_it() -> None:
    with pytest.raises(UsageError, match='"nosuchBP" is not a method'):
        parse_method("nosuchBP")
    with pytest.raises(ValueError, match='"nosuchbp" is not one of bp, usf'):
        Feedback(scheme="nosuchbp")

"""The measures of a training, each held against plain operations, and that they change nothing else."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from layer_cases import STACKS
from small_trainers import DIGITS, IMAGES, VECTORS, make, of, train
from torch import Tensor

from asymbp_cli.events import EpochEnded, Measured, RunDiverged
from asymbp_cli.specs.feedback import LayerFeedback
from asymbp_cli.specs.measures import FIRST_LAYER, MEASURES, ON_REQUEST
from asymbp_cli.specs.methods import Method
from asymbp_cli.specs.networks import Network
from asymbp_cli.training.engine import Trainer
from asymbp_cli.training.measures.weights import compare_weights

WITHOUT_FIRST = [name for name in ON_REQUEST if name != FIRST_LAYER]


def at_the_start(trainer: Trainer) -> list[Measured]:
    """Return the measures before the first step."""
    train(trainer, steps=0)
    return list(trainer.meter().values())


def degrees_between(a: Tensor, b: Tensor) -> float:
    return math.degrees(math.acos(min(1.0, F.cosine_similarity(a.flatten(), b.flatten(), dim=0).item())))


def weights_of(trainer: Trainer) -> list[Tensor]:
    """Return the W of each layer [O, I]."""
    parts = sorted(trainer.bank.parameters(0).items())
    return [part.flatten(0, 1).double() for name, part in parts if "weight" in name]


def feedback_of(trainer: Trainer) -> list[Tensor]:
    """Return the V of each layer but the first [O, I]."""
    parts = sorted(trainer.bank.feedback(0).items())
    return [part.flatten(0, 1).double() for _, part in parts] or weights_of(trainer)[1:]


def plain_pass(
    trainer: Trainer, index: Tensor, V: list[Tensor]
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Return outputs z, errors at them, and gradients of W, of a network of vectors, by plain operations."""
    parts = sorted(trainer.bank.parameters(0).items())
    biases = [part.flatten().double() for name, part in parts if "bias" in name]
    x, y = trainer.data.batch(trainer.data.train, index)
    inputs, outputs = [x.double()], []
    for w, bias in zip(weights_of(trainer), biases, strict=True):
        outputs.append(inputs[-1] @ w.T + bias)
        inputs.append(outputs[-1].relu())
    errors = [F.softmax(outputs[-1], 1) - F.one_hot(y, 10)]
    for z, v in zip(reversed(outputs[:-1]), reversed(V), strict=True):
        errors.insert(0, (errors[0] @ v) * (z > 0))
    return outputs, errors, [d.T @ a for d, a in zip(errors, inputs[:-1], strict=True)]


# --- V and W


@pytest.mark.parametrize(
    ("scheme", "initialization", "expected", "agreement"),
    [
        ({"scheme": "usf"}, "glorot-uniform", 30.0, 1.0),
        ({"scheme": "usf"}, "glorot-normal", 37.1, 1.0),
        ({"scheme": "brsf", "flip_probability": 0.25}, "glorot-uniform", 68.0, 0.75),
        ({"scheme": "frsf", "flip_probability": 0.75}, "glorot-normal", 110.2, 0.25),
        ({"scheme": "frsf", "flip_probability": 1.0}, "glorot-uniform", 138.6, 0.0),
        ({"scheme": "soft", "alignment": 0.75}, "glorot-normal", 41.4, None),
        ({"scheme": "fa"}, "glorot-uniform", 90.0, 0.5),
    ],
)
def test_measures_at_the_start_have_their_closed_form(
    scheme: dict[str, Any], initialization: str, expected: float, agreement: float | None
) -> None:
    network = Network(input=(40,), layers=("FC 20", "FC 900", "FC classes"))
    (found,) = at_the_start(make(of(**scheme), network=network, initialization=initialization))
    assert found["angle"][2] == pytest.approx(expected, abs=1.0)
    if agreement is not None:
        assert found["agreement"][2] == pytest.approx(agreement, abs=0.02)
    assert found.keys() == {"angle", "agreement", "norm-ratio"}
    assert found["angle"].keys() == {2, 3}


def test_norm_ratio_of_scaled_signs() -> None:
    (found,) = at_the_start(make("uSF", "uSF-scaled", network=DIGITS, initialization="glorot-uniform"))[1:]
    for ratio in found["norm-ratio"].values():
        assert ratio == pytest.approx(1.0, abs=0.05)


def test_a_v_that_is_w_is_at_no_angle() -> None:
    plain, found = at_the_start(make("SGD", "sham", network=IMAGES, measure=["gradient-angle"]))
    assert all(angle < 1e-5 for angle in found["angle"].values() if angle is not None)
    assert set(found["agreement"].values()) == {1.0}
    assert set(found["norm-ratio"].values()) == {1.0}
    assert found["gradient-angle"] == pytest.approx(dict.fromkeys((0, 1, 3, 4, 5), 0.0), abs=1e-3)
    assert plain.keys() == {"gradient-angle"}


@pytest.mark.parametrize("together", [False, True])
def test_plain_backpropagation_has_no_v_to_measure(together: bool) -> None:
    plain, found = at_the_start(make("SGD", "uSF", network=IMAGES, together=together))
    assert plain == {}
    assert found.keys() == {"angle", "agreement", "norm-ratio"}


def test_weights_that_are_absent_have_no_sign() -> None:
    W, V = torch.tensor([[1.0, -1.0, 2.0, 0.0]]), torch.tensor([[3.0, 2.0, 0.0, 1.0]])
    assert compare_weights(W, V)["agreement"].tolist() == [0.5]
    assert all(value.isnan().all() for value in compare_weights(W, 0 * V).values() if value.item() != 0)


def test_layers_of_direct_feedback_have_no_angle() -> None:
    (found,) = at_the_start(make("DFA", measure=WITHOUT_FIRST))
    assert found.keys() == {"gradient-angle", "rank", "growth"}


# --- on a fixed mini-batch


@pytest.mark.parametrize("scheme", ["SGD", "uSF", "FA", "KP"])
def test_signals_are_those_of_plain_operations(scheme: str) -> None:
    trainer = train(make(scheme, network=VECTORS, batch_size=200, measure=WITHOUT_FIRST), steps=2)
    (found,) = trainer.meter().values()
    index = trainer.batches(1)[0][:128]
    outputs, errors, ours = plain_pass(trainer, index, feedback_of(trainer))
    _, _, exact = plain_pass(trainer, index, weights_of(trainer)[1:])
    expected = {layer: degrees_between(ours[layer - 1], exact[layer - 1]) for layer in (1, 2, 3)}
    expected[0] = degrees_between(*(torch.cat([part.flatten() for part in parts]) for parts in (ours, exact)))
    assert found["gradient-angle"] == pytest.approx(expected, abs=0.01)
    assert (expected[1] > 1) == (scheme != "SGD")
    for layer, error in enumerate(errors, 1):
        share = torch.linalg.svdvals(error)
        share = share / share.sum()
        assert found["rank"][layer] == pytest.approx(torch.special.entr(share).sum().exp().item(), rel=1e-4)
    norms = [z.norm().item() for z in outputs]
    ratios = {2: norms[1] / norms[0], 3: norms[2] / norms[1]}
    assert found["growth"] == pytest.approx(ratios | {0: max(ratios.values())}, rel=1e-4)


def test_direct_errors_are_measured_where_they_arrive() -> None:
    trainer = train(make("DFA", network=VECTORS, batch_size=200, measure=WITHOUT_FIRST), steps=2)
    (found,) = trainer.meter().values()
    index = trainer.batches(1)[0][:128]
    outputs, errors, exact = plain_pass(trainer, index, weights_of(trainer)[1:])
    direct = [(errors[-1] @ v) * (z > 0) for v, z in zip(feedback_of(trainer), outputs, strict=False)]
    x = trainer.data.batch(trainer.data.train, index)[0].double()
    assert found["gradient-angle"][1] == pytest.approx(degrees_between(direct[0].T @ x, exact[0]), abs=0.01)
    assert found["gradient-angle"][3] == pytest.approx(0, abs=0.01)
    share = torch.linalg.svdvals(direct[1]) / torch.linalg.svdvals(direct[1]).sum()
    assert found["rank"][2] == pytest.approx(torch.special.entr(share).sum().exp().item(), rel=1e-4)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("scheme", ["DFA", "sDFA", "DRTP", "DKP", "FA"])
def test_the_error_of_a_last_layer_that_is_not_trained_has_a_rank(scheme: str, together: bool) -> None:
    """No gradient needs it if V carries errors straight from the output."""
    whole, bottom = (
        at_the_start(make(*[name] * 2, network=IMAGES, measure=["rank"], together=together))
        for name in (scheme, f"{scheme} Bottom")
    )
    assert bottom == whole
    assert [found["rank"].keys() for found in bottom] == [{1, 3, 4, 5}] * 2


def test_the_rank_of_convolutions_counts_positions() -> None:
    (found,) = at_the_start(make("SGD", network=IMAGES, measure=["rank"], initialization="he-normal"))
    assert found["rank"].keys() == {1, 3, 4, 5}
    assert 1 < (found["rank"][5] or 0) < 10
    assert 1 < (found["rank"][1] or 0) <= 50


def test_a_gradient_of_nothing_has_no_angle() -> None:
    trainer = train(make("uSF", network=VECTORS, measure=["gradient-angle"]), steps=0)
    with torch.no_grad():
        for name, part in trainer.bank.parameters(0).items():
            if name != "3.bias":
                part.zero_()
    (found,) = trainer.meter().values()
    assert found["gradient-angle"][1] is None


# --- what they leave alone


@pytest.mark.parametrize("methods", STACKS, ids=" ".join)
@pytest.mark.parametrize("together", [False, True])
def test_measures_move_no_other_bit(methods: tuple[str, ...], together: bool) -> None:
    """Nor does the V of the first layer, of any scheme: its draws have streams of their own."""
    weights = []
    for measure in ([], list(ON_REQUEST)):
        trainer = make(*methods, network=IMAGES, together=together, measure=measure)
        events = [event for epoch in (1, 2) for event in trainer.train_epoch(epoch)]
        weights.append(trainer.bank.weights[:, : trainer.model.learned_from])
    assert torch.equal(*weights)
    measured = [event.measures for event in events if isinstance(event, EpochEnded) and not event.diverged]
    assert measured
    assert all(set(found) <= set(MEASURES) and "growth" in found for found in measured)
    if trainer.model.route == "layerwise" and trainer.bank.has_feedback:
        assert all(1 in found.get("angle", {1: 0}) for found in measured)


def test_what_has_diverged_is_not_measured() -> None:
    trainer = make("SGD", "uSF", network=VECTORS, rate=1e30, measure=WITHOUT_FIRST)
    events = list(trainer.train_epoch(1))
    assert any(isinstance(event, RunDiverged) for event in events)
    assert all(event.measures == {} for event in events if isinstance(event, EpochEnded) and event.diverged)


# --- the V of the first layer follows its scheme


def first(trainer: Trainer, replica: int = 0) -> tuple[Tensor, Tensor]:
    """Return V and W of the first layer."""
    return trainer.bank.feedback(replica)["1.weight"].clone(), trainer.bank.parameters(replica)["1.weight"].clone()


def test_v_of_the_first_layer_follows_its_rule() -> None:
    options: dict[str, Any] = {"network": VECTORS, "measure": [FIRST_LAYER], "weight_decay": 0.0}
    learned = make("KP", **options)
    V, W = first(learned)
    before = V - W
    V, W = first(train(learned))
    torch.testing.assert_close(V - W, before)

    fixed = make("FA", "uSF", "brSF", of("usf", last="bp"), **options)
    V, _ = first(fixed)
    assert torch.equal(first(train(fixed))[0], V)
    for replica in (1, 2, 3):
        V, W = first(fixed, replica)
        assert torch.equal(V.sign(), W.sign())
    one = [LayerFeedback(scheme=scheme) for scheme in ("usf", "bp")]
    V, W = first(train(make(Method.model_validate({"feedback": {"scheme": "mixed", "layers": one}}), **options)))
    assert torch.equal(V, W.sign())


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "together"])
def test_v_of_the_first_layer_that_is_not_finite_has_no_measures_and_changes_no_other_bit(together: bool) -> None:
    weights = []
    for start in (None, torch.inf, torch.nan):
        trainer = make("KP", "PFA", network=VECTORS, measure=[FIRST_LAYER], together=together)
        if start is not None:
            (*_, part) = trainer.model.learned
            part.columns(trainer.bank.weights).fill_(start)
        events = list(trainer.train_epoch(1))
        assert not any(isinstance(event, RunDiverged) for event in events)
        for event in events:
            if isinstance(event, EpochEnded):
                measures = {key: event.measures[key] for key in ("angle", "agreement", "norm-ratio")}
                assert all((values[1] is None) == (start is not None) for values in measures.values())
                assert None not in (values[layer] for values in measures.values() for layer in (2, 3))
        weights.append(trainer.bank.weights[:, : trainer.model.learned_from + trainer.model.passed_size])
    assert all(torch.equal(weights[0], other) for other in weights[1:])


def test_v_of_the_first_layer_is_mirrored() -> None:
    network = Network(input=(12,), layers=("FC 300", "FC classes"))
    trainer = make(of("wm", mirror_rate=0.05), network=network, measure=[FIRST_LAYER], batch_size=200)
    before = at_the_start(trainer)[0]["angle"][1]
    for _ in range(400):
        trainer.bank.redraw()
        trainer.step._mirror(trainer.step.blocks)  # type: ignore[misc]
    (after,) = trainer.meter().values()
    assert before is not None
    assert after["angle"][1] is not None
    assert after["angle"][1] < before - 20


@pytest.mark.parametrize("layers", [("FC classes",), ("FC 9", "FC classes")])
def test_v_of_the_first_layer_follows_the_scheme_if_the_last_is_exact(layers: tuple[str, ...]) -> None:
    network = Network(input=(12,), layers=layers)
    trainer = make(of("usf", last="bp"), network=network, measure=[FIRST_LAYER])
    V, W = first(train(trainer))
    assert torch.equal(V, W.sign())

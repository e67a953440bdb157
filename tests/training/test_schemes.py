"""The schemes beyond the paper, each held against plain operations or a closed form."""

from collections.abc import Callable
from math import acos, degrees

import pytest
import torch
import torch.nn.functional as F
from small_trainers import DIGITS, IMAGES, make, of, train
from torch import Tensor

from asymbp_cli.specs.feedback import Feedback, LayerFeedback
from asymbp_cli.specs.methods import Method
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.schemes import SCHEMES
from asymbp_cli.training.draws import Normal
from asymbp_cli.training.engine import Trainer


def row(trainer: Trainer, replica: int = 0) -> Tensor:
    """Return V of a replica, layer after layer."""
    parts = trainer.bank.feedback(replica) or {
        name: part
        for name, part in trainer.bank.parameters(replica).items()
        if name in {part.name for part in trainer.model.fed}
    }
    return torch.cat([parts[name].flatten() for name in sorted(parts)])


def weights_row(trainer: Trainer, replica: int = 0) -> Tensor:
    parts = trainer.bank.parameters(replica)
    return torch.cat([parts[part.name].flatten() for part in sorted(trainer.model.fed, key=lambda p: p.name)])


def angle(a: Tensor, b: Tensor) -> float:
    return degrees(acos(F.cosine_similarity(a.double(), b.double(), dim=0).item()))


# --- V as a function of W, of draws, or of the start
@pytest.mark.parametrize("rest", ["", "+BN", "+BM2", "+BN+BM"])
@pytest.mark.parametrize("precision", ["standard", "bf16"])
def test_sham_and_silent_noise_are_backpropagation_to_the_bit(rest: str, precision: str) -> None:
    bn = "BN" in rest
    normal = {"batch_norm": "plain"} if bn else {}
    update = {"": "sgd", "+BN": "sgd", "+BM2": "bm2", "+BN+BM": "bm1"}[rest]
    methods = [
        Method(feedback=Feedback(scheme=scheme, **parameters), update=update, **normal)
        for scheme, parameters in (("bp", {}), ("sham", {}), ("noisy", {"noise": 0.0}))
    ]
    trainer = train(make(*methods, network=IMAGES, precision=precision))
    before = trainer.model.initial_row(3)
    assert not torch.equal(trainer.bank.weights[0], before)
    for replica in (1, 2):
        assert torch.equal(trainer.bank.weights[replica], trainer.bank.weights[0])


def test_feedback_alignment_is_drawn_as_w_is_and_stays() -> None:
    trainer = make("FA", network=DIGITS)
    before = row(trainer).clone()
    W = weights_row(trainer)
    assert before.std().item() == pytest.approx(W.std().item(), rel=0.03)
    assert angle(before, W) == pytest.approx(90, abs=1.5)
    assert torch.equal(row(train(trainer)), before)


@pytest.mark.parametrize(
    ("r", "expected"), [(0.25, 75.5), (0.5, 60.0), (0.75, 41.4), (0.9, 25.8), (0, 90), (1, 0)]
)
def test_soft_alignment_starts_at_its_angle(r: float, expected: float) -> None:
    trainer = make(of("soft", alignment=r), network=DIGITS)
    assert angle(row(trainer), weights_row(trainer)) == pytest.approx(expected, abs=1.5)
    assert row(trainer).std().item() == pytest.approx(weights_row(trainer).std().item(), rel=0.05)


#: cos = (1 - 2p) E|w| E m / sqrt(E w^2 E m^2)
ANGLES = [
    ("usf", "glorot-uniform", [30.0]),
    ("usf", "glorot-normal", [37.1]),
    ("brsf", "glorot-uniform", [41.4, 68.0, 90, 112.0, 138.6]),
    ("frsf", "glorot-uniform", [41.4, 68.0, 90, 112.0, 138.6]),
    ("brsf", "glorot-normal", [46.3, 69.8, 90, 110.2, 133.7]),
    ("frsf", "glorot-normal", [46.3, 69.8, 90, 110.2, 133.7]),
]


@pytest.mark.parametrize(("scheme", "initialization", "expected"), ANGLES)
def test_angles_at_the_start_have_their_closed_form(
    scheme: str, initialization: str, expected: list[float]
) -> None:
    methods = [
        of(scheme, **({"flip_probability": number / 4} if number else {})) for number in range(len(expected))
    ]
    network = Network(input=(40,), layers=("FC 20", "FC 900", "FC classes"))
    trainer = make(*methods, network=network, initialization=initialization)
    trainer.begin_epoch(1, range(len(methods)))
    for replica, wanted in enumerate(expected):
        V, W = (
            find["4.weight" if "4.weight" in find else "2.weight"].flatten() for find in parts(trainer, replica)
        )
        assert angle(V, W) == pytest.approx(wanted, abs=1.0)


def parts(trainer: Trainer, replica: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    return trainer.bank.feedback(replica), trainer.bank.parameters(replica)


SIZES: dict[str, Callable[[tuple[int, ...]], float]] = {
    "glorot": lambda s: (
        (2 / (s[1] * s[2] * s[3] + s[0] * s[2] * s[3])) ** 0.5 if len(s) == 4 else (2 / sum(s)) ** 0.5
    ),
    "kaiming": lambda s: 1 / (3 * torch.Size(s[1:]).numel()) ** 0.5,
    "fan": lambda s: (2 / (s[0] * s[2] * s[3])) ** 0.5 if len(s) == 4 else s[1] ** -0.5,
}


@pytest.mark.parametrize("rule", SIZES)
def test_scaled_signs_have_the_size_of_their_rule(rule: str) -> None:
    trainer = make(*(of(scheme, scale=rule) for scheme in ("usf", "startsf", "brsf", "frsf")), network=IMAGES)
    trainer.begin_epoch(1, range(4))
    for replica, scheme in enumerate(("usf", "startsf", "brsf", "frsf")):
        V, W = parts(trainer, replica)
        for name, values in V.items():
            size = SIZES[rule](values.shape[1:])
            assert torch.equal(values.sign(), W[name].sign())
            if scheme in ("usf", "startsf"):
                torch.testing.assert_close(values.abs(), torch.full_like(values, size))
            else:
                assert values.abs().max() <= 3**0.5 * size
                assert values.square().mean().item() == pytest.approx(size**2, rel=0.35)


def test_magnitudes_are_the_draws_of_the_paper_times_the_scale() -> None:
    trainer = train(make("brSF-25%", "brSF-25%-scaled", "frSF", "frSF-scaled", network=IMAGES), steps=2)
    for plain, scaled in ((0, 1), (2, 3)):
        a, b = trainer.bank.feedback(plain), trainer.bank.feedback(scaled)
        for name, values in a.items():
            same = trainer.bank.parameters(plain)[name].sign() == trainer.bank.parameters(scaled)[name].sign()
            factor = 3**0.5 * SIZES["glorot"](values.shape[1:])
            torch.testing.assert_close(b[name][same], values[same] * factor)


@pytest.mark.parametrize("scheme", ["usf", "nusf", "brsf", "frsf", "rndf", "fa", "soft", "startsf", "dfa"])
def test_sparse_feedback_has_a_share_of_the_weights_always_the_same(scheme: str) -> None:
    stack = [of(scheme, density=density) for density in (1.0, 0.5, 0.1)]
    trainer = make(*stack, network=DIGITS)
    trainer.begin_epoch(1, range(3))
    first = [row(trainer, replica) != 0 for replica in range(3)]
    size = len(first[0])
    assert first[0].float().mean() > 0.999
    for share, there in zip((0.5, 0.1), first[1:], strict=True):
        assert there.float().mean().item() == pytest.approx(share, abs=4 * (share * (1 - share) / size) ** 0.5)
    assert not (first[2] & ~first[1]).any()  # nested
    whole, half = row(trainer, 0), row(trainer, 1)
    assert torch.equal(half[first[1]], whole[first[1]])
    trainer.step(trainer.batches(1)[0])
    assert torch.equal(row(trainer, 1) != 0, first[1])


def test_noise_is_relative_to_each_weight_and_drawn_in_every_step() -> None:
    trainer = make(of("noisy", noise=0.25), network=IMAGES)
    trainer.begin_epoch(1, [0])
    stream = Normal(3, "noise", torch.empty(trainer.model.feedback_size))
    stream.begin(1)
    for index in trainer.batches(1)[:3]:
        noise = trainer.model.feedback_views(stream.next()[None])
        for name, values in trainer.bank.feedback(0).items():
            W = trainer.bank.parameters(0)[name]
            torch.testing.assert_close(values, W + 0.25 * noise[name] * W.abs())
        trainer.step(index)


def test_ternary_feedback_has_three_values_a_layer() -> None:
    trainer = train(make("ternary", network=IMAGES), steps=2)
    for name, values in trainer.bank.feedback(0).items():
        W = trainer.bank.parameters(0)[name]
        large = W.abs() > 0.7 * W.abs().mean()
        expected = torch.where(large, W.sign() * W.abs()[large].mean(), 0.0)
        torch.testing.assert_close(values, expected)
        assert len(values.unique()) == 3


def test_signs_at_the_start_stay() -> None:
    trainer = make("startSF", network=IMAGES)
    start = weights_row(trainer).sign()
    for _ in range(20):
        train(trainer, steps=4)
    assert not torch.equal(weights_row(trainer).sign(), start)
    assert torch.equal(row(trainer), start)


# --- a scheme for each layer
def mixed(*layers: LayerFeedback) -> Method:
    return Method(feedback=Feedback(scheme="mixed", layers=layers))


def test_the_same_scheme_in_all_layers_is_that_scheme() -> None:
    for scheme in ("usf", "brsf", "frsf", "rndf", "noisy", "ternary"):
        one = LayerFeedback(scheme=scheme)
        trainer = train(make(of(scheme), mixed(one, one, one), network=IMAGES))
        assert torch.equal(trainer.bank.weights[0], trainer.bank.weights[1])


def test_the_last_layer_may_be_exact() -> None:
    usf, bp = LayerFeedback(scheme="usf", scale="glorot"), LayerFeedback()
    methods = [of("usf", scale="glorot", last="bp"), mixed(usf, usf, bp), of("usf", scale="glorot")]
    trainer = train(make(*methods, network=IMAGES))
    V, W = parts(trainer, 0)
    assert torch.equal(V["5.weight"], W["5.weight"])
    assert torch.equal(V["4.weight"].sign(), W["4.weight"].sign())
    assert torch.equal(trainer.bank.weights[0], trainer.bank.weights[1])
    assert not torch.equal(trainer.bank.weights[0], trainer.bank.weights[2])


def test_layers_have_the_draws_that_they_have_alone() -> None:
    """Which layers use a scheme changes no draw of another."""
    methods = [of("brsf"), mixed(*(LayerFeedback(scheme=scheme) for scheme in ("bp", "brsf", "fa"))), of("fa")]
    trainer = make(*methods, network=IMAGES)
    trainer.begin_epoch(1, range(3))
    brsf, own, fa = (trainer.bank.feedback(replica) for replica in range(3))
    assert torch.equal(own["3.weight"], trainer.bank.parameters(1)["3.weight"])
    assert torch.equal(own["4.weight"], brsf["4.weight"])
    assert torch.equal(own["5.weight"], fa["5.weight"])


@pytest.mark.parametrize("scheme", [scheme for scheme in SCHEMES if scheme != "mixed"])
def test_a_network_of_one_layer_has_no_v_and_trains_by_backpropagation(scheme: str) -> None:
    alone = Network(input=(12,), layers=("FC classes",))
    trainer, plain = (train(make(of(name), network=alone), steps=2) for name in (scheme, "bp"))
    trained, wanted = (each.bank.parameters(0)["1.weight"] for each in (trainer, plain))
    assert torch.equal(trained, wanted)

"""Learned and direct feedback, against a loop over matrices, and in the engine."""

from math import acos, degrees
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from small_trainers import DIGITS, IMAGES, VECTORS, make, of, train
from torch import Tensor

from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.events import Progress
from asymbp_cli.recipe.resources import recipes_directory
from asymbp_cli.specs.networks import Network
from asymbp_cli.training.draws import Uniform, generator
from asymbp_cli.training.engine import Trainer
from asymbp_cli.training.feedback.schemes import draw_path
from asymbp_cli.training.feedback.site import Site


# --- learned and direct feedback, against a loop over matrices
def loop(
    trainer: Trainer, scheme: str, *, steps: int, V: list[Tensor], R: list[Tensor] | None = None, B: Any = None
) -> tuple[list[Tensor], list[Tensor]]:
    """Train the network of vectors in float64 by plain operations; return its W and V, [O, I] each."""
    protocol, feedback = trainer.protocol, trainer.stack.runs[0].method.feedback
    rate = protocol.rate(1)
    W = [part.flatten(0, 1).double() for name, part in sorted(initial(trainer).items()) if "weight" in name]
    b = [torch.zeros(len(part), dtype=torch.float64) for part in W]
    V, R = [part.double() for part in V], [part.double() for part in R or []]
    kept = [W, b, V, R]
    tau = [[torch.zeros_like(part) for part in kind] for kind in kept]
    mirrors = [Uniform(3, f"mirror-{number}", torch.empty(50 * size)) for number, size in ((2, 9), (3, 7))]

    def mirror(epoch: int, times: int) -> None:
        if epoch >= 0:
            for stream in mirrors:
                stream.begin(epoch)
        for _ in range(times):
            for layer, stream in enumerate(mirrors):
                x = (stream.next().view(50, -1).double() - 0.5) * feedback.mirror_noise
                y = x @ W[layer + 1].T + b[layer + 1]
                y = y if layer else y.relu()
                V[layer] = (1 - feedback.mirror_decay) * V[layer] + feedback.mirror_rate * y.T @ x

    if scheme == "wm":
        mirror(0, 5)
        mirror(1, 0)
        for stream in mirrors:
            stream.next()  # drawn before the first step, for schemes that need it there
    for index in trainer.batches(1)[:steps]:
        x, y = trainer.data.batch(trainer.data.train, index)
        a = [x.double()]
        for layer in range(3):
            z = a[-1] @ W[layer].T + b[layer]
            a.append(z.relu() if layer < 2 else z)
        target = F.one_hot(y, 10).double()
        e = F.softmax(a.pop(), 1) - target
        sent = {"sdfa": e.sign(), "drtp": target}.get(scheme, e)
        d = [e]
        for layer in (1, 0):
            error = sent @ V[layer] if trainer.model.route != "layerwise" else d[0] @ V[layer]
            d.insert(0, error * (a[layer + 1] > 0))
        gW = [d[layer].T @ a[layer] for layer in range(3)]
        gV, gR = [], []
        if scheme in ("kp",):
            gV = gW[1:]
        elif scheme == "dkp":
            gV = [e.T @ a[layer + 1] for layer in range(2)]
        elif scheme in ("pfa", "pfa-o"):
            gR = [(d[layer + 1] @ B[layer].double()).T @ a[layer + 1] for layer in range(2)]
        grads = [gW, [part.sum(0) for part in d], gV, gR]
        for kind, gradients, momenta in zip(kept, grads, tau, strict=True):
            for i, g in enumerate(gradients):
                momenta[i] = protocol.momentum * momenta[i] - g - protocol.weight_decay * kind[i]
                kind[i] += rate * momenta[i]
        if scheme in ("pfa", "pfa-o"):
            V[:] = [B[i].double() @ R[i] for i in range(2)]
        if scheme == "wm":
            mirror(-1, 1)
    return W, V


def initial(trainer: Trainer) -> dict[str, Tensor]:
    return trainer.model.views(trainer.model.initial_row(3)[None])


@pytest.mark.parametrize("scheme", ["kp", "wm", "pfa", "pfa-o", "dfa", "sdfa", "drtp", "dkp", "fa"])
def test_it_trains_as_a_loop_over_matrices(scheme: str) -> None:
    parameters = {"mirror_rate": 0.05, "mirror_noise": 1.0, "mirror_decay": 0.01} if scheme == "wm" else {}
    trainer = make(of(scheme, **parameters), rate=1.0, weight_decay=0.05, base_rate=0.002, decay_biases=True)
    start = trainer.model.random_feedback(3)[None]
    V = [trainer.model.feedback_views(start)[name].flatten(0, 1) for name in ("2.weight", "3.weight")]
    B, R = None, None
    if scheme.startswith("pfa"):
        site = Site(trainer.model, 3, torch.empty(1, trainer.model.feedback_size))
        paths = [draw_path(site, part, None if scheme == "pfa-o" else 10.0) for part in trainer.model.fed]
        B, R = [path[0] for path in paths], [path[1] for path in paths]
        V = [path[0] @ path[1] for path in paths]
    W, V = loop(trainer, scheme, steps=5, V=V, R=R, B=B)
    train(trainer)
    moved = 0.0
    for number, (weights, values) in enumerate(zip(W, [None, *V], strict=True), start=1):
        found = trainer.bank.parameters(0)[f"{number}.weight"][0].double()
        torch.testing.assert_close(found, weights, rtol=2e-3, atol=2e-5)
        moved += (weights - initial(trainer)[f"{number}.weight"][0].double()).abs().max().item()
        if values is not None:
            torch.testing.assert_close(
                trainer.bank.feedback(0)[f"{number}.weight"][0].double(), values, rtol=2e-3, atol=2e-5
            )
    assert moved > 0.01


def test_kolen_pollack_from_w_itself_is_backpropagation_to_the_bit() -> None:
    for rest, network in (("", VECTORS), ("+BM", IMAGES)):
        trainer = make("KP" + rest, network=network)
        size = trainer.model.feedback_size
        trainer.bank.weights[:, trainer.model.learned_columns] = trainer.bank.weights[:, :size]
        train(trainer)
        plain = train(make("SGD" if not rest else "BM", network=network))
        width = trainer.model.learned_from
        assert torch.equal(trainer.bank.weights[:, :width], plain.bank.weights)
        assert torch.equal(trainer.bank.weights[:, width:], plain.bank.weights[:, :size])


def test_kolen_pollack_shrinks_the_difference_by_the_decay() -> None:
    trainer = make("KP", network=IMAGES, momentum=0.0, weight_decay=0.5, base_rate=0.1)
    size, columns = trainer.model.feedback_size, trainer.model.learned_columns
    before = (trainer.bank.weights[:, columns] - trainer.bank.weights[:, :size]).double()
    train(trainer, steps=4)
    after = (trainer.bank.weights[:, columns] - trainer.bank.weights[:, :size]).double()
    torch.testing.assert_close(after, before * (1 - 0.1 * 0.5) ** 4, rtol=1e-3, atol=1e-5)


def test_direct_feedback_through_the_last_weights_is_backpropagation() -> None:
    network = Network(input=(12,), layers=("FC 9", "FC classes"))
    direct, plain = make("DFA", network=network), make("SGD", network=network)
    direct.bank.feedback(0)["2.weight"].copy_(direct.bank.parameters(0)["2.weight"])
    for trainer in (direct, plain):
        train(trainer, steps=1)
    torch.testing.assert_close(direct.bank.weights, plain.bank.weights)


@pytest.mark.parametrize("network", [DIGITS, IMAGES], ids=["digits", "odd"])
def test_direct_feedback_reaches_images_feature_by_feature(network: Network) -> None:
    """The error of a layer's input is e V, in the order of FC weights: height, width, features."""
    trainer = make("DFA", network=network)
    trainer.begin_epoch(1, [0])
    (block,) = trainer.step.blocks
    inputs: dict[int, Tensor] = {}
    x, _ = trainer.data.batch(trainer.data.train, trainer.batches(1)[0])
    logits = trainer.model.forward(x, block.parameters, block.feedback, trainer.step._normalize, inputs)
    e = torch.randn(logits.shape, generator=torch.Generator().manual_seed(0))
    for number, part in inputs.items():
        if part.ndim == 4:
            error = block._carry(number, part, e)
            V = trainer.bank.feedback(0)[f"{number}.weight"][0]
            height, width, features = part.shape[2], part.shape[3], part.shape[1]
            expected = torch.einsum("bk,khwf->bfhw", e, V.view(10, height, width, features))
            torch.testing.assert_close(error, expected)


# --- in the engine
@pytest.mark.parametrize(
    "methods",
    [
        ("FA", "uSF-scaled", "noisy", "brSF-scaled+BM", "softFA"),
        ("KP", "PFA", "PFA-o", "KP+BM"),
        ("WM", "WM+BM"),
        ("DFA", "DFA+BM"),
        ("sDFA+BN", "sDFA+BN+BM"),
        ("DKP", "DKP+BM"),
        ("KP+BN Bottom", "PFA+BN Bottom"),
    ],
    ids="/".join,
)
def test_a_stack_trains_as_its_replicas_alone_and_learns(methods: tuple[str, ...], digits: ResidentData) -> None:
    stack = make(
        *methods, network=DIGITS, data=digits, batch_size=100, rate=0.1 if "BM" not in methods[0] else 0.01
    )
    list(stack.train_epoch(1))
    assert not stack.dead
    for replica, method in enumerate(methods):
        alone = make(method, network=DIGITS, data=digits, batch_size=100, rate=stack.stack.runs[0].rate_multiplier)
        list(alone.train_epoch(1))
        assert torch.equal(stack.bank.weights[replica], alone.bank.weights[0])


@pytest.mark.parametrize(
    "methods", [("KP", "PFA+BM"), ("WM",), ("DKP",), ("noisy", "uSF-scaled"), ("DFA",)], ids="/".join
)
def test_a_resumed_training_has_the_same_bits(methods: tuple[str, ...], digits: ResidentData) -> None:
    whole = make(*methods, network=DIGITS, data=digits, rate=0.1)
    list(whole.train_epoch(1))
    saved = whole.checkpoints(1)
    list(whole.train_epoch(2))
    resumed = make(*methods, network=DIGITS, data=digits, rate=0.1)
    for replica, run in enumerate(resumed.stack.runs):
        resumed.bank.weights[replica].copy_(saved[run.id].weights)
        resumed.bank.state[replica].copy_(saved[run.id].state)
    list(resumed.train_epoch(2))
    assert torch.equal(resumed.bank.weights, whole.bank.weights)


def test_no_feedback_reaches_below_a_top_that_trains_alone(digits: ResidentData) -> None:
    found = []
    for name in ("SGD Top", "KP Top", "DFA Top", "WM Top", "FA Top"):
        trainer = train(make(name, network=DIGITS, data=digits))
        found.append(trainer.bank.weights[:, : trainer.model.learned_from])
    for weights in found[1:]:
        assert torch.equal(weights, found[0])


@pytest.mark.parametrize("precision", ["standard", "bf16"])
@pytest.mark.parametrize("method", ["ternary", "PFA", "noisy", "WM"])
def test_a_run_has_the_same_bits_beside_others_of_its_kind(method: str, precision: str) -> None:
    five = train(make(*[method] * 5, network=IMAGES, precision=precision))
    one = train(make(method, network=IMAGES, precision=precision))
    for replica in range(5):
        assert torch.equal(five.bank.weights[replica], one.bank.weights[0])


def test_runs_with_other_passes_of_mirroring_share_no_stack() -> None:
    few, many = (make(of("wm", mirror_passes=passes)).stack.runs[0] for passes in (0, 3))
    assert few.stack_key != many.stack_key
    assert few.id != many.id


def test_mirroring_before_the_first_epoch_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may take minutes, in which a worker is to be seen, and told to stop."""
    monkeypatch.setattr("asymbp_cli.training.engine._PROGRESS_SECONDS", -1.0)
    trainer = make(of("wm", mirror_passes=2))
    steps = len(trainer.batches(1))
    found = [event for event in trainer.train_epoch(1) if isinstance(event, Progress)]
    numbers = range(1, 2 * steps + 1)
    assert found[: 2 * steps] == [Progress(trainer.stack.id, 0, number, 2 * steps) for number in numbers]
    assert {event.epoch for event in found[2 * steps :]} == {1}


def test_a_network_of_one_layer_has_no_feedback() -> None:
    network = Network(input=(12,), layers=("FC classes",))
    methods = [of(key, last="bp") for key in ("usf", "fa", "noisy")]
    trainer = train(make(of("bp"), *methods, network=network))
    for replica in (1, 2, 3):
        assert torch.equal(trainer.bank.weights[replica], trainer.bank.weights[0])


def test_the_last_angle_of_pfa_is_a_matter_of_its_b() -> None:
    """The results say so of MNIST's ten classes, seed by seed."""
    model = make("PFA", network=Network(input=(12,), layers=("FC 9", "FC 9", "FC classes"))).model
    (last,) = [part for part in model.fed if part.layer == model.last]
    angles = []
    for seed in range(6):
        B, _ = draw_path(Site(model, seed, torch.empty(0)), last, 10.0)
        M = B.double() @ B.double().T
        angles.append(degrees(acos(M.trace() / (len(M) * (M @ M).trace()).sqrt())))
        columns, _ = torch.linalg.qr(torch.randn(20, len(M), generator=generator(seed), dtype=torch.float64))
        W = columns.T  # its rows have one size and are not correlated
        likeness = F.cosine_similarity((M @ W).flatten(), W.flatten(), dim=0).item()
        assert degrees(acos(likeness)) == pytest.approx(angles[-1])
    told = ", ".join(f"{angle:.1f}" for angle in angles)
    assert told == "16.7, 17.3, 19.4, 20.8, 16.9, 22.5"
    results = (recipes_directory() / "results/README.md").read_text(encoding="utf-8")
    assert " and ".join(told.rsplit(", ", 1)) in results

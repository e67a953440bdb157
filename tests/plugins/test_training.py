"""What plugins' functions make of a stack: against their definitions, alone as together, and when they fail."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from plugin_examples import NOISE, OTHERS, Load
from plugin_trainers import CPU, HEAD, begin, define, layers, run

from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.events import CheckpointSaved, EpochEnded, Event
from asymbp_cli.recipe.methods import Method
from asymbp_cli.specs.feedback import Feedback
from asymbp_cli.specs.runs import Run, Stack
from asymbp_cli.training.draws import generator
from asymbp_cli.training.engine import Trainer, train_stack
from asymbp_cli.training.optim import RULES


@pytest.mark.parametrize("precision", ["standard", "bf16"])
def test_v_follows_w_with_noise_drawn_anew(digits: ResidentData, load: Load, precision: str) -> None:
    load(NOISE)
    feedback = Feedback.model_validate({"scheme": "wNoise", "numbers": {"s": 0.5}})
    runs = [run("wNoise", precision=precision), run(Method(feedback=feedback), precision=precision)]
    trainer = begin(digits, *runs)
    seen = []
    for index in trainer.batches(1)[:2]:
        small, large = ([v.float() - w.float() for w, v in layers(trainer, replica)] for replica in (0, 1))
        for a, b in zip(small, large, strict=True):
            assert torch.allclose(10 * a, b, atol=1e-5 if precision == "standard" else 0.1)  # the same draws
            assert 0.8 < b.std() / 0.5 < 1.2
        seen.append(small[0])
        trainer.step(index)
    assert not torch.equal(*seen)


def test_a_scheme_knows_how_deep_its_layer_is(digits: ResidentData, load: Load) -> None:
    load(define("scheme", "return torch.sign(W) * (-1) ** draw.depth"))
    load(define("fixed_scheme", "return 0 * W + draw.depth / draw.deepest", name="share"), "share.py")
    signs = [float((v * w).sign().unique()) for w, v in layers(begin(digits, run("mine")))]
    assert signs == [-1, 1, -1]
    for measure in ([], ["first-layer-feedback"]):  # the first layer comes last, and has no other depth
        shares = {round(float(v.mean()), 4) for _, v in layers(begin(digits, run("share", measure=measure)))}
        assert shares == {0.3333, 0.6667, 1.0} | ({0.0} if measure else set())


def test_a_stack_gives_the_bits_of_single_runs(digits: ResidentData, load: Load) -> None:
    """The functions sum over weights, so that a sum over several replicas at once would differ."""
    load(OTHERS)
    load(define("scheme", "return W - W.mean() + W.std() * draw.uniform() * draw.normal(once=True)"), "more.py")
    for names in (("mine", "mine+BM"), ("signKP", "signKP+BM"), ("uSF+Lion", "brSF-50%+Lion")):
        runs = [run(name, epochs=1) for name in names]

        def errors(*trained: Run) -> dict[str, list[tuple[int, float]]]:
            events = [event for event in train_stack(Stack(trained), digits) if isinstance(event, EpochEnded)]
            return {one.id: [(e.test_wrong, e.train_loss) for e in events if e.run == one.id] for one in trained}

        together = errors(*runs)
        for one in runs:
            assert errors(one)[one.id] == together[one.id]


def test_a_resumed_run_draws_the_same(digits: ResidentData, load: Load, tmp_path: Path) -> None:
    load(NOISE)
    runs = run("wNoise"), run("wNoise+BM")

    def epochs(events: Iterable[Event]) -> list[tuple[int, float]]:
        return [(e.test_wrong, e.train_loss) for e in events if isinstance(e, EpochEnded) and e.epoch == 2]

    whole = epochs(train_stack(Stack(runs), digits))
    first = train_stack(Stack(runs), digits, checkpoints=tmp_path, checkpoint_seconds=0.0)
    assert any(isinstance(event, CheckpointSaved) for event in first)  # up to the one after epoch 1
    assert epochs(train_stack(Stack(runs, start_epoch=1), digits, checkpoints=tmp_path)) == whole


def test_the_last_layer_may_be_exact_and_layers_may_mix(digits: ResidentData, load: Load) -> None:
    load(NOISE)
    last = Method(feedback=Feedback.model_validate({"scheme": "wNoise", "last": "bp"}))
    mixed = Method(
        feedback=Feedback.model_validate(
            {"scheme": "mixed", "layers": [{"scheme": s} for s in ("bp", "wNoise", "bp")]}
        )
    )
    equal = [[torch.equal(*pair) for pair in layers(begin(digits, run(method)))] for method in (last, mixed)]
    assert equal == [[False, False, True], [True, False, True]]


@pytest.mark.parametrize("name", ["wNoise", "signKP", "absFA"])
def test_v_of_the_first_layer_for_measures_moves_no_other_bit(digits: ResidentData, load: Load, name: str) -> None:
    load(NOISE)
    load(OTHERS, "others.py")
    weights = []
    for measure in ([], ["first-layer-feedback", "distance"]):
        trainer = begin(digits, run(name, measure=measure))
        for index in trainer.batches(1)[:3]:
            trainer.step(index)
        weights.append(trainer.bank.weights[:, : trainer.model.learned_from])
    assert torch.equal(*weights)
    (found,) = trainer.meter().values()
    assert sorted(found[trainer.protocol.measure[-1]]) == [1, 3, 5, 6]


def test_draws_of_a_call_differ_and_once_means_once(digits: ResidentData, load: Load) -> None:
    load(define("scheme", "return draw.normal() - draw.normal() + 100 * (draw.uniform(once=True) > 0.5)"))
    trainer = begin(digits, run("mine"))
    before = [values.clone() for _, values in layers(trainer)]
    trainer.step(trainer.batches(1)[0])
    for old, (_, new) in zip(before, layers(trainer), strict=True):
        assert torch.equal(old > 50, new > 50)
        assert not torch.equal(old, new)
        assert 1.2 < torch.remainder(new + 50, 100).sub(50).std() < 1.7  # sqrt(2): two draws, not one twice


def test_a_fixed_scheme_sees_the_initial_weights_once(digits: ResidentData, load: Load) -> None:
    load(define("fixed_scheme", "return W.abs() + draw.uniform()"))
    trainer = begin(digits, run("mine"))
    initial = [weights.clone() for weights, _ in layers(trainer)]
    for index in trainer.batches(1)[:2]:
        trainer.step(index)
    for start, (weights, values) in zip(initial, layers(trainer), strict=True):
        assert not torch.equal(start, weights)
        extra = values - start.abs()
        assert 0 <= extra.min() <= extra.max() <= 1
        assert 0.4 < extra.mean() < 0.6


def test_a_learned_scheme_that_copies_is_kp(digits: ResidentData, load: Load) -> None:
    load(HEAD + '@learned_scheme("mine", formula="?")\ndef f(gradient, draw):\n    return gradient\n')
    ours, kp = (begin(digits, run(name)) for name in ("mine+BM", "KP+BM"))
    for trainer in (ours, kp):
        for index in trainer.batches(1)[:3]:
            trainer.step(index)
    assert torch.equal(ours.bank.weights, kp.bank.weights)


def test_a_rule_as_sgd_is_sgd_and_state_is_kept(digits: ResidentData, load: Load) -> None:
    load(
        HEAD + '@update_rule("mine")\ndef f(w, g, state, rate, momentum, decay):\n'
        "    state = momentum * state - g - decay * w\n    return w + rate * state, state\n"
    )
    rates = (0.1, 0.01)
    for together in (False, True):
        ours, theirs = (
            begin(digits, *[run(name, rate_multiplier=rate) for rate in rates], together=together)
            for name in ("uSF+mine", "uSF")
        )
        for trainer in (ours, theirs):
            for index in trainer.batches(1)[:3]:
                trainer.step(index)
        assert torch.allclose(ours.bank.weights, theirs.bank.weights, atol=1e-5)
        assert torch.allclose(ours.bank.state, theirs.bank.state, rtol=1e-4, atol=1e-3)
        assert ours.bank.state.abs().max() > 1


@pytest.mark.parametrize(
    ("result", "next_w", "next_state"),
    [
        ("state, w - g", "state", "w - g"),
        ("w - g, g", "w - g", "g"),
        ("g, w", "g", "w"),
        ("state, g", "state", "g"),
        ("g[:, :1].expand_as(g), state[:, :1].expand_as(g)", "g[:, :1] + 0 * g", "state[:, :1] + 0 * g"),
    ],
)
def test_a_rule_may_return_what_it_is_given(result: str, next_w: str, next_state: str, load: Load) -> None:
    plugin = load(f'{HEAD}@update_rule("mine")\ndef f(w, g, state, rate, momentum, decay):\n    return {result}\n')
    w, g, state = torch.randn(3, 2, 5).unbind()
    kept = state[:, None].clone()
    given = {"w": w.clone(), "g": g.clone(), "state": state.clone()}
    RULES[plugin.refer("mine")](w, g, kept, torch.ones(2, 1), 0.9, torch.zeros(()))
    assert torch.equal(w, given["w"])
    assert torch.equal(g, eval(next_w, given))
    assert torch.equal(kept[:, 0], eval(next_state, given))


_AVERAGES = """@update_rule("mine", states=2)
def f(w, g, state, rate, momentum, decay):
    mean, square = state.unbind(1)
    mean, square = momentum * mean + (1 - momentum) * g, 0.9 * square + 0.1 * g * g
    return w - rate * mean / (square.sqrt() + 1e-3), torch.stack([mean, square], 1)
"""


def test_a_rule_may_keep_several_states(digits: ResidentData, load: Load, tmp_path: Path) -> None:
    """In checkpoints too; together and alone they are the same."""
    load(f"import torch\n{HEAD}{_AVERAGES}")
    runs = [run("uSF+mine", rate_multiplier=rate, epochs=2) for rate in (0.1, 0.01)]
    trainer = begin(digits, *runs)
    index, before = trainer.batches(1)[0], trainer.bank.weights.clone()
    trainer.step(index)
    mean, square = trainer.bank.state.unbind(1)
    expected = before - trainer.bank.rates * mean / (square.sqrt() + 1e-3)
    torch.testing.assert_close(trainer.bank.weights, expected, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(mean.square(), 0.1 * square)  # of one gradient

    def last(*trained: Run, start: int = 0) -> dict[str, EpochEnded]:
        stack = Stack(trained, start)
        events = train_stack(stack, digits, checkpoints=tmp_path, checkpoint_seconds=0)
        return {e.run: replace(e, seconds=0.0) for e in events if isinstance(e, EpochEnded) and e.epoch == 2}

    whole = last(*runs)
    assert last(*runs, start=1) == whole  # the checkpoints are of epoch 1
    assert last(runs[1], start=1) == {runs[1].id: whole[runs[1].id]}


def test_lion_of_the_page_is_lion(digits: ResidentData, load: Load) -> None:
    """Chen et al. 2023, algorithm 2, in scalars."""
    load(OTHERS)
    trainer = begin(digits, run("SGD+Lion".removeprefix("SGD+")))
    bank, at = trainer.bank, trainer.model.parameters[0].start + 3
    weight, state = bank.weights[0, at].item(), 0.0
    for index in trainer.batches(1)[:3]:
        trainer.step(index)
        # the gradient was overwritten by the update: it follows from the state
        gradient = (bank.state[0, 0, at].item() - 0.99 * state) / 0.01
        direction = 0.9 * state + 0.1 * gradient
        weight -= bank.rates[0].item() * ((direction > 0) - (direction < 0) + 5e-4 * weight)
        state = bank.state[0, 0, at].item()
        assert bank.weights[0, at].item() == pytest.approx(weight, abs=1e-6)


def test_an_initialization_gets_the_shape_of_pytorch_and_a_keyed_generator(
    digits: ResidentData, load: Load
) -> None:
    load(OTHERS)
    trainer = begin(digits, run("FA", initialization="orthogonal"))
    for part in trainer.model.parameters:
        if part.kind == "weight":
            W = trainer.bank.parameters(0)[part.name][0].flatten(1)
            small = min(W.shape)
            square = W @ W.T if W.shape[0] == small else W.T @ W
            assert torch.allclose(square, torch.eye(small), atol=1e-5)
            expected = torch.empty(W.shape)
            torch.nn.init.orthogonal_(expected, generator=generator(0, "weights", part.layer))
            assert torch.equal(W, expected)
    for _, values in layers(trainer):  # V is drawn as W is
        assert torch.allclose(values[0].flatten(1).norm(), torch.tensor(min(values[0].flatten(1).shape)).sqrt())


@pytest.mark.parametrize("together", [False, True])
def test_a_measure_is_made_of_each_v_after_an_epoch(digits: ResidentData, load: Load, together: bool) -> None:
    load(OTHERS)
    names = ("SGD", "uSF", "brSF")
    runs = [run(name, measure=["distance", "growth"], epochs=1) for name in names]
    trainer = Trainer(Stack(tuple(runs)), digits, CPU, together=together)
    events = [event for event in trainer.train_epoch(1) if isinstance(event, EpochEnded)]
    (key,) = (name for name in runs[0].protocol.measure if name.startswith("distance@"))
    plain, *others = (event.measures[key] for event in events)
    assert set(plain.values()) == {0.0}
    for replica, found in enumerate(others, start=1):
        assert list(found) == [3, 5, 6]
        for layer, value in found.items():
            name = f"{layer}.weight"
            weights, values = trainer.bank.parameters(replica)[name], trainer.bank.feedback(replica)[name]
            assert value == pytest.approx(float((weights - values).norm()), rel=1e-5)


def test_a_builder_has_everything_that_the_packages_own_have(digits: ResidentData, load: Load) -> None:
    load(
        f"{HEAD}def build(feedback, site):\n    return SignConcordant(site.drawn_once(0.0))\n\n"
        'register_scheme(Scheme(name="mine", formula="M o sign(W)", redrawn="never", source="x"), build)\n'
    )
    ours, theirs = (begin(digits, run(name)) for name in ("mine", "frSF"))
    for (_, a), (_, b) in zip(layers(ours), layers(theirs), strict=True):
        assert torch.equal(a, b)

"""A function of a plugin that fails is named with its line, before or in a step."""

import pytest
import torch
from plugin_examples import Load
from plugin_trainers import HEAD, begin, define, run

from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.errors import PluginError
from asymbp_cli.events import EpochEnded
from asymbp_cli.specs.runs import Stack
from asymbp_cli.training.engine import Trainer, train_stack


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return W[..., :1]", r"mine.py:3: f returns the shape .* not .*: V of layer 3"),
        ("return W.double()", "mine.py:3: f returns torch.float64, not torch.float32: V of layer 3"),
        ("return W * float('nan')", "mine.py:3: f returns numbers that are not finite: V of layer 3"),
        ("return 3", "mine.py:3: f returns int, not a tensor: V of layer 3"),
        ("return W.mul_(2)", "mine.py:3: f changes what it is given"),
        ("x = 1\n    return W / [x]", "mine.py:6: f: TypeError: unsupported operand"),
        (
            "return help_me(W)\n\ndef help_me(W):\n    raise ValueError('no\\nway')",
            "mine.py:8: help_me: ValueError: no$",
        ),
    ],
)
@pytest.mark.parametrize("kind", ["scheme", "fixed_scheme"])
def test_a_function_that_fails_is_named_before_the_first_step(
    body: str, message: str, kind: str, digits: ResidentData, load: Load
) -> None:
    load(define(kind, body))
    with pytest.raises(PluginError, match=f"^{message}"):
        begin(digits, run("mine"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "calls.append(1)\n    return W if len(calls) < 8 else W[:, :1]",
            r"mine.py:4: f returns the shape \[1, 1",
        ),
        ("calls.append(1)\n    return W if len(calls) < 8 else W / 'x'", "mine.py:7: f: TypeError"),
        (
            "calls.append(1)\n    return W if len(calls) < 8 else draw.normal()",
            "mine.py:7: f: RuntimeError: normal draw 1",
        ),
    ],
)
def test_a_function_that_fails_in_a_step_is_named(
    body: str, message: str, digits: ResidentData, load: Load
) -> None:
    text = define("scheme", body)
    load(text.replace("@", "calls = []\n@", 1))
    trainer = begin(digits, run("mine"))
    first, *_ = trainer.batches(1)
    with pytest.raises(PluginError, match=f"^{message}"):
        trainer.step(first)


def test_nan_in_a_later_step_is_divergence_of_its_run_alone(digits: ResidentData, load: Load) -> None:
    text = define("scheme", "calls.append(W)\n    return W if len(calls) < 9 else W * float('nan')")
    load(text.replace("@", "calls = []\n@", 1))
    events = list(train_stack(Stack((run("mine", epochs=1),)), digits))
    assert [event.diverged for event in events if isinstance(event, EpochEnded)] == [True]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ("w", "mine.py:3: f must return two tensors: the next w, and the next state"),
        ("(w, state[:, :1])", r"mine.py:3: f returns the shape \[1, 1\], not .*: the next state"),
        ("(w.double(), state)", "mine.py:3: f returns torch.float64, not torch.float32: the next w"),
        ("(w.sub_(g), state)", "mine.py:3: f changes what it is given"),
        ("(w, 1 / momentum / 0)", "mine.py:5: f: ZeroDivisionError"),
    ],
)
def test_a_rule_that_fails_is_named(result: str, message: str, digits: ResidentData, load: Load) -> None:
    load(f'{HEAD}@update_rule("mine")\ndef f(w, g, state, rate, momentum, decay):\n    return {result}\n')
    trainer = begin(digits, run("uSF+mine"))
    with pytest.raises(PluginError, match=f"^{message}"):
        trainer.step(trainer.batches(1)[0])


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ("torch.zeros(3)", "mine.py:3: f returns the shape .3., not .*: the initial weights"),
        ("torch.full(shape, float('inf'))", "mine.py:3: f returns numbers that are not finite"),
        ("generator.nothing()", "mine.py:5: f: AttributeError"),
    ],
)
def test_an_initialization_that_fails_is_named(
    result: str, message: str, digits: ResidentData, load: Load
) -> None:
    load(f'{HEAD}@initialization("mine")\ndef f(shape, fan_in, fan_out, generator):\n    return {result}\n')
    with pytest.raises(PluginError, match=f"^{message}"):
        begin(digits, run("uSF", initialization="mine"))


def test_a_measure_that_fails_is_named(digits: ResidentData, load: Load) -> None:
    load(f'{HEAD}@measure("mine", title="?")\ndef f(W, V):\n    return W.norm()\n')
    message = r"^mine\.py:3: f returns the shape \[\], not \[1\]: one number of each replica"
    with pytest.raises(PluginError, match=message):  # before anything is trained
        Trainer(Stack((run("uSF", measure=["mine"], epochs=1),)), digits, torch.device("cpu"))


def test_a_builder_that_fails_is_named(digits: ResidentData, load: Load) -> None:
    row = 'register_scheme(Scheme(name="NAME", formula="?", redrawn="-", source="x"), NAME)\n'
    text = HEAD + "def a(feedback, site):\n    return 3\n\n" + row.replace("NAME", "a")
    text += "def c(feedback, site):\n    return Fixed(torch.zeros(3))\n\n" + row.replace("NAME", "c")
    text += "def b(feedback, site):\n    def write(W, V):\n        V.copy_(W.no)\n    return Computed(write)\n\n"
    load(text + row.replace("NAME", "b"))
    with pytest.raises(PluginError, match=r"^mine\.py:3: a returns int, no form of V"):
        begin(digits, run("a"))
    with pytest.raises(PluginError, match=r"^mine\.py:13: write: AttributeError"):
        begin(digits, run("b"))
    with pytest.raises(PluginError, match=r"^mine\.py:7: c returns the shape \[3\], not \[[0-9]+\]: V$"):
        begin(digits, run("c"))


@pytest.mark.parametrize(
    ("learned", "form", "message"),
    [
        ("", "Learned(site.initial())", r'returns Learned\. Write learned="gradient"'),
        ("gradient", "Fixed(site.initial())", "returns Fixed. Return Learned, or leave out learned"),
        (
            "",
            "SignConcordant(site.drawn_once(0.5))",
            r"returns SignConcordant with negative factors\. Add flips=True",
        ),
    ],
)
def test_a_form_that_would_be_taken_for_another_is_refused(
    learned: str, form: str, message: str, digits: ResidentData, load: Load
) -> None:
    row = f'Scheme(name="a", formula="?", redrawn="-", source="x", learned="{learned}")'
    load(f"{HEAD}def build(feedback, site):\n    return {form}\n\nregister_scheme({row}, build)\n")
    with pytest.raises(PluginError, match=rf"^mine\.py:3: build {message}"):
        begin(digits, run("a"))

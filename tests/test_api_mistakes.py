"""What is said of calls from Python that ask for something wrong."""

from pathlib import Path
from typing import Any

import pytest
from small_recipe import RECIPE

import asymbp_cli as asymbp
from asymbp_cli.api.wording import say_in_python


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"table": 1}, "Table 1 lists networks"),
        ({"table": 9}, '"9" is not a table'),
        ({"dataset": "mnist"}, r"^protocol=\.\.\. must be given for mnist"),
        ({"dataset": ["digits", "digit"]}, '"digit" is not'),
        ({"seeds": 0}, "seeds are a number of them from 1 on"),
        ({"seeds": "3"}, "seeds are a number of them from 1 on, .* not '3'"),
        ({"seeds": True}, "seeds are a number of them from 1 on, .* not True"),
        ({"seeds": 1.5}, "seeds are a number of them from 1 on, .* not 1.5"),
        ({"seeds": [1, "2"]}, "seeds are a number of them from 1 on"),
        ({"seeds": [-1]}, "seeds are a number of them from 1 on"),
        ({"dataset": 3}, "dataset is a name, a path, or a list of them, not 3"),
        ({"dataset": [3]}, "dataset is a name, a path, or a list of them, not 3"),
        ({"protocol": 3}, "protocol is a name, a path or a mapping, not 3"),
        ({"data_dir": 3}, "data_dir is a path, not 3"),
        ({"device": 0}, 'device is a name, for instance "cpu" or "cuda:0", not 0'),
        ({"workers": "2"}, "workers are a whole number, at least 1, at most 10,000, not '2'"),
        ({"workers": 10**20}, f"workers are a whole number, at least 1, at most 10,000, not {10**20}"),
        ({"workers": 1.5}, "workers are a whole number, at least 1, at most 10,000, not 1.5"),
        ({"attempts": 0}, "attempts are a whole number, at least 1, not 0"),
        ({"attempts": None}, "attempts are a whole number, at least 1, not None"),
        ({"device": "cuda:0,cuda:0"}, '"cuda:0,cuda:0" names cuda:0 twice'),
        ({"device": "cpu,cpu", "workers": 3}, r"names 2 workers already\. Leave out workers=\.\.\."),
        ({"executor": 3}, "executor is a name, a path or a mapping, not 3"),
        ({"executor": "slrm"}, r'"slrm" is not an executor; .*Did you mean "slurm"\?'),
        ({"executor": {"executor": "slurm", "tme": 3}}, r'tme: unknown key\. Did you mean "time"\?'),
        ({"executor": "slurm", "device": "cuda:0,cuda:1"}, r"device.*Each worker has one"),
        ({"keep_weights": "all"}, 'keep_weights is "best", "last" or None, not \'all\''),
        ({"shard": "9/8"}, '"9/8" is no shard'),
        ({"shard": (3, 8)}, r'shard is a text, for instance "3/8", not \(3, 8\)'),
        ({"plugins": 3}, "plugins is a path, or a list of them, not 3"),
        ({"plugins": "gone.py"}, "gone.py: .*plugins takes the path of a Python file"),
        ({"rule": ["paper"]}, 'the rule is "paper" or "held-out"'),
        (
            {"rule": "held-out", "protocol": {"extends": "demo", "validation_fraction": 0.2}, "device": "cpu:3"},
            r"How many cores train at once says workers=\.\.\.",
        ),
        ({"seeds": [1, 1]}, "or a list of different ones"),
        ({"workers": 0}, "workers are a whole number, at least 1, at most 10,000, not 0"),
        ({"device": "tpu"}, '"tpu" is not a device'),
        ({"rule": "best"}, 'the rule is "paper" or "held-out"'),
        ({"protocol": "papr"}, '"papr" is not a protocol'),
        ({"protocol": {"extends": "demo", "epoch": 3}}, "protocol.epoch: .*epochs"),
    ],
)
def test_what_is_asked_wrongly(arguments: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(asymbp.AsymbpError, match=message):
        asymbp.reproduce(**arguments, results=tmp_path / "results")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"recipe": "usf-digit"}, r'"usf-digit" is not a recipe, nor a file\. Did you mean "usf-digits"\?'),
        ({"recipe": []}, "recipe is an empty list"),
        ({"recipe": [RECIPE, 3]}, "recipe is a path, a mapping or a Recipe, not 3"),
        ({"recipe": RECIPE, "rule": "best"}, 'the rule is "paper" or "held-out", not \'best\''),
        ({"recipe": RECIPE, "seed": -1}, "seed is a whole number from 0 on, not -1"),
        ({"recipe": RECIPE, "seed": 1, "seeds": [1, 2]}, "Leave it out if seeds is a list"),
        (
            {"recipe": [RECIPE, {**RECIPE, "keep_weights": "best"}]},
            r"for all keep_weights=\"best\" or last",
        ),
    ],
)
def test_what_is_asked_wrongly_of_train(arguments: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(asymbp.AsymbpError, match=message):
        asymbp.train(**arguments, results=tmp_path / "results")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("call", [asymbp.train, asymbp.load_recipe])
def test_a_recipe_is_no_number(call: Any) -> None:
    with pytest.raises(asymbp.AsymbpError, match=r"^recipe is a path.*, not 123$"):
        call(123)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("add --download, or use --dataset digits", 'add download=True, or use dataset="digits"'),
        ("in several folders. Name one with --data-dir.", "in several folders. Name one with data_dir=...."),
        ("with --device cuda:1 and --dataset or", 'with device="cuda:1" and dataset=... or'),
        ("attempts. Allow more with --attempts N", "attempts. Allow more with attempts=N"),
        ("Needs --executor ray, or --executor slurm", 'Needs executor="ray", or executor="slurm"'),
        ("with --results DIR, then", "with results=DIR, then"),
        ("--rule paper contradicts --set protocol.x=1.", 'rule="paper" contradicts protocol.x=1.'),
        ("Add --plugin FILE with the file", "Add plugins=FILE with the file"),
        ("again: --keep-weights best --results DIR", 'again: keep_weights="best" results=DIR'),
        ("not my--download, asymbp reproduce --table 1", "not my--download, asymbp reproduce --table 1"),
    ],
)
def test_messages_name_arguments(written: str, said: str) -> None:
    assert say_in_python(written) == said


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "uSG"}, 'recipe: method: "uSG" is not a method'),
        ({"columns": 3}, "recipe: columns: "),
        ({"protocol": {"epochs": object()}}, "recipe: protocol.epochs: .* is of type object, which YAML has not"),
    ],
)
def test_a_wrong_recipe_names_the_place(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(asymbp.AsymbpError, match=message):
        asymbp.train({**RECIPE, **changes})

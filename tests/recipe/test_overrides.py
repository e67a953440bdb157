"""Values laid over a file by `--set`: their order means nothing, and what cannot be is said."""

from itertools import combinations, permutations
from pathlib import Path

import pytest

from asymbp_cli.errors import RecipeError
from asymbp_cli.recipe.protocols import load_protocol
from asymbp_cli.recipe.recipe import Recipe, load_recipe

RUN = """\
dataset: digits
network: {input: 8x8x1, layers: [FC 16, FC classes]}
feedback: brsf
protocol: {extends: demo, epochs: 1}
"""
OPTIONS = [
    "protocol.epochs=3",
    "protocol=quick",
    "protocol={extends: quick, momentum: 0.5}",
    "protocol.extends=matconvnet",
    "protocol.momentum=0.5",
    "protocol.momentum=0.7",
    "protocol.nothing=1",
    "feedback.flip_probability=0.5",
    "feedback={scheme: usf}",
    "feedback.scheme=frsf",
    "network.layers=[FC 7, FC classes]",
    "network=digits",
    "seed=1",
    "seed=2",
    "title.x=1",
    "title=[1",
    "title=#1",
    "nonsense",
]


@pytest.fixture(autouse=True)
def _recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run.yaml").write_text(RUN)


def load(*options: str) -> Recipe | tuple[str, ...]:
    """Return the recipe with options, or what is wrong."""
    try:
        return load_recipe("./run.yaml", options)
    except RecipeError as error:
        return error.problems


@pytest.mark.parametrize("size", [2, 3])
def test_the_order_of_options_means_nothing(size: int) -> None:
    groups = list(combinations(OPTIONS, size))
    for group in groups[:: 1 if size == 2 else 17]:
        first, *others = (load(*options) for options in permutations(group))
        assert others == [first] * len(others), group


@pytest.mark.parametrize(
    ("options", "label"),
    [
        (["protocol.epochs=3", "protocol=quick"], "quick with epochs=3"),
        (["protocol={extends: quick, momentum: 0.5}", "protocol.epochs=3"], "quick with epochs=3, momentum=0.5"),
        (["protocol.extends=quick", "protocol.momentum=0.5"], "quick with epochs=1, momentum=0.5"),
        (["protocol=quick", "protocol.extends=quick"], "quick"),
        (["protocol.epochs=3", "protocol.epochs=3"], "demo with epochs=3"),
    ],
)
def test_a_mapping_is_set_before_the_values_in_it(options: list[str], label: str) -> None:
    for order in permutations(options):
        recipe = load(*order)
        assert isinstance(recipe, Recipe)
        assert recipe.protocol_label == label


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["seed=1", "seed=2"], '--set seed: is given twice, as "1" and "2". Leave one out'),
        (
            ["protocol=quick", "protocol.extends=demo"],
            "--set protocol.extends: --set protocol sets it too, to another value. Leave one out",
        ),
        (
            ["protocol={epochs: 2}", "protocol.epochs=3"],
            "--set protocol.epochs: --set protocol sets it too, to another value. Leave one out",
        ),
        (["seed.x=1", "seed=2"], "--set seed.x: seed is 2, which has no keys. Set seed itself"),
        (["title=#1"], "--set title: # begins a comment. Put text with # into quotes: --set 'title=\"#1\"'"),
        (["title=Trial #1"], "--set title: # begins a comment."),
        (["title=%x"], "--set title: is not valid YAML: text that begins with @, ` or % needs quotes"),
        (["title=@x"], "--set title: is not valid YAML: text that begins with @, ` or % needs quotes"),
        (["method=SGD,BM"], 'method: "SGD,BM" is not a method. Write several as a list: [SGD, BM]'),
        (["seed=[99999999999999999999]"], "not 1e+20, which is too large"),
        (["network.input=200000x200000x1"], "--set network.input: input 200000x200000x1 has more than"),
        (["seed=[\u00a01]"], "--set seed: seed[0]: "),
    ],
)
def test_what_cannot_be_set_is_said(options: list[str], message: str) -> None:
    problems = load(*options)
    assert isinstance(problems, tuple)
    assert any(message in problem for problem in problems), problems


def test_an_option_that_cannot_be_read_says_nothing_else() -> None:
    assert load("feedback=[usf") == (
        "--set feedback: is not valid YAML: a bracket is not closed, or a comma is missing",
    )


@pytest.mark.parametrize("text", ['title="#1"', "title='a #b'", "title=a#b", "title=C#"])
def test_a_hash_in_a_word_or_in_quotes_is_no_comment(text: str) -> None:
    recipe = load(text)
    assert isinstance(recipe, Recipe)
    assert "#" in (recipe.title or "")


def test_problems_of_options_and_of_the_file_come_together() -> None:
    Path("run.yaml").write_text(RUN.replace("digits", "dgits"))
    problems = load("seed.x=1", "protocol.epochs=x", "nonsense")
    assert [problem.partition(": ")[0] for problem in problems] == [
        "run.yaml:1",
        "--set nonsense",
        "--set protocol.epochs",
        "--set seed.x",
    ]


def test_tables_take_options_in_any_order_too() -> None:
    for options in permutations(["protocol.epochs=3", "protocol.extends=quick"]):
        assert load_protocol("demo", options)[1] == "quick with epochs=3"

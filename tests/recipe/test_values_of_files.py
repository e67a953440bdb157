"""Values of files: what models refuse, what overrides change, and what is written is read again."""

from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from asymbp_cli.errors import RecipeError
from asymbp_cli.recipe.document import Document
from asymbp_cli.recipe.overrides import override_values
from asymbp_cli.recipe.yamlfile import dump_yaml, parse_yaml
from asymbp_cli.specs.base import Spec
from asymbp_cli.specs.protocol import Protocol


class Inner(Spec):
    size: int = Field(ge=1, default=1)
    flag: bool = False
    rate: float = 0.5


class Outer(Spec):
    inner: Inner = Inner()
    both: int | Annotated[tuple[Inner, ...], Field(strict=False)] | str = 1
    items: tuple[Inner, ...] = Field(strict=False, min_length=1, default=(Inner(),))


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("inner: 3", ["f.yaml:1: inner: must be a mapping with size, flag, rate, not 3"]),
        ("inner:\n  size: big", ['f.yaml:2: inner.size: must be a whole number, not "big"']),
        ("inner:\n  size: 1.5", ["f.yaml:2: inner.size: must be a whole number, not 1.5"]),
        ("inner:\n  size: true", ["f.yaml:2: inner.size: must be a whole number, not true"]),
        ("inner:\n  size: 0", ["f.yaml:2: inner.size: must be greater than or equal to 1, not 0"]),
        ("inner:\n  size:", ["f.yaml:2: inner.size: must be a whole number, not nothing"]),
        ("inner:\n  flag: yes", ['f.yaml:2: inner.flag: must be true or false, not "yes". Write true']),
        ("inner:\n  flag: 1", ["f.yaml:2: inner.flag: must be true or false, not 1"]),
        ("inner:\n  rate: on", ['f.yaml:2: inner.rate: must be a number, not "on"']),
        ("inner:\n  rate: 1e999", ["f.yaml:2: inner.rate: must be a finite number, not inf"]),
        ("inner:\n  siez: 1", ['f.yaml:2: inner.siez: unknown key. Did you mean "size"?']),
        ("inner:\n  q: 1", ["f.yaml:2: inner.q: unknown key; allowed are size, flag, rate"]),
        ("both: [1]", ["f.yaml:1: both[0]: must be a mapping with size, flag, rate, not 1"]),
        (
            "both: 1.5",
            [
                "f.yaml:1: both: must be a whole number or a list of mappings with size, flag, rate or text, "
                "not 1.5"
            ],
        ),
        ("items: []", ["f.yaml:1: items: must not be empty"]),
        ("items: [{size: x}]", ['f.yaml:1: items[0].size: must be a whole number, not "x"']),
        ("items:\n- size: 1\n- siez: 2", ['f.yaml:3: items[1].siez: unknown key. Did you mean "size"?']),
    ],
)
def test_what_a_model_refuses_is_said_in_plain_words(text: str, messages: list[str]) -> None:
    document = parse_yaml(text, "f.yaml")
    document.root.validate(Outer)
    with pytest.raises(RecipeError) as caught:
        document.raise_problems()
    assert list(caught.value.problems) == messages


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    document = parse_yaml("epochs: 010\nmomentum: 2\nepohcs: 3\nphases: x\nmomentum: 1\n", "f.yaml")
    document.root.validate(Protocol)
    with pytest.raises(RecipeError) as caught:
        document.raise_problems()
    assert [problem.split(": ")[0] for problem in caught.value.problems] == [f"f.yaml:{n}" for n in range(1, 6)]


def overlaid(override: str, text: str = "title: x\nprotocol: demo\nlist: [1]\n") -> Document:
    document = parse_yaml(text, "f.yaml")
    override_values(document, [override], {"protocol": "extends"})
    return document


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("title=y", "title", "y"),
        ("title = y ", "title", "y"),
        ("title=a=b", "title", "a=b"),
        ("title=", "title", None),
        ("protocol.epochs=3", "protocol", {"extends": "demo", "epochs": 3}),
        ("protocol.base_rate=1e-3", "protocol", {"extends": "demo", "base_rate": 1e-3}),
        ("protocol.rates=[1,0.1]", "protocol", {"extends": "demo", "rates": [1, 0.1]}),
        ("protocol={extends: quick, epochs: 2}", "protocol", {"extends": "quick", "epochs": 2}),
        ("new.inner.key=on", "new", {"inner": {"key": "on"}}),
    ],
)
def test_an_override_is_yaml_laid_over_the_file(override: str, key: str, value: object) -> None:
    assert overlaid(override).data[key] == value


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("title", "--set title: write it as KEY=VALUE, for instance protocol.epochs=3"),
        ("=3", "--set =3: write it as KEY=VALUE, for instance protocol.epochs=3"),
        ("a..b=3", "--set a..b=3: write it as KEY=VALUE, for instance protocol.epochs=3"),
        ("title.x=3", '--set title.x: title is "x", which has no keys. Set title itself'),
        ("list.x.y=3", "--set list.x.y: list is a list, which has no keys. Set list itself"),
        ("a=[1", "--set a: is not valid YAML: a bracket is not closed, or a comma is missing"),
        ("a={x: 1, x: 2}", "--set a: x: is given twice; the first one is in line 1"),
        ("a=010", '--set a: 010 could be read in two ways. Write 10 or "010"'),
    ],
)
def test_an_override_that_leads_nowhere_says_so(override: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        overlaid(override).raise_problems()
    assert caught.value.problems == (message,)


def test_problems_of_an_override_name_it() -> None:
    cases: dict[str, tuple[tuple[str | int, ...], str]] = {
        "protocol.epochs=x": (("protocol", "epochs"), "--set protocol.epochs"),
        "protocol={epochs: x}": (("protocol", "epochs"), "--set protocol: protocol.epochs"),
        "protocl.epochs=3": (("protocl",), "--set protocl.epochs"),
        "title=y": (("protocol",), "f.yaml:2: protocol"),
    }
    for override, (path, where) in cases.items():
        assert overlaid(override).where(path)[1] == where


def test_an_override_does_not_reach_what_an_alias_shares() -> None:
    document = overlaid("b.x=2", "a: &a {x: 1}\nb: *a\n")
    assert document.data == {"a": {"x": 1}, "b": {"x": 2}}


TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20),
    st.sampled_from(
        [
            "1e3",
            "010",
            "09",
            "-08",
            "on",
            "true",
            "null",
            "~",
            "",
            "1.",
            "- a",
            "a: b",
            "#x",
            "*a",
            "1_0",
            "0x1",
            "<<",
        ]
    ),
)

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        TEXTS,
        st.none(),
        st.booleans(),
        st.integers(-(10**17), 10**17),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS.filter(bool), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(TEXTS.filter(bool), VALUES, min_size=1, max_size=4))
def test_what_is_written_is_read_again(data: dict[str, Any]) -> None:
    document = parse_yaml(dump_yaml(data), "f.yaml")
    assert repr(document.data) == repr(data)
    assert not document.problems

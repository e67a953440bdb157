import json
from pathlib import Path

import pytest

from asymbp_cli.text import (
    count,
    escape_controls,
    format_moment,
    nearest,
    nearest_path,
    printable,
    printable_path,
)


def test_the_nearest_word_is_suggested_in_its_own_case() -> None:
    assert nearest("mnsit", ["CIFAR", "MNIST"]) == ' Did you mean "MNIST"?'
    assert nearest("zebra", ["CIFAR", "MNIST"]) == ""
    labels = ["quick with epochs=3", "paper with epochs=5", "paper with epochs=6", "quickly"]
    assert nearest("Quick", labels[:3]) == ' Did you mean "quick with epochs=3"?'
    assert nearest("paper", labels) == nearest("", labels) == ""


def test_names_that_begin_with_the_word_are_suggested_if_they_are_few() -> None:
    names = ["usf-digits", "usf-readings", "usfreadings", "own-network"]
    assert nearest("uSF", names) == ' Did you mean "usf-digits" or "usf-readings"?'
    assert nearest("usf", iter(names)) == nearest("uSF", names)
    assert nearest("a", [f"a-long-name-{i}" for i in range(4)]) == nearest("own-", names[:2]) == ""


def test_the_nearest_path_is_one_that_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos/flowers").mkdir(parents=True)
    Path("photso.yaml").touch()
    assert nearest_path(Path("photso"), Path.is_dir) == ' Did you mean "./photos"?'
    assert nearest_path(Path("photso"), Path.is_file) == ' Did you mean "./photso.yaml"?'
    assert nearest_path(Path("phots/flower"), Path.is_dir) == ' Did you mean "photos/flowers"?'
    assert nearest_path(Path("phots/flowers"), Path.is_dir) == ' Did you mean "photos/flowers"?'
    assert nearest_path(tmp_path / "photo", Path.is_dir) == f' Did you mean "{tmp_path}/photos"?'


@pytest.mark.parametrize("path", ["none.yaml", "zebra", "photos/zebra", "x" * 300, "a\0b", "/", "."])
def test_no_path_is_offered_if_none_is_near(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos/flowers").mkdir(parents=True)
    Path("mine.yaml").touch()
    assert nearest_path(Path(path), Path.exists) == ""


@pytest.mark.parametrize("text", ["a\nb", "a\x1b[31m", "\udc80", "a\x9bb", "\u2028", "a\u202eb", "\u2066"])
def test_what_is_not_printable_is_escaped(text: str) -> None:
    assert not printable(text)
    assert printable(printable_path(text))


def test_printable_text_stays_as_it_is() -> None:
    for text in ("Füße/猫.png", "שלום\u200f", "\U0001f468\u200d\U0001f469"):
        assert printable_path(text) == text


def test_escapes_keep_lines_and_mean_the_same_in_json() -> None:
    text = "a\n\tb\x1b\x9b\u202e"
    assert escape_controls(text) == "a\n\tb\\u001b\\u009b\\u202e"
    assert json.loads(escape_controls(json.dumps(text, ensure_ascii=False))) == text


def test_a_moment_of_no_calendar_is_not_known() -> None:
    assert format_moment(86_400.0 * 180, "%Y") == "1970"
    assert [format_moment(seconds, "%Y") for seconds in (1e12, 1e300, float("nan"), -1e15)] == ["?"] * 4


def test_numbers_have_their_nouns() -> None:
    assert (count(1, "run"), count(0, "run"), count(2520, "run")) == ("1 run", "0 runs", "2,520 runs")
    assert (count(1, "class", "classes"), count(2, "class", "classes")) == ("1 class", "2 classes")

"""Letters that only look plain: they are named, and mended if YAML would stumble over them."""

import re
from pathlib import Path

import pytest

from asymbp_cli.errors import RecipeError
from asymbp_cli.executors.registry import load_executor
from asymbp_cli.recipe.letters import describe_odd_letter, mend
from asymbp_cli.recipe.recipe import load_recipe
from asymbp_cli.text import printable


@pytest.mark.parametrize(
    ("line", "mended", "problem"),
    [
        ("dataset\uff1a digits", "dataset:  digits", "has a full-width colon (U+FF1A) in column 8. Type :"),
        ("dataset\uff1adigits", "dataset: digits", "has a full-width colon (U+FF1A) in column 8. Type :"),
        ("dataset:\u00a0digits", "dataset: digits", "has a non-breaking space (U+00A0) in column 9"),
        ("dataset\u00a0: digits", "dataset : digits", "has a non-breaking space (U+00A0) in column 8"),
        ("\u00a0\u00a0epochs: 3", "  epochs: 3", "has a non-breaking space (U+00A0) in column 1"),
        ("\u3000epochs: 3", " epochs: 3", "has an ideographic space (U+3000) in column 1"),
        ("data\u200bset: digits", "dataset: digits", "has a zero-width space (U+200B) in column 5. Delete it"),
        ("\ufeffdataset: digits", "dataset: digits", "has a zero-width non-breaking space (U+FEFF)"),
        ("\uff44ataset: digits", "dataset: digits", "has a full-width latin small letter d (U+FF44)"),
        ("d\u0430taset: digits", "dataset: digits", "has a cyrillic small letter a (U+0430) in column 2. Type a"),
        (
            "\u201cdataset\u201d: x",
            '"dataset": x',
            'has a left double quotation mark (U+201C) in column 1. Type "',
        ),
        ("\u2013 SGD", "- SGD", "has an en dash (U+2013) in column 1. Type -"),
        ("- \u00a0method: BM", "-  method: BM", "has a non-breaking space (U+00A0) in column 3"),
        ("\tepochs: 3", " epochs: 3", "has a tab (U+0009) in column 1. Type plain spaces"),
        ("title: a\u2028b", "title: a b", "has a line separator (U+2028) in column 9"),
        ("title: a\x85b", "title: a b", "has a control character (U+0085) in column 9"),
        ("title: a\x07b", "title: ab", "has a control character (U+0007) in column 9. Delete it"),
    ],
)
def test_keys_colons_and_indentation_get_plain_letters(line: str, mended: str, problem: str) -> None:
    text, problems = mend(f"a: 1\n{line}\n")
    assert text == f"a: 1\n{mended}\n"
    assert [number for number, _ in problems][:1] == [2]
    assert problems[0][1].startswith(problem)


@pytest.mark.parametrize(
    "line",
    [
        "title: Gr\u00f6\u00dfe\u00a0\u2013 \u201ca\u201d",
        "title: \u91cd\u307f\uff1a\u7d50\u679c",
        'title: "a:\u00a0b"',
        "title: 'a:\u00a0b'  # c:\u00a0d",
        "# a comment\uff1a \u00a0x",
        "folder: bilder/\u00fcbung\u3000eins",
        "\u6a19\u984c\uff1a x",
        "layers: [FC 5]  # \u2028?"[:-2],
    ],
)
def test_text_in_any_script_stays(line: str) -> None:
    assert mend(f"{line}\nb: 1\n") == (f"{line}\nb: 1\n", [])


@pytest.mark.parametrize("line", ["a:\t1", "a: 1\t# b", "- \tb", "\t", "\t# comment"])
def test_tabs_that_yaml_allows_are_spaces(line: str) -> None:
    text, problems = mend(line)
    assert (text.replace(" ", ""), problems) == (line.replace("\t", "").replace(" ", ""), [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("digits\u00a0", "has a non-breaking space (U+00A0) as letter 7. Type plain spaces"),
        ("\u201cdigits\u201d", 'has a left double quotation mark (U+201C) as letter 1. Type "'),
        ("SGD\uff0cBM", "has a full-width comma (U+FF0C) as letter 4. Type ,"),
        ("uSF\uff0bBN", "has a full-width plus sign (U+FF0B) as letter 4. Type +"),
        ("brSF\u201325%", "has an en dash (U+2013) as letter 5. Type -"),
        ("8\u00d78\u00d71", "has a multiplication sign (U+00D7) as letter 2. Type x"),
        ("\uff13", "has a full-width digit three (U+FF13) as letter 1. Type 3"),
        ("\u22121", "has a minus sign (U+2212) as letter 1. Type -"),
        ("d\u0456gits", "has a cyrillic small letter byelorussian-ukrainian i (U+0456) as letter 2. Type i"),
        ("dig\u200bits", "has a zero-width space (U+200B) as letter 4. Delete it"),
    ],
)
def test_a_letter_that_only_looks_plain_is_named(text: str, problem: str) -> None:
    assert describe_odd_letter(text) == problem


@pytest.mark.parametrize(
    "text", ["digits", "", "Gr\u00f6\u00dfe", "\u6570\u636e\uff1a", "a\nb", "a\x1bb", "\u202ea"]
)
def test_plain_text_other_scripts_and_what_is_unprintable_have_none(text: str) -> None:
    assert describe_odd_letter(text) == ""


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("dataset: digits\nfeedback: usf\nprotocol: demo\nupdate: HALF\n", ":4: update"),
        ("dataset: digits\nmethod: SGD\nprotocol: {extends: demo, initialization: HALF}\n", ":3: protocol.init"),
        (
            "dataset: digits\nmethod: SGD\nprotocol: demo\nnetwork: {input: HALF, layers: [FC classes]}\n",
            ":4: netw",
        ),
    ],
)
def test_half_a_letter_is_a_problem_of_its_value(text: str, place: str, tmp_path: Path) -> None:
    """YAML has escapes for it, and pydantic raises an error of its own kind."""
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace("HALF", '"a\\ud800"'))
    with pytest.raises(RecipeError, match=re.escape(f"{file}{place}")) as raised:
        load_recipe(file)
    assert printable(str(raised.value).replace("\n", ""))


@pytest.mark.parametrize("key", ["device", "memory"])
def test_half_a_letter_names_no_device(key: str) -> None:
    with pytest.raises(RecipeError, match=f"{key}: holds half of a letter, which is no text"):
        load_executor({"executor": "slurm", key: "\ud800"})

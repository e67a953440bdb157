"""YAML as the tool reads it: the traps closed, every problem with its line, overrides laid over."""

import time
from pathlib import Path

import pytest
from written_recipes import document_problems

from asymbp_cli.errors import RecipeError
from asymbp_cli.recipe.wording import key_path
from asymbp_cli.recipe.yamlfile import parse_yaml, read_yaml, yaml_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("5E2", 500.0),
        ("1.5e3", 1500.0),
        (".5", 0.5),
        ("2.", 2.0),
        ("-7", -7),
        ("+7", 7),
        ("0", 0),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        *((word, word) for word in ("on", "off", "yes", "no", "On", "Y", "tRue", "nan", ".inf", "e3", "1e")),
        *((word, word) for word in ("0x10", "0o17", "0b1", "1_000", "1:30", "2024-01-01", "8x8x1", "uSF+BN")),
    ],
)
def test_plain_text_means_what_it_looks_like(text: str, value: object) -> None:
    parsed = parse_yaml(f"key: {text}", "f.yaml").data["key"]
    assert parsed == value
    assert type(parsed) is type(value)


def test_quotes_make_text() -> None:
    assert parse_yaml("a: '1'\nb: \"true\"\nc: '010'\nd: ''", "f.yaml").data == {
        "a": "1",
        "b": "true",
        "c": "010",
        "d": "",
    }


@pytest.mark.parametrize(("text", "ten"), [("010", "10"), ("-007", "-7"), ("00", "0"), ("01_0", "1_0")])
def test_a_leading_zero_is_no_octal_and_no_guess(text: str, ten: str) -> None:
    assert document_problems(f"a:\n  b: {text}") == [
        f'f.yaml:2: a.b: {text} could be read in two ways. Write {ten} or "{text}"'
    ]


@pytest.mark.parametrize("digits", [19, 400, 5000])
def test_a_number_that_64_bits_do_not_hold_is_no_whole_number(digits: int) -> None:
    assert isinstance(yaml_value("9" * digits), float)
    assert isinstance(yaml_value("9" * 18), int)


def test_duplicate_keys_are_errors_with_both_lines() -> None:
    assert document_problems("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 4\n") == [
        "f.yaml:5: b.c: is given twice; the first one is in line 3",
        "f.yaml:6: a: is given twice; the first one is in line 1",
    ]


def test_tags_do_nothing_silently() -> None:
    assert document_problems("a: !!python/object/apply:os.system [true]") == [
        "f.yaml:1: a: a tag (with !) means nothing here. Write the value alone"
    ]
    assert parse_yaml("a: !!str 5", "f.yaml").data == {"a": "5"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f.yaml: is empty; asymbp ls recipes shows examples"),
        ("# only a comment\n", "f.yaml: is empty; asymbp ls recipes shows examples"),
        ("- a\n- b\n", "f.yaml:1: must be a mapping of keys to values, not a list"),
        ("text", 'f.yaml:1: must be a mapping of keys to values, not "text"'),
        ("a:\n\tb: 1\n", "f.yaml:2: has a tab (U+0009) in column 1. Type plain spaces"),
        ('a: 1\nb: "open\nc: 2\n', "f.yaml:2: is not valid YAML: a quote is not closed"),
        ("a: 1\nb: [1, 2\nc: 3\n", "f.yaml:2: is not valid YAML: a bracket is not closed, or a comma is missing"),
        ("a: 1\nnonsense\nb: 2\n", "f.yaml:2: is not valid YAML: no colon. Write the line as key: value"),
        ("a: b: c", "f.yaml:1: is not valid YAML: wrong indentation, or a colon too many"),
        ("a:\n    b: 1\n  c: 2\n", "f.yaml:3: is not valid YAML: the indentation does not match the lines above"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2: is not valid YAML: a second document begins (---). Keep one in a file"),
        ("a: 1\nb: x\x07y\n", "f.yaml:2: has a control character (U+0007) in column 5. Delete it"),
        ("a: *b", "f.yaml:1: is not valid YAML: no value above has the name (&) after this *."),
        ("? [a]\n: 1\n", "f.yaml:1: a key must be plain text"),
        ('"": 1', "f.yaml:1: a key must be plain text"),
    ],
)
def test_what_is_no_yaml_gets_one_line(text: str, message: str) -> None:
    (problem,) = document_problems(text)
    assert problem.startswith(message)
    assert "\n" not in problem


def test_aliases_stand_for_what_they_name_but_cannot_explode() -> None:
    assert parse_yaml("a: &x [1, 2]\nb: *x", "f.yaml").data["b"] == [1, 2]
    bomb = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    assert document_problems("\n".join(bomb)) == ["f.yaml: has too many or too deeply nested values"]
    assert document_problems("a: &x [*x]") == ["f.yaml: has too many or too deeply nested values"]
    for depth in (100, 1500):
        assert document_problems(f"a: {'[' * depth}{']' * depth}") == [
            "f.yaml: has too many or too deeply nested values"
        ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}", {"x": 1, "y": 3}),
        ("a: &a {x: 1, y: 2}\nb: {y: 3, <<: *a}", {"x": 1, "y": 3}),
        ("a: &a {x: 1}\nc: &c {x: 2, y: 2}\nb: {<<: [*a, *c]}", {"x": 1, "y": 2}),
        ("a: &a {x: 1}\nc: &c {<<: *a, x: 2, y: 2}\nb: {<<: *c, z: 3}", {"x": 2, "y": 2, "z": 3}),
        ("a: &a {x: 1}\nc: &c {<<: *a, y: 2}\nd: &d {x: 4, y: 4}\nb: {<<: [*c, *d]}", {"x": 1, "y": 2}),
        ("b: {<<: {x: 1}, y: 2}", {"x": 1, "y": 2}),
        ("b: {<<: [], y: 2}", {"y": 2}),
        ("a: &a {x: [1, {z: 0}]}\nb: {<<: *a}", {"x": [1, {"z": 0}]}),
        ('b: {"<<": 1}', {"<<": 1}),
    ],
)
def test_merge_keys_are_read_as_yaml_says(text: str, value: object) -> None:
    document = parse_yaml(text, "f.yaml")
    assert document.data["b"] == value
    assert not document.problems


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("b:\n  <<: 3", "f.yaml:2: b.<<: takes a mapping or a list of mappings, such as <<: *name"),
        ("b:\n  <<: [x]", "f.yaml:2: b.<<: takes a mapping or a list of mappings, such as <<: *name"),
        ("a: &a {x: 1}\nb:\n  <<: *a\n  <<: *a", "f.yaml:4: b.<<: is given twice; the first one is in line 3"),
        ("b: &b {<<: *b}", "f.yaml: has too many or too deeply nested values"),
    ],
)
def test_what_cannot_be_merged_is_said(text: str, message: str) -> None:
    assert document_problems(text) == [message]


def test_what_is_wrong_in_a_merged_value_is_said_in_its_own_line() -> None:
    document = parse_yaml("a: &a\n  size: x\ninner:\n  <<: *a\n", "f.yaml")
    assert document.where(("inner", "size"))[0] == 2
    assert document.shared == {"a"}


def test_a_key_at_the_margin_may_hold_a_value_for_other_places() -> None:
    document = parse_yaml("x: &x 3\ny: {z: &z 4}\nsize: *x\nflag: *z\nunused: &u 1\n", "f.yaml")
    document.root.has_only(["size", "flag"])
    with pytest.raises(RecipeError) as caught:
        document.raise_problems()
    assert caught.value.problems == ("f.yaml:5: unused: unknown key; allowed are size, flag",)


@pytest.mark.parametrize(
    ("text", "data", "lines"),
    [
        ("a: [1\nb: 2\nc: 'x\nd: 4\n", {"b": 2, "d": 4}, [1, 3]),
        ("a: 1\n  b: 2\nc: [\nd: 4\n", {"d": 4}, [2, 3]),
        ("nonsense\na: 1\nb: 2\n", {"a": 1, "b": 2}, [1]),
        ("a: &x 1\nb: [\nc: *x\n", {"a": 1}, [2]),
        ("a: 1\nb: [\nc: *y\n", {"a": 1}, [2, 3]),
        ("a: {\n  b: 1,\n}}\nc: 2\n", {"c": 2}, [3]),
        ("---\na: @x\nb: 2\n", {"b": 2}, [2]),
    ],
)
def test_what_is_no_yaml_hides_no_other_key(text: str, data: object, lines: list[int]) -> None:
    document = parse_yaml(text, "f.yaml")
    assert document.data == data
    assert [line for line, _ in sorted(document.problems)] == lines
    assert all(problem.startswith(f"f.yaml:{line}: is not valid YAML: ") for line, problem in document.problems)


def test_nothing_else_is_said_of_a_key_that_cannot_be_read() -> None:
    document = parse_yaml("a: [1\nb: 2\n", "f.yaml")
    document.note(("a",), "is missing")
    document.note(("b",), "is wrong")
    assert [problem.split(": ")[0] for _, problem in document.problems] == ["f.yaml:1", "f.yaml:2"]


def test_of_very_many_problems_the_first_are_said() -> None:
    document = parse_yaml("\n".join(f"k{i}: 1" for i in range(500)), "f.yaml")
    with pytest.raises(RecipeError) as caught:
        document.root.has_only(["size"])
    assert len(caught.value.problems) == 102
    assert caught.value.problems[-1] == "f.yaml: there may be more problems. Mend these first"


@pytest.mark.parametrize("text", ["[" * 150_000, "{a: " * 40_000, "a: [" + "1," * 90_000 + "]", "? " * 90_000])
def test_too_much_is_refused_at_once(text: str) -> None:
    began = time.process_time()
    assert document_problems(text) == ["f.yaml: has too many or too deeply nested values"]
    assert time.process_time() - began < 2.0  # open brackets took as long for a hundredth of them


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"a: \xff\xfe\x00")
    utf16 = tmp_path / "utf16"
    utf16.write_text("a: 1", encoding="utf-16")
    cases = {
        tmp_path / "none.yaml": "there is no such file",
        tmp_path: "is a directory. Name a YAML file in it",
        Path("/dev/zero"): "is longer than 200,000 characters. Name a YAML file",
        binary: "is not UTF-8 text. Name a YAML file",
        utf16: "is not UTF-8 text. Name a YAML file",
        binary / "inside": "cannot be read: Not a directory",
        Path("a\0b"): "is not UTF-8 text. Name a YAML file",
    }
    for file, message in cases.items():
        with pytest.raises(RecipeError) as caught:
            read_yaml(file)
        assert caught.value.problems == (f"{file}: {message}",)


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(RecipeError, match=r"cannot be read: Permission denied$"):
        read_yaml(tmp_path / "f.yaml")


def test_windows_files_are_fine(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nb:\r\n  - x\r\n")
    assert read_yaml(file).data == {"a": 1, "b": ["x"]}


def test_every_key_path_knows_its_line() -> None:
    document = parse_yaml("# comment\na: 1\nb:\n  - x\n  - y:\n      z: 1\n", "f.yaml")
    lines = {("a",): 2, ("b",): 3, ("b", 0): 4, ("b", 1): 5, ("b", 1, "y", "z"): 6, ("b", 1, "no"): 5, ("no",): 2}
    for path, line in lines.items():
        assert document.where(path) == (line, f"f.yaml:{line}: {key_path(path)}")
    assert key_path(("b", 1, "y")) == "b[1].y"

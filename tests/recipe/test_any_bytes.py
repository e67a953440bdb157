"""Whatever bytes a file has, `asymbp validate` says that it is valid or what is wrong with it, within a second."""

import random
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from asymbp_cli.cli.app import cli
from asymbp_cli.errors import RecipeError
from asymbp_cli.recipe.resources import recipes_directory

FILES = sorted(recipes_directory().rglob("*.yaml"))
#: what breaks the grammar of YAML, or looks as if it did not
PIECES = [
    *("\t", ":", ": ", " ", "\n", "\n\n", "- ", "[", "]", "{", "}", ",", "#", "'", '"', "&a ", "*a", "<<: "),
    *("!x ", "%", "@", "|\n", ">\n", "? ", "---\n", "...\n", "~", "null", "0", "010", "1e999", ".inf", "-1"),
    *("\u00a0", "\u200b", "\ufeff", "\uff1a", "\u2028", "\x00", "\x07", "\x85", "\u201c", "\ud7ff", "\u0430"),
    *("lr: 1\n", "epochs: 3\n", "extends: x\n", "  ReLU", "FC classes", "columns: [SGD]\n", "executor: slurm\n"),
    *("true", "yes", "2024-01-01", "x" * 500),
]


def check(content: bytes, file: Path) -> None:
    """Check that a file of this content is judged, and quickly."""
    file.write_bytes(content)
    began = time.process_time()
    done = CliRunner().invoke(cli, ["validate", str(file)])
    assert time.process_time() - began < 1
    if done.exception:
        assert isinstance(done.exception, RecipeError), content
        assert done.exception.problems
        assert all("\n" not in problem and len(problem) < 3000 for problem in done.exception.problems)
        assert done.exception.exit_code == 2
    else:
        assert ": ok" in done.output


def mutate(text: str, source: random.Random) -> str:
    """Return a text with a few pieces put in, taken out, doubled or exchanged."""
    for _ in range(source.randint(1, 4)):
        begin = source.randrange(len(text) + 1)
        end = min(len(text), begin + source.choice([0, 0, 1, 3, 20]))
        text = text[:begin] + source.choice([*PIECES, text[begin:end] * 2, ""]) + text[end:]
    return text


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mine.yaml"


@pytest.mark.parametrize("seed", range(8))
def test_a_file_that_was_changed_at_random(seed: int, file: Path) -> None:
    source = random.Random(seed)
    for _ in range(25):
        text = source.choice(FILES).read_text(encoding="utf-8")
        check(mutate(text, source).encode("utf-8", "surrogatepass"), file)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60) | st.text(st.sampled_from("".join(PIECES)), max_size=40).map(str.encode))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    check(content, tmp_path_factory.getbasetemp() / "bytes.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(f"k{i}: 1" for i in range(4000)),
        "dataset: digits\nprotocol: demo\nmethod: [" + ", ".join(f"uSFF{i}" for i in range(4800)) + "]",
        "method: SGD\nprotocol: {phases: [" + ", ".join("{share: 1, factr: 2}" for _ in range(900)) + "]}",
        "input: 8x8x1\nlayers: [" + ", ".join("ReLU" for _ in range(4900)) + "]",
        "a: &a {" + ", ".join(f"k{i}: 1" for i in range(1000)) + "}\nb:\n  <<: [" + ", ".join(["*a"] * 1000) + "]",
        "a: &a {<<: *a}",
        "\u00a0a: b\n" * 20_000,
        "a" + "\u00a0" * 199_000,
        "\uff1aa" * 60_000,
        "dataset: digits\nmethod: " + "a-" * 60_000,
        "dataset: digits\nmethod: " + "a," * 60_000,
        "input: 8x8x1\nlayers: ['conv " + "1x" * 90_000 + "']",
        '"\\' * 90_000,
    ],
    ids=lambda text: ascii(text[:24]),
)
def test_long_files(text: str, file: Path) -> None:
    check(text.encode(), file)


@pytest.mark.parametrize("letter", ["\n", "\u2028", "\x1b"])
def test_a_problem_is_one_line_whatever_a_name_has_in_it(letter: str, file: Path) -> None:
    recipe = f'dataset: digits\nmethod: ["uSF+BN+BM\\u{ord(letter):04x}BN"]\nprotocol: demo\n'
    file.write_text(recipe, encoding="utf-8")
    done = CliRunner().invoke(cli, ["validate", str(file)])
    assert isinstance(done.exception, RecipeError)
    (problem,) = done.exception.problems
    assert f'"uSF+BN+BM\\u{ord(letter):04x}BN" is not a method' in problem

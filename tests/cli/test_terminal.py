"""What is seen in a real terminal: widths, the live display, and the table at the end."""

import re
from pathlib import Path

import pytest
from terminal import resize, run_in_terminal

RECIPE = """
dataset: digits
network: {input: 8x8x1, layers: [FC 32, FC classes]}
method: [SGD, uSF+BN]
protocol: {extends: demo, epochs: 30, rate_multipliers: [1]}
"""


def write_recipe(directory: Path) -> Path:
    (directory / "mine.yaml").write_text(RECIPE, encoding="utf-8")
    return directory


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """What a training writes to a terminal of 120 columns, and once that has 50."""
    cut: list[int] = []

    def narrow(terminal: int, text: str) -> None:
        if "now: " in text and not cut:
            resize(terminal, 50, 20)
            cut.append(len(text))

    directory = write_recipe(tmp_path_factory.mktemp("live"))
    written = run_in_terminal(["train", "--recipe", "mine.yaml"], directory, 120, 40, watch=narrow)
    before, clear, after = written.partition("\x1b[2J\x1b[H")
    assert clear
    return before, after


def strip(text: str) -> list[str]:
    """Return lines as they were written, without what steers the terminal."""
    return re.split(r"[\r\n]", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text))


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_lists_use_the_width_of_the_terminal(columns: int, tmp_path: Path) -> None:
    lines = run_in_terminal(["ls", "schemes"], tmp_path, columns).splitlines()
    assert 0.7 * columns < max(map(len, lines)) <= columns
    assert ("Left out: source" in "".join(lines)) == (columns == 80)


def test_messages_are_wrapped_between_words(tmp_path: Path) -> None:
    lines = run_in_terminal(["conclusions", "--results", "nowhere"], tmp_path, 50).splitlines()
    assert lines[0].startswith("asymbp: ")
    assert len(lines) > 1
    assert max(map(len, lines)) <= 50
    assert " ".join(lines).endswith("or name another directory with --results DIR")


def test_time_is_seen_to_pass_from_the_first_second(live: tuple[str, str]) -> None:
    lines = strip(live[0])
    for waiting in (r"reading the data", r"timing a training step of each method", r"starting \d workers?"):
        assert any(re.match(rf"{waiting}: \d s elapsed", line) for line in lines), waiting
    assert any(re.match(r"now: .* \(1 run\): epoch \d+ of 30", line) for line in lines)


def test_the_table_is_the_last_thing_on_the_screen(live: tuple[str, str]) -> None:
    lines = [line for line in strip(live[1]) if line.strip()]
    assert lines[-1].startswith("└")
    (title,) = [i for i, line in enumerate(lines) if line == "mine"]
    assert {line[0] for line in lines[title + 1 :]} == set("┏┃┡│└")
    assert not [line for line in lines if "conclusion" in line]  # a recipe of one's own
    assert "".join(live).count("\x1b[?25l") == "".join(live).count("\x1b[?25h")  # the cursor is there again


def test_a_terminal_that_gets_narrower_has_no_ghost_lines(live: tuple[str, str]) -> None:
    lines = strip(live[1])
    assert lines[0].startswith("2 runs to train on cpu")  # what was said before is said again
    assert "\x1b[2J" not in live[1]  # once is enough
    drawn = [line for line in lines if re.search("elapsed|now:|━|─{9}", line)]
    assert len(drawn) > 2
    assert max(map(len, drawn)) < 50


def test_a_dumb_terminal_gets_plain_lines(tmp_path: Path) -> None:
    directory = write_recipe(tmp_path)
    written = run_in_terminal(["train", "--recipe", "mine.yaml"], directory, variables={"TERM": "dumb"})
    assert "\x1b" not in written
    assert "\r" not in written
    assert re.search(r"^starting \d workers?$", written, re.MULTILINE)
    assert re.search(r"^\[2/2\] .* on digits: finished, best .* elapsed, all done$", written, re.MULTILINE)

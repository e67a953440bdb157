"""What is seen in a real terminal: widths, the live display, and the table at the end."""

import re
from pathlib import Path

import pytest
from terminal import resize, run_in_terminal

RECIPE = """
dataset: digits
network: {input: 8x8x1, layers: [FC 32, FC classes]}
method: [SGD, uSF+BN]
protocol: {extends: demo, epochs: 40, rate_multipliers: [1]}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    file = tmp_path / "mine.yaml"
    file.write_text(RECIPE, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_lists_use_the_width_of_the_terminal(columns: int, tmp_path: Path) -> None:
    lines = run_in_terminal(["ls", "schemes"], tmp_path, columns).splitlines()
    assert 0.7 * columns < max(map(len, lines)) <= columns
    assert ("Left out: source" in "".join(lines)) == (columns == 80)


def test_the_live_display_ticks_and_the_table_is_the_last_thing(recipe: Path) -> None:
    written = run_in_terminal(["train", "--recipe", "mine.yaml"], recipe)
    assert "timing a training step of each method: 0 s elapsed" in written
    assert re.search(r"starting \d workers?: 0 s elapsed, .* left", written)
    assert re.search(r"now: .*epoch \d+ of 40", written)
    assert "best test error so far, percent" in written
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)
    table = shown[shown.rindex("┏") :]
    assert re.search(r"uSF\+BN", table)
    assert "conclusion" not in shown  # a recipe of one's own
    assert written.count("\x1b[?25l") == written.count("\x1b[?25h")  # the cursor is there again


def test_a_terminal_that_gets_narrower_has_no_ghost_lines(recipe: Path) -> None:
    state = {"drawn": 0}

    def narrow(terminal: int, text: str) -> None:
        if "now: " in text and not state["drawn"]:
            resize(terminal, 50, 20)
            state["drawn"] = len(text)

    written = run_in_terminal(["train", "--recipe", "mine.yaml"], recipe, 120, 40, watch=narrow)
    assert state["drawn"]
    assert written.count("\x1b[2J\x1b[H") == 1
    after = written[written.index("\x1b[2J\x1b[H") :]
    assert "2 runs to train on cpu" in after  # what was said before is said again
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", after)
    live = [line for line in re.split(r"[\r\n]", shown) if "elapsed" in line or "now:" in line]
    assert live
    assert max(map(len, live)) < 50


def test_a_dumb_terminal_gets_plain_lines(recipe: Path) -> None:
    written = run_in_terminal(["train", "--recipe", "mine.yaml"], recipe, variables={"TERM": "dumb"})
    assert "\x1b" not in written
    assert "\r" not in written
    assert re.search(r"^starting \d workers?$", written, re.MULTILINE)
    assert re.search(r"^\[2/2\] .* on digits: finished, best .* elapsed, all done$", written, re.MULTILINE)

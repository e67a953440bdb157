"""Listings in terminals of any width: nothing is cut, no word is broken, and what is left out is said."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.cells import cell_len

from asymbp_cli.cli import app
from asymbp_cli.cli.app import cli
from asymbp_cli.cli.layout import lay_out, wrap
from asymbp_cli.cli.ls import LISTS, _explain_notation
from asymbp_cli.report.document import Listing

PATH = "/home/somebody/a folder/" + "x" * 90 + ".yaml"
LISTING = Listing(
    "",
    ("file", "what it is", "number", "source"),
    (
        (PATH[-30:], "a text of many words that may be wrapped where there is a space", "0.05", "a book"),
        ("short.yaml", "short", "1,200", "another book, of which the title is long"),
    ),
    least=("source", "number"),
    whole=("file",),
)


def test_with_room_every_row_is_a_line_and_numbers_end_below_each_other() -> None:
    header, rule, first, second = lay_out(LISTING, 200).lines
    assert rule.split("  ") == ["-" * 30, "-" * 63, "-" * 6, "-" * 40]
    assert [re.search(end, line).end() for end, line in (("0.05", first), ("1,200", second))] == [103, 103]
    assert header.index("source") == first.index("a book")
    assert all(line == line.rstrip() for line in (header, first, second))


@pytest.mark.parametrize("width", range(20, 160, 7))
def test_no_word_is_lost_or_broken_at_any_width(width: int) -> None:
    layout = lay_out(LISTING, width)
    columns = zip(LISTING.header, *LISTING.rows, strict=True)
    kept = {
        word
        for header, *texts in columns
        if header not in layout.left_out
        for text in texts
        for word in text.split()
    }
    assert kept <= set(" ".join(layout.lines).split())
    assert max(map(len, layout.lines)) <= max(width, 45)  # the file's name beside its header


def test_columns_are_left_out_in_their_order_before_cells_get_narrow() -> None:
    assert [lay_out(LISTING, width).left_out for width in (200, 100, 66, 56)] == [
        (),
        (),
        ("source",),
        ("source", "number"),
    ]
    assert lay_out(LISTING, 30).left_out == ()  # each row is a block of lines there


def test_a_path_is_never_broken() -> None:
    listing = Listing("", ("file", "what"), ((PATH, "text"),), whole=("file",))
    for width in (20, 80, 400):
        lines = lay_out(listing, width).lines
        assert any(PATH.split(" ")[1] in line for line in lines)
    assert any(PATH in line for line in lay_out(listing, 400).lines)


def test_a_row_that_has_no_room_is_a_block_of_lines() -> None:
    listing = Listing(
        "", ("table", *(f"measurement{i}" for i in range(9))), (tuple("abcdefghij"), tuple("klmnopqrst"))
    )
    lines = lay_out(listing, 80).lines
    assert lines[0] == "table         a"
    assert lines[9:12] == ("measurement8  j", "", "table         k")


def test_wide_letters_take_two_columns() -> None:
    lines = lay_out(Listing("", ("name", "what"), (("漢字", "a"), ("abc", "b"))), 80).lines
    assert {cell_len(line) for line in lines[2:]} == {7}


def test_code_between_backticks_is_copied_from_one_line() -> None:
    assert wrap("see `asymbp report --results DIR`, which has it", 20) == [
        "see",
        "`asymbp report --results DIR`,",
        "which has it",
    ]
    assert wrap("", 10) == [""]


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("what", [what for what in LISTS if what != "runs"])
def test_every_list_fits(what: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    shown = CliRunner().invoke(cli, ["ls", what], catch_exceptions=False).output
    notation = _explain_notation(what)
    for line in shown.replace(notation, "").splitlines():
        assert len(line) <= width or len(line.split()) <= 2, line
    assert max(map(len, notation.splitlines()), default=0) <= 80
    monkeypatch.delenv("COLUMNS")
    output = CliRunner().invoke(cli, ["ls", what], catch_exceptions=False).output
    full = output.replace(notation, "").rstrip().splitlines()
    _, rows = LISTS[what](None)  # type: ignore[arg-type]
    assert len(full) == len(rows) + 2
    assert [line.split()[0] for line in full[2:]] == [row[0].split()[0] for row in rows]
    if "Left out:" in shown:
        monkeypatch.setenv("COLUMNS", str(width))
        wide = CliRunner().invoke(cli, ["ls", what, "--wide"]).output
        assert wide.replace(notation, "").rstrip().splitlines() == full


def test_the_datasets_fit_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = CliRunner().invoke(cli, ["data", "ls"], catch_exceptions=False).output
    assert max(map(len, shown.splitlines())) <= 80
    assert "Add --wide" in shown
    assert " state " in shown
    assert " classes" not in shown  # `ls datasets` says what they are
    assert "asymbp ls datasets" in shown
    assert "http://yann.lecun.com/exdb/mnist/" in CliRunner().invoke(cli, ["data", "ls", "--wide"]).output


def test_each_list_of_datasets_names_the_other(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"no archive")
    done = CliRunner().invoke(cli, ["ls", "datasets"], catch_exceptions=False)
    assert done.stderr.strip() == "Which of them you have: asymbp data ls."
    shown = CliRunner().invoke(cli, ["data", "ls", "--data-dir", str(tmp_path)], catch_exceptions=False).output
    flat = " ".join(shown.split())
    assert "unreadable: something of that name is there. `asymbp data check NAME` says what is wrong" in flat
    assert "stand-in: " not in flat


@pytest.mark.parametrize("line", ["ls", "completion"])
def test_choices_of_a_missing_argument_are_in_one_line(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["asymbp", line])
    assert app._run() == 2
    said = capsys.readouterr().err
    assert re.fullmatch(rf"asymbp: Missing argument '.*'\. Choose from: \w+, .*\(asymbp {line} --help\)\n", said)


def test_labels_with_commas_are_told_apart() -> None:
    _, rows = LISTS["recipes"](None)  # type: ignore[arg-type]
    methods = {row[0]: row[2] for row in rows}
    assert methods["open-choices"].startswith("SGD; SGD, mean gradient; SGD, He; ")
    assert methods["mnist"] == "SGD, uSF, uSF+BN, uSF+BN+BM"

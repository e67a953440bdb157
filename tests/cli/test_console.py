"""The final table in a terminal or a pipe."""

import io
from dataclasses import replace

from rich.console import Console
from test_agreement import filled

from asymbp_cli.cli import console
from asymbp_cli.report.sheet import sheet


def shown(*percents: float | None) -> str:
    out = io.StringIO()
    console.show(Console(file=out, width=120, no_color=True, markup=False), sheet(filled(*percents)))
    return out.getvalue()


def test_colours_are_marked_for_those_who_see_none() -> None:
    text = shown(50.0, 60.0, 40.0, 50.5, None)
    assert "▲60.00" in text
    assert "▼40.00" in text
    assert " 50.50" in text
    assert "▲ marks yellow, ▼ blue" in text


def test_without_colours_there_is_no_legend() -> None:
    table = filled(1.0, None, None, None, None)
    plain = tuple(replace(cell, paper_colour=None) for cell in table.cells[0])
    out = io.StringIO()
    console.show(Console(file=out, width=120), sheet(replace(table, cells=(plain,))))
    assert "marks yellow" not in out.getvalue()

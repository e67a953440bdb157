"""The final table in a terminal or a pipe."""

import io
from dataclasses import replace

from rich.console import Console
from sample_tables import filled

from asymbp_cli.cli import console
from asymbp_cli.report.document import Listing
from asymbp_cli.report.result_table import make_result_table


def shown(*percents: float | None) -> str:
    out = io.StringIO()
    console.print_result_table(
        Console(file=out, width=120, no_color=True, markup=False), make_result_table(filled(*percents))
    )
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
    console.print_result_table(Console(file=out, width=120), make_result_table(replace(table, cells=(plain,))))
    assert "marks yellow" not in out.getvalue()


def test_numbers_of_a_listing_are_aligned_at_the_right() -> None:
    out = io.StringIO()
    listing = Listing("Epochs", ("rate", "what"), (("0.05", "a"), ("5e-05", "text")))
    console.print_listing(Console(file=out, width=120), listing)
    assert out.getvalue().splitlines()[-2:] == [" 0.05  a", "5e-05  text"]

"""What figures of a table's row have in common: levels, keys, names, words for captions."""

import re
from collections.abc import Sequence

from asymbp_cli.analysis.cells import Cell
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.errors import NetworkError
from asymbp_cli.recipe.grid import GridRow
from asymbp_cli.report.charts.chart import Axis, KeyEntry, Look
from asymbp_cli.report.text import short_title

CHANCE_KEY = KeyEntry("chance", "chance")
PAPERS_KEY = KeyEntry("papers", "the paper")


def name_figure(filled: FilledGrid, table: int, row: int, what: str) -> str:
    """Return the stem of a figure's files: letters and digits of ASCII, and dashes."""
    text = f"{filled.grid.key}-{table + 1}-{row + 1}-{what}"
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def find_chance(row: GridRow) -> float | None:
    """Return the error of a guess in percent; None if the network or its classes are not known."""
    try:
        (classes,) = row.network.shapes()[-1] if row.network else (0,)
    except NetworkError:
        return None
    return 100 * (1 - 1 / classes) if classes > 1 else None


def find_levels(cell: Cell, chance: float | None) -> tuple[tuple[Look, float], ...]:
    """Return the lines across the panel of a cell: chance and the paper's number, as far as they are known."""
    levels: tuple[tuple[Look, float | None], ...] = (("chance", chance), ("papers", cell.paper))
    return tuple((look, value) for look, value in levels if value is not None)


def include_chance(errors: list[float], chance: float | None) -> list[float]:
    """Return the errors that an axis shall show: chance too, if it is less than twice the largest one."""
    near = chance is not None and max(errors, default=0.0) > chance / 2
    return [*errors, chance] if near and chance is not None else errors


def describe_chance(chance: float | None, highest: float) -> str:
    """Return the end of a caption that says where chance is if the figure does not show it."""
    return f" Chance, {chance:.4g} %, is above the panels." if chance is not None and chance > highest else ""


def describe_table(filled: FilledGrid) -> str:
    """Return a table's short title and protocol, for captions."""
    return f"{short_title(filled.grid.title)}, protocol {filled.grid.protocol_label}"


def list_band_key(*, seeded: bool) -> tuple[KeyEntry, ...]:
    """Return the entry of the spread over seeds, if there are several."""
    return (KeyEntry("ours", "from lowest to highest seed", band=True),) if seeded else ()


def list_reference_key(
    filled: FilledGrid, papers: Sequence[float], chance: float | None, axis: Axis
) -> tuple[KeyEntry, ...]:
    """Return the entries of the baseline, the paper and chance, as far as an axis shows them."""
    baseline = filled.grid.baseline
    return (
        *([KeyEntry("baseline", baseline.header)] if baseline else ()),
        *([PAPERS_KEY] if papers else ()),
        *([CHANCE_KEY] if chance is not None and axis.shows(chance) else ()),
    )

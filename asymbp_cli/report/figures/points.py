"""Ours beside the paper's: error against the share of opposite signs (Exp. B), and all cells in one scatter."""

from collections.abc import Iterator, Sequence
from typing import Any

from asymbp_cli.analysis.agreement import Compared, compared, distinct
from asymbp_cli.analysis.tables import Cell, FilledGrid
from asymbp_cli.report.figures.canvas import COLOURS, GREY, MARKERS, canvas, finished, look, percent_axis
from asymbp_cli.report.parts import Figure

_LABELLED = 6  # of the cells furthest from the paper
_WORTH_A_LABEL = 1.0  # points
_BAND_POINTS = 3.0  # section 5
_SCHEMES = {"brsf": ("brSF", "M and S redrawn"), "frsf": ("frSF", "M and S fixed")}
_Curve = list[tuple[float, Cell]]  # share of opposite signs, cell


def flips(filled: FilledGrid, i: int, stem: str) -> Iterator[Figure]:
    """Draw error against the share of opposite signs, where columns of brSF or frSF differ in nothing else."""
    row = filled.grid.rows[i]
    curves = {scheme: curve for scheme in _SCHEMES if (curve := _curve(filled, i, scheme))}
    if not curves:
        return
    values: list[float] = []
    with canvas(1, 1, 3.2) as (drawing, (axes,)):
        for scheme, curve in curves.items():
            name, how = _SCHEMES[scheme]
            style = {**look(f"{name}+BN+BM"), "marker": MARKERS[list(_SCHEMES).index(scheme)]}
            ours = [(x, cell.error_percent) for x, cell in curve if cell.error_percent is not None]
            papers = [(x, cell.paper) for x, cell in curve if cell.paper is not None]
            values += [y for _, y in (*ours, *papers)]
            axes.plot(*zip(*ours, strict=True), **style | {"linestyle": "solid"}, label=f"{name}: {how}")
            if papers:
                hollow = {"linestyle": "dashed", "markerfacecolor": "none", "linewidth": 1}
                axes.plot(*zip(*papers, strict=True), **style | hollow, label=f"{name}, the paper")
        axes.set_xticks([0, 25, 50, 75, 100])
        axes.set_xlabel("feedback weights with the opposite sign, %")
        axes.set_ylabel("test error, %")
        percent_axis(axes, values)
        axes.legend(loc="lower right")
        beside = any(cell.paper is not None for curve in curves.values() for _, cell in curve)
        yield finished(
            drawing,
            f"{stem}-opposite-signs",
            f"Error against the share of opposite signs on {row.label}, protocol {filled.grid.protocol_label}"
            + ("; hollow and dashed, the paper's." if beside else "."),
            f"Test error on {row.label} by share of opposite signs. {'; '.join(map(_told, curves.items()))}.",
        )


def _told(curve: tuple[str, _Curve]) -> str:
    scheme, cells = curve
    points = (f"{cell.error_percent:.2f} % at {x:g} %" for x, cell in cells if cell.picks)
    return f"{_SCHEMES[scheme][0]} {', '.join(points)}"


def _curve(filled: FilledGrid, i: int, scheme: str) -> _Curve:
    """Return the cells of a scheme by flip probability; nothing where fewer than two have a result."""
    found: dict[float, Cell] = {}
    for column, cell in zip(filled.grid.columns, filled.cells[i], strict=True):
        method = column.entries[0].method
        alike = method.batch_norm == "plain" and method.update == "bm1" and method.train == "all"
        if method.feedback.scheme == scheme and alike and not column.note:
            found[100 * method.feedback.flip_probability] = cell
    some = sum(bool(cell.picks) for cell in found.values())
    return sorted(found.items(), key=lambda pair: pair[0]) if some > 1 else []


def ours_against_papers(tables: Sequence[FilledGrid]) -> Iterator[Figure]:
    """Draw every finished cell against the paper's number, with the band of 3 points around equality."""
    found = distinct(one for filled in tables for one in compared(filled))
    found = [one for one in found if one.cell.error_percent and one.cell.paper]
    if not found:
        return
    x, y = ([pair[k] for pair in map(_pair, found)] for k in (0, 1))
    low, high = min(x + y) / 1.3, min(100.0, max(x + y) * 1.3)
    with canvas(1, 1, 6.0) as (drawing, (axes,)):
        axes.set_anchor("W")
        axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), aspect="equal")
        line = [low * (high / low) ** (k / 200) for k in range(201)]
        band = [max(value - _BAND_POINTS, low) for value in line], [value + _BAND_POINTS for value in line]
        axes.fill_between(line, *band, color=GREY, alpha=0.15, linewidth=0)
        axes.plot([low, high], [low, high], color=GREY, linewidth=1)
        labels = list(dict.fromkeys(one.row.label for one in found))
        for k, label in enumerate(labels):
            own = [_pair(one) for one in found if one.row.label == label]
            style: Any = {"marker": MARKERS[k % len(MARKERS)], "color": COLOURS[k % len(COLOURS)]}
            axes.plot(*zip(*own, strict=True), linestyle="none", alpha=0.8, label=label, **style)
        far = [one for one in sorted(found, key=lambda one: -abs(one.points)) if abs(one.points) > _WORTH_A_LABEL]
        far = far[:_LABELLED]
        for one in far:
            left = _pair(one)[0] < (low * high) ** 0.5  # of the middle: there is room to the right
            side: Any = {"xytext": (6, 0), "ha": "left"} if left else {"xytext": (-6, 0), "ha": "right"}
            text = f"{one.key[1]}, {one.row.label}"
            axes.annotate(text, _pair(one), textcoords="offset points", fontsize=7, va="center", **side)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_xlabel("the paper's test error, %")
        axes.set_ylabel("ours, %")
        axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0, fontsize=8)
        near = sum(abs(one.points) <= _BAND_POINTS for one in found)
        told = ", ".join(
            f"{one.key[1]} on {one.row.label} {_pair(one)[1]:.2f} against {_pair(one)[0]:.2f}" for one in far
        )
        yield finished(
            drawing,
            "ours-against-the-papers",
            "Every finished cell against the paper's number, both axes logarithmic; grey: equality, and 3 points "
            "around it.",
            f"{near} of {len(found)} cells lie within 3 points of the paper's"
            + (f"; furthest away: {told}." if told else "."),
        )


def _pair(one: Compared) -> tuple[float, float]:
    return one.cell.paper or 0.0, one.cell.error_percent or 0.0

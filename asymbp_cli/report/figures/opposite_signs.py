"""Error against the share of opposite signs (Exp. B), ours and the paper's."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from asymbp_cli.analysis.cells import Cell
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.recipe.grid import GridColumn
from asymbp_cli.report.document import Figure
from asymbp_cli.report.figures.canvas import MARKERS, canvas, save_figure, scale_error_axis, style_of
from asymbp_cli.specs.methods import Feedback

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SCHEMES = {"brsf": ("brSF", "M and S redrawn"), "frsf": ("frSF", "M and S fixed")}
_Curve = list[tuple[float, Cell]]  # share of opposite signs in percent, cell


def draw_opposite_signs(filled: FilledGrid, i: int, stem: str) -> Iterator[Figure]:
    """Draw error against the share of opposite signs, if columns of brSF or frSF differ in nothing else."""
    row = filled.grid.rows[i]
    curves = {scheme: curve for scheme in _SCHEMES if (curve := _curve(filled, i, scheme))}
    if not curves:
        return
    with canvas(1, 1, 3.2) as (drawing, (axes,)):
        errors = [error for scheme, curve in curves.items() for error in _draw_curve(axes, scheme, curve)]
        axes.set_xticks([0, 25, 50, 75, 100])
        axes.set_xlabel("feedback weights with the opposite sign, %")
        axes.set_ylabel("test error, %")
        scale_error_axis(axes, errors)
        axes.legend(loc="lower right")
        has_paper = any(cell.paper is not None for curve in curves.values() for _, cell in curve)
        yield save_figure(
            drawing,
            f"{stem}-opposite-signs",
            f"Error against the share of opposite signs on {row.label}, protocol {filled.grid.protocol_label}"
            + ("; hollow and dashed, the paper's." if has_paper else "."),
            f"Test error on {row.label} by share of opposite signs. {_describe(curves)}.",
        )


def _draw_curve(axes: "Axes", scheme: str, curve: _Curve) -> list[float]:
    """Draw our curve of a scheme, and the paper's if it has one; return all errors drawn."""
    name, how = _SCHEMES[scheme]
    style = {**style_of(f"{name}+BN+BM"), "marker": MARKERS[list(_SCHEMES).index(scheme)]}
    ours = [(x, cell.error_percent) for x, cell in curve if cell.error_percent is not None]
    papers = [(x, cell.paper) for x, cell in curve if cell.paper is not None]
    axes.plot(*zip(*ours, strict=True), **style | {"linestyle": "solid"}, label=f"{name}: {how}")
    if papers:
        hollow = {"linestyle": "dashed", "markerfacecolor": "none", "linewidth": 1}
        axes.plot(*zip(*papers, strict=True), **style | hollow, label=f"{name}, the paper")
    return [error for _, error in (*ours, *papers)]


def _describe(curves: Mapping[str, _Curve]) -> str:
    """Return the curves in words."""
    texts = []
    for scheme, curve in curves.items():
        points = (f"{cell.error_percent:.2f} % at {x:g} %" for x, cell in curve if cell.picks)
        texts.append(f"{_SCHEMES[scheme][0]} {', '.join(points)}")
    return "; ".join(texts)


def _curve(filled: FilledGrid, i: int, scheme: str) -> _Curve:
    """Return the cells of a scheme by share of opposite signs; nothing if fewer than two have a result."""
    cells = {
        100 * column.entries[0].method.feedback.flip_probability: cell
        for column, cell in zip(filled.grid.columns, filled.cells[i], strict=True)
        if _is_on_curve(column, scheme)
    }
    if sum(bool(cell.picks) for cell in cells.values()) < 2:
        return []
    return sorted(cells.items(), key=lambda item: item[0])


def _is_on_curve(column: GridColumn, scheme: str) -> bool:
    """Return whether a column is the scheme with BN and BM under the table's own protocol."""
    method = column.entries[0].method
    is_usual = method.batch_norm == "plain" and method.update == "bm1" and method.train == "all"
    usual = Feedback(scheme=scheme, flip_probability=method.feedback.flip_probability) if is_usual else None
    return method.feedback == usual and not column.note

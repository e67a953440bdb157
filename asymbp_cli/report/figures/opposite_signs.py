"""Error against the share of opposite signs (Exp. B), ours and the paper's."""

from collections.abc import Iterator, Mapping

from asymbp_cli.analysis.cells import Cell
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.recipe.grid import GridColumn
from asymbp_cli.recipe.procedure import Procedure
from asymbp_cli.report.charts.chart import Axis, Chart, KeyEntry, Marker, Panel, Series, make_error_axis
from asymbp_cli.report.document import Figure
from asymbp_cli.report.figures.parts import CHANCE_KEY, describe_table, find_chance, include_chance, name_figure
from asymbp_cli.specs.feedback import Feedback
from asymbp_cli.specs.methods import Method
from asymbp_cli.specs.protocol import Protocol

_SCHEMES: dict[str, tuple[str, str, Marker]] = {
    "brsf": ("brSF", "M and S redrawn", "dot"),
    "frsf": ("frSF", "M and S fixed", "square"),
}
_Curve = list[tuple[float, Cell]]  # share of opposite signs in percent, cell


def draw_opposite_signs(filled: FilledGrid, number: int, i: int) -> Iterator[Figure]:
    """Draw error against the share of opposite signs, if columns of brSF or frSF differ in nothing else."""
    row = filled.grid.rows[i]
    curves = {scheme: curve for scheme in _SCHEMES if (curve := _curve(filled, i, scheme))}
    if not curves:
        return
    chance = find_chance(row)
    series = tuple(one for scheme, curve in curves.items() for one in _draw_curve(scheme, curve))
    has_paper = any(one.look == "papers" for one in series)
    y_axis = make_error_axis(include_chance([y for one in series for y in one.y], chance))
    heading = f"Error against the share of opposite signs on {row.label}"
    yield Figure(
        name=name_figure(filled, number, i, "opposite-signs"),
        caption=f"{heading}, {describe_table(filled)}"
        + ("; hollow and dashed, the paper's." if has_paper else "."),
        alt=f"Test error on {row.label} by share of opposite signs. {_describe(curves)}.",
        chart=Chart(
            (Panel("", _describe(curves), series, (("chance", chance),) if chance is not None else ()),),
            Axis("feedback weights with the opposite sign, %", -3, 103, (0, 25, 50, 75, 100)),
            y_axis,
            (
                *(KeyEntry("ours", f"{_SCHEMES[s][0]}: {_SCHEMES[s][1]}", marker=_SCHEMES[s][2]) for s in curves),
                *([KeyEntry("papers", "the paper")] if has_paper else ()),
                *([CHANCE_KEY] if chance is not None and y_axis.shows(chance) else ()),
            ),
            width=420,
            height=230,
            right=40,
        ),
        table=number,
        dataset=row.label,
        heading=heading,
    )


def _draw_curve(scheme: str, curve: _Curve) -> Iterator[Series]:
    """Yield the paper's curve of a scheme if it has one, and ours, named at its end."""
    name, _, marker = _SCHEMES[scheme]
    papers = [(x, cell.paper) for x, cell in curve if cell.paper is not None]
    if papers:
        yield Series("papers", [x for x, _ in papers], [y for _, y in papers], marker=marker, hollow=True)
    ours = [(x, cell.error_percent) for x, cell in curve if cell.error_percent is not None]
    yield Series("ours", [x for x, _ in ours], [y for _, y in ours], marker=marker, label=name)


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
        if _is_on_curve(column, scheme, filled.grid.protocol)
    }
    if sum(bool(cell.picks) for cell in cells.values()) < 2:
        return []
    return sorted(cells.items(), key=lambda item: item[0])


def _is_on_curve(column: GridColumn, scheme: str, protocol: Protocol) -> bool:
    """Return whether a column is the scheme with BN and BM under the table's own protocol, and nothing else."""
    flips = column.entries[0].method.feedback.flip_probability
    usual = Method(
        feedback=Feedback(scheme=scheme, flip_probability=flips), batch_norm="plain", update="bm1", train="all"
    )
    return column.entries == (Procedure(method=usual, protocol=protocol),)

"""The tables and rows that the options of a command name."""

from collections.abc import Mapping, Sequence, Set
from itertools import compress

from asymbp_cli.analysis.tables import filter_grids
from asymbp_cli.errors import UsageError
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.recipe.labels import name_datasets, tell_rows_apart
from asymbp_cli.specs.networks import Network
from asymbp_cli.text import nearest


def select_grids(
    stored: Sequence[Grid], keys: Sequence[str], protocols: Sequence[str], datasets: Sequence[str]
) -> list[Grid]:
    """Return the stored tables that `keys` and `protocols` name, with the rows that `datasets` name.

    An empty list of names selects everything. Raises UsageError if a name is not known.
    """
    of_runs = name_datasets(row for grid in stored for row in grid.rows)
    grids = filter_grids(stored, keys)
    _check_names("protocol", protocols, {grid.protocol_label for grid in grids})
    grids = [grid for grid in grids if not protocols or grid.protocol_label in protocols]
    labels = {row.label for grid in grids for row in tell_rows_apart(grid).rows}
    names = [_name_rows(grid, of_runs) for grid in grids]
    _check_names("dataset", datasets, labels, {name for rows in names for row in rows for name in row})
    if not datasets:
        return grids
    wanted = {name.lower() for name in datasets}
    selected = []
    for grid, rows in zip(grids, names, strict=True):
        kept = tuple(compress(grid.rows, [row & wanted for row in rows]))
        if kept:
            selected.append(grid.model_copy(update={"rows": kept}))
    return selected


def _name_rows(grid: Grid, of_runs: Mapping[tuple[str, Network | None], str]) -> list[set[str]]:
    """Return the names of each row, in lower case: label, key, and what reports and `asymbp ls runs` call it."""
    names = []
    for row, told in zip(grid.rows, tell_rows_apart(grid).rows, strict=True):
        of_run = of_runs[row.dataset, row.network] if row.dataset else row.label
        names.append({name.lower() for name in (row.label, row.key, told.label, of_run)})
    return names


def _check_names(what: str, names: Sequence[str], labels: Set[str], others: Set[str] = frozenset()) -> None:
    known = {label.lower() for label in labels} | others
    for name in names:
        if name.lower() not in known:
            listed = ", ".join(f'"{label}"' for label in sorted(labels))
            raise UsageError(f'no results with the {what} "{name}".{nearest(name, labels)} Available: {listed}')

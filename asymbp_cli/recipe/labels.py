"""Names of rows and tables in results: the user's, and what differs if several have the same one."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, compress

from asymbp_cli.recipe.grid import Grid, GridRow
from asymbp_cli.recipe.networks import NETWORKS, resolve_like
from asymbp_cli.specs.methods import method_name
from asymbp_cli.specs.networks import Network, dimensions
from asymbp_cli.specs.references import short_name

_LONGEST = 40  # characters of a label that are spent on layers
_DIGITS = 8  # of a hash


def tell_rows_apart(grid: Grid) -> Grid:
    """Return the grid with row labels that all differ: `digits (FC 64)`, `pets (data 3f2a91bc)`.

    Networks are told apart by their layers, datasets by the beginning of their fingerprint. A label that only one
    row has stays as it is.
    """
    if len({row.label for row in grid.rows}) == len(grid.rows):
        return grid
    return grid.model_copy(update={"rows": _label_rows(grid.rows)})


def name_datasets(rows: Iterable[GridRow]) -> dict[tuple[str, Network | None], str]:
    """Return a label for each dataset under each network, which tells it apart from the others in `rows`.

    Rows of several tables have one label if they are the same.
    """
    known = {(row.dataset, row.network): row for row in rows if row.dataset}
    told = _label_rows(_label_rows(list(known.values())))  # twice: a label of a table may say `digits (FC 64)`
    return {key: row.label for key, row in zip(known, told, strict=True)}


def _label_rows(rows: Sequence[GridRow]) -> tuple[GridRow, ...]:
    """Return the rows, each of which adds to its label what it differs in from others of this label."""
    labelled = []
    for row in rows:
        what = ", ".join(_list_differences(row, [other for other in rows if other.label == row.label]))
        labelled.append(row.model_copy(update={"label": f"{row.label} ({what})"}) if what else row)
    return tuple(labelled)


def _list_differences(row: GridRow, alike: Sequence[GridRow]) -> Iterator[str]:
    """Yield what a row differs in from the others of its label.

    Networks for other numbers of classes differ in widths anyway, and at other sizes so do the pixels.
    """
    if len(alike) == 1:
        return
    if row.network is None or row.dataset is None:
        yield "not available"
        return
    others = [(other.dataset, other.network) for other in alike if other.network]
    networks = [network for _, network in others if network.layers[-1] == row.network.layers[-1]]
    if len(set(networks)) > 1:
        yield name_networks(list(dict.fromkeys(networks)))[row.network]
    if any(
        dataset != row.dataset and (network.input == row.network.input or network not in networks)
        for dataset, network in others
    ):
        yield name_data(row.dataset)


def name_data(fingerprint: str) -> str:
    """Return a short name for a dataset with this fingerprint."""
    return f"data {fingerprint[:_DIGITS]}"


def name_networks(networks: Sequence[Network]) -> dict[Network, str]:
    """Return a short name for each of several resolved networks: the layers that differ, if these are few.

    Otherwise the tool's name for it, all its layers, or a hash.
    """
    parts = [(dimensions(network.input), *network.words) for network in networks]
    if len(set(map(len, parts))) == 1:
        differs = [len(set(column)) > 1 for column in zip(*parts, strict=True)]
        names = [", ".join(compress(part, differs)) for part in parts]
        if max(map(len, names)) <= _LONGEST:
            return dict(zip(networks, names, strict=True))
    return {network: _name_alone(network) for network in networks}


def describe_network(network: Network) -> str:
    """Return the tool's name for a network, as written or resolved for some classes; otherwise all its layers."""
    for name, known in NETWORKS.items():
        if network in (known, resolve_like(known, network)):
            return f"network {name}"
    return ", ".join((dimensions(network.input), *network.words))


def _name_alone(network: Network) -> str:
    text = describe_network(network)
    if len(text) <= _LONGEST:
        return text
    return f"network {hashlib.sha256(network.model_dump_json().encode()).hexdigest()[:_DIGITS]}"


def find_headers(grids: Iterable[Grid]) -> dict[str, str]:
    """Return the header of its column for each run whose method has several: `uSF slow`, `uSF fast`."""
    columns = [(grid, column) for grid in grids for column in grid.columns]
    headers: dict[str, set[str]] = {}
    for _, column in columns:
        for entry in column.entries:
            headers.setdefault(method_name(entry.method), set()).add(column.header)
    names: dict[str, str] = {}
    for grid, column in columns:
        if any(len(headers[method_name(entry.method)]) > 1 for entry in column.entries):
            for run in chain.from_iterable(grid.runs(row, column) for row in grid.rows):
                names.setdefault(run.id, column.header)
    return names


def name_columns(grids: Sequence[Grid]) -> list[dict[str, str]]:
    """Return a name for each column of each table, by header, which columns share only if they are the same.

    It is the header, and in brackets what tells it from other columns of this header: protocol, or table.
    """
    alike: dict[str, dict[object, Grid]] = {}
    for grid in grids:
        for column in grid.columns:
            alike.setdefault(column.header, {}).setdefault((column.entries, grid.seeds), grid)
    words = dict(zip(map(id, grids), find_table_words(grids), strict=True))

    def name(grid: Grid, header: str) -> str:
        others = alike[header].values()
        if len(others) == 1:
            return header
        are_told = len({other.protocol_label for other in others}) == len(others)
        return f"{header} ({grid.protocol_label if are_told else words[id(grid)]})"

    return [{column.header: name(grid, column.header) for column in grid.columns} for grid in grids]


def find_first_headers(grids: Iterable[Grid]) -> dict[str, str]:
    """Return the header of each run's column: of the first one, if several have it."""
    headers: dict[str, str] = {}
    for grid in grids:
        for column in (*grid.columns, *filter(None, [grid.baseline])):
            for row in grid.rows:
                headers |= {run.id: headers.get(run.id, column.header) for run in grid.runs(row, column)}
    return headers


def find_table_words(grids: Sequence[Grid]) -> list[str]:
    """Return the word for `--table` of each table: `2`, `mine`, or its title if another has this key."""
    names = name_tables(grids)
    return [
        grid.key.removeprefix("table-").removeprefix("recipe-") if name == grid.key else grid.title
        for grid, name in zip(grids, names, strict=True)
    ]


def name_tables(grids: Sequence[Grid]) -> list[str]:
    """Return the name of each table: its key, and in brackets what tells it from others of this key.

    That is its title, and the version of a plugin if only this differs: `recipe-mine (plugin 3f2a91bc)`.
    """
    return [_name_table(grid, [other for other in grids if other.key == grid.key]) for grid in grids]


def _name_table(grid: Grid, alike: Sequence[Grid]) -> str:
    title = grid.title if len({other.title for other in alike}) > 1 else ""
    version = name_version(grid, (other for other in alike if other.title == grid.title))
    differences = ", ".join(filter(None, (title, version)))
    return f"{grid.key} ({differences})" if differences else grid.key


def name_version(grid: Grid, alike: Iterable[Grid]) -> str:
    """Return the versions of plugins of a grid that others of `alike` use in another version, or nothing."""
    known = {reference for other in alike for reference in _references(other)}
    counts = Counter(map(short_name, known))
    return name_hashes(reference for reference in _references(grid) if counts[short_name(reference)] > 1)


def name_hashes(references: Iterable[str]) -> str:
    """Return a short name for the plugins of references, or nothing: `plugin 3f2a91bc`."""
    hashes = dict.fromkeys(reference.partition("@")[2][:_DIGITS] for reference in references)
    return f"plugin{'s' if len(hashes) > 1 else ''} {', '.join(hashes)}" if hashes else ""


def _references(grid: Grid) -> list[str]:
    return [reference for column in grid.columns for entry in column.entries for reference in entry.references]

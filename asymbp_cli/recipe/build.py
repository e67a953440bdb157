"""Building grids: from recipes and tables, under a protocol, for datasets that are installed."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle
from math import prod
from pathlib import PurePath

from asymbp_cli.datasets.catalog import PAPER_ROWS
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.errors import UsageError
from asymbp_cli.recipe.grid import Grid, GridColumn, GridRow, row_identity, sort_rows
from asymbp_cli.recipe.networks import network_for
from asymbp_cli.recipe.procedure import Procedure, describe_changes
from asymbp_cli.recipe.recipe import Recipe
from asymbp_cli.recipe.table import TableSpec
from asymbp_cli.specs.layers import Pool, parse_layer
from asymbp_cli.specs.methods import method_name, parse_method
from asymbp_cli.specs.networks import Network, Normalize, dimensions
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.references import REGISTERED, short_name
from asymbp_cli.text import count

_DIGITS = 8  # of a hash


def make_recipe_grid(recipe: Recipe, infos: Sequence[DecodedDataset]) -> Grid:
    """Return the grid of a recipe: its methods as columns, its datasets under each of its networks as rows.

    `infos` are the datasets of its rows, in this order. Raises UsageError if two rows are the same.
    """
    columns = [
        _with_method(make_column(method.label, [method.procedure], recipe.protocol)) for method in recipe.methods
    ]
    grid = Grid(
        key=f"recipe-{recipe.name}",
        title=recipe.title or recipe.name,
        columns=tuple(columns),
        rows=_make_rows(recipe, infos),
        baseline=next((column for column in columns if column.paper_name == "SGD"), None),
        protocol_label=recipe.protocol_label,
        seeds=recipe.seeds,
        base=recipe.protocol,
    )
    _check_layers(grid)
    return grid


def _make_rows(recipe: Recipe, infos: Sequence[DecodedDataset]) -> tuple[GridRow, ...]:
    networks = cycle(recipe.networks or (None,))
    rows = tuple(make_row(info, network) for info, network in zip(infos, networks, strict=False))
    if len(set(map(row_identity, rows))) < len(rows):
        raise UsageError("two of the networks are the same for the classes of a dataset. Leave one out")
    return rows


def _with_method(column: GridColumn) -> GridColumn:
    """Return a recipe's column with its method in the note if its header does not name it."""
    method = column.entries[0].method
    with suppress(UsageError):
        if parse_method(column.header) == method:
            return column
    return column.model_copy(update={"note": ", ".join(filter(None, (method_name(method), column.note)))})


def make_table_grid(
    table: TableSpec,
    protocol: Protocol,
    label: str,
    infos: Sequence[DecodedDataset],
    *,
    missing: Sequence[str] = (),
    seeds: Sequence[int] = (0,),
) -> Grid:
    """Return the grid of one of the paper's tables, or of a user's, under `protocol`.

    `missing` are datasets of the paper that get a row without runs.
    """
    columns = [
        make_column(column.header, [variant.under(protocol) for variant in column.variants], protocol)
        for column in table.columns
    ]
    baseline = Procedure(method=table.baseline_method, protocol=protocol)
    grid = Grid(
        key=f"table-{table.key}",
        title=table.title,
        columns=tuple(columns),
        rows=sort_rows([*(make_row(info, table.network) for info in infos), *map(make_missing_row, missing)]),
        baseline=make_column(table.baseline, [baseline], protocol),
        protocol_label=label,
        seeds=tuple(seeds),
        base=protocol,
    )
    _check_layers(grid)
    return grid


def _check_layers(grid: Grid) -> None:
    """Raise UsageError if a method does not fit the layers of a network."""
    _check_feedback_layers(grid)
    bottom = [col.header for col in grid.columns if any(entry.method.train == "bottom" for entry in col.entries)]
    for row in grid.rows:
        if bottom and row.network and _count_weighted_layers(row.network) == 1:
            raise UsageError(
                f'"{bottom[0]}" trains all layers but the last, and the network of {row.label} has only one. '
                "Add a layer, or write train: all"
            )
    _check_normalized_batches(grid)
    _check_augmented_images(grid)


def _check_augmented_images(grid: Grid) -> None:
    """Raise UsageError if vectors would be augmented as images are, or a crop may have nothing of its image."""
    augmented = [(col.header, entry.protocol) for col in grid.columns for entry in col.entries]
    for header, protocol in augmented:
        for row in grid.rows if protocol.augments else ():
            size = row.network.input[:2] if row.network else ()
            if len(size) == 1:
                raise UsageError(
                    f'"{header}" crops or flips images, and {row.label} has vectors. '
                    "Write crop_padding: 0 and horizontal_flip: false"
                )
            if size and protocol.crop_padding >= min(size):
                raise UsageError(
                    f'"{header}" has crop_padding {protocol.crop_padding}, and images of {row.label} have '
                    f"{dimensions(size)} pixels: some crops would be black. Write less than {min(size)}"
                )


def _check_normalized_batches(grid: Grid) -> None:
    """Raise UsageError if mini-batches are single samples, of which batch normalization leaves nothing."""
    single = [
        col.header
        for col in grid.columns
        for entry in col.entries
        if entry.method.batch_norm != "none" and 1 in entry.protocol.batch_sizes
    ]
    for row in grid.rows:
        operations = row.network.operations(batch_norm=True) if single and row.network else ()
        alone = [op.number for op in operations if isinstance(op, Normalize) and prod(op.shape[:-1]) == 1]
        if alone:
            raise UsageError(
                f'"{single[0]}" has batch_size 1, and of one sample batch normalization makes 0 after layer '
                f"{alone[0]} of the network of {row.label}. Write a larger batch_size, or leave BN out"
            )


def _check_feedback_layers(grid: Grid) -> None:
    named = [(col.header, entry.method.feedback.layers) for col in grid.columns for entry in col.entries]
    for header, layers in named:
        for row in grid.rows:
            if layers and row.network and len(layers) != (needed := _count_weighted_layers(row.network) - 1):
                raise UsageError(
                    f'"{header}" names the feedback of {count(len(layers), "layer")}, and the network of '
                    f"{row.label} has {needed} besides the first, which needs none. Name {needed}"
                )


def _count_weighted_layers(network: Network) -> int:
    """Return the number of convolutions and FC layers; the classes of the network need not be known."""
    return sum(not isinstance(parse_layer(text, classes=1), Pool) for text in network.layers)


def make_row(info: DecodedDataset, network: Network | None) -> GridRow:
    """Return the row of a prepared dataset, with `network` or the dataset's own resolved for its classes."""
    own = network_for(info.key)
    own, resolved = (one.resolve(len(info.classes)) for one in (own, network or own))
    notes = []
    if info.note:
        notes.append(info.note)
    if info.paper_name and not info.exact:
        notes.append(f"not the paper's data; the paper's {info.paper_name} row is shown for comparison only")
    if resolved != own:
        notes.append(f"network {', '.join(resolved.words)}")
    return GridRow(
        label=info.label,
        key=info.key,
        paper_name=info.paper_name if resolved == own else None,
        exact=info.exact,
        dataset=info.fingerprint,
        network=resolved,
        note="; ".join(notes),
        train_count=info.train_count,
        folder=info.folder,
    )


def make_missing_row(key: str) -> GridRow:
    """Return the row of a dataset of the paper that is not installed."""
    name = next(name for name, known in PAPER_ROWS.items() if known == key)
    return GridRow(label=name, key=key, paper_name=name, exact=True, dataset=None, network=None)


def make_column(header: str, procedures: Sequence[Procedure], protocol: Protocol) -> GridColumn:
    """Return a column of a grid under `protocol`.

    It is compared with the paper if all its procedures are of one method, and one follows that protocol unchanged.
    Procedures that are the same, perhaps under this protocol only, are one.
    """
    procedures = list(dict.fromkeys(procedures))
    methods = list(dict.fromkeys(method_name(procedure.method) for procedure in procedures))
    changes = _describe_procedures(procedures, protocol, with_names=len(methods) > 1)
    is_unchanged = any(procedure.protocol == protocol for procedure in procedures)
    return GridColumn(
        header=header,
        entries=tuple(procedures),
        paper_name=methods[0] if is_unchanged and len(methods) == 1 else None,
        note="; ".join(filter(None, (changes, _describe_plugins(procedures)))),
    )


def _describe_plugins(procedures: Sequence[Procedure]) -> str:
    """Return which versions of plugins procedures use."""
    references = dict.fromkeys(name for procedure in procedures for name in procedure.references)
    return ", ".join(f"{short_name(reference)} of {_describe_plugin(reference)}" for reference in references)


def _describe_plugin(reference: str) -> str:
    """Return a name for the plugin of a reference: file or module, if loaded, and the first of its SHA-256."""
    plugin = REGISTERED.get(reference)
    name = f" {PurePath(plugin.name).name}" if plugin else ""
    return f"the plugin{name} with SHA-256 {reference.partition('@')[2][:_DIGITS]}"


def _describe_procedures(procedures: Sequence[Procedure], protocol: Protocol, *, with_names: bool) -> str:
    """Return the note of a column: how its procedures differ from the grid's protocol."""
    if len(procedures) == 1:
        return describe_changes(protocol, procedures[0].protocol)
    ways = []
    for procedure in procedures:
        way = describe_changes(protocol, procedure.protocol) or "as the protocol says"
        ways.append(f"{method_name(procedure.method)}, {way}" if with_names else way)
    return f"the better of {len(procedures)} procedures: {'; or '.join(ways)}"


def check_distinct(labels: Sequence[str], what: str) -> None:
    """Raise UsageError if two rows or columns would have the same name."""
    for label, times in Counter(labels).items():
        if times > 1:
            raise UsageError(f'two {what} are called "{label}". Give one of them another label')

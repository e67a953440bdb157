"""A cell as a command: what to type to train it and nothing else, whatever recipe or table it came from.

The command holds the whole recipe. It needs no file but the images and plugins that the cell was trained with.
"""

import shlex
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.errors import UsageError
from asymbp_cli.recipe.grid import Grid, GridColumn, GridRow
from asymbp_cli.recipe.networks import NETWORKS, network_for, resolve_like, spell_out
from asymbp_cli.recipe.procedure import Procedure, changed_values
from asymbp_cli.recipe.protocols import load_protocol, protocol_files
from asymbp_cli.recipe.yamlfile import dump_inline
from asymbp_cli.specs.feedback import Feedback, LayerFeedback
from asymbp_cli.specs.methods import Method, method_name, parse_method
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.references import is_reference, short_name

_FOLDER = "FOLDER"  # in place of a path that an early store does not have
_PLUGIN = "PLUGIN.py"  # likewise
#: why a cell that was trained has no command
NO_COMMAND = (
    "no command trains it alone: its column has several procedures, and its seeds have gaps. From Python: "
    "asymbp.reproduce(..., seeds=[...])"
)


def write_cell_command(
    grid: Grid, row: GridRow, column: GridColumn, plugins: Mapping[str, str] | None = None
) -> str:
    """Return the command that trains all runs of a cell and no others; empty if there is none.

    There is none if the dataset was not there, nor for several procedures under seeds with gaps (`NO_COMMAND`). A
    column of several procedures is a table of one column, any other one a recipe of one method. `plugins` has
    the names of plugins by the beginning of their SHA-256, as references have it.
    """
    if row.dataset is None or row.network is None or (len(column.entries) > 1 and _have_gaps(grid.seeds)):
        return ""
    train = _write_recipe if len(column.entries) == 1 else _write_table
    return shlex.join(["asymbp", *train(grid, row, column), *_plugins(column, plugins or {})])


def _have_gaps(seeds: Sequence[int]) -> bool:
    return len(set(seeds)) <= max(seeds) - min(seeds)


def _write_recipe(grid: Grid, row: GridRow, column: GridColumn) -> list[str]:
    (procedure,) = column.entries
    name, protocol = _protocol(grid, procedure.protocol, row)
    recipe = {
        "dataset": _dataset(row),
        **_network(row),
        "method": _method(procedure.method, column.header),
        "protocol": {"extends": name, **protocol} if protocol else name,
    }
    if grid.seeds != (0,):
        recipe["seed"] = grid.seeds[0] if len(grid.seeds) == 1 else list(grid.seeds)
    return ["train", "--recipe", dump_inline(recipe)]


def _write_table(grid: Grid, row: GridRow, column: GridColumn) -> list[str]:
    name, protocol = _protocol(grid, grid.protocol, row)
    runs = [_variant(procedure, grid.protocol) for procedure in column.entries]
    table = {"title": grid.title, "columns": [{"header": column.header, "runs": runs}], **_network(row)}
    dataset = row.key if row.folder is None else f"folder:{row.folder.folder}"
    words = ["reproduce", "--table", dump_inline(table), "--dataset", dataset, "--protocol", name]
    for key, value in protocol.items():
        words += ["--set", f"protocol.{key}={_inline(value)}"]
    first, last = min(grid.seeds), max(grid.seeds)
    return [*words, "--seed", f"{first}", "--seeds", f"{last - first + 1}"] if last else words


def _variant(procedure: Procedure, base: Protocol) -> dict[str, Any]:
    changes = _plain(changed_values(base, procedure.protocol))
    return {"method": method_name(procedure.method), **({"protocol": changes} if changes else {})}


def _protocol(grid: Grid, protocol: Protocol, row: GridRow) -> tuple[str, dict[str, Any]]:
    """Return the tool's protocol that a label begins with, and what differs from it."""
    name = grid.protocol_label.split(" with ")[0]
    name = name if name in protocol_files() else "paper"
    if row.train_count is None:  # of an early store, which averaged all short epochs once
        protocol = protocol.model_copy(update={"batch_norm_short_epochs": "once"})
    return name, _plain(changed_values(_load_protocol(name), protocol))


@cache
def _load_protocol(name: str) -> Protocol:
    return load_protocol(name)[0]


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Return values of protocols with the names of plugins as users write them."""
    return {key: _shorten(value) for key, value in values.items()}


def _shorten(value: Any) -> Any:
    if isinstance(value, list):
        return list(map(_shorten, value))
    return short_name(value) if isinstance(value, str) else value


def _dataset(row: GridRow) -> Any:
    if row.key in CATALOG:
        return row.key
    if row.folder is None:
        return {"folder": _FOLDER, "label": row.label}
    return row.folder.model_dump(mode="json", exclude_defaults=True)


def _network(row: GridRow) -> dict[str, Any]:
    """Return the network of a row for a recipe; nothing if it is the one that its dataset has anyway."""
    assert row.network is not None
    if row.network == resolve_like(network_for(row.key), row.network):
        return {}
    for name, known in NETWORKS.items():
        if row.network == resolve_like(known, row.network):
            return {"network": name}
    return {"network": spell_out(row.network)}


def _method(method: Method, header: str) -> Any:
    """Return a method for a recipe: its name if that says all, else its settings; labelled if it has a header."""
    name = method_name(method)
    label = {} if header == name else {"label": header}
    try:
        if parse_method(name) == method:
            return {**label, "method": name} if label else name
    except UsageError:
        pass
    return {**label, **_spell_out(method)}


def _spell_out(method: Method) -> dict[str, Any]:
    content = method.model_dump(mode="json", exclude_defaults=True, exclude={"feedback"})
    if "update" in content:
        content["update"] = short_name(content["update"])
    return {"feedback": _feedback(method.feedback), **content}


def _feedback(feedback: LayerFeedback) -> Any:
    if isinstance(feedback, Feedback) and feedback.layers:
        return list(map(_feedback, feedback.layers))
    content = feedback.model_dump(mode="json", exclude_defaults=True, exclude={"scheme", "numbers", "layers"})
    content |= dict(feedback.numbers)
    scheme = short_name(feedback.scheme)
    return {"scheme": scheme, **content} if content else scheme


def _plugins(column: GridColumn, known: Mapping[str, str]) -> list[str]:
    """Return the options that load the plugins of a cell; those of installed packages are loaded anyway."""
    names = dict.fromkeys(name for part in column.entries for name in (*part.method.names, *part.protocol.names))
    files = dict.fromkeys(known.get(name.rpartition("@")[2], _PLUGIN) for name in names if is_reference(name))
    return [word for file in files if file.endswith(".py") for word in ("--plugin", file)]


def _inline(value: Any) -> str:
    """Return a value as `--set` reads it."""
    return dump_inline({"_": value}).removeprefix("{_: ").removesuffix("}")

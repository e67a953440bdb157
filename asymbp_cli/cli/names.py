"""The names that options and arguments take, by kind, as shells complete them: fast, and silent on errors."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from asymbp_cli.recipe.resources import named_files
from asymbp_cli.text import printable

if TYPE_CHECKING:
    Item = CompletionItem[str]
else:
    Item = CompletionItem  # before click 8.3 it is not generic
Complete = Callable[[click.Context, click.Parameter, str], list[Item]]
_YAML = (".yaml", ".yml")
_ARCHIVES = (".tar", ".gz", ".tgz", ".xz", ".txz", ".bz2", ".zip")


def complete(kind: str) -> Complete:
    """Return the function that completes values of a kind, for `shell_complete=`."""

    def list_items(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Item]:
        endings = _FILES.get(kind)
        try:
            names = dict.fromkeys(_NAMES[kind](context, incomplete))
        except Exception:  # a damaged store, no permission: a shell has no place for messages
            names = {}
        items = [Item(name) for name in names if name.startswith(incomplete) and printable(name)]
        return items if endings is None else [*items, Item(incomplete, type="file", endings=endings)]

    return list_items


def _list_recipes(context: click.Context, incomplete: str) -> Iterable[str]:
    return named_files("examples")


def _list_tables(context: click.Context, incomplete: str) -> Iterable[str]:
    names = named_files("tables")
    papers = [name.removeprefix("table") for name in names if name.startswith("table")]
    return *sorted([*papers, "4"]), "all", *(name for name in names if not name.startswith("table"))


def _list_sources(context: click.Context, incomplete: str) -> Iterable[str]:
    from asymbp_cli.datasets.catalog import CATALOG
    from asymbp_cli.recipe.networks import NETWORKS

    tables = (name for name in named_files("tables") if name != "table1")
    return dict.fromkeys([*named_files("examples"), *tables, *named_files("protocols"), *NETWORKS, *CATALOG])


def _list_datasets(context: click.Context, incomplete: str) -> Iterable[str]:
    from asymbp_cli.datasets.catalog import CATALOG

    return CATALOG


def _list_datasets_or_all(context: click.Context, incomplete: str) -> Iterable[str]:
    return *_list_datasets(context, incomplete), "all"


def _list_networks(context: click.Context, incomplete: str) -> Iterable[str]:
    return named_files("networks")


def _list_protocols(context: click.Context, incomplete: str) -> Iterable[str]:
    return named_files("protocols")


def _list_executors(context: click.Context, incomplete: str) -> Iterable[str]:
    return "inline", "processes", *named_files("executors")


def _list_devices(context: click.Context, incomplete: str) -> Iterable[str]:
    return "cpu", "cuda", "cuda:0", "cuda:all", "mps"


def _list_logs(context: click.Context, incomplete: str) -> Iterable[str]:
    from asymbp_cli.cli.logs import LOGS

    return (f"{name}=" for name in LOGS)


def _list_steps(context: click.Context, incomplete: str) -> Iterable[str]:
    return ("h100",)


def _results(context: click.Context) -> Path:
    """Return the directory that --results names, if it stands before the cursor."""
    return Path(context.params.get("results_directory") or "results")


def _list_runs(context: click.Context, incomplete: str) -> Iterable[str]:
    from asymbp_cli.results.names import list_run_ids

    return list_run_ids(_results(context))


def _list_stored_tables(context: click.Context, incomplete: str) -> Iterable[str]:
    from asymbp_cli.results.names import list_grids

    return (grid.key.partition("-")[2] for grid in list_grids(_results(context)))


def _list_stored_protocols(context: click.Context, incomplete: str) -> Iterable[str]:
    from asymbp_cli.results.names import list_grids

    return (grid.protocol_label for grid in list_grids(_results(context)))


def _list_stored_datasets(context: click.Context, incomplete: str) -> Iterable[str]:
    from asymbp_cli.recipe.labels import tell_rows_apart
    from asymbp_cli.results.names import list_grids

    return (row.label for grid in list_grids(_results(context)) for row in tell_rows_apart(grid).rows)


def _list_stored_columns(context: click.Context, incomplete: str) -> Iterable[str]:
    from asymbp_cli.results.names import list_grids

    return (column.header for grid in list_grids(_results(context)) for column in grid.columns)


def _list_settings(context: click.Context, incomplete: str) -> Iterable[str]:
    """Return `KEY=` for each key that --set can set, or `KEY=VALUE` for each known value once a key is there."""
    from asymbp_cli.recipe.format import make_recipe_keys

    keys = dict(_flatten(make_recipe_keys()))
    if context.command.name == "reproduce":
        keys = {key: schema for key, schema in keys.items() if key.startswith("protocol.")}
    key, equals, _ = incomplete.partition("=")
    return (f"{key}={value}" for value in _list_values(keys[key])) if equals else (f"{name}=" for name in keys)


def _flatten(keys: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the keys of a format, and those of mappings below them, as `protocol.epochs`."""
    for name, schema in keys.items():
        yield f"{place}{name}", schema
        for part in (schema, *schema.get("anyOf", ())):
            if name not in ("dataset", "method"):  # lists, most often
                yield from _flatten(part.get("properties", {}), f"{place}{name}.")


def _list_values(schema: Mapping[str, Any]) -> list[str]:
    """Return the values that a schema names, in brackets if it takes nothing but lists of them."""
    return [*_list_plain(schema)] or [f"[{value}]" for value in _list_plain(schema.get("items", {}))]


def _list_plain(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the values that a schema names; no paths, which are examples."""
    if schema.get("type") == "boolean":
        yield from ("true", "false")
    named = map(str, (*schema.get("enum", ()), *schema.get("examples", ())))
    yield from (value for value in named if "/" not in value)
    for part in schema.get("anyOf", ()):
        yield from _list_plain(part)


_NAMES: dict[str, Callable[[click.Context, str], Iterable[str]]] = {
    "recipes": _list_recipes,
    "tables": _list_tables,
    "sources": _list_sources,
    "datasets": _list_datasets,
    "datasets or all": _list_datasets_or_all,
    "networks": _list_networks,
    "protocols": _list_protocols,
    "executors": _list_executors,
    "devices": _list_devices,
    "logs": _list_logs,
    "steps": _list_steps,
    "settings": _list_settings,
    "runs": _list_runs,
    "stored tables": _list_stored_tables,
    "stored protocols": _list_stored_protocols,
    "stored datasets": _list_stored_datasets,
    "stored columns": _list_stored_columns,
    "results": _list_stored_protocols,
}
#: kind -> the endings of the files that it takes too; directories always
_FILES: dict[str, tuple[str, ...]] = {
    "recipes": _YAML,
    "tables": _YAML,
    "sources": (*_YAML, *_ARCHIVES),
    "datasets": _ARCHIVES,
    "datasets or all": _ARCHIVES,
    "networks": _YAML,
    "protocols": _YAML,
    "executors": _YAML,
    "steps": (".csv",),
    "results": (),
}

"""`asymbp ls`."""

from collections.abc import Callable, Mapping
from pathlib import Path

import click

from asymbp_cli.cli import options
from asymbp_cli.cli.waiting import say
from asymbp_cli.text import format_moment

Row = list[str]
Table = tuple[Row, list[Row]]  # header, rows


def _list_datasets(results: Path) -> Table:
    from asymbp_cli.datasets.catalog import CATALOG

    header = ["name", "in the paper", "classes", "train", "test", "network", "what"]
    rows = [
        [
            dataset.key,
            dataset.paper_name or "-",
            str(dataset.classes),
            _count(dataset.train_count),
            _count(dataset.test_count),
            dataset.network,
            dataset.title,
        ]
        for dataset in CATALOG.values()
    ]
    rows.append(["PATH", "-", "any", "any", "any", "large", "a folder, .tar(.gz, .xz) or .zip of images"])
    return header, rows


def _count(number: int | None) -> str:
    return "-" if number is None else str(number)


def _list_networks(results: Path) -> Table:
    from asymbp_cli.recipe.networks import NETWORKS
    from asymbp_cli.specs.networks import dimensions

    rows = [[name, dimensions(network.input), ", ".join(network.layers)] for name, network in NETWORKS.items()]
    return ["name", "input", "layers"], rows


def _list_schemes(results: Path) -> Table:
    from asymbp_cli.specs.schemes import SCHEMES

    return _add_plugins(
        ["name", "in tables", "feedback weights V", "redrawn", "source", "parameters"],
        {
            key: [scheme.name, scheme.formula, scheme.redrawn, scheme.source, ", ".join(scheme.takes)]
            for key, scheme in SCHEMES.items()
        },
    )


def _list_updates(results: Path) -> Table:
    from asymbp_cli.specs.methods import UPDATES

    header = ["name", "in tables", "w(t+1) = w + rate tau", "source"]
    return _add_plugins(header, {key: [rule.name, rule.formula, rule.source] for key, rule in UPDATES.items()})


def _list_initializations(results: Path) -> Table:
    from asymbp_cli.specs.protocol import INITIALIZATIONS

    return _add_plugins(["name", "initial weights"], {key: [formula] for key, formula in INITIALIZATIONS.items()})


def _list_measures(results: Path) -> Table:
    from asymbp_cli.specs.measures import MEASURES

    rows = {key: [row.title, row.meaning, row.source, row.cost or "-"] for key, row in MEASURES.items()}
    return _add_plugins(["name", "measure", "meaning", "source", "cost on request"], rows)


def _add_plugins(header: Row, rows: Mapping[str, Row]) -> Table:
    """Return a table of names, with the plugin of each if there are any."""
    from asymbp_cli.specs.references import REGISTERED, short_name

    table = [[short_name(key), *row] for key, row in rows.items()]
    if not REGISTERED:
        return header, table
    owners = [REGISTERED[key].name if key in REGISTERED else "-" for key in rows]
    return [*header, "plugin"], [[*row, owner] for row, owner in zip(table, owners, strict=True)]


def _list_methods(results: Path) -> Table:
    from asymbp_cli.specs.methods import PAPER_METHODS, parse_method

    rows = []
    for name in PAPER_METHODS:
        method = parse_method(name)
        feedback = method.feedback
        flips = f"{feedback.flip_probability:g}"
        rows.append([name, feedback.scheme, flips, method.batch_norm, method.update, method.train])
    return ["name", "feedback", "flip_probability", "batch_norm", "update", "train"], rows


def _list_protocols(results: Path) -> Table:
    from asymbp_cli.recipe.protocols import load_protocol, protocol_files

    rows = []
    for name in protocol_files():
        protocol, _ = load_protocol(name)
        phases = ", ".join(f"{count} at {rate:g}" for count, rate in protocol.schedule())
        multipliers = ", ".join(f"{value:g}" for value in protocol.rate_multipliers)
        rows.append([name, str(protocol.epochs), phases, multipliers])
    return ["name", "epochs", "epochs at rate", "rate multipliers"], rows


def _list_recipes(results: Path) -> Table:
    from asymbp_cli.recipe.examples import recipe_files
    from asymbp_cli.recipe.recipe import load_recipe

    rows = []
    for name, file in recipe_files().items():
        recipe = load_recipe(file)
        datasets = ", ".join(ref if isinstance(ref, str) else ref.folder for ref in recipe.datasets)
        labels = [method.label for method in recipe.methods]
        separator = "; " if any("," in label for label in labels) else ", "
        rows.append([name, datasets, separator.join(labels), recipe.protocol_label])
    return ["recipe", "dataset", "methods", "protocol"], rows


def _list_tables(results: Path) -> Table:
    from asymbp_cli.recipe.table import load_table, other_table_files

    rows = [
        [table.key, table.title, ", ".join(column.header for column in table.columns)]
        for key in ("all", *other_table_files())
        for table in load_table(key)
    ]
    return ["table", "title", "columns"], rows


def _list_runs(results: Path) -> Table:
    from asymbp_cli.recipe.labels import find_headers
    from asymbp_cli.results.store import Store

    with Store.open(results, create=False, on_wait=say) as store:
        names = find_headers(store.grids())
        rows = [
            [
                run.id,
                names.get(run.id, run.method),
                run.dataset,
                f"{run.rate_multiplier:g}",
                str(run.seed),
                run.progress,
                "-" if run.best_percent is None else f"{run.best_percent:.2f}",
                format_moment(run.updated, "%Y-%m-%d %H:%M"),
            ]
            for run in store.runs()
        ]
    return ["run", "method", "dataset", "rate x", "seed", "state", "selected error %", "updated"], rows


#: what can be listed
LISTS: dict[str, Callable[[Path], Table]] = {
    "datasets": _list_datasets,
    "networks": _list_networks,
    "schemes": _list_schemes,
    "updates": _list_updates,
    "initializations": _list_initializations,
    "measures": _list_measures,
    "methods": _list_methods,
    "protocols": _list_protocols,
    "recipes": _list_recipes,
    "tables": _list_tables,
    "runs": _list_runs,
}


#: columns that a narrow terminal leaves out, the first ones first
_LEAST = {
    "datasets": ("in the paper", "network"),
    "schemes": ("source", "redrawn"),
    "updates": ("source",),
    "measures": ("source", "cost on request", "measure"),
    "recipes": ("protocol",),
    "runs": ("updated", "seed"),
}
#: columns that are never wrapped, since they are copied
_WHOLE = ("name", "recipe", "run")


@click.command("ls")
@click.argument("what", metavar="WHAT", type=click.Choice(list(LISTS)))
@options.results
@options.plugins
@options.wide
def command(what: str, results_directory: Path, plugins: tuple[Path, ...], wide: bool) -> None:
    """List the names that recipes and commands take, or the runs of a results directory.

    WHAT is one of datasets, networks, schemes, updates, initializations, measures, methods, protocols, recipes,
    tables, runs.

    \b
    Example:
      asymbp ls methods
      asymbp ls runs --results results
      asymbp ls schemes --wide
    """
    from asymbp_cli.api.load_plugins import load_plugins
    from asymbp_cli.cli import console
    from asymbp_cli.report.document import Listing

    load_plugins(plugins)
    header, rows = LISTS[what](results_directory)
    listing = Listing("", tuple(header), tuple(map(tuple, rows)), least=_LEAST.get(what, ()), whole=_WHOLE)
    console.print_listing(console.make_console(stderr=False), listing, wide=wide)
    if notation := _explain_notation(what):
        errors = console.make_console(stderr=True)  # it is no row for programs
        for line in ("", *notation.splitlines()):
            console.print_text(errors, line)


def _explain_notation(what: str) -> str:
    """Return how the names of a list are written if there are more than it shows, or where else to look."""
    from asymbp_cli.specs.layers import LAYER_GRAMMAR
    from asymbp_cli.specs.methods import METHOD_GRAMMAR

    datasets = "Which of them you have: asymbp data ls."
    return {"methods": METHOD_GRAMMAR, "networks": LAYER_GRAMMAR, "datasets": datasets}.get(what, "")

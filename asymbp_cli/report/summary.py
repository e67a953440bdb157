"""What a report says in three lines: what was trained, how close it comes to the paper, what holds."""

from collections.abc import Collection, Iterator, Sequence

from asymbp_cli.analysis.agreement import Agreement, Conditions, deduplicate, group_tables, pair_cells
from asymbp_cli.analysis.cells import Cell
from asymbp_cli.analysis.conclusions import Judgement
from asymbp_cli.analysis.conclusions.ours import OurJudgements
from asymbp_cli.analysis.copies import keep_one_copy
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.recipe.grid import GridColumn, GridRow
from asymbp_cli.recipe.labels import name_datasets
from asymbp_cli.recipe.table import table_files
from asymbp_cli.report.compute_listing import add_up_hours
from asymbp_cli.report.listings import split_by_data
from asymbp_cli.report.text import shorten_titles
from asymbp_cli.results.store import Store
from asymbp_cli.text import count, format_duration, list_some

PAPER_TITLE = "How important is weight symmetry in backpropagation?"
_PAPER_INTRODUCTION = (
    "Ours above the numbers of Liao, Leibo and Poggio (2016, arXiv:1510.05067v4), which are in italics if the "
    "dataset is one of theirs."
)
_OWN_INTRODUCTION = "Test errors in percent."
_NO_CELL = "no cell is finished yet"
_HOLDS = ("supported", "not supported")


def choose_title(tables: Sequence[FilledGrid]) -> str:
    """Return the title of a report: the paper's if any table is one of its tables, else those of the tables."""
    if not tables or any(filled.grid.is_of_paper for filled in tables):
        return PAPER_TITLE
    titles = list(dict.fromkeys(filled.grid.title for filled in tables))
    return titles[0] if len(titles) == 1 else list_some(shorten_titles(titles))


def choose_introduction(tables: Sequence[FilledGrid]) -> str:
    """Return the introduction of a report: whose numbers are where."""
    has_paper = any(cell.paper is not None for filled in tables for cells in filled.cells for cell in cells)
    return _PAPER_INTRODUCTION if has_paper or not tables else _OWN_INTRODUCTION


def find_place(filled: FilledGrid) -> int:
    """Return the place of a table among those of the paper; others come after these."""
    places = list(table_files())
    return places.index(filled.grid.key.removeprefix("table-")) if filled.grid.is_of_paper else len(places)


def summarize(
    tables: Sequence[FilledGrid],
    store: Store,
    ours: Sequence[OurJudgements],
    printed: Sequence[str] = (),
) -> tuple[str, ...]:
    """Return three lines: the training, the distance to the paper, the verdicts.

    `ours` are those of `judge_ours`. `printed` says how many numbers of other papers agree.
    """
    if not tables:
        return ()
    return (
        f"Trained: {_describe_training(tables, store)}",
        f"Next to the paper: {'; '.join((*printed, *_describe_closeness(tables, printed)))}.",
        f"What holds: {'; '.join(_describe_verdicts(tables, ours))}.",
    )


def _describe_training(tables: Sequence[FilledGrid], store: Store) -> str:
    runs = {run_id: run for filled in tables for run_id, run in filled.grid.all_runs().items()}
    done = len(store.finished_ids() & runs.keys())
    labels = list(dict.fromkeys(row.label for filled in tables for row in filled.grid.rows if row.dataset))
    protocols = list(dict.fromkeys(filled.grid.protocol_label for filled in tables))
    seeds = sorted({len(filled.grid.seeds) for filled in tables})
    seeds_of_all = count(seeds[0], "seed") if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds"
    of_all = count(done, "run") if done == len(runs) else f"{done:,} of {len(runs):,} runs"
    where = f" on {list_some(labels)}" if labels else ""
    return (
        f"{of_all}{where}, {_name_protocols(protocols)}, {seeds_of_all}, "
        f"{format_duration(3600 * add_up_hours(store, runs))} of training."
    )


def _name_protocols(labels: Sequence[str]) -> str:
    """Return the protocol, or how many there are: labels with overrides are long, and have commas."""
    return f"protocol {labels[0]}" if len(labels) == 1 else count(len(labels), "protocol")


def _describe_closeness(tables: Sequence[FilledGrid], printed: Sequence[str]) -> Iterator[str]:
    """Yield how close tables are to the paper's; if it has no such cell and no other paper, what is lowest."""
    found = list(describe_agreement(tables))
    yield from found
    if not found and not printed:
        yield _describe_lowest(tables)


def describe_agreement(tables: Sequence[FilledGrid]) -> Iterator[str]:
    """Yield how many cells are near the paper's, for each protocol that has any; on other data apart."""
    groups = group_tables(tables)
    for group, own in groups.items():
        own = keep_one_copy(own)
        by = _name_group(group, groups)
        for kind, pairs in split_by_data(deduplicate(pair for filled in own for pair in pair_cells(filled))):
            data = "" if pairs[0].row.exact else f" on {kind}"
            yield _describe_agreement(Agreement.of(pairs), f"{by}{data}")


def _name_group(group: Conditions, groups: Collection[Conditions]) -> str:
    """Return by which protocol cells were trained, if there are several."""
    return f" by {group.describe_among(groups)}" if len(groups) > 1 else ""


def _describe_agreement(agreement: Agreement, where: str) -> str:
    """Return how many cells are near the paper's; colours that are hollow do not count, and are named."""
    nearest, *_, widest = agreement.within
    text = f"{nearest} of {agreement.cells} cells{where} are within 1 point, {widest} within 3"
    if not agreement.coloured:
        return text
    hollow = f", besides {agreement.hollow} hollow" if agreement.hollow else ""
    return f"{text}, and {agreement.same_colour} of {agreement.coloured} have its colour{hollow}"


def _describe_lowest(tables: Sequence[FilledGrid]) -> str:
    """Return the lowest error among finished cells, none of which the paper has: for each dataset and protocol."""
    groups = group_tables(tables)
    datasets = name_datasets(row for filled in tables for row in filled.grid.rows)
    lowest: dict[str, tuple[float, str]] = {}  # where -> error, and in words
    for filled in tables:
        group = Conditions.of(filled.grid)
        for row, column, cell in _list_finished(filled):
            error = cell.error_percent or 0.0
            where = f" on {datasets[row.dataset or '', row.network]}{_name_group(group, groups)}"
            text = f"{error:.2f} ± {cell.standard_error:.2f} %, of {column.header}{where}"
            lowest[where] = min(lowest.get(where, (error, text)), (error, text), key=lambda found: found[0])
    texts = [text for _, text in lowest.values()]
    errors = "error is" if len(texts) == 1 else "errors are"
    return f"it has none of the finished cells; their lowest {errors} {list_some(texts)}" if texts else _NO_CELL


def _list_finished(filled: FilledGrid) -> Iterator[tuple[GridRow, GridColumn, Cell]]:
    """Yield the finished cells of the columns that train as many epochs as the protocol of their table says."""
    epochs = filled.grid.protocol.epochs
    for row, cells in zip(filled.grid.rows, filled.cells, strict=True):
        for column, cell in zip(filled.grid.columns, cells, strict=True):
            if cell.complete and cell.picks and all(entry.protocol.epochs == epochs for entry in column.entries):
                yield row, column, cell


def _describe_verdicts(tables: Sequence[FilledGrid], ours: Sequence[OurJudgements]) -> Iterator[str]:
    """Yield how many of the paper's conclusions hold under each protocol, and how cells compare with baselines."""
    for one in ours:
        yield count_verdicts(one.judgements) + (f" (ours ({one.name}))" if len(ours) > 1 else "")
    if not ours:
        yield "none of the paper's conclusions can be judged on these runs"
    for name, cells in _group_by_baseline(tables).items():
        worse, better = (sum(cell.colour == colour for cell in cells) for colour in ("worse", "better"))
        hollow = sum(cell.hollow for cell in cells)
        unsure = f", {hollow} of these by less than two standard errors" if hollow else ""
        yield (
            f"next to {name} {worse} of {len(cells)} cells are worse and {better} better by 3 points or "
            f"more{unsure}"
        )


def count_verdicts(judgements: Sequence[Judgement]) -> str:
    """Return how many of the paper's conclusions hold, fail, and are open."""
    holds, fails = (sum(one.verdict == verdict for one in judgements) for verdict in _HOLDS)
    counts = f"{holds} supported, {fails} not supported, {len(judgements) - holds - fails} open"
    return f"{len(judgements)} conclusions of the paper: {counts}"


def _group_by_baseline(tables: Sequence[FilledGrid]) -> dict[str, list[Cell]]:
    """Return the complete cells that are compared with a baseline, each once, by its name and protocol."""
    groups = group_tables(tables)
    cells: dict[str, dict[object, Cell]] = {}
    for filled in tables:
        grid, group = filled.grid, Conditions.of(filled.grid)
        if grid.baseline is None:
            continue
        name = f"{grid.baseline.header}{_name_group(group, groups)}"
        for row, column, cell in _list_finished(filled):
            if cell.difference is not None:
                key = row.dataset, row.network, column.entries, grid.baseline.entries
                cells.setdefault(name, {})[key] = cell
    return {name: list(found.values()) for name, found in cells.items()}

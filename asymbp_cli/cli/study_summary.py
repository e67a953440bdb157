"""What is said above the tables of a study, in few lines: how close to what was printed, and what holds."""

import shlex
from collections.abc import Iterator, Sequence

from asymbp_cli.analysis.agreement import Conditions
from asymbp_cli.analysis.conclusions.ours import OurJudgements, is_judgeable, judge_ours
from asymbp_cli.analysis.tables import FilledGrid, fill_all
from asymbp_cli.cli.options import DEFAULT_RESULTS
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.report.marks_listing import compare_printed
from asymbp_cli.report.summary import count_verdicts, describe_agreement
from asymbp_cli.results.store import Store
from asymbp_cli.text import list_some, printable_path


def fill_and_summarize(grids: Sequence[Grid], store: Store) -> tuple[list[FilledGrid], list[str]]:
    """Return the tables of grids, and their summary; the store is read once.

    The summary says how tables agree with printed numbers, and how many of the paper's conclusions hold. These
    rest on all runs of the store under the protocols of these tables, as in reports.
    """
    conditions = {Conditions.of(grid) for grid in grids if is_judgeable(grid)}
    stored = [grid for grid in store.grids() if Conditions.of(grid) in conditions and is_judgeable(grid)]
    filled = fill_all(store, [*grids, *stored])
    tables, judged = filled[: len(grids)], filled[len(grids) :]
    return tables, list(_summarize(tables, judged, store))


def _summarize(tables: Sequence[FilledGrid], judged: Sequence[FilledGrid], store: Store) -> Iterator[str]:
    for filled in tables:
        yield from (f"{listing.title}." for listing in compare_printed(filled, store, every=False))
    if agreement := "; ".join(describe_agreement(tables)):
        yield f"Next to the paper: {agreement}."
    found = judge_ours(judged, store.datasets())
    yield from map(sum_up, found)
    if found:
        place = store.directory
        where = "" if place == DEFAULT_RESULTS else f" --results {printable_path(shlex.quote(str(place)))}"
        yield f"`asymbp conclusions{where}` has the reasons, `asymbp report{where}` everything."


def sum_up(ours: OurJudgements) -> str:
    """Return how many conclusions hold, fail, and are open, on which numbers."""
    return f"On {list_some(ours.datasets)}, {ours.name}: {count_verdicts(ours.judgements)}."

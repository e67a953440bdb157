"""What is said above the tables of a study, in few lines: how close to what was printed, and what holds."""

import shlex
from collections.abc import Iterator, Sequence

from asymbp_cli.analysis.agreement import Conditions
from asymbp_cli.analysis.conclusions.ours import OurJudgements, is_judgeable, judge_ours
from asymbp_cli.analysis.marks import find_marks
from asymbp_cli.analysis.tables import FilledGrid, fill_all
from asymbp_cli.cli.options import DEFAULT_RESULTS
from asymbp_cli.report.marks_listing import list_marks
from asymbp_cli.report.summary import count_verdicts, describe_agreement
from asymbp_cli.results.store import Store
from asymbp_cli.text import list_some, printable_path


def summarize(tables: Sequence[FilledGrid], store: Store) -> list[str]:
    """Return the agreement of tables with printed numbers, and how many of the paper's conclusions hold.

    Conclusions rest on all runs of the store under the protocols of these tables, as in reports.
    """
    lines = list(_sum_up_marks(tables, store))
    if agreement := "; ".join(describe_agreement(tables)):
        lines.append(f"Next to the paper: {agreement}.")
    conditions = {Conditions.of(filled.grid) for filled in tables if is_judgeable(filled.grid)}
    stored = [grid for grid in store.grids() if Conditions.of(grid) in conditions and is_judgeable(grid)]
    found = judge_ours(fill_all(store, stored), store.datasets())
    lines += map(sum_up, found)
    if found:
        place = store.directory
        where = "" if place == DEFAULT_RESULTS else f" --results {printable_path(shlex.quote(str(place)))}"
        lines.append(f"`asymbp conclusions{where}` has the reasons, `asymbp report{where}` everything.")
    return lines


def _sum_up_marks(tables: Sequence[FilledGrid], store: Store) -> Iterator[str]:
    for filled in tables:
        if find_marks(filled.grid):
            epochs = store.epochs(filled.grid.all_runs())
            yield from (f"{listing.title}." for listing in list_marks(filled, epochs, every=False))


def sum_up(ours: OurJudgements) -> str:
    """Return how many conclusions hold, fail, and are open, on which numbers."""
    return f"On {list_some(ours.datasets)}, {ours.name}: {count_verdicts(ours.judgements)}."

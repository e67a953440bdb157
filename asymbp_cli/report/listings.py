"""What tables say besides their numbers: differences to the paper, agreement with it, verdicts on its claims."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from statistics import median

from asymbp_cli.analysis.agreement import (
    WITHIN_POINTS,
    Agreement,
    CellPair,
    Conditions,
    correlate_rows,
    deduplicate,
    group_tables,
    pair_cells,
)
from asymbp_cli.analysis.conclusions import Judgement, judge, load_paper_numbers
from asymbp_cli.analysis.conclusions.ours import OurJudgements, judge_ours
from asymbp_cli.analysis.copies import find_copies, keep_one_copy
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.recipe.labels import name_data, name_version
from asymbp_cli.report.document import Listing
from asymbp_cli.report.text import shorten_titles
from asymbp_cli.text import count

_MOST_LABELS = 3
_AGREEMENT_NOTES = (
    "Same colour: yellow, blue or none by the 3-point rule, over the complete columns other than the baseline. "
    "Cells of which ours or the paper's is hollow are counted apart: less than two standard errors decide them.",
    "Rank correlation (Spearman): the order of a dataset's columns, ours against the paper's.",
)
_CONCLUSIONS_NOTES = (
    "The paper tests none of its conclusions, so the yardstick is ours: its own 3 points, dataset by dataset. "
    "A part of a claim holds if it does on two thirds of the datasets (often: on one third), a claim if all its "
    "parts do; one part that fails refutes it, whatever else is missing. A network hardly learns if it goes less "
    "than a quarter of the way from guessing to SGD's error.",
    "A verdict is clear by count if it stays the same with one dataset more or fewer required, otherwise on the "
    "threshold. The counts are those of the part that decides least clearly. They do not say how far datasets are "
    "from 3 points: so many are within two standard errors. With one dataset a verdict holds on this dataset, and "
    "is on the threshold if its difference is within two standard errors of 3 points.",
    "Methods are alike if they are within 3 points of each other on two thirds of the datasets. If not, but if "
    "none is worse than another by 3 points or more on over a third, they differ in no consistent direction.",
    "It cannot be told at this size of error if the errors between which 3 points decide are all within 3 points "
    "of each other and the lowest is below 3 %.",
    "P values are not corrected for their number. How much BM gains on small training sets is the one part that "
    "a p value decides: that of the correlation with difficulty held constant, since small sets are difficult.",
)

Line = tuple[str, ...]
Groups = Mapping[Conditions, Sequence[FilledGrid]]


def list_differences(filled: FilledGrid) -> list[Listing]:
    """Return the difference to the paper in points, cell by cell, if there is any."""
    if not pair_cells(filled):
        return []
    rows = [
        (row.label, *(_points(cell.error_percent if cell.complete else None, cell.paper) for cell in cells))
        for row, cells in zip(filled.grid.rows, filled.cells, strict=True)
        if any(cell.paper is not None and cell.picks and cell.complete for cell in cells)
    ]
    header = ("ours minus the paper's, points", *(column.header for column in filled.grid.columns))
    return [Listing(f"{filled.grid.title}: differences", header, tuple(rows), folded=True)]


def _points(ours: float | None, papers: float | None) -> str:
    return "-" if ours is None or papers is None else f"{ours - papers:+z.2f}"


def tell_titles_apart(tables: Sequence[FilledGrid]) -> list[str]:
    """Return the title of each table; if another has the same one, with its protocol.

    If they are needed, its seeds and the versions of its plugins follow.
    """
    return [_distinct_title(filled, tables) for filled in tables]


def _distinct_title(filled: FilledGrid, tables: Sequence[FilledGrid]) -> str:
    title, alike = filled.grid.title, [other.grid for other in tables if other.grid.title == filled.grid.title]
    if len(alike) == 1:
        return title
    conditions = Conditions.of(filled.grid).describe_among(map(Conditions.of, alike))
    version = name_version(filled.grid, alike)
    return f"{title} ({', '.join(filter(None, (conditions, '' if version in conditions else version)))})"


def retitle(listing: Listing, filled: FilledGrid, title: str) -> Listing:
    """Return a listing of a table under another title of that table."""
    return replace(listing, title=f"{title}{listing.title.removeprefix(filled.grid.title)}")


def list_agreement(tables: Sequence[FilledGrid]) -> list[Listing]:
    """Compare complete cells with the paper's: per table, and in total with each cell once."""
    groups = group_tables(tables)
    names = shorten_titles([filled.grid.title for filled in tables])
    own = [list(_table_lines(name, filled, groups)) for name, filled in zip(names, tables, strict=True)]
    lines = list(chain.from_iterable(own))
    if not lines:
        return []
    if max(Counter(protocol for (_, protocol, *_), *_ in filter(None, own)).values()) > 1:
        lines += [line for group in groups for line in _total_lines(group, groups)]
    within = (f"within {limit:g} point{'s' if limit > 1 else ''}" for limit in WITHIN_POINTS)
    header = ("table", "protocol", "data", "cells", *within, "same colour", "hollow ones", "rank correlation")
    notes = (*_AGREEMENT_NOTES, *(note for group in groups for note in _note_copies(group, groups)))
    return [Listing("Agreement with the paper", header, tuple(lines), notes)]


def _note_copies(group: Conditions, groups: Groups) -> Iterator[str]:
    """Yield which copy of a dataset counts, if there are several."""
    for name, copies in find_copies(groups[group]).items():
        if len(copies) > 1:
            (dataset, _), *_ = copies
            yield (
                f"{name}, {group.describe_among(groups)}: of {len(copies)} copies of the paper's data, in other "
                f"orders, one counts in totals and conclusions. It is {name_data(dataset)}, which has the most "
                "complete cells, or was the first of those with equally many."
            )


def _table_lines(name: str, filled: FilledGrid, groups: Groups) -> Iterator[Line]:
    protocol = Conditions.of(filled.grid).describe_among(groups)
    correlations = correlate_rows(filled)
    (own,) = keep_one_copy([filled])
    for kind, pairs in split_by_data(pair_cells(own)):
        ranks = _format_correlations({pair.row.label: correlations[pair.row.label] for pair in pairs})
        yield name, protocol, kind, *_counts(Agreement.of(pairs)), ranks


def _total_lines(group: Conditions, groups: Groups) -> Iterator[Line]:
    pairs = [pair for filled in keep_one_copy(groups[group]) for pair in pair_cells(filled)]
    for kind, own in split_by_data(deduplicate(pairs)):
        counts = _counts(Agreement.of(own))
        yield "all, each cell once", group.describe_among(groups), kind, *counts, ""


def split_by_data(pairs: Sequence[CellPair]) -> Iterator[tuple[str, list[CellPair]]]:
    """Yield what data is called, and its cells: those on the paper's own data, then others; no empty ones."""
    for kind, exact in (("the paper's", True), ("a copy or other split", False)):
        if own := [pair for pair in pairs if pair.row.exact == exact]:
            yield kind, own


def _counts(agreement: Agreement) -> Line:
    within = (f"{near} ({100 * near / agreement.cells:.0f} %)" for near in agreement.within)
    same = f"{agreement.same_colour} of {agreement.coloured}" if agreement.coloured else "-"
    hollow = f"{agreement.same_hollow} of {agreement.hollow}" if agreement.hollow else "-"
    return (str(agreement.cells), *within, same, hollow)


def _format_correlations(correlations: Mapping[str, float | None]) -> str:
    """Return the rank correlation of each dataset, or their median if there are many."""
    known = {label: value for label, value in correlations.items() if value is not None}
    if len(known) > _MOST_LABELS:
        return f"median {median(known.values()):z.2f} over {len(known)} datasets"
    return ", ".join(f"{label} {value:z.2f}" for label, value in known.items()) or "-"


def list_conclusions(tables: Sequence[FilledGrid], infos: Mapping[str, DecodedDataset]) -> list[Listing]:
    """Return the verdicts on the paper's conclusions, on its own numbers and on ours, and their evidence.

    Ours are judged per protocol, and next to them the paper's numbers of the same datasets. If none of ours can be
    judged, there is no listing. `infos` holds the datasets by fingerprint.
    """
    return list_judgements(judge_ours(tables, infos))


def list_judgements(ours: Sequence[OurJudgements]) -> list[Listing]:
    """Return the verdicts and their evidence, next to those on all of the paper's numbers."""
    if not ours:
        return []
    judgements = {"the paper": judge(load_paper_numbers())}
    for one in ours:
        judgements |= {one.papers_name: one.papers} if one.papers else {}
        judgements[f"ours ({one.name})"] = one.judgements
    claims = list(zip(*judgements.values(), strict=True))
    verdicts = tuple((claim[0].claim, *map(format_verdict, claim)) for claim in claims)
    return [
        Listing("The paper's conclusions", ("claim", *judgements), verdicts, _CONCLUSIONS_NOTES),
        *(_list_evidence(judgements, claim) for claim in claims if any(one.datasets for one in claim)),
    ]


def _list_evidence(sources: Iterable[str], claim: Sequence[Judgement]) -> Listing:
    """Return the evidence for the verdicts on a claim."""
    lines = (
        (source, text)
        for source, judgement in zip(sources, claim, strict=True)
        if judgement.datasets
        for text in (judgement.reason, *judgement.evidence)
    )
    name = re.split(r"[:,;(.]", claim[0].claim)[0].strip()
    return Listing(f"Evidence: {name}", ("numbers of", "evidence"), tuple(lines), folded=True)


def format_verdict(judgement: Judgement) -> str:
    """Return the verdict, how clear it is, and on how many datasets it holds."""
    held, grade = len(judgement.datasets), judgement.grade
    graded = f"open, {judgement.verdict}" if grade == "open" else f"{judgement.verdict}, {grade}"
    if not held or grade == "on this dataset":
        return graded
    return f"{graded}: {judgement.count}" if judgement.count else f"{graded}, on {count(held, 'dataset')}"

"""What tables say beside their numbers: differences to the paper, agreement with it, verdicts on its claims."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from asymbp_cli.analysis.agreement import (
    WITHIN_POINTS,
    Agreement,
    Compared,
    compared,
    conditions,
    distinct,
    row_correlations,
)
from asymbp_cli.analysis.conclusions import Judgement, judge, our_numbers, paper_numbers
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.report.parts import Listing

_MOST_LABELS = 3


def differences(filled: FilledGrid) -> list[Listing]:
    """Return the difference to the paper in points, cell by cell, where there is any."""
    if not compared(filled):
        return []
    rows = [
        (row.label, *(_points(cell.error_percent if cell.complete else None, cell.paper) for cell in cells))
        for row, cells in zip(filled.grid.rows, filled.cells, strict=True)
        if any(cell.paper is not None and cell.picks and cell.complete for cell in cells)
    ]
    header = ("ours minus the paper's, points", *(column.header for column in filled.grid.columns))
    return [Listing(f"{filled.grid.title}: differences", header, tuple(rows))]


def _points(ours: float | None, papers: float | None) -> str:
    return "-" if ours is None or papers is None else f"{ours - papers:+.2f}"


def agreement(tables: Sequence[FilledGrid]) -> list[Listing]:
    """Return how close finished cells come to the paper's: per table, and in total each cell once."""
    lines = []
    groups = list(dict.fromkeys(conditions(filled.grid) for filled in tables))
    for filled in tables:
        said = conditions(filled.grid).said_among(groups)
        correlations = row_correlations(filled)
        for kind, found in _kinds(compared(filled)):
            ranks = _ranks({one.row.label: correlations[one.row.label] for one in found})
            lines.append((filled.grid.key, said, kind, *_counts(Agreement.of(found)), ranks))
    if not lines:
        return []
    several = len({line[:2] for line in lines}) > len({line[1] for line in lines})
    everything = [one for filled in tables for one in compared(filled)] if several else []
    for group in groups:
        own = [one for one in everything if one.key[2] == group]
        for kind, found in _kinds(distinct(own)):
            lines.append(
                ("all, each cell once", group.said_among(groups), kind, *_counts(Agreement.of(found)), "")
            )
    within = (f"within {limit:g} point{'s' if limit > 1 else ''}" for limit in WITHIN_POINTS)
    header = ("table", "protocol", "data", "cells", *within, "same colour", "rank correlation")
    notes = (
        "Same colour: yellow, blue or none by the 3-point rule, over the finished columns beside the baseline.",
        "Rank correlation (Spearman): the order of a dataset's columns, ours against the paper's.",
    )
    return [Listing("Agreement with the paper", header, tuple(lines), notes)]


def _kinds(found: Sequence[Compared]) -> Iterable[tuple[str, list[Compared]]]:
    for kind, exact in (("the paper's", True), ("a copy or other split", False)):
        if some := [one for one in found if one.row.exact == exact]:
            yield kind, some


def _counts(counted: Agreement) -> tuple[str, ...]:
    within = (f"{count} ({100 * count / counted.cells:.0f} %)" for count in counted.within)
    same = f"{counted.same_colour} of {counted.coloured}" if counted.coloured else "-"
    return (str(counted.cells), *within, same)


def _ranks(correlations: Mapping[str, float | None]) -> str:
    """Return the rank correlation of each dataset, or their median where there are many."""
    known = {label: value for label, value in correlations.items() if value is not None}
    if len(known) > _MOST_LABELS:
        return f"median {median(known.values()):.2f} over {len(known)} datasets"
    return ", ".join(f"{label} {value:.2f}" for label, value in known.items()) or "-"


def conclusions(tables: Sequence[FilledGrid], infos: Mapping[str, DecodedDataset]) -> list[Listing]:
    """Return the verdicts on the paper's conclusions, on its own numbers and on ours, and what they rest on.

    Ours are judged for each protocol by itself, and beside them the paper's numbers of the same datasets; nothing
    is returned where nothing of ours can be judged. `infos` are the datasets by fingerprint.
    """
    judged = {"the paper": judge(paper_numbers())}
    groups = list(dict.fromkeys(conditions(filled.grid) for filled in tables))
    for group in groups:
        own = our_numbers([filled for filled in tables if conditions(filled.grid) == group], infos)
        ours = judge(own)
        if all(one.verdict == "not enough runs" for one in ours):
            continue
        if shared := [name for name in paper_numbers().datasets if name in own.datasets]:
            judged[f"the paper on {', '.join(shared)}"] = judge(paper_numbers().on(*shared))
        judged[f"ours ({group.said_among(groups)})"] = ours
    if len(judged) == 1:
        return []
    lines = list(zip(*judged.values(), strict=True))
    verdicts = [(found[0].claim, *map(_verdict, found)) for found in lines]
    rests = [
        (one.key, who, text)
        for found in lines
        for who, one in zip(judged, found, strict=True)
        for text in (one.reason, *one.evidence)
        if one.datasets
    ]
    notes = (
        "The paper tests none of its conclusions, so the yardstick is ours: its own 3 points, dataset by dataset. "
        "A part of a claim holds if it does on two thirds of the datasets, a claim if all its parts do; one part "
        "that fails refutes it, whatever else is missing. Methods are alike if none is worse than another by 3 "
        "points or more on over a third of the datasets: these may differ, but not lean to one side. How much BM "
        "gains on small training sets is the one part that a p value decides.",
    )
    return [
        Listing("The paper's conclusions", ("claim", *judged), tuple(verdicts), notes),
        Listing("What the verdicts rest on", ("claim", "numbers of", "evidence"), tuple(rests)),
    ]


def _verdict(one: Judgement) -> str:
    count = f" ({len(one.datasets)} dataset{'s' if len(one.datasets) > 1 else ''})" if one.datasets else ""
    return one.verdict + count

"""Assembles the report of a store: tables with their figures, agreement, conclusions, provenance, protocols."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from asymbp_cli.analysis.agreement import Conditions
from asymbp_cli.analysis.conclusions.ours import judge_ours
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.recipe.procedure import describe_field
from asymbp_cli.report.citation import CITATION
from asymbp_cli.report.compute_listing import list_compute
from asymbp_cli.report.document import Block, Code, Document, Figure, Listing
from asymbp_cli.report.listings import (
    list_agreement,
    list_differences,
    list_judgements,
    retitle,
    tell_titles_apart,
)
from asymbp_cli.report.marks_listing import compare_printed
from asymbp_cli.report.provenance_listing import list_provenance
from asymbp_cli.report.rates_listing import list_all_rates
from asymbp_cli.report.result_table import make_result_table
from asymbp_cli.report.summary import choose_introduction, choose_title, find_place, summarize
from asymbp_cli.report.text import short_title
from asymbp_cli.report.uncertainty_listing import list_uncertainty
from asymbp_cli.results.store import Store
from asymbp_cli.specs.protocol import Protocol


def assemble_document(
    tables: Sequence[FilledGrid], store: Store, figures: Sequence[Figure] = (), title: str | None = None
) -> Document:
    """Return the report of `tables`, whose runs are in `store`; without a title it gets that of its tables.

    The paper's tables come first. Each table has its figures under it, then what else is known of its cells.
    """
    order = sorted(range(len(tables)), key=lambda number: find_place(tables[number]))
    shown = [[figure for figure in figures if figure.table == number] for number in order]
    tables = [tables[number] for number in order]
    printed = [compare_printed(filled, store) for filled in tables]
    judgements = judge_ours(tables, store.datasets())
    blocks: list[Block] = []
    for filled, told, own, listings in zip(tables, tell_titles_apart(tables), shown, printed, strict=True):
        blocks += _list_table(filled, told, own, listings)
    blocks += list_agreement(tables)
    blocks += (figure for figure in figures if figure.table is None)
    blocks += list_judgements(judgements)
    blocks += [*list_compute(tables, store), list_provenance(tables, store)]
    blocks += list_protocols(tables)
    blocks.append(Code("How to cite", CITATION))
    counts = [
        f"{short_title(filled.grid.title)}{listing.title.removeprefix(filled.grid.title)}"
        for filled, listings in zip(tables, printed, strict=True)
        for listing in listings
        if not listing.folded
    ]
    return Document(
        title or choose_title(tables),
        choose_introduction(tables),
        tuple(blocks),
        summarize(tables, store, judgements, counts),
    )


def _list_table(
    filled: FilledGrid, title: str, figures: Sequence[Figure], printed: Sequence[Listing]
) -> Iterator[Block]:
    """Yield a table, its figures, and what else is known of its cells."""
    yield replace(make_result_table(filled), title=title)
    yield from figures
    listings = (*printed, *list_all_rates(filled), *list_differences(filled), *list_uncertainty(filled))
    for listing in listings:
        yield retitle(listing, filled, title)


def list_protocols(tables: Sequence[FilledGrid]) -> list[Listing]:
    """Return every field of every protocol in use, with what the paper says of it."""
    protocols = {Conditions.of(filled.grid)._replace(seeds=()): filled.grid.protocol for filled in tables}
    return [_list_protocol(own.describe_among(protocols), protocol) for own, protocol in protocols.items()]


def _list_protocol(label: str, protocol: Protocol) -> Listing:
    rows = [
        (name, describe_field(protocol, name), " ".join((field.description or "").split()))
        for name, field in Protocol.model_fields.items()
    ]
    return Listing(f"Protocol {label}", ("field", "value", "source"), tuple(rows), folded=True)

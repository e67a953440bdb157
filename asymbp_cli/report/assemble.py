"""Assembles the report of a store: tables, differences, agreement, conclusions, figures, protocols, provenance."""

from collections.abc import Sequence
from dataclasses import replace

from asymbp_cli.analysis.agreement import Conditions
from asymbp_cli.analysis.marks import find_marks
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.report.citation import CITATION
from asymbp_cli.report.compute_listing import list_compute
from asymbp_cli.report.document import Block, Code, Document, Figure, Listing
from asymbp_cli.report.listings import list_agreement, list_conclusions, list_differences
from asymbp_cli.report.marks_listing import list_marks
from asymbp_cli.report.provenance_listing import list_provenance
from asymbp_cli.report.result_table import make_result_table
from asymbp_cli.report.uncertainty_listing import list_uncertainty
from asymbp_cli.results.store import Store
from asymbp_cli.specs.protocol import Protocol

TITLE = "How important is weight symmetry in backpropagation?"
_INTRODUCTION = (
    "Ours above the numbers of Liao, Leibo and Poggio (2016, arXiv:1510.05067v4), which are in italics if the "
    "dataset is one of theirs."
)


def assemble_document(tables: Sequence[FilledGrid], store: Store, figures: Sequence[Figure] = ()) -> Document:
    """Return the report of `tables`, whose runs are in `store`."""
    blocks: list[Block] = []
    for filled in tables:
        title = _distinct_title(filled, tables)
        blocks.append(replace(make_result_table(filled), title=title))
        blocks += [replace(listing, title=f"{title}: differences") for listing in list_differences(filled)]
        blocks += [replace(listing, title=f"{title}: uncertainty") for listing in list_uncertainty(filled)]
        if find_marks(filled.grid):
            blocks += list_marks(filled, store.epochs(filled.grid.all_runs()), every=True)
    blocks += list_agreement(tables)
    blocks += list_conclusions(tables, store.datasets())
    blocks += figures
    blocks += list_protocols(tables)
    blocks += list_compute(tables, store)
    blocks += [list_provenance(tables, store), Code("How to cite", CITATION)]
    return Document(TITLE, _INTRODUCTION, tuple(blocks))


def _distinct_title(filled: FilledGrid, tables: Sequence[FilledGrid]) -> str:
    """Return a table's title; if another table has the same one, with its protocol and, if needed, seeds."""
    title = filled.grid.title
    alike = [Conditions.of(other.grid) for other in tables if other.grid.title == title]
    return f"{title} ({Conditions.of(filled.grid).describe_among(alike)})" if len(alike) > 1 else title


def list_protocols(tables: Sequence[FilledGrid]) -> list[Listing]:
    """Return every field of every protocol in use, with what the paper says of it."""
    protocols = {filled.grid.protocol_label: filled.grid.protocol for filled in tables}
    return [_list_protocol(label, protocol) for label, protocol in protocols.items()]


def _list_protocol(label: str, protocol: Protocol) -> Listing:
    rows = [
        (name, _format_field(protocol, name), " ".join((field.description or "").split()))
        for name, field in Protocol.model_fields.items()
    ]
    return Listing(f"Protocol {label}", ("field", "value", "source"), tuple(rows))


def _format_field(protocol: Protocol, name: str) -> str:
    if name == "phases":
        return ", ".join(f"{count} epochs at {rate:g}" for count, rate in protocol.schedule())
    value = getattr(protocol, name)
    return ", ".join(f"{item:g}" for item in value) if name == "rate_multipliers" else str(value)

"""The report of a store's tables as a neutral document: tables, differences, agreement, figures, provenance."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from asymbp_cli import __version__
from asymbp_cli.analysis.agreement import conditions
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.report.listings import agreement, conclusions, differences
from asymbp_cli.report.parts import Document, Figure, Listing
from asymbp_cli.report.sheet import Sheet, sheet
from asymbp_cli.results.store import Store
from asymbp_cli.specs.protocol import Protocol

TITLE = "How important is weight symmetry in backpropagation?"
_INTRODUCTION = (
    "Ours above the numbers of Liao, Leibo and Poggio (2016, arXiv:1510.05067v4), which stand in italics where "
    "the dataset is one of theirs."
)


def document(tables: Sequence[FilledGrid], store: Store, figures: Sequence[Figure] = ()) -> Document:
    """Return the report of `tables`, whose runs are in `store`."""
    parts: list[Sheet | Listing | Figure] = []
    for filled in tables:
        told = _told_apart(filled, tables)
        parts.append(replace(sheet(filled), title=told))
        parts += (replace(part, title=f"{told}: differences") for part in differences(filled))
    parts += [*agreement(tables), *conclusions(tables, store.datasets())]
    return Document(TITLE, _INTRODUCTION, (*parts, *figures, *_protocols(tables), provenance(tables, store)))


def _told_apart(filled: FilledGrid, tables: Sequence[FilledGrid]) -> str:
    """Return a table's title; where another one has it, with its protocol, and its seeds where these differ."""
    title = sheet(filled).title
    alike = [conditions(other.grid) for other in tables if other.grid.title == filled.grid.title]
    return f"{title} ({conditions(filled.grid).said_among(alike)})" if len(alike) > 1 else title


def _protocols(tables: Sequence[FilledGrid]) -> list[Listing]:
    """Return every field of every protocol in use, with what the paper says of it."""
    found = {filled.grid.protocol_label: filled.grid.protocol for filled in tables}
    return [
        Listing(
            f"Protocol {label}",
            ("field", "value", "source"),
            tuple(
                (name, _value(protocol, name), " ".join((field.description or "").split()))
                for name, field in Protocol.model_fields.items()
            ),
        )
        for label, protocol in found.items()
    ]


def _value(protocol: Protocol, name: str) -> str:
    if name == "phases":
        return ", ".join(f"{count} epochs at {rate:g}" for count, rate in protocol.schedule())
    value = getattr(protocol, name)
    return ", ".join(f"{item:g}" for item in value) if name == "rate_multipliers" else str(value)


def provenance(tables: Sequence[FilledGrid], store: Store) -> Listing:
    """Return how to get the same again: commands, datasets, software, devices, time spent."""
    grids = [filled.grid for filled in tables]
    runs = {run_id: run for grid in grids for run_id, run in grid.all_runs().items()}
    attempts, datasets = store.attempts(runs), store.datasets()
    spent = store.spent(runs)
    flop_per_epoch = {  # by dataset and network
        (row.dataset, row.network): row.network.flop_per_sample() * datasets[row.dataset].train_count
        for grid in grids
        for row in grid.rows
        if row.network and row.dataset in datasets
    }
    flop = sum(
        flop_per_epoch[run.dataset, run.network] * spent[id_].epochs for id_, run in runs.items() if id_ in spent
    )
    fingerprints = dict.fromkeys(row.dataset for grid in grids for row in grid.rows if row.dataset)
    facts: list[tuple[str, str]] = [
        ("rendered by", f"asymbp {__version__}"),
        *(("command", f"`{line}`") for line in dict.fromkeys(c for grid in grids for c in store.commands(grid))),
        ("seeds", ", ".join(map(str, sorted({seed for grid in grids for seed in grid.seeds})))),
    ]
    for fingerprint in fingerprints:
        if info := datasets.get(fingerprint):
            counts = f"{info.train_count:,} to train, {info.test_count:,} to test"
            facts.append(("dataset", f"{info.label}: {counts}, SHA-256 of pixels and labels {fingerprint[:16]}"))
            facts.append((f"classes of {info.label}", ", ".join(info.classes)))
    said = {
        "software": (", ".join(f"{k} {v}" for k, v in a.software.items()) for a in attempts),
        "device": (f"{a.device} on {a.host}" for a in attempts),
        "checkout": (a.git for a in attempts if a.git),
    }
    facts += [(what, line) for what, lines in said.items() for line in dict.fromkeys(lines)]
    hours = sum(one.seconds for one in spent.values()) / 3600
    facts.append(("time", f"{hours:.2f} hours of training, added up over {len(spent)} runs"))
    facts.append(("cost", f"about {flop / 1e15:.3g} PFLOP of training"))
    return Listing("Provenance", ("what", "value"), tuple(facts))


def figure_directory(output: Path) -> Path:
    """Return where the figures of a report in `output` lie: report.md -> report-figures."""
    return output.with_name(f"{output.stem}-figures")

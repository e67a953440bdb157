"""The markdown report: every table, then where its numbers come from."""

from collections.abc import Sequence
from dataclasses import replace

from asymbp_cli import __version__
from asymbp_cli.report.markdown import render
from asymbp_cli.report.sheet import Sheet, sheet
from asymbp_cli.store import Store
from asymbp_cli.tables import FilledGrid


def document(tables: Sequence[FilledGrid], store: Store) -> str:
    """Return the report of `tables` as GitHub-flavoured markdown."""
    title = "# How important is weight symmetry in backpropagation?"
    source = (
        "Ours above the numbers of Liao, Leibo and Poggio (2016, arXiv:1510.05067v4), which stand in italics "
        "where the dataset is one of theirs."
    )
    sheets = [_told_apart(filled, tables) for filled in tables]
    parts = [title, source, *(render(found) for found in sheets), provenance(tables, store)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _told_apart(filled: FilledGrid, tables: Sequence[FilledGrid]) -> Sheet:
    """Return the table as a sheet; where another one has its title, with its protocol in the title."""
    found = sheet(filled)
    alike = [other for other in tables if other.grid.title == filled.grid.title]
    return replace(found, title=f"{found.title} ({filled.grid.protocol_label})") if len(alike) > 1 else found


def provenance(tables: Sequence[FilledGrid], store: Store) -> str:
    """Return how to get the same again: commands, datasets, software, devices, time spent."""
    wanted = {run_id for filled in tables for run_id in filled.grid.all_runs()}
    attempts = store.attempts(wanted)
    seconds = sum(point.seconds for points in store.epochs(wanted).values() for point in points)
    commands = dict.fromkeys(line for filled in tables for line in store.commands(filled.grid))
    software = dict.fromkeys(", ".join(f"{k} {v}" for k, v in a.software.items()) for a in attempts)
    devices = dict.fromkeys(f"{a.device} on {a.host}" for a in attempts)
    states = dict.fromkeys(a.git for a in attempts if a.git)
    rows = {row.dataset: row.label for filled in tables for row in filled.grid.rows if row.dataset}
    lines = [
        "## Provenance",
        "",
        f"- rendered by asymbp {__version__}",
        *(f"- command: `{line}`" for line in commands),
        *(
            f"- dataset: {label}, SHA-256 of pixels and labels {fingerprint[:16]}"
            for fingerprint, label in rows.items()
        ),
        *(f"- software: {line}" for line in software),
        *(f"- device: {line}" for line in devices),
        *(f"- checkout: {line}" for line in states),
        f"- training time, added up over runs: {seconds / 3600:.2f} hours",
    ]
    return "\n".join(lines)

"""The source of a report, and the form in which every renderer returns it."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.report.assemble import assemble_document
from asymbp_cli.report.document import Document, Figure
from asymbp_cli.results.store import Store


@dataclass(frozen=True)
class Source:
    """Tables and the store that holds their runs; a renderer asks for what its format shows.

    `figure_folder` is the name of the folder for figure files next to the report; None if there can be no files.
    A `fragment` is a part of another document.
    """

    tables: Sequence[FilledGrid]
    store: Store
    figure_folder: str | None = None
    title: str | None = None  # of the report; None: that of its tables
    fragment: bool = False

    def draw_figures(self) -> tuple[Figure, ...]:
        """Return all figures of the report."""
        from asymbp_cli.report.figures import draw_figures

        return draw_figures(self.tables, self.store.epochs(find_selected_runs(self.tables)))

    def assemble(self, figures: Sequence[Figure] = ()) -> Document:
        """Return the report as a document with these figures."""
        return assemble_document(self.tables, self.store, figures, self.title)


def find_selected_runs(tables: Iterable[FilledGrid]) -> set[str]:
    """Return the runs whose curves a report shows: those that cells and baselines were picked from."""
    rows = (
        cell
        for filled in tables
        for cells, baseline in zip(filled.cells, filled.baselines, strict=True)
        for cell in (*cells, baseline)
    )
    return {pick.run for cell in rows if cell for pick in cell.picks}


@dataclass(frozen=True)
class Rendered:
    """A report in some format: its text, the files next to it by relative path, and what its user should know."""

    text: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def name_figure_folder(output: Path, *, for_latex: bool = False) -> str:
    """Return the name of the folder for the figures of a report: report.md -> report-figures.

    LaTeX finds no file with some letters in its path. They are replaced, with a hash that tells such names apart.
    """
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", output.stem) if for_latex else output.stem
    mark = "" if safe == output.stem else f"-{hashlib.sha256(output.stem.encode()).hexdigest()[:6]}"
    return f"{safe}{mark}-figures"

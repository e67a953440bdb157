"""The source of a report, and the form in which every renderer returns it."""

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
    """

    tables: Sequence[FilledGrid]
    store: Store
    figure_folder: str | None = None
    title: str | None = None  # of the report; None: that of its tables

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
    """A report in some format: its text, and the files that belong next to it, by relative path."""

    text: str
    files: Mapping[str, bytes] = field(default_factory=dict)


def name_figure_folder(output: Path) -> str:
    """Return the name of the folder for the figures of a report: report.md -> report-figures."""
    return f"{output.stem}-figures"

"""A skeleton of a report for a reproducibility track, in markdown.

Its sections are those that the ML Reproducibility Challenge asks for: a summary of one page, the report, and the
Machine Learning Reproducibility Checklist. What the store says is filled in. A line with TODO is for the author.
"""

from collections.abc import Iterator
from dataclasses import replace

from asymbp_cli import __version__
from asymbp_cli.analysis.conclusions import judge, load_paper_numbers
from asymbp_cli.analysis.marks import find_marks
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.report.assemble import list_protocols
from asymbp_cli.report.citation import CITATION
from asymbp_cli.report.compute_listing import list_compute, make_compute_records
from asymbp_cli.report.document import Block, Code, Listing
from asymbp_cli.report.listings import (
    list_agreement,
    list_conclusions,
    list_differences,
    retitle,
    tell_titles_apart,
)
from asymbp_cli.report.markdown import escape, render_block
from asymbp_cli.report.marks_listing import compare_printed
from asymbp_cli.report.mlrc_checklist import write_checklist
from asymbp_cli.report.mlrc_facts import list_datasets, list_methods, list_networks
from asymbp_cli.report.provenance_listing import list_provenance
from asymbp_cli.report.result_table import make_result_table
from asymbp_cli.report.source import Rendered, Source
from asymbp_cli.report.summary import choose_title, find_place
from asymbp_cli.report.uncertainty_listing import list_uncertainty
from asymbp_cli.text import count, format_duration

_SMALL = 4  # level of the headings of tables
_NOTHING = "No complete cell can be compared with the paper yet."


def render_report(source: Source) -> Rendered:
    """Return the skeleton, with figures in the source's folder."""
    folder = source.figure_folder
    figures = source.draw_figures() if folder else ()
    files = {f"{folder}/{figure.name}.svg": figure.svg.encode() for figure in figures}
    parts = [
        f"# [Re] {escape(source.title or choose_title(source.tables))}",
        _TOP,
        *_write_summary(source),
        *_write_scope(source),
        *_write_methodology(source),
        *_write_results(source),
        *(render_block(figure, folder) for figure in figures),
        *_write_end(),
        *write_checklist(source.tables),
    ]
    return Rendered("\n\n".join(part.strip() for part in parts if part.strip()) + "\n", files)


_TOP = """TODO: authors, affiliations, and where code and results are (an archive with a DOI).

This is a skeleton. Lines with TODO are yours to write. All numbers and tables come from stored results. Shorten
what your track does not want: the first part is to fit on one page."""

_QUESTION = (
    "The paper asks how much of the symmetry between forward and feedback weights backpropagation needs. Its "
    "answer: the signs of feedback weights matter and their magnitudes do not, if batch normalization or "
    "sign-only updates (Batch Manhattan) keep training stable."
)


def _is_of_another_paper(source: Source) -> bool:
    """Return whether the report has tables of another paper, and none of Liao, Leibo and Poggio 2016."""
    grids = [filled.grid for filled in source.tables]
    return any(map(find_marks, grids)) and not any(grid.is_of_paper for grid in grids)


def _write_summary(source: Source) -> Iterator[str]:
    yield "## Reproducibility summary"
    asked = "TODO: what the paper asks, and what it answers." if _is_of_another_paper(source) else _QUESTION
    yield (
        f"### Scope of reproducibility\n\n{asked}\n\nTODO: which of the claims in *Scope* below are central to "
        "your report, and why."
    )
    yield f"### Methodology\n\n{_sum_up_methodology(source)}\n\nTODO: whether code of the authors was used."
    yield f"### Results\n\n{_sum_up_results(source)}\n\nTODO: what this means for the paper's claims."
    yield "### What was easy\n\nTODO: what took little effort, for instance which parts the paper says in full."
    yield (
        "### What was difficult\n\nTODO: what took time. Choices that the paper leaves open are fields of the "
        "protocol, listed with their reasons under *Hyperparameters*."
    )
    yield "### Communication with original authors\n\nTODO: whom you asked what, and what they answered; or: none."


def _sum_up_methodology(source: Source) -> str:
    runs = {run_id for filled in source.tables for run_id in filled.grid.all_runs()}
    devices = make_compute_records(source.store.efforts(), runs)
    times = [f"{format_duration(3600 * record['hours'])} on {record['device']}" for record in devices]
    took = ", ".join(times) or "no time yet"
    trained = len(source.store.finished_ids() & runs)
    return escape(
        f"A new implementation in PyTorch (asymbp {__version__}) trained {trained:,} of {len(runs):,} runs: "
        f"{took}, failed and interrupted attempts included."
    )


def _sum_up_results(source: Source) -> str:
    lines: list[str] = []
    for filled in source.tables:
        lines += (escape(listing.title) for listing in compare_printed(filled, source.store, every=False))
    for listing in list_agreement(source.tables):
        lines += _sum_up_agreement(listing)
    return "\n".join(f"- {line}." for line in lines) or _NOTHING


def _sum_up_agreement(agreement: Listing) -> Iterator[str]:
    header = agreement.header
    for table, protocol, data, cells, *rest in agreement.rows:
        known = [(value, name) for value, name in zip(rest, header[4:], strict=True) if value not in ("", "-")]
        counts = ", ".join(f"{value} {name}" for value, name in known)
        yield escape(f"{table}, protocol {protocol}, {data} data: of {count(int(cells), 'cell')} {counts}")


def _write_scope(source: Source) -> Iterator[str]:
    yield "## 1 Introduction\n\nTODO: what the paper is about, for readers who do not know it."
    if _is_of_another_paper(source):
        yield "## 2 Scope of reproducibility\n\nTODO: which claims of the paper you test, and which not."
        return
    claims = "\n".join(f"{i}. {escape(one.claim)}" for i, one in enumerate(judge(load_paper_numbers()), start=1))
    yield f"## 2 Scope of reproducibility\n\nThese claims of the paper can be tested on its tables:\n\n{claims}"
    yield "TODO: which of them you test, and which not."


def _write_methodology(source: Source) -> Iterator[str]:
    grids = [filled.grid for filled in source.tables]
    yield "## 3 Methodology"
    yield "### 3.1 Model descriptions"
    yield from _render(list_networks(grids), list_methods(grids))
    yield "### 3.2 Datasets"
    yield from _render(list_datasets(grids, source.store.datasets()))
    yield "TODO: where each dataset comes from and under what licence, and what was left out of it."
    yield "### 3.3 Hyperparameters"
    yield (
        "Nothing was searched besides the learning rate. Each cell is picked among all `rate_multipliers` of its "
        "protocol; the note below each table in *Results* says by what rule."
    )
    yield from _render(*list_protocols(source.tables))
    yield "### 3.4 Experimental setup and code"
    yield from _render(list_provenance(source.tables, source.store))
    yield "TODO: links to code and stored results (`asymbp store export results.jsonl.xz`)."
    yield "### 3.5 Computational requirements"
    yield from _render(*list_compute(source.tables, source.store))
    yield "TODO: memory that was needed, and what the hours cost, in energy or money."


def _write_results(source: Source) -> Iterator[str]:
    tables, infos = sorted(source.tables, key=find_place), source.store.datasets()
    titled = list(zip(tables, tell_titles_apart(tables), strict=True))
    printed = {title: compare_printed(filled, source.store) for filled, title in titled}
    papers = [(filled, title) for filled, title in titled if printed[title] or list_differences(filled)]
    others = [(filled, title) for filled, title in titled if (filled, title) not in papers]
    yield "## 4 Results"
    yield "### 4.1 Results beside the paper's"
    for filled, title in papers:
        yield from _render(*_list_table(filled, title), *printed[title])
    if not papers:
        yield _NOTHING
    yield from _render(*list_agreement(tables))
    yield "### 4.2 The claims"
    if _is_of_another_paper(source):
        yield "TODO: what the numbers say, claim by claim."
    else:
        yield from _render(*list_conclusions(tables, infos))
        yield "TODO: what the verdicts mean, claim by claim."
    yield "### 4.3 Results beyond the paper"
    for filled, title in others:
        yield from _render(*_list_table(filled, title))
    yield "TODO: what you tried beyond the paper, and why." if others else "None here."


def _list_table(filled: FilledGrid, title: str) -> Iterator[Block]:
    """Yield a table, how it differs from the paper's, and how sure its differences are."""
    yield replace(make_result_table(filled), title=title)
    for listing in (*list_differences(filled), *list_uncertainty(filled)):
        yield retitle(listing, filled, title)


def _write_end() -> Iterator[str]:
    yield "## 5 Discussion\n\nTODO: whether the results support the claims; strengths and weaknesses."
    yield "### 5.1 What was easy\n\nTODO"
    yield "### 5.2 What was difficult\n\nTODO"
    yield "### 5.3 Communication with original authors\n\nTODO"
    yield from _render(Code("References", CITATION))


def _render(*blocks: Block) -> Iterator[str]:
    for block in blocks:
        yield render_block(block, level=_SMALL)

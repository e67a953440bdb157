"""The formats of a report, from a store to a text and the files next to it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fake_engine
import pytest
import small_study

from asymbp_cli import study
from asymbp_cli.analysis.tables import fill_all
from asymbp_cli.report.renderers import RENDERERS, render
from asymbp_cli.report.source import Source
from asymbp_cli.results.store import Store


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    """A report with something to draw, and a folder for figures."""
    grid = small_study.grid("SGD", "uSF")
    with Store.open(tmp_path / "results") as store:
        study.run([grid], small_study.INFOS, store, study.Execution(train=fake_engine.train))
        yield Source(fill_all(store, store.grids()), store, "report-figures")


@pytest.mark.parametrize("name", RENDERERS)
def test_every_format_has_every_column(name: str, source: Source) -> None:
    text = render(name, source).text
    assert "uSF" in text
    assert text.endswith("\n") or name == "html"


def test_markdown_links_every_figure_that_it_brings(source: Source) -> None:
    rendered = render("markdown", source)
    drawings = [path for path in rendered.files if path.endswith(".svg")]
    assert drawings
    assert all(f"]({path})" in rendered.text for path in drawings)
    assert {Path(path).stem for path in rendered.files} == {Path(path).stem for path in drawings}
    assert all(path.startswith("report-figures/") for path in rendered.files)


def test_markdown_without_a_folder_has_no_figures(source: Source) -> None:
    rendered = render("markdown", Source(source.tables, source.store))
    assert not rendered.files
    assert "![" not in rendered.text


@pytest.mark.parametrize("name", ["html", "csv", "json"])
def test_other_formats_are_one_file(name: str, source: Source) -> None:
    assert not render(name, source).files


def test_the_names_of_formats_are_known_without_loading_them() -> None:
    heavy = "{'pydantic', 'sqlite3', 'yaml', 'numpy'}"
    code = f"import sys, asymbp_cli.cli.report; print(*({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []

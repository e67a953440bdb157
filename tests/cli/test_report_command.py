"""What `asymbp report` writes where: formats by endings, standard output, several files, fragments, odd names."""

import csv
import io
import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
import small_study
from click.testing import CliRunner, Result

from asymbp_cli.cli.app import cli
from asymbp_cli.errors import UsageError

STARTS = {"md": "# How", "html": "<!doctype html>", "tex": r"\documentclass", "csv": "table,", "json": "{"}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("study") / "results"
    small_study.train(directory, small_study.grid("SGD", "uSF"))
    return directory


def report(results: Path, *arguments: str | Path) -> Result:
    words = ["report", "--results", str(results), *map(str, arguments)]
    done = CliRunner().invoke(cli, words)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_the_ending_decides_and_several_files_are_written_at_once(results: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"all.{ending}" for ending in STARTS]
    done = report(results, *(word for file in files for word in ("--output", file)))
    assert done.exit_code == 0, done.output
    for file, start in zip(files, STARTS.values(), strict=True):
        assert file.read_text(encoding="utf-8").lower().startswith(start.lower())
    assert {path.suffix for path in (tmp_path / "all-figures").iterdir()} == {".svg", ".png", ".pdf"}


def test_an_explicit_format_wins_over_no_ending_and_over_one_of_no_format(results: Path, tmp_path: Path) -> None:
    for name in ("plain", "notes.txt"):
        assert report(results, "--to", "csv", "--output", tmp_path / name).exit_code == 0
        assert (tmp_path / name).read_text().startswith("table,")
    assert report(results, "--output", tmp_path / "none").exit_code == 0
    assert (tmp_path / "none").read_text(encoding="utf-8").startswith("# How")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "csv", "--output", "a.html"], "ends as html does, and --to csv contradicts it"),
        (["--to", "csv", "--output", "a.csv", "--output", "b.md"], "ends as markdown does"),
        (["--to", "mlrc", "--output", "a.tex"], "ends as latex does"),
        (["--output", "a.doc"], r"no format has the ending \.doc\. End the name in \.md, \.html"),
        (
            ["--output", "a.pdf"],
            r"a\.pdf: figures are not written alone, but next to a report: .* as PDF if in \.tex",
        ),
        (["--output", "a.PNG"], r"a\.PNG: figures are .*: as SVG and PNG if its name ends in \.md"),
        (["--output", "a.md", "--fragment"], "--fragment belongs to LaTeX"),
    ],
)
def test_contradictions_are_errors_and_nothing_is_written(
    arguments: list[str], message: str, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        report(results, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_hyphen_is_standard_output_and_a_slash_ends_a_folder(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert report(results, "--output", "-", "--to", "csv").stdout.startswith("table,")
    done = report(results, "--output", "new/")
    assert (done.exit_code, "is the name of a folder" in done.output) == (2, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["two words", "a#1", "50%25", "ünïcode", "(x)", "a?b"])
def test_addresses_of_figures_lead_to_them(name: str, results: Path, tmp_path: Path) -> None:
    report(results, "--output", tmp_path / f"{name}.md", "--output", tmp_path / f"{name}.tex")
    found = re.findall(r"!\[.*\]\((\S+)\)", (tmp_path / f"{name}.md").read_text(encoding="utf-8"))
    assert found
    assert all((tmp_path / unquote(address)).is_file() for address in found)
    text = (tmp_path / f"{name}.tex").read_text(encoding="utf-8")
    included = re.findall(r"\\includegraphics\[.*\]{([A-Za-z0-9./_-]+)}", text)
    assert len(included) == text.count("includegraphics") == len(found)
    assert all((tmp_path / path).read_bytes().startswith(b"%PDF") for path in included)


def test_a_fragment_has_no_preamble(results: Path, tmp_path: Path) -> None:
    report(results, "--output", tmp_path / "part.tex", "--fragment")
    text = (tmp_path / "part.tex").read_text()
    assert not re.search(r"\\(documentclass|usepackage|begin{document}|section)", re.sub("%.*", "", text))
    assert r"\begin{tabular}" in text
    assert "% \\usepackage{amssymb" in text


def test_every_cell_says_how_to_get_it(results: Path, tmp_path: Path) -> None:
    files = {name: tmp_path / f"r.{name}" for name in ("csv", "json", "html")}
    report(results, *(word for file in files.values() for word in ("--output", file)))
    rows = list(csv.DictReader(io.StringIO(files["csv"].read_text())))
    cells = json.loads(files["json"].read_text())["tables"][0]["cells"]
    page = files["html"].read_text(encoding="utf-8")
    assert len(rows) == len(cells) == 2
    for row, cell in zip(rows, cells, strict=True):
        assert row["command"] == cell["command"]
        assert row["command"].startswith("asymbp train --recipe '{dataset: digits, method: ")
        assert row["run"] in page
        assert re.sub("'", "&#39;", row["command"]) in page


def test_reports_end_with_what_to_cite(results: Path) -> None:
    for name in ("markdown", "html", "latex", "json", "mlrc"):
        text = report(results, "--to", name).stdout
        assert "@inproceedings{liao2016weightsymmetry" in text
        assert "@software{asymbp" in text


def test_a_skeleton_has_what_is_known_and_marks_what_is_not(results: Path, tmp_path: Path) -> None:
    report(results, "--to", "mlrc", "--output", tmp_path / "re.md")
    text = (tmp_path / "re.md").read_text(encoding="utf-8")
    for heading in (
        *("Scope of reproducibility", "Methodology", "Results", "What was easy", "What was difficult"),
        *("Communication with original authors", "Model descriptions", "Datasets", "Hyperparameters"),
        *("Experimental setup and code", "Computational requirements", "Results beyond the paper"),
        *("Reproducibility checklist", "Discussion"),
    ):
        assert re.search(rf"^#+ ([0-9.]+ )?{heading}$", text, re.MULTILINE), heading
    assert re.search(r"\| digits +\| 10 +\| 1,437 +\| 360 ", text)
    assert "4 of 4 runs" in text
    assert "13,706" in text  # weights
    assert text.count("TODO") > 15
    assert all("TODO" in line for line in text.splitlines() if line.startswith("- [ ]"))

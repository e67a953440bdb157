"""The documentation of what was measured says what the files hold."""

import csv
import lzma
import re
from itertools import chain
from pathlib import Path
from statistics import fmean

import pytest
from click.testing import CliRunner
from foreign_results import decode, merge_files

from asymbp_cli.analysis.marks import load_marks
from asymbp_cli.analysis.tables import fill_all
from asymbp_cli.cli.app import cli
from asymbp_cli.recipe.resources import recipes_directory
from asymbp_cli.report.csv_records import render
from asymbp_cli.results.store import Store

FOLDER = recipes_directory() / "results"
FILES = sorted(FOLDER.glob("*.csv"))
TEXT = (FOLDER / "README.md").read_text()


def test_there_are_results() -> None:
    assert len(FILES) >= 5


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_says_where_it_comes_from_and_is_explained(file: Path) -> None:
    heads = [line.partition(":")[0] for line in file.read_text().splitlines() if line.startswith("#")]
    assert heads == ["# What", "# Command", "# Machine", "# Software", "# Caveat"]
    assert f"[{file.name}]({file.name})" in TEXT


def read_records(text: str) -> list[dict[str, str]]:
    """Return the records of a file without its head."""
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))


def rows_of(file: Path) -> list[str]:
    """Return the rows of a file's tables as the documentation writes them."""
    by_table: dict[str, list[str]] = {}
    for record in read_records(file.read_text()):
        by_table.setdefault(record["table"], []).append(f"{float(record['error_percent']):.2f}")
    return [" | ".join(cells) for cells in by_table.values()]


@pytest.mark.parametrize(
    "name",
    [
        "tables-mnist-paper",
        "table2-mnist-matconvnet-quick",
        "tables-mnist-quick",
        "cifar10-one-epoch",
        "fashion-mnist-one-epoch",
        "flowers17-demo",
    ],
)
def test_the_tables_have_the_numbers_of_the_file(name: str) -> None:
    rows = rows_of(FOLDER / f"{name}.csv")
    assert rows
    missing = [row for row in rows if not re.search(rf"^\| [^|*]+ \| {re.escape(row)} \|$", TEXT, re.MULTILINE)]
    assert not missing


CAMPAIGNS = sorted((FOLDER / "campaigns").glob("*.jsonl.xz"))
#: campaigns -> the file that their tables were reported to
CAMPAIGNS_OF = {
    ("tables-mnist-paper.jsonl.xz",): "tables-mnist-paper.csv",
    ("readings-matconvnet-quick-mnist.jsonl.xz",): "readings-matconvnet-quick.csv",
    ("readings-mnist.jsonl.xz", "readings-mnist-full.jsonl.xz"): "readings-mnist.csv",
    ("table2-mnist-matconvnet-quick.jsonl.xz",): "table2-mnist-matconvnet-quick.csv",
    ("precision-mnist.jsonl.xz",): "precision-mnist.csv",
    ("biotorch2021-rates.jsonl.xz",): "biotorch2021-rates.csv",
}
#: campaigns -> the file that their curves were exported to
CURVES_OF = {f"{table}.jsonl.xz": f"{table}-curves.csv" for table in ("akrout2019", "biotorch2021", "pfa2024")}
FINISHED = {*chain(*CAMPAIGNS_OF), *CURVES_OF}


def test_there_are_campaigns() -> None:
    assert {file.name for file in CAMPAIGNS} >= FINISHED


@pytest.mark.parametrize(("campaign", "curves"), CURVES_OF.items())
def test_curves_are_those_of_their_campaign(campaign: str, curves: str, tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        merge_files([FOLDER / "campaigns" / campaign], store)
    command = ["export", "--curves", str(tmp_path / "curves.csv"), "--results", str(tmp_path)]
    assert CliRunner().invoke(cli, command, catch_exceptions=False).exit_code == 0
    assert read_records((tmp_path / "curves.csv").read_text()) == read_records((FOLDER / curves).read_text())


@pytest.mark.parametrize("curves", CURVES_OF.values())
def test_what_is_said_of_printed_numbers_is_what_was_measured(curves: str) -> None:
    """In the list of files, in the head of the file and in the text."""
    records = read_records((FOLDER / curves).read_text())
    marks = load_marks(curves.removesuffix("-curves.csv"))
    agreeing, compared = 0, 0
    for mark in marks:
        of_error = mark.measure in ("error", "lowest-error")
        name = "test_error_percent" if of_error else f"{mark.measure}.{mark.layer}"
        runs: dict[str, dict[int, float]] = {}
        for record in records:
            if mark.column in record["column"].split("; ") and mark.dataset in (None, record["dataset"].lower()):
                runs.setdefault(record["run"], {})[int(record["epoch"])] = float(record[name] or "nan")
        points = [run for run in runs.values() if mark.epoch in run]
        if points:  # of several seeds the mean is compared
            compared += 1
            ends = (min(run.values()) if mark.measure == "lowest-error" else run[mark.epoch] for run in points)
            mean = fmean(ends)
            agreeing += abs(mean - mark.value) <= mark.tolerance + 1e-9
    assert f"with {agreeing} of its {compared} numbers" in TEXT
    assert f"{agreeing} of the {compared} printed numbers agree" in (FOLDER / curves).read_text()


@pytest.mark.parametrize("file", CAMPAIGNS, ids=lambda file: file.name)
def test_a_campaign_can_be_read_and_is_explained(file: Path) -> None:
    contents = decode(file.read_bytes(), file)
    epochs = sum(len(stored.epochs) for stored in contents.runs.values())
    (line,) = [line for line in (file.parent / "README.md").read_text().splitlines() if f"]({file.name})" in line]
    assert line.endswith(f"| {len(contents.runs):,}, {epochs:,} |")
    wanted = {run for stored in contents.grids.values() for run in stored.grid.all_runs()}
    ended = {key for key, stored in contents.runs.items() if stored.state}
    assert ended == wanted if file.name in FINISHED else ended < wanted  # or it is unfinished
    assert ("unfinished" in line) == (ended < wanted)


@pytest.mark.parametrize("file", CAMPAIGNS, ids=lambda file: file.name)
def test_commands_of_a_campaign_are_of_any_machine(file: Path) -> None:
    assert not re.search(r"--(results|data-dir)|[ =\"']/\w", lzma.decompress(file.read_bytes()).decode())


def test_a_number_of_the_documentation_leads_to_its_run_and_command(tmp_path: Path) -> None:
    page = (FOLDER / "campaigns/README.md").read_text()
    asked = re.search(r"`asymbp (show --table 2 --dataset mnist --column NuSF) --results DIR`", page)
    assert asked
    with Store.open(tmp_path) as store:
        merge_files([FOLDER / "campaigns/tables-mnist-paper.jsonl.xz"], store)
    shown = CliRunner().invoke(cli, [*asked[1].split(), "--results", str(tmp_path)]).stdout
    assert "seed 0: 0.72 %, 72 of 10,000 wrong, in epoch 53 of run b4d90f1b4bd93205, rate x100" in shown
    assert "to train it alone: asymbp train --recipe '{dataset: mnist, method: NuSF, " in shown


@pytest.mark.parametrize(("campaigns", "table"), CAMPAIGNS_OF.items())
def test_a_table_is_what_its_campaigns_report(campaigns: tuple[str, ...], table: str, tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        merge_files([FOLDER / "campaigns" / campaign for campaign in campaigns], store)
        tables = fill_all(store, store.grids())
    assert all(cell.complete for filled in tables for cells in filled.cells for cell in cells)
    written, now = read_records((FOLDER / table).read_text()), read_records(render(tables))
    assert [{name: record[name] for name in written[0]} for record in now] == written  # reports may tell more now

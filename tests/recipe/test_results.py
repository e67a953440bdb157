"""The documentation of what was measured says what the files hold."""

import csv
import re
from pathlib import Path

import pytest

from asymbp_cli.recipe.resources import recipes_directory

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


def rows_of(file: Path) -> list[str]:
    """Return the rows of a file's tables as the documentation writes them."""
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    by_table: dict[str, list[str]] = {}
    for record in csv.DictReader(lines):
        by_table.setdefault(record["table"], []).append(f"{float(record['error_percent']):.2f}")
    return [" | ".join(cells) for cells in by_table.values()]


@pytest.mark.parametrize("name", ["tables-mnist-quick", "cifar10-jpeg-one-epoch", "flowers17-demo"])
def test_the_tables_have_the_numbers_of_the_file(name: str) -> None:
    rows = rows_of(FOLDER / f"{name}.csv")
    assert rows
    missing = [row for row in rows if not re.search(rf"^\| [^|*]+ \| {re.escape(row)} \|$", TEXT, re.MULTILINE)]
    assert not missing

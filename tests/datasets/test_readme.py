"""The README of the datasets shows the catalogue. `python tests/datasets/test_readme.py` writes the table anew."""

import re
from pathlib import Path

import pytest

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.entry import CatalogEntry
from asymbp_cli.datasets.survey import State

README = Path(__file__).parent.parent.parent / "asymbp_cli" / "datasets" / "README.md"
_BLOCK = re.compile(r"(?<=<!-- catalogue -->\n).*?(?=<!-- end of catalogue -->)", re.DOTALL)


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _way(entry: CatalogEntry) -> str:
    if entry.archives:
        return f"fetched, {entry.megabytes:,} MB"
    return f"by hand, {entry.megabytes:,} MB" if entry.by_hand else "comes with scikit-learn"


def live_table() -> str:
    lines = [
        "| name | in the paper | what | classes | counts | how to get it | note |",
        "|---|---|---|--:|--:|---|---|",
    ]
    for entry in CATALOG.values():
        counts = f"{_count(entry.train_count)} / {_count(entry.test_count)}"
        cells = [f"`{entry.key}`", entry.paper_name or "-", entry.title, str(entry.classes), counts, _way(entry)]
        lines.append(f"| {' | '.join([*cells, entry.note or '-'])} |")
    return "\n".join(lines) + "\n"


def test_the_readme_shows_the_live_catalogue() -> None:
    block = _BLOCK.search(README.read_text())
    assert block
    assert block[0] == live_table(), "run python tests/datasets/test_readme.py"


@pytest.mark.parametrize("state", State.__args__)
def test_the_readme_explains_every_state(state: str) -> None:
    assert f"\n| {state} | " in README.read_text()


def test_the_readme_names_every_file() -> None:
    files = {file.name for file in README.parent.glob("*.py")} - {"__init__.py"}
    listed = re.findall(r"\w+\.py\b", README.read_text().split("## The files")[1])
    assert set(listed) == files


if __name__ == "__main__":
    README.write_text(_BLOCK.sub(lambda _: live_table(), README.read_text()))

"""What the documentation says of the selection rules is what their file holds."""

import csv
from collections.abc import Callable
from statistics import mean

import pytest

from asymbp_cli.recipe.resources import recipes_directory

FOLDER = recipes_directory() / "results"
LINES = (FOLDER / "selection-rules-digits-demo.csv").read_text().splitlines()
RECORDS = list(csv.DictReader(line for line in LINES if not line.startswith("#")))
COLUMNS = list(dict.fromkeys(record["column"] for record in RECORDS))


def means(rule: str, value: str) -> list[float]:
    """Return the mean over seeds in each column."""
    return [
        mean(float(r[value]) for r in RECORDS if (r["column"], r["protocol"]) == (column, rule))
        for column in COLUMNS
    ]


PICKED = means("demo", "error_percent")
LAST = means("demo", "last_epoch_percent")
HELD_OUT = means("demo with validation_fraction=0.1", "error_percent")


@pytest.mark.parametrize(
    ("name", "errors"),
    [("the paper's rule", PICKED), ("its runs, last epoch", LAST), ("the held-out rule", HELD_OUT)],
)
def test_the_table_has_the_means_over_seeds(name: str, errors: list[float]) -> None:
    assert len(errors) == 11
    line = f"| {name} | {' | '.join(f'{error:.2f}' for error in errors)} |"
    assert line in (FOLDER / "README.md").read_text().splitlines()


@pytest.mark.parametrize(("pick", "expected"), [(mean, "1.1"), (min, "0.6"), (max, "2.4")])
def test_the_differences_in_words_are_those_of_the_file(
    pick: Callable[[list[float]], float], expected: str
) -> None:
    differences = [held_out - picked for held_out, picked in zip(HELD_OUT, PICKED, strict=True)]
    assert f"{pick(differences):.1f}" == expected
    stored = {r["column"]: float(r["held_out_difference_points"]) for r in RECORDS if r["protocol"] == "demo"}
    assert [stored[column] for column in COLUMNS] == pytest.approx(differences, abs=1e-3)
    assert f"{mean(LAST) - mean(PICKED):.1f}" == "0.5"

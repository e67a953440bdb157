"""The rules of recipes/results/README.md, on numbers made up for them."""

import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from types import ModuleType

import pytest

from asymbp_cli.recipe.recipe import load_recipe
from asymbp_cli.recipe.resources import recipes_directory

FILE = Path(__file__).parent / "campaigns" / "evidence.py"


@pytest.fixture(scope="module")
def evidence() -> ModuleType:
    spec = importlib.util.spec_from_file_location("evidence", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def report(
    evidence: ModuleType, cells: Sequence[tuple[str, str, int, float, float]], done: int = 5
) -> list[object]:
    """Return records of (table, column, seed, our error, the paper's); each needs 5 runs."""
    lines = ["# Caveat: made up", "table,dataset,column,seed,error_percent,paper_percent,runs_done,runs_wanted"]
    lines += [
        f"recipe-{table},MNIST,{column},{seed},{ours},{paper},{done},5"
        for table, column, seed, ours, paper in cells
    ]
    return list(evidence.read_records("\n".join(lines)))


def readings(evidence: ModuleType, short: Sequence[float], full: float, done: int = 5) -> list[object]:
    """Return a report in which `paper` misses every cell by 1 point, `matconvnet` by 1 plus these differences."""
    cells = []
    for i, column in enumerate(evidence.READING_COLUMNS):
        sign = (-1) ** i  # misses below count as misses above do
        for suffix, values in (("", short), ("-full", [full])):
            for seed, value in enumerate(values):
                cells.append((f"readings-paper{suffix}", column, seed, 9 + sign, 9.0))
                cells.append((f"readings-matconvnet{suffix}", column, seed, 9 + sign * (1 + value), 9.0))
    return report(evidence, cells, done)


@pytest.mark.parametrize(
    ("short", "full", "first"),
    [
        ([-0.3, -0.3, -0.4], -0.1, "matconvnet"),  # mean -0.333, standard error 0.033
        ([-0.3, -0.3, -0.4], 0.1, "paper"),  # the full length contradicts
        ([-0.3, -0.3, -0.4], 0.0, "paper"),
        ([-0.5, 0.1, -0.4], -0.1, "paper"),  # mean -0.267, standard error 0.186
        ([0.3, 0.3, 0.4], 0.1, "paper"),
        ([-0.3, -0.3], -0.1, "paper"),  # a seed is missing
    ],
)
def test_which_reading_comes_first(short: list[float], full: float, first: str, evidence: ModuleType) -> None:
    records = readings(evidence, short, full)
    assert evidence.first_reading(records) == first
    if len(short) == 3:
        assert evidence.differences(records, "", evidence.SEEDS) == pytest.approx(short)
        assert evidence.first_reading(readings(evidence, short, full, done=4)) == "paper"


@pytest.mark.parametrize(
    ("differences", "grade"),
    [
        ([0.0, 0.1, -0.1], "safe"),  # mean 0, standard error 0.058
        ([0.2, 0.1, 0.3], "harmful"),  # 0.2, 0.058: above zero, and up to 0.315
        ([0.05, 0.06, 0.04], "open"),  # above zero, but far below 0.3
        ([0.4, -0.3, 0.2], "open"),  # could be either
    ],
)
def test_how_bf16_is_graded(differences: list[float], grade: str, evidence: ModuleType) -> None:
    cells = [
        (f"precision-{name}", "BM", seed, 1 + shift * difference, 0.99)
        for seed, difference in enumerate(differences)
        for name, shift in (("bf16", 1), ("fp32", 0))
    ]
    found = evidence.bf16_differences(report(evidence, cells), "BM")
    assert found == pytest.approx(differences)
    assert evidence.grade_bf16(found) == grade


def test_the_recipes_ask_for_what_the_rules_need(evidence: ModuleType) -> None:
    for name, columns, seeds in (
        ("readings-paper", evidence.READING_COLUMNS, evidence.SEEDS),
        ("readings-matconvnet", evidence.READING_COLUMNS, evidence.SEEDS),
        ("readings-paper-full", evidence.READING_COLUMNS, evidence.SEEDS[:1]),
        ("readings-matconvnet-full", evidence.READING_COLUMNS, evidence.SEEDS[:1]),
        ("precision-bf16", evidence.BF16_COLUMNS, evidence.SEEDS),
        ("precision-fp32", evidence.BF16_COLUMNS, evidence.SEEDS),
    ):
        recipe = load_recipe(recipes_directory() / "examples" / f"{name}.yaml")
        assert (recipe.name, recipe.datasets) == (name, ("mnist",))
        assert tuple(method.label for method in recipe.methods) == columns
        assert tuple(map(str, recipe.seeds)) == seeds


def test_an_incomplete_report_is_described(
    evidence: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "evidence.csv"
    file.write_text("table,dataset,column,seed,error_percent,paper_percent,runs_done,runs_wanted\n")
    evidence.main(str(file))
    said = capsys.readouterr().out
    assert "comes first: paper" in said
    assert said.count("not complete") == 2 + len(evidence.BF16_COLUMNS)


def test_the_documentation_says_what_the_rules_say_of_the_results(evidence: ModuleType) -> None:
    folder = recipes_directory() / "results"
    text = (folder / "README.md").read_text()
    read = [
        evidence.read_records((folder / f"{name}-mnist.csv").read_text()) for name in ("readings", "precision")
    ]
    short, full = (
        evidence.differences(read[0], *part) for part in (("", evidence.SEEDS), ("-full", evidence.SEEDS[:1]))
    )
    assert f"**Both conditions hold: `{evidence.first_reading(read[0])}` comes first.**" in text
    numbers = [f"{value:.3f}" for value in (*short, mean(short), evidence.standard_error(short), *full)]
    section = text.partition("**Both conditions hold")[2].partition("|")[0]
    assert re.findall(r"-?\d\.\d{3}", section) == numbers
    columns = [evidence.bf16_differences(read[1], column) for column in evidence.BF16_COLUMNS]
    assert {evidence.grade_bf16(values) for values in columns} == {"safe"}
    assert "**All five are safe**" in text
    rows = [(f"seed {seed}", [values[seed] for values in columns]) for seed in range(3)]
    for name, row in [*rows, ("mean", [mean(values) for values in columns])]:
        assert f"| {name} | {' | '.join(_signed(value) for value in row)} |" in text
    errors = " | ".join(f"{evidence.standard_error(values):.2f}" for values in columns)
    assert f"| its standard error | {errors} |" in text


def _signed(points: float) -> str:
    return f"{points:+.2f}" if abs(points) >= 0.005 else "0.00"

"""Applies the rules of recipes/results/README.md to a csv report: which reading comes first, where bf16 is safe.

asymbp report --to csv --output evidence.csv && python tests/campaigns/evidence.py evidence.csv
"""

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from pathlib import Path
from statistics import mean, stdev

READING_COLUMNS = ("SGD", "NuSF", "RndF", "uSF", "uSF+BN+BM", "BN")
BF16_COLUMNS = ("BM", "BN+BM", "uSF+BM", "uSF+BN+BM", "brSF+BN+BM")
SEEDS = ("0", "1", "2")
MARGIN = 0.3  # points: three standard errors of an error of 1 % on 10,000 images

Record = Mapping[str, str]
Cells = dict[tuple[str, str], Record]  # by column and seed


def read_records(text: str) -> list[Record]:
    """Return the records of a csv report, without the lines that begin with #."""
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))


def complete_cells(records: Iterable[Record], table: str) -> Cells:
    """Return the cells of a table on MNIST that have all their runs."""
    return {
        (record["column"], record["seed"]): record
        for record in records
        if (record["table"], record["dataset"]) == (table, "MNIST")
        and record["runs_done"] == record["runs_wanted"]
    }


def distance(cells: Cells, seed: str) -> float:
    """Return the mean over the columns of |our error - the paper's|, in points; raises KeyError without one."""
    found = [cells[column, seed] for column in READING_COLUMNS]
    return mean(abs(float(cell["error_percent"]) - float(cell["paper_percent"])) for cell in found)


def differences(records: Sequence[Record], suffix: str, seeds: Sequence[str]) -> list[float]:
    """Return the distance of `matconvnet` minus that of `paper`, seed by seed, in points."""
    second, first = (
        complete_cells(records, f"recipe-readings-{name}{suffix}") for name in ("matconvnet", "paper")
    )
    return [distance(second, seed) - distance(first, seed) for seed in seeds]


def standard_error(values: Sequence[float]) -> float:
    """Return the standard error of the mean of `values`."""
    return stdev(values) / sqrt(len(values))


def first_reading(records: Sequence[Record]) -> str:
    """Return the reading that READMEs and reports show first; a missing run leaves it with `paper`."""
    try:
        short, full = differences(records, "", SEEDS), differences(records, "-full", SEEDS[:1])
    except KeyError:
        return "paper"
    return "matconvnet" if mean(short) + 2 * standard_error(short) < 0 and full[0] < 0 else "paper"


def grade_bf16(values: Sequence[float]) -> str:
    """Return `safe`, `harmful` or `open` for a column's paired differences, bf16 minus fp32, in points."""
    low, high = (mean(values) + sign * 2 * standard_error(values) for sign in (-1, 1))
    is_safe, is_harmful = high < MARGIN, low > 0
    if is_safe == is_harmful:
        return "open"
    return "safe" if is_safe else "harmful"


def bf16_differences(records: Sequence[Record], column: str) -> list[float]:
    """Return a column's error in bf16 minus that in fp32, seed by seed; raises KeyError without one."""
    bf16, fp32 = (complete_cells(records, f"recipe-precision-{name}") for name in ("bf16", "fp32"))
    return [
        float(bf16[column, seed]["error_percent"]) - float(fp32[column, seed]["error_percent"]) for seed in SEEDS
    ]


def describe(name: str, values: Sequence[float]) -> str:
    """Return the differences of each seed, their mean and its standard error, in words."""
    error = f", standard error {standard_error(values):.3f}" if len(values) > 1 else ""
    return f"{name}: {', '.join(f'{value:+.3f}' for value in values)}; mean {mean(values):+.3f}{error}"


def main(path: str) -> None:
    """Print what the rules say of the csv report in `path`; tables that are not complete are passed over."""
    records = read_records(Path(path).read_text())
    for name, suffix, seeds in (("15 epochs", "", SEEDS), ("65 epochs", "-full", SEEDS[:1])):
        try:
            print(describe(f"matconvnet minus paper, {name}", differences(records, suffix, seeds)))
        except KeyError as missing:
            print(f"matconvnet minus paper, {name}: {missing} is not complete")
    print(f"comes first: {first_reading(records)}")
    for column in BF16_COLUMNS:
        try:
            values = bf16_differences(records, column)
            print(f"{describe(f'bf16 minus fp32, {column}', values)}: {grade_bf16(values)}")
        except KeyError:
            print(f"bf16 minus fp32, {column}: not complete")


if __name__ == "__main__":
    main(*sys.argv[1:])

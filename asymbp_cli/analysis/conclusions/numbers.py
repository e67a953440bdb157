"""The numbers that conclusions are judged on: errors, and facts about the datasets."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from asymbp_cli.analysis.copies import keep_one_copy
from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.analysis.uncertainty import compare_errors
from asymbp_cli.datasets.catalog import CATALOG, PAPER_ROWS
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.entry import CatalogEntry
from asymbp_cli.recipe.grid import GridRow
from asymbp_cli.recipe.labels import name_datasets
from asymbp_cli.recipe.networks import is_known
from asymbp_cli.recipe.table import load_published
from asymbp_cli.specs.networks import Network


@dataclass(frozen=True)
class Numbers:
    """Errors in percent by (dataset, method name), and the facts that the checks need besides.

    A dataset is named by its row in the paper, or by our label if the paper does not have it. A method is named by
    `methods.method_name`.
    """

    errors: Mapping[tuple[str, str], float]
    one_class: frozenset[tuple[str, str]]  # dead: they answer every test sample with one class
    chance: Mapping[str, float]  # error in percent of a random guess, 100 * (1 - 1 / classes)
    train_counts: Mapping[str, int] = field(default_factory=dict)  # training samples; one check needs them
    test_counts: Mapping[str, int] = field(default_factory=dict)  # test samples, for standard errors
    #: our errors by seed, of which `errors` has the medians; the paper has none
    seeds: Mapping[tuple[str, str], Mapping[int, float]] = field(default_factory=dict)

    @property
    def datasets(self) -> tuple[str, ...]:
        """Return the datasets that have any error, in the order of `errors`."""
        return tuple(dict.fromkeys(dataset for dataset, _ in self.errors))

    def alive(self, dataset: str, methods: Sequence[str]) -> bool:
        """Return whether none of the methods answers every test sample with one class."""
        return not any((dataset, method) in self.one_class for method in methods)

    def difference(self, method: str, than: str, dataset: str) -> float:
        """Return the error of `method` minus that of `than`, in points."""
        return round(self.errors[dataset, method] - self.errors[dataset, than], 6)

    def differences(self, method: str, than: str, datasets: Sequence[str]) -> list[float]:
        """Return the difference on each dataset."""
        return [self.difference(method, than, at) for at in datasets]

    def standard_error(self, dataset: str, methods: tuple[str, str]) -> float | None:
        """Return the standard error of a difference between two methods, in points; None if it is not known.

        With several seeds it has the part that comes from these too, as a colour's has.
        """
        count = self.test_counts.get(dataset)
        cells = [(dataset, method) for method in methods]
        ours, others = (self.seeds.get(cell, {0: self.errors[cell]}) for cell in cells)
        difference = compare_errors(ours, others, count) if count else None
        return difference.standard_error if difference else None

    def restrict_to(self, *datasets: str) -> "Numbers":
        """Return the numbers of these datasets alone."""
        errors = {cell: error for cell, error in self.errors.items() if cell[0] in datasets}
        return replace(self, errors=errors)


@cache
def load_paper_numbers() -> Numbers:
    """Return the errors of Tables 2 to 5.

    The paper does not say which networks were dead. We count a cell as dead if its printed error is exactly the
    error of always answering one class.
    """
    errors = load_published()
    entries = {name: CATALOG[key] for name, key in PAPER_ROWS.items()}
    return Numbers(
        errors=errors,
        one_class=frozenset(cell for cell, e in errors.items() if e == _one_class_error(entries[cell[0]])),
        chance={name: 100 * (1 - 1 / entry.classes) for name, entry in entries.items()},
        train_counts={name: entry.paper_counts[0] for name, entry in entries.items() if entry.paper_counts},
        test_counts={name: entry.paper_counts[1] for name, entry in entries.items() if entry.paper_counts},
    )


def _one_class_error(entry: CatalogEntry) -> float:
    """Return the error in percent of always giving one answer, with two decimals as the paper prints it."""
    assert entry.paper is not None
    assert entry.paper_counts is not None
    _, test_count = entry.paper_counts
    return round(100 * (1 - entry.paper.one_class / test_count), 2)


def _chance(classes: int) -> float:
    """Return the error in percent of a random guess."""
    return 100 * (1 - 1 / classes)


def collect_our_numbers(tables: Sequence[FilledGrid], infos: Mapping[str, DecodedDataset]) -> Numbers:
    """Return the errors of all complete cells of `tables`, which share protocol and seeds.

    `infos` holds the datasets by fingerprint. A dataset under several networks counts as several, and so do two
    datasets of one label, but of several copies of the paper's data one counts. Networks of a user's own do not
    count. A network is dead if its cell collapsed.
    """
    errors: dict[tuple[str, str], float] = {}
    seeds: dict[tuple[str, str], dict[int, float]] = {}
    dead: set[tuple[str, str]] = set()
    used: dict[str, DecodedDataset] = {}
    tables = keep_one_copy(tables)
    names = _name_datasets(row for filled in tables for row in filled.grid.rows)
    for filled in tables:
        for row, cells in zip(filled.grid.rows, filled.cells, strict=True):
            if row.dataset is None or not is_known(row.network):
                continue
            name = names[row.dataset, row.network]
            if row.dataset in infos:
                used[name] = infos[row.dataset]
            for column, cell in zip(filled.grid.columns, cells, strict=True):
                if cell.complete and cell.error_percent is not None and column.paper_name:
                    errors[name, column.paper_name] = cell.error_percent
                    seeds[name, column.paper_name] = cell.errors_by_seed
                    if cell.collapsed:
                        dead.add((name, column.paper_name))
    return Numbers(
        errors=errors,
        one_class=frozenset(dead),
        chance={name: _chance(len(info.classes)) for name, info in used.items()},
        train_counts={name: info.train_count for name, info in used.items()},
        test_counts={name: info.test_count for name, info in used.items()},
        seeds=seeds,
    )


def _name_datasets(rows: Iterable[GridRow]) -> dict[tuple[str, Network | None], str]:
    """Return the name of each dataset under each network: its row in the paper, or a label that no other has."""
    named, papers = [], {}
    for row in rows:
        if row.dataset and row.exact and row.paper_name:
            papers[row.dataset, row.network] = row.paper_name
            row = row.model_copy(update={"label": row.paper_name})
        named.append(row)
    return name_datasets(named) | papers

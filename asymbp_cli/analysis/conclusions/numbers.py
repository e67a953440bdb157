"""What the conclusions are judged on: errors, and what must be known of the datasets beside them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.datasets.catalog import CATALOG, PAPER_ROWS
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.entry import CatalogEntry
from asymbp_cli.recipe.grid import GridRow
from asymbp_cli.recipe.table import load_published


@dataclass(frozen=True)
class Numbers:
    """Errors in percent by (dataset, method name), and what the checks must know beside them.

    A dataset goes by its row name in the paper, or by our label where the paper does not have it; a method by
    its `methods.method_name`.
    """

    errors: Mapping[tuple[str, str], float]
    one_class: frozenset[tuple[str, str]]  # these answer every test sample with one class: the network is dead
    chance: Mapping[str, float]  # error in percent of a random guess, 100 * (1 - 1 / classes)
    train_counts: Mapping[str, int] = field(default_factory=dict)  # training samples; one check asks for them

    @property
    def datasets(self) -> tuple[str, ...]:
        """Return the datasets that have any error, in the order of `errors`."""
        return tuple(dict.fromkeys(dataset for dataset, _ in self.errors))

    def differences(self, method: str, than: str, datasets: Sequence[str]) -> list[float]:
        """Return by how many points `method` errs more than `than` on each dataset."""
        return [round(self.errors[at, method] - self.errors[at, than], 6) for at in datasets]

    def on(self, *datasets: str) -> "Numbers":
        """Return the numbers of these datasets alone: the paper's, say, beside ours of the same datasets."""
        errors = {cell: error for cell, error in self.errors.items() if cell[0] in datasets}
        return Numbers(errors, self.one_class, self.chance, self.train_counts)


@cache
def paper_numbers() -> Numbers:
    """Return the errors of Tables 2 to 5.

    The paper does not say which networks were dead; a cell counts as dead if the printed error is exactly that
    of always answering one class.
    """
    errors = load_published()
    entries = {name: CATALOG[key] for name, key in PAPER_ROWS.items()}
    return Numbers(
        errors=errors,
        one_class=frozenset(cell for cell, e in errors.items() if e == _one_class_error(entries[cell[0]])),
        chance={name: 100 * (1 - 1 / entry.classes) for name, entry in entries.items()},
        train_counts={name: entry.paper_counts[0] for name, entry in entries.items() if entry.paper_counts},
    )


def _one_class_error(entry: CatalogEntry) -> float:
    """Return the error in percent of always giving one answer, with two decimals as the paper prints it."""
    assert entry.paper is not None
    assert entry.paper_counts is not None
    _, test_count = entry.paper_counts
    return round(100 * (1 - entry.paper.one_class / test_count), 2)


def our_numbers(tables: Sequence[FilledGrid], infos: Mapping[str, DecodedDataset]) -> Numbers:
    """Return the errors of all finished cells of `tables`, which share protocol and seeds.

    `infos`: datasets by fingerprint. A dataset under several networks, or two of one label, are kept apart. A
    network is dead where its cell collapsed.
    """
    errors: dict[tuple[str, str], float] = {}
    dead: set[tuple[str, str]] = set()
    used: dict[str, DecodedDataset] = {}
    names: dict[tuple[object, object], str] = {}  # dataset and network -> how it goes here
    for filled in tables:
        for row, cells in zip(filled.grid.rows, filled.cells, strict=True):
            name = names.setdefault((row.dataset, row.network), _name(row, names.values()))
            if row.dataset and row.dataset in infos:
                used[name] = infos[row.dataset]
            for column, cell in zip(filled.grid.columns, cells, strict=True):
                if cell.complete and cell.error_percent is not None and column.paper_name:
                    errors[name, column.paper_name] = cell.error_percent
                    if cell.collapsed:
                        dead.add((name, column.paper_name))
    return Numbers(
        errors=errors,
        one_class=frozenset(dead),
        chance={label: 100 * (1 - 1 / len(info.classes)) for label, info in used.items()},
        train_counts={label: info.train_count for label, info in used.items()},
    )


def _name(row: GridRow, taken: Iterable[str]) -> str:
    """Return the row's label; where another dataset or network has it, with what tells them apart."""
    taken = set(taken)
    longer = f"{row.label} ({', '.join(row.network.layers) if row.network else 'not here'})"
    return next(name for name in (row.label, longer, f"{longer} {row.dataset}") if name not in taken)

"""What the conclusions are judged on: errors, and what must be known of the datasets beside them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.recipe.grid import GridRow
from asymbp_cli.recipe.table import published


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


@dataclass(frozen=True)
class _PaperSet:
    """A dataset as the paper splits it (section 5), and how a network that always gives one answer scores."""

    classes: int
    train_count: int
    test_count: int
    of_one_class: int  # test samples of the class that the dead network names

    @property
    def one_class_error(self) -> float:
        return round(100 * (1 - self.of_one_class / self.test_count), 2)  # printed with two decimals


#: Counts: the published splits, or images per class as section 5 gives them. The last
#: number is that of every class where the test set is balanced. The others: "1" is the most frequent class of
#: MNIST's and SVHN's training sets; Caltech101's classes have 10 test images wherever 40 are there; the printed
#: 89.96 of iCub are 201 of 2001 images; the 99.67 of Flowers102 are 20, the test images of its smallest classes
#: (40 to 258 images, 10 to train and 10 to validate). TIMIT80's counts are as written, though the printed rates
#: are of 2500 samples.
_PAPER_SETS = {
    "MNIST": _PaperSet(10, 60_000, 10_000, 1135),
    "CIFAR": _PaperSet(10, 50_000, 10_000, 1000),
    "CIFAR100": _PaperSet(100, 50_000, 10_000, 100),
    "SVHN": _PaperSet(10, 73_257, 26_032, 5099),
    "STL10": _PaperSet(10, 5_000, 8_000, 800),
    "Cal101": _PaperSet(102, 102 * 30, 949, 10),
    "Cal256-101": _PaperSet(102, 102 * 30, 102 * 10, 10),
    "iCub": _PaperSet(10, 6_000, 2_001, 201),  # 3 objects of about 200 images in each of 10 categories
    "Flowers17": _PaperSet(17, 17 * 40, 17 * 20, 20),  # without the validation images, as Flowers102
    "Flowers102": _PaperSet(102, 102 * 10, 6_149, 20),
    "PubFig83-ID": _PaperSet(80, 80 * 85, 80 * 15, 15),
    "SUFR-W-ID": _PaperSet(80, 80 * 10, 80 * 5, 5),
    "LFW-ID": _PaperSet(80, 80 * 10, 80 * 5, 5),
    "Scene67": _PaperSet(67, 67 * 80, 67 * 20, 20),
    "TIMIT80": _PaperSet(80, 80 * 400, 80 * 100, 100),
}


@cache
def paper_numbers() -> Numbers:
    """Return the errors of Tables 2 to 5.

    The paper does not say which networks were dead; a cell counts as one where the printed error is exactly that
    of always answering one class.
    """
    errors = published()
    return Numbers(
        errors=errors,
        one_class=frozenset(cell for cell, e in errors.items() if e == _PAPER_SETS[cell[0]].one_class_error),
        chance={name: 100 * (1 - 1 / known.classes) for name, known in _PAPER_SETS.items()},
        train_counts={name: known.train_count for name, known in _PAPER_SETS.items()},
    )


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

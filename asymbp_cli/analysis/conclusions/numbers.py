"""The numbers that conclusions are judged on: errors, and facts about the datasets."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from asymbp_cli.analysis.tables import FilledGrid
from asymbp_cli.datasets.decoded import DataInfo
from asymbp_cli.recipe.grid import GridRow
from asymbp_cli.recipe.table import load_published


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

    @property
    def datasets(self) -> tuple[str, ...]:
        """Return the datasets that have any error, in the order of `errors`."""
        return tuple(dict.fromkeys(dataset for dataset, _ in self.errors))

    def differences(self, method: str, than: str, datasets: Sequence[str]) -> list[float]:
        """Return the error of `method` minus that of `than`, in points, on each dataset."""
        return [round(self.errors[at, method] - self.errors[at, than], 6) for at in datasets]

    def restrict_to(self, *datasets: str) -> "Numbers":
        """Return the numbers of these datasets alone."""
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
def load_paper_numbers() -> Numbers:
    """Return the errors of Tables 2 to 5.

    The paper does not say which networks were dead. We count a cell as dead if its printed error is exactly the
    error of always answering one class.
    """
    errors = load_published()
    return Numbers(
        errors=errors,
        one_class=frozenset(cell for cell, e in errors.items() if e == _PAPER_SETS[cell[0]].one_class_error),
        chance={name: 100 * (1 - 1 / known.classes) for name, known in _PAPER_SETS.items()},
        train_counts={name: known.train_count for name, known in _PAPER_SETS.items()},
    )


def _chance(classes: int) -> float:
    """Return the error in percent of a random guess."""
    return 100 * (1 - 1 / classes)


def collect_our_numbers(tables: Sequence[FilledGrid], infos: Mapping[str, DataInfo]) -> Numbers:
    """Return the errors of all complete cells of `tables`, which share protocol and seeds.

    `infos` holds the datasets by fingerprint. A dataset under several networks counts as several, and so do two
    datasets of one label. A network is dead if its cell collapsed.
    """
    errors: dict[tuple[str, str], float] = {}
    dead: set[tuple[str, str]] = set()
    used: dict[str, DataInfo] = {}
    names: dict[tuple[object, object], str] = {}  # dataset and network -> the name that they have here
    for filled in tables:
        for row, cells in zip(filled.grid.rows, filled.cells, strict=True):
            name = names.setdefault((row.dataset, row.network), _unique_name(row, names.values()))
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
        chance={name: _chance(len(info.classes)) for name, info in used.items()},
        train_counts={name: info.train_count for name, info in used.items()},
    )


def _unique_name(row: GridRow, taken: Iterable[str]) -> str:
    """Return the row's label, with its network and dataset as far as another row has the same label."""
    taken = set(taken)
    longer = f"{row.label} ({', '.join(row.network.layers) if row.network else 'not available'})"
    return next(name for name in (row.label, longer, f"{longer} {row.dataset}") if name not in taken)

import csv
import re
import subprocess
import sys
from pathlib import Path

import pytest

from asymbp_cli.datasets.catalog import (
    CATALOG,
    PAPER_ROWS,
    FolderSource,
    find_entry,
    parse_dataset,
)
from asymbp_cli.datasets.entry import CatalogEntry
from asymbp_cli.datasets.readers import READERS, cifar, stl10
from asymbp_cli.errors import UsageError
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.recipe.resources import recipes_directory
from asymbp_cli.recipe.table import load_published


@pytest.mark.parametrize(
    ("name", "key"),
    [("digits", "digits"), ("MNIST", "mnist"), ("Mnist", "mnist"), ("cifar10", "cifar10"), ("CIFAR", "cifar10")],
)
def test_names_of_ours_and_of_the_paper(name: str, key: str) -> None:
    assert find_entry(name).key == key


def test_an_unknown_name_gets_the_nearest_and_what_to_type() -> None:
    with pytest.raises(UsageError, match=re.escape('"mnsit" is not a dataset')) as caught:
        find_entry("mnsit")
    assert 'Did you mean "mnist"?' in str(caught.value)
    assert "asymbp ls datasets" in str(caught.value)


@pytest.mark.parametrize("entry", CATALOG.values(), ids=CATALOG)
def test_entries_are_complete(entry: CatalogEntry) -> None:
    assert CATALOG[entry.key] is entry
    assert entry.network in NETWORKS
    assert all([entry.title, entry.label, entry.source, entry.licence, entry.citation, entry.accepts])
    assert entry.key == "digits" or bool(entry.archives) != bool(entry.by_hand)
    for archive in entry.archives:
        assert re.fullmatch("|[0-9a-f]{32}|[0-9a-f]{40}", archive.checksum)
        assert archive.size is None or archive.size > 0
        assert all(url.endswith(Path(archive.name).name) for url in archive.urls)


def test_every_dataset_has_a_reader() -> None:
    assert list(READERS) == list(CATALOG)


def test_the_papers_datasets_are_in_the_order_of_its_tables() -> None:
    with open(recipes_directory() / "reference" / "table2.csv", newline="") as file:
        assert list(PAPER_ROWS) == [row["dataset"] for row in csv.DictReader(file)]
    assert [CATALOG[key].paper_name for key in PAPER_ROWS.values()] == list(PAPER_ROWS)


def test_the_paper_implies_counts_if_none_are_published() -> None:
    assert CATALOG["icub"].paper_counts == (6000, 2001)
    assert CATALOG["icub"].train_count is None  # any copy is read
    assert CATALOG["digits"].paper_counts == (1437, 360)
    assert (CATALOG["timit"].paper_counts, CATALOG["timit"].test_count) == ((32_000, 2_500), 8_000)
    assert all(entry.paper is None or entry.paper_counts for entry in CATALOG.values())


def test_printed_errors_are_of_so_many_test_samples() -> None:
    """Each is k of n samples to two decimals; of 8,000 TIMIT samples only every fourth is a multiple of 0.04."""
    for (name, _), error in load_published().items():
        counts = CATALOG[PAPER_ROWS[name]].paper_counts
        assert counts
        assert abs(100 * round(error * counts[1] / 100) / counts[1] - error) < 0.0051, (name, error)
    timit = [round(100 * error) for (name, _), error in load_published().items() if name == "TIMIT80"]
    assert len(timit) > 30
    assert all(hundredths % 4 == 0 for hundredths in timit)


def test_checksums_are_those_of_torchvision() -> None:
    from torchvision import datasets

    def archives(key: str) -> dict[str, str]:
        return {Path(a.name).name: a.checksum for a in CATALOG[key].archives}

    assert archives("mnist") == dict(datasets.MNIST.resources)
    for key, files, theirs in (
        ("cifar10", cifar.CIFAR10, datasets.CIFAR10),
        ("cifar100", cifar.CIFAR100, datasets.CIFAR100),
    ):
        assert archives(key) == {theirs.filename: theirs.tgz_md5}
        assert dict(theirs.train_list) == files.train
        assert dict(theirs.test_list) == files.test
    assert cifar.CIFAR100.meta == {datasets.CIFAR100.meta["filename"]: datasets.CIFAR100.meta["md5"]}
    assert cifar.CIFAR100.names.decode() == datasets.CIFAR100.meta["key"]
    assert archives("svhn") == {
        split[1]: split[2] for k, split in datasets.SVHN.split_list.items() if k != "extra"
    }
    assert archives("stl10") == {datasets.STL10.filename: datasets.STL10.tgz_md5}
    assert dict(datasets.STL10.train_list + datasets.STL10.test_list).items() >= stl10.MD5.items()
    theirs = datasets.Flowers102._file_dict.values()
    assert archives("flowers102") == dict(theirs)


def test_paths_and_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist").mkdir()
    (tmp_path / "photos").mkdir()
    assert parse_dataset("mnist") == "mnist"  # a directory of that name does not hide the dataset
    assert parse_dataset("CIFAR") == "cifar10"
    assert parse_dataset("./mnist") == FolderSource(folder="./mnist")
    assert parse_dataset("folder:mnist") == FolderSource(folder="mnist")
    assert parse_dataset("photos") == FolderSource(folder="photos")
    assert parse_dataset("not/there") == FolderSource(folder="not/there")
    assert parse_dataset("not-there.tar.gz") == FolderSource(folder="not-there.tar.gz")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing-here", '"nothing-here" is not a dataset'),
        ("", '"" is not a dataset'),
        ("folder:", "needs a path"),
    ],
)
def test_neither_a_name_nor_a_path(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_dataset(text)


def test_a_folder_takes_counts_or_a_fraction() -> None:
    with pytest.raises(ValueError, match="test_fraction excludes"):
        FolderSource(folder="x", train_per_class=3, test_fraction=0.5)


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("catalog", ["torch", "numpy", "PIL"]),
        ("decoded", ["torch", "numpy", "PIL"]),
        ("fetch", ["torch", "numpy", "PIL"]),
        ("prepare", ["torch", "sklearn"]),
    ],
)
def test_what_starts_without_heavy_libraries(module: str, absent: list[str]) -> None:
    code = f"import sys, asymbp_cli.datasets.{module}; print(*({absent!r} & sys.modules.keys()))"
    code = code.replace(repr(absent), repr(set(absent)))
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []

"""The idx files of MNIST and Fashion-MNIST as they lie on people's disks, and users' own idx files."""

import gzip
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import painted
import pytest
from miniatures import idx, ready

from asymbp_cli.datasets.catalog import FolderSource
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.readers.folder import locate
from asymbp_cli.datasets.readers.idx import parse
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.errors import DataError, MissingDataError

Install = Callable[[str], Path]
Decode = Callable[..., DecodedDataset]
KEYS = {"mnist": "MNIST/raw", "fashion-mnist": "FashionMNIST/raw"}


def rename(raw: Path, change: Callable[[str, bytes], tuple[str, bytes]]) -> None:
    """Replace each file of a folder by one with another name and content."""
    for file in sorted(raw.iterdir()):
        name, content = change(file.name, file.read_bytes())
        file.unlink()
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        (raw / name).write_bytes(content)


FORMS: dict[str, Callable[[str, bytes], tuple[str, bytes]]] = {
    "unpacked": lambda name, content: (name.removesuffix(".gz"), gzip.decompress(content)),
    "unpacked under .gz": lambda name, content: (name, gzip.decompress(content)),
    "packed twice": lambda name, content: (name, gzip.compress(content)),
    "packed twice, two endings": lambda name, content: (name + ".gz", gzip.compress(content)),
    "packed by another tool": lambda name, content: (name, gzip.compress(gzip.decompress(content), 1)),
    "packed without ending": lambda name, content: (name.removesuffix(".gz"), content),
    "with a dot": lambda name, content: (name.replace("-idx", ".idx"), content),
    "with a dot, unpacked": lambda name, content: (
        name.replace("-idx", ".idx").removesuffix(".gz"),
        gzip.decompress(content),
    ),
    "in folders of their names": lambda name, content: (
        f"{name.removesuffix('.gz')}/{name.removesuffix('.gz')}",
        gzip.decompress(content),
    ),
    "in folders, with a dot": lambda name, content: (
        f"{name.removesuffix('.gz')}/{name.replace('-idx', '.idx').removesuffix('.gz')}",
        gzip.decompress(content),
    ),
    "in upper case": lambda name, content: (name.upper(), content),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_file_is_told_by_its_bytes(form: Callable[[str, bytes], tuple[str, bytes]], install: Install) -> None:
    root = install("mnist")
    published = ready("mnist", root)
    rename(root / "MNIST" / "raw", form)
    info = ready("mnist", root)
    assert info.fingerprint == published.fingerprint
    assert info.directory != published.directory  # read from the new files
    assert (info.label, info.exact) == ("MNIST", True)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("place", ["{key}/raw", "{key}", "{key}-dataset", "raw", "", "{key}_data/raw"])
def test_where_the_files_may_lie(key: str, place: str, install: Install) -> None:
    root = install(key)
    published = ready(key, root)
    for file in (root / KEYS[key]).iterdir():
        target = root / place.format(key=key) / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)
    shutil.rmtree(root / Path(KEYS[key]).parts[0])
    assert ready(key, root).fingerprint == published.fingerprint


def test_files_of_one_name_in_a_shared_folder_are_told_apart_by_their_labels(
    tmp_path: Path, install: Install
) -> None:
    install("mnist")
    fashion = install("fashion-mnist")
    for file in (fashion / KEYS["fashion-mnist"]).iterdir():
        file.rename(fashion / file.name)
    assert ready("fashion-mnist", fashion).label == "Fashion-MNIST"
    with pytest.raises(MissingDataError, match=r"MNIST handwritten digits .* is not in"):
        ready("mnist", fashion)


def test_fashion_mnist_is_no_row_of_the_paper(install: Install) -> None:
    info = ready("fashion-mnist", install("fashion-mnist"))
    assert (info.paper_name, info.exact, info.note) == (None, False, "not a dataset of the paper")
    assert info.classes[-1] == "Ankle boot"


def test_three_of_four_files(install: Install) -> None:
    root = install("mnist")
    raw = root / "MNIST" / "raw"
    (raw / "t10k-labels-idx1-ubyte.gz").rename(raw / "t10k-labels-idx1-ubyte (1).gz")
    with pytest.raises(MissingDataError) as caught:
        ready("mnist", root)
    text = str(caught.value)
    here, _, rest = text.partition(" are here; ")
    for name in ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-labels-idx1-ubyte (1).gz"):
        assert f"MNIST/raw/{name}" in here
    assert rest.startswith("t10k-labels-idx1-ubyte (rename t10k-labels-idx1-ubyte (1).gz) is missing.")
    assert "--download" in text
    (raw / "t10k-labels-idx1-ubyte (1).gz").rename(raw / "t10k-labels-idx1-ubyte.gz.part")
    with pytest.raises(MissingDataError, match=r"; t10k-labels-idx1-ubyte is missing\.") as caught:
        ready("mnist", root)
    assert ".part" not in str(caught.value)
    shutil.rmtree(raw)
    with pytest.raises(MissingDataError, match=r"MNIST handwritten digits .* is not in"):
        ready("mnist", root)


def test_a_missing_file_may_be_in_the_published_place(install: Install) -> None:
    """A download puts it there, wherever the others are."""
    root = install("mnist")
    published = ready("mnist", root)
    (root / "mnist").mkdir()
    for file in sorted((root / "MNIST" / "raw").iterdir())[:3]:
        file.rename(root / "mnist" / file.name)
    assert ready("mnist", root).fingerprint == published.fingerprint


# own datasets --------------------------------------------------------------------------------------------------


def write(folder: Path, prefix: str = "", test: str = "t10k", labels: tuple[int, ...] = (1, 2, 26)) -> Path:
    """Write idx files of one 5x7 image for each label, its brightness the label, and half of them to test."""
    for split, numbers in (("train", labels), (test, labels[:2])):
        y = np.array(numbers, np.uint8)
        x = np.repeat(y, 35).reshape(-1, 5, 7)
        painted.unpacked(
            folder,
            {
                f"{prefix}{split}-images-idx3-ubyte.gz": gzip.compress(idx(x)),
                f"{prefix}{split}-labels-idx1-ubyte": idx(y),
            },
        )
    return folder


@pytest.mark.parametrize("below", ["", "raw"])
@pytest.mark.parametrize("test", ["t10k", "test"])
@pytest.mark.parametrize(("prefix", "label"), [("", "letters"), ("emnist-letters-", "emnist-letters")])
def test_own_files(below: str, test: str, prefix: str, label: str, tmp_path: Path, decoded: Decode) -> None:
    write(tmp_path / "letters" / below, prefix, test)
    info = decoded(tmp_path / "letters", (5, 7, 1))
    assert (info.key, info.label, info.classes) == ("folder", label, ("1", "2", "26"))
    assert np.load(info.path / "x_train.npy")[:, 4, 6, 0].tolist() == [1, 2, 26]
    assert np.load(info.path / "y_train.npy").tolist() == [0, 1, 2]
    assert np.load(info.path / "y_test.npy").tolist() == [0, 1]
    assert decoded(tmp_path / "letters", (5, 7, 1), label="mine").label == "mine"
    assert decoded(tmp_path / "letters", (5, 7, 3)).shape == (5, 7, 3)


def test_a_changed_file_is_decoded_again(tmp_path: Path, decoded: Decode) -> None:
    write(tmp_path / "own")
    before = decoded(tmp_path / "own", (5, 7, 1))
    write(tmp_path / "own", labels=(1, 2, 3, 4))
    after = decoded(tmp_path / "own", (5, 7, 1))
    assert (before.train_count, after.train_count) == (3, 4)


def test_colour(tmp_path: Path, decoded: Decode) -> None:
    folder = write(tmp_path / "own")
    x = np.arange(2 * 5 * 7 * 3, dtype=np.uint8).reshape(2, 5, 7, 3)
    for split in ("train", "t10k"):
        (folder / f"{split}-images-idx3-ubyte.gz").unlink()
        (folder / f"{split}-images-idx4-ubyte").write_bytes(idx(x))
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(idx(np.array([0, 1], np.uint8)))
    info = prepare(FolderSource(folder=str(folder)), (5, 7, 3), DataSource(cache_dir=tmp_path / "cache"))
    assert np.array_equal(np.load(info.path / "x_test.npy"), x)


def test_channels_are_known_without_decoding(tmp_path: Path) -> None:
    assert locate(FolderSource(folder=str(write(tmp_path / "grey")))).channels() == 1
    folder = write(tmp_path / "colour")
    for file in folder.glob("train-images*"):
        file.unlink()
    (folder / "train-images-idx4-ubyte").write_bytes(idx(np.zeros((2, 4, 4, 3), np.uint8)))
    assert locate(FolderSource(folder=str(folder))).channels() == 3
    (folder / "train-images-idx4-ubyte").write_bytes(b"cut")
    assert locate(FolderSource(folder=str(folder))).channels() is None


def _second(folder: Path) -> None:
    write(folder, "emnist-digits-")


def _incomplete(folder: Path) -> None:
    (folder / "t10k-labels-idx1-ubyte").unlink()


def _twice(folder: Path) -> None:
    (folder / "test-labels-idx1-ubyte").write_bytes((folder / "t10k-labels-idx1-ubyte").read_bytes())


def _other_kind(folder: Path) -> None:
    (folder / "t10k-labels-idx1-ubyte").write_bytes(bytes([0, 0, 13, 1]) + bytes(8))


def _cut(folder: Path) -> None:
    file = folder / "t10k-labels-idx1-ubyte"
    file.write_bytes(file.read_bytes()[:-1])


def _web_page(folder: Path) -> None:
    (folder / "t10k-labels-idx1-ubyte").write_bytes(b"<!DOCTYPE html><html>")


def _half_packed(folder: Path) -> None:
    file = folder / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-9])


def _more_labels(folder: Path) -> None:
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(4, dtype=np.uint8)))


def _flat(folder: Path) -> None:
    (folder / "train-images-idx3-ubyte.gz").write_bytes(idx(np.zeros((3, 35), np.uint8)))


def _unknown_class(folder: Path) -> None:
    (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(np.array([1, 9], np.uint8)))


def _one_class(folder: Path) -> None:
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(np.ones(3, np.uint8)))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_second, 'idx files of 2 datasets: one without a name, "emnist-digits". Give each a folder of its own'),
        (_incomplete, "holds the idx files t10k-images, train-images, train-labels, but t10k-labels is missing"),
        (_twice, "test-labels-idx1-ubyte are the same part. Keep one"),
        (_other_kind, "t10k-labels-idx1-ubyte holds values of kind 0x0D; only unsigned bytes (0x08) are read"),
        (_cut, "t10k-labels-idx1-ubyte has 9 bytes, not the 10 that its first bytes announce. Get it again"),
        (_web_page, "t10k-labels-idx1-ubyte is not an idx file: it begins with b'<!DOCTYPE html>"),
        (_half_packed, "train-images-idx3-ubyte.gz cannot be read: Compressed file ended"),
        (_more_labels, "train-images-idx3-ubyte.gz holds 3 images, but train-labels-idx1-ubyte 4 labels"),
        (_flat, "hold 3 x 35 and 3 values, not images with height and width"),
        (_unknown_class, 'class "9" has test images, but none to train'),
        (_one_class, "holds only one class. At least two are needed"),
    ],
)
def test_files_that_do_not_fit(harm: Callable[[Path], None], said: str, tmp_path: Path, decoded: Decode) -> None:
    folder = write(tmp_path / "own")
    harm(folder)
    with pytest.raises(DataError, match=re.escape(said)):
        decoded(folder, (5, 7, 1))


def test_own_counts_are_refused(tmp_path: Path, decoded: Decode) -> None:
    with pytest.raises(DataError, match=r"has its own train and test files\. Leave out"):
        decoded(write(tmp_path / "own"), (5, 7, 1), train_per_class=1)


def test_hidden_files_and_folders_of_images_are_no_idx_files(grow: Callable[..., Path], decoded: Decode) -> None:
    tree = grow("pets", {"cat": 4, "dog": 4})
    before = decoded(tree)
    (tree / "._train-images-idx3-ubyte.gz").write_bytes(b"junk of macOS")
    assert decoded(tree).fingerprint == before.fingerprint


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (0, 2, 2)])
def test_an_array_survives_the_format(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert np.array_equal(parse(idx(array), "here"), array)

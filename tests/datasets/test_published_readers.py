"""Digits, MNIST and CIFAR-10 as their authors publish them, from small files of the same form."""

import dataclasses
import hashlib
import io
import os
import pickle
import shutil
import tarfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from folders import pack
from sklearn.datasets import load_digits

from asymbp_cli.datasets import fetch
from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.readers import cifar as reader
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.errors import DataError, MissingDataError

RANDOM = np.random.default_rng(0)


def shrink(monkeypatch: pytest.MonkeyPatch, key: str, train: int, test: int, **md5: str) -> None:
    """Let the catalog expect small files, with these checksums."""
    row = CATALOG[key]
    archives = tuple(
        dataclasses.replace(
            a,
            checksum=md5.get(Path(a.name).name, a.checksum),
            unpacked_md5=md5.get(Path(a.name).stem, a.unpacked_md5),
        )
        for a in row.archives
    )
    monkeypatch.setitem(
        CATALOG, key, dataclasses.replace(row, train_count=train, test_count=test, archives=archives)
    )


def digest(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


# digits ------------------------------------------------------------------------------------------------------


def test_digits(tmp_path: Path) -> None:
    info = prepare("digits", (8, 8, 1), DataSource(cache_dir=tmp_path))
    assert (info.label, info.paper_name, info.exact) == ("digits", None, False)
    assert (info.train_count, info.test_count) == (1437, 360)
    assert info.note.startswith("not a dataset of the paper")
    x = np.concatenate([np.load(info.path / f"x_{split}.npy") for split in ("train", "test")])
    assert sorted(x.reshape(1797, 64).tolist()) == sorted((load_digits().data * 15).astype(int).tolist())
    assert (
        info.fingerprint == "fd2758d9931b5c02e15e3084fc796514920fc31fc9914b255b53713a18775508"
    )  # part of the identity of every stored run


# MNIST -------------------------------------------------------------------------------------------------------


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes() + array.tobytes()


@pytest.fixture
def small_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a data directory with 12 training and 5 test images, unpacked."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix, count in (("train", 12), ("t10k", 5)):
        images = RANDOM.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(idx(images))
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(np.arange(count, dtype=np.uint8) % 10))
    shrink(monkeypatch, "mnist", 12, 5, **{file.name: digest(file.read_bytes()) for file in raw.iterdir()})
    return tmp_path


def mnist(root: Path) -> DecodedDataset:
    return prepare("mnist", (28, 28, 1), DataSource(data_dir=root, cache_dir=root / "cache"))


def test_mnist_unpacked(small_mnist: Path) -> None:
    info = mnist(small_mnist)
    assert (info.label, info.paper_name, info.exact, info.train_count, info.test_count) == (
        "MNIST", "MNIST", True, 12, 5,
    )  # fmt: skip
    content = (small_mnist / "MNIST" / "raw" / "train-images-idx3-ubyte").read_bytes()
    assert np.load(info.path / "x_train.npy").tobytes() == content[16:]
    assert np.load(info.path / "y_train.npy").tolist() == [*range(10), 0, 1]


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_file_of_the_same_form_that_is_not_the_published_one(name: str, small_mnist: Path) -> None:
    """FashionMNIST bears the names of MNIST."""
    file = small_mnist / "MNIST" / "raw" / name
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match=rf"{name} is not the published file \(MD5 differs\). Delete it and use"):
        mnist(small_mnist)


def test_a_smaller_copy_does_not_pass_for_the_dataset(small_mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = small_mnist / "MNIST" / "raw"
    shrink(
        monkeypatch, "mnist", 60_000, 10_000, **{file.name: digest(file.read_bytes()) for file in raw.iterdir()}
    )
    with pytest.raises(
        DataError, match=r"MNIST must have 60000 training and 10000 test samples, .* hold 12 and 5"
    ):
        mnist(small_mnist)


def test_one_file_is_missing(small_mnist: Path) -> None:
    (small_mnist / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError) as caught:
        mnist(small_mnist)
    for part in (str(small_mnist), "MNIST/raw/", "yann.lecun.com", "--data-dir", "--download"):
        assert part in str(caught.value)


# CIFAR-10 ----------------------------------------------------------------------------------------------------


class _Python2Pickler(pickle._Pickler):  # type: ignore[name-defined]
    """Writes bytes and str as Python 2 wrote its str, which is what the published batches hold."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def save_string(self, value: bytes | str) -> None:
        content = value.encode() if isinstance(value, str) else value
        self.write(b"T" + len(content).to_bytes(4, "little") + content)
        self.memoize(value)

    dispatch[bytes] = dispatch[str] = save_string


def batch(count: int, start: int = 0) -> bytes:
    data = RANDOM.integers(0, 256, (count, 3072), dtype=np.uint8)
    content = io.BytesIO()
    _Python2Pickler(content, 2).dump({"data": data, "labels": [(start + i) % 10 for i in range(count)]})
    return content.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


@pytest.fixture
def batches() -> dict[str, bytes]:
    return {name: batch(2, 2 * i) for i, name in enumerate(reader.CIFAR10.md5)}


def expect(monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes], archive: bytes = b"") -> None:
    md5 = {name: digest(content) for name, content in files.items()}
    test = {name: md5.pop(name) for name in list(md5) if name.startswith("test")}
    monkeypatch.setattr(reader, "CIFAR10", dataclasses.replace(reader.CIFAR10, train=md5, test=test))
    shrink(monkeypatch, "cifar10", 10, 2, **{"cifar-10-python.tar.gz": digest(archive)})


def cifar(root: Path) -> DecodedDataset:
    return prepare("cifar10", (32, 32, 3), DataSource(data_dir=root, cache_dir=root / "cache"))


def unpack(root: Path, files: dict[str, bytes]) -> Path:
    (root / "cifar-10-batches-py").mkdir()
    for name, content in files.items():
        (root / "cifar-10-batches-py" / name).write_bytes(content)
    return root / "cifar-10-batches-py"


def test_cifar_unpacked_and_packed(
    batches: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as tar:
        for name, content in reversed(batches.items()):  # the order inside is no matter
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    expect(monkeypatch, batches, (tmp_path / "cifar-10-python.tar.gz").read_bytes())
    packed = cifar(tmp_path)
    unpack(tmp_path, batches)
    info = cifar(tmp_path)
    assert info.fingerprint == packed.fingerprint
    assert info.directory != packed.directory
    assert (info.label, info.paper_name, info.exact) == ("CIFAR-10", "CIFAR", True)
    assert (info.train_count, info.test_count, info.classes[3]) == (10, 2, "cat")
    assert np.load(info.path / "y_train.npy").tolist() == [*range(10)]
    data: Any = pickle.loads(batches["data_batch_1"], encoding="bytes")[b"data"]
    assert np.array_equal(np.load(info.path / "x_train.npy")[1], data[1].reshape(3, 32, 32).transpose(1, 2, 0))


def test_a_changed_cifar_file_is_refused(
    batches: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(monkeypatch, batches)
    unpack(tmp_path, batches | {"data_batch_3": batches["data_batch_3"][:-1]})
    with pytest.raises(DataError, match=r"data_batch_3 is not the published file"):
        cifar(tmp_path)
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").unlink()
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"cut short")
    with pytest.raises(DataError, match=r"cifar-10-python\.tar\.gz is not the published file"):
        cifar(tmp_path)


@pytest.mark.parametrize("name", ["cifar-10-python.tar", "cifar-10-python.tar.gz", "cifar-10-python.tgz"])
def test_an_archive_that_was_packed_otherwise(
    name: str, batches: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As browsers that unpack what they download leave it: the MD5 of each file inside decides."""
    expect(monkeypatch, batches)
    pack(unpack(tmp_path, batches), ".tar", "cifar-10-batches-py").rename(tmp_path / name)
    expected = cifar(tmp_path).fingerprint
    shutil.rmtree(tmp_path / "cifar-10-batches-py")
    assert cifar(tmp_path).fingerprint == expected
    expect(monkeypatch, batches | {"test_batch": b"other"})
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes())
    with pytest.raises(DataError, match=rf"{name}: test_batch is not the published file \(MD5 differs\)"):
        reader.locate("cifar10", reader.CIFAR10, tmp_path).open()  # type: ignore[union-attr]


def test_a_batch_is_missing(batches: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expect(monkeypatch, batches)
    (unpack(tmp_path, batches) / "test_batch").unlink()
    with pytest.raises(
        MissingDataError, match=r"cifar-10-batches-py/data_batch_5 are here; test_batch is missing\."
    ):
        cifar(tmp_path)


def batch_of(content: bytes, where: str) -> Any:
    return reader._images(reader._load(content, where), reader.CIFAR10, where)


class _Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.target),)


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"b is damaged: posix\.mkdir does not belong in a CIFAR batch"):
        batch_of(pickle.dumps(_Evil(tmp_path / "evil")), "b")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("content", [b"", b"junk", pickle.dumps({}), pickle.dumps([1])])
def test_a_damaged_pickle_is_named(content: bytes) -> None:
    with pytest.raises(DataError, match="some_batch is damaged"):
        batch_of(content, "some_batch")


def test_cifar_labels_that_are_too_few() -> None:
    content = io.BytesIO()
    _Python2Pickler(content, 2).dump({"data": np.zeros((2, 3072), np.uint8), "labels": [1]})
    with pytest.raises(DataError, match="b: 2 images, but 1 label"):
        batch_of(content.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray"), "b")


def jpeg_copy(root: Path, grow: Any) -> None:
    tree = grow("copy", {"train/airplane": 5, "train/bird": 5, "test/airplane": 1, "test/bird": 1})
    with tarfile.open(root / "cifar10-jpeg.tar.xz", "w:xz") as tar:
        tar.add(tree, ".")


def test_the_jpeg_copy_is_labelled(grow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch, "cifar10", 10, 2)
    monkeypatch.setitem(CATALOG, "cifar10", dataclasses.replace(CATALOG["cifar10"], classes=2))
    jpeg_copy(tmp_path, grow)
    info = cifar(tmp_path)
    assert (info.key, info.label, info.paper_name) == ("cifar10", "CIFAR-10 (JPEG copy)", "CIFAR")
    assert not info.exact
    assert "lossy" in info.note


def test_download_prefers_the_published_files_to_a_copy(
    batches: dict[str, bytes], grow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(monkeypatch, batches)
    jpeg_copy(tmp_path, grow)
    monkeypatch.setattr(fetch, "fetch", lambda archive, root, on_progress: unpack(root, batches))
    info = prepare(
        "cifar10", (32, 32, 3), DataSource(data_dir=tmp_path, cache_dir=tmp_path / "cache", download=True)
    )
    assert (info.label, info.exact) == ("CIFAR-10", True)

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from asymbp_cli.datasets import resident
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.resident import compute_statistics, load
from asymbp_cli.errors import DataError
from asymbp_cli.specs.protocol import Preprocessing

Grow = Callable[..., Path]
Decoded = Callable[..., DecodedDataset]


@pytest.fixture
def pets(grow: Grow, decoded: Decoded) -> DecodedDataset:
    return decoded(grow("pets", {"train/cat": 12, "train/dog": 8, "test/cat": 2, "test/dog": 3}))


def oracle(x: np.ndarray, preprocessing: str) -> tuple[np.ndarray, np.ndarray]:
    x = x.astype(np.float64)
    if preprocessing == "mean-image":
        return x.mean(0), (x - x.mean(0)).std().reshape(1)
    return x.mean((0, 1, 2)), x.std((0, 1, 2))


@pytest.mark.parametrize("rows", [1, 3, 7, 1000])
@pytest.mark.parametrize("preprocessing", ["mean-image", "mean-pixel"])
def test_statistics_equal_a_float64_oracle(
    preprocessing: Preprocessing, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.random.default_rng(0).integers(0, 256, (10, 5, 4, 3), dtype=np.uint8)
    x[..., 1] //= 3  # channels that differ
    monkeypatch.setattr(resident, "_CHUNK_VALUES", rows * x[0].size)
    for ours, expected in zip(compute_statistics(x, preprocessing), oracle(x, preprocessing), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-13)
        assert ours.dtype == np.float64
        np.broadcast_shapes(ours.shape, x.shape[1:])


def test_equal_images_divide_by_one() -> None:
    x = np.full((4, 2, 2, 1), 7, np.uint8)
    assert compute_statistics(x, "mean-image")[1].tolist() == [1.0]
    assert compute_statistics(x, "mean-pixel")[1].tolist() == [1.0]


@pytest.mark.parametrize("preprocessing", ["mean-image", "mean-image-unscaled", "mean-pixel", "none"])
def test_a_batch_is_normalized_channels_last(pets: DecodedDataset, preprocessing: Preprocessing) -> None:
    data = load(pets, preprocessing=preprocessing)
    index = torch.tensor([17, 3, 3])
    x, y = data.batch(data.train, index)
    raw = np.load(pets.path / "x_train.npy")
    mean, std = (0.0, 255.0) if preprocessing == "none" else oracle(raw, preprocessing.removesuffix("-unscaled"))
    std = 1.0 if preprocessing == "mean-image-unscaled" else std
    expected = ((raw.astype(np.float64) - mean) / std)[[17, 3, 3]].transpose(0, 3, 1, 2)
    np.testing.assert_allclose(x.numpy(), expected, rtol=1e-4, atol=1e-5)
    assert x.dtype == torch.float32
    assert x.shape == (3, 3, 4, 6)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert y.tolist() == [1, 0, 0]
    assert y.dtype == torch.int64


def test_what_was_decoded_is_what_is_loaded(pets: DecodedDataset) -> None:
    data = load(pets)
    assert data.train.x.dtype == data.test.x.dtype == torch.uint8
    assert (len(data.train.x), len(data.test.x), data.validation) == (20, 5, None)
    assert np.array_equal(data.test.x.numpy(), np.load(pets.path / "x_test.npy"))
    assert data.test.y.tolist() == [0, 0, 1, 1, 1]


def test_writing_to_a_batch_or_a_tensor_leaves_the_file_alone(pets: DecodedDataset) -> None:
    before = (pets.path / "x_train.npy").read_bytes()
    data = load(pets)
    data.batch(data.train, torch.arange(5))[0].zero_()
    data.train.x.zero_()
    assert (pets.path / "x_train.npy").read_bytes() == before


def test_validation_is_held_out_of_training_and_of_the_statistics(pets: DecodedDataset) -> None:
    data = load(pets, validation_fraction=0.25, seed=3)
    assert data.validation is not None
    assert np.bincount(data.validation.y).tolist() == [3, 2]
    assert np.bincount(data.train.y).tolist() == [9, 6]
    whole = np.load(pets.path / "x_train.npy")
    kept, held_out = (split.images(torch.arange(len(split.y))).numpy() for split in (data.train, data.validation))
    both = np.concatenate([kept, held_out])
    assert sorted(both.reshape(20, -1).tolist()) == sorted(whole.reshape(20, -1).tolist())
    np.testing.assert_allclose(data.mean.numpy(), oracle(kept, "mean-image")[0], rtol=1e-6)
    labels = np.load(pets.path / "y_train.npy")
    for split, images in ((data.train, kept), (data.validation, held_out)):  # each image keeps its label
        assert split.rows is not None
        assert np.array_equal(images, whole[split.rows])
        assert split.y.tolist() == labels[split.rows].tolist()
    other = load(pets, validation_fraction=0.25, seed=4)
    assert other.validation is not None
    assert not torch.equal(other.validation.rows, data.validation.rows)
    assert not torch.equal(other.mean, data.mean)  # kept under another name


def test_a_class_too_small_to_hold_out(grow: Grow, decoded: Decoded) -> None:
    info = decoded(grow("pets", {"train/cat": 4, "train/dog": 1, "test/cat": 1, "test/dog": 1}))
    with pytest.raises(DataError, match='pets: class "dog" has 1 training sample'):
        load(info, validation_fraction=0.1)


def kept(info: DecodedDataset) -> Path:
    (found,) = info.path.glob("statistics-*.npz")
    return found


def test_statistics_are_computed_once(pets: DecodedDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load(pets)
    assert kept(pets).exists()
    monkeypatch.setattr(resident, "compute_statistics", None)  # calling it would fail
    after = load(pets)
    assert torch.equal(before.mean, after.mean)
    assert torch.equal(before.inverse_std, after.inverse_std)


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04junk", None])
def test_damaged_statistics_are_computed_again(pets: DecodedDataset, content: bytes | None) -> None:
    before = load(pets)
    file = kept(pets)
    file.write_bytes(file.read_bytes()[:-40] if content is None else content)
    assert torch.equal(load(pets).mean, before.mean)
    with np.load(file) as mended:
        assert np.array_equal(mended["mean"].astype(np.float32), before.mean.numpy())


def test_a_flipped_bit_of_the_statistics_is_noticed_or_changes_nothing(pets: DecodedDataset) -> None:
    before = load(pets)
    file = kept(pets)
    content = file.read_bytes()
    for bit in range(0, 8 * len(content), 7):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        file.write_bytes(changed)
        after = load(pets)
        assert torch.equal(after.mean, before.mean), bit
        assert torch.equal(after.inverse_std, before.inverse_std), bit


@pytest.mark.parametrize("preprocessing", ["mean-image", "mean-pixel"])
@pytest.mark.parametrize(
    ("mean", "deviation"),
    [
        (np.zeros(1), np.ones(1)),
        (np.zeros((2, 4, 6, 3)), np.ones(1)),
        (np.zeros((4, 6, 3)), np.ones((4, 6, 3))),
        (np.zeros((4, 6, 3), np.complex128), np.ones(1)),
        (np.zeros(3, np.int64), np.ones(3, np.int64)),
    ],
)
def test_statistics_of_another_shape_are_computed_again(
    pets: DecodedDataset, preprocessing: Preprocessing, mean: NDArray[Any], deviation: NDArray[Any]
) -> None:
    before = load(pets, preprocessing=preprocessing)
    np.savez(kept(pets), mean=mean, deviation=deviation)
    after = load(pets, preprocessing=preprocessing)
    assert torch.equal(after.mean, before.mean)
    assert torch.equal(after.inverse_std, before.inverse_std)


def test_a_cache_that_became_read_only_costs_only_time(
    pets: DecodedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(resident, "replace", refuse)
    assert load(pets).mean.shape == (4, 6, 3)
    assert not list(pets.path.glob("*statistics*"))


@pytest.mark.parametrize("length", [None, 0, 60, 200])
def test_arrays_that_have_gone(pets: DecodedDataset, length: int | None) -> None:
    file = pets.path / "x_train.npy"
    content = file.read_bytes()
    file.unlink()
    if length is not None:
        file.write_bytes(content[:length])
    with pytest.raises(DataError, match=r"the decoded images in .* are damaged .*. Delete that folder"):
        load(pets)


def by_hand(tmp_path: Path, train: NDArray[Any], test: NDArray[Any]) -> DecodedDataset:
    """Return a dataset of two classes whose arrays are given."""
    for part, x in (("train", train), ("test", test)):
        np.save(tmp_path / f"x_{part}.npy", x)
        np.save(tmp_path / f"y_{part}.npy", np.arange(len(x)) % 2)
    return DecodedDataset(
        key="hand",
        label="hand",
        paper_name=None,
        exact=False,
        classes=("a", "b"),
        shape=train.shape[1:],
        train_count=len(train),
        test_count=len(test),
        fingerprint="f" * 64,
        directory=str(tmp_path),
    )


def test_unscaled_images_are_grey_values_minus_the_mean_image(tmp_path: Path) -> None:
    """As MatConvNet 1.0-beta14 does in examples/cnn_mnist.m: 0 to 255, no division. Worked by hand."""
    train = np.array([[[[0], [255]]], [[[10], [0]]], [[[20], [45]]]], np.uint8)  # 3 of 1x2x1; means 10 and 100
    data = load(by_hand(tmp_path, train, train[:1]), preprocessing="mean-image-unscaled")
    x, _ = data.batch(data.train, torch.tensor([2, 0]))
    assert x.tolist() == [[[[10.0, -55.0]]], [[[-10.0, 155.0]]]]
    assert data.batch(data.test, torch.tensor([0]))[0].tolist() == [[[[-10.0, 155.0]]]]
    scaled = load(data.info, preprocessing="mean-image")  # keeps its own deviation: they share a file
    assert scaled.inverse_std.item() == pytest.approx((6 / 37250) ** 0.5)
    assert torch.equal(scaled.mean, data.mean)


def test_unscaled_vectors_are_features_minus_their_means(tmp_path: Path) -> None:
    train = np.array([[1.0, -4.0], [3.0, 8.0]], np.float32)
    data = load(by_hand(tmp_path, train, np.array([[2.5, 0.0]], np.float32)), preprocessing="mean-image-unscaled")
    assert data.batch(data.train, torch.tensor([1, 0]))[0].tolist() == [[1.0, 6.0], [-1.0, -6.0]]
    assert data.batch(data.test, torch.tensor([0]))[0].tolist() == [[0.5, -2.0]]


def test_the_mean_image_is_that_of_the_samples_that_train(pets: DecodedDataset) -> None:
    held_out = {"validation_fraction": 0.25, "seed": 3}
    unscaled, scaled = (
        load(pets, preprocessing=kind, **held_out)  # type: ignore[arg-type]
        for kind in ("mean-image-unscaled", "mean-image")
    )
    assert torch.equal(unscaled.mean, scaled.mean)
    assert not torch.equal(unscaled.mean, load(pets, preprocessing="mean-image-unscaled").mean)
    assert unscaled.inverse_std.tolist() == [1.0]


@pytest.mark.gpu
def test_on_a_gpu(pets: DecodedDataset) -> None:
    data, here = load(pets, device="cuda"), load(pets)
    index = torch.arange(7)
    x, y = data.batch(data.train, index.cuda())
    assert x.is_cuda
    torch.testing.assert_close(x.cpu(), here.batch(here.train, index)[0])
    assert torch.equal(y.cpu(), here.train.y[:7])

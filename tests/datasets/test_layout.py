"""What the names of folders mean: splits, classes, wrappers."""

from pathlib import Path

import pytest

from asymbp_cli.datasets.readers.layout import Parts, count_wrappers, find_common_folders, find_split, find_splits
from asymbp_cli.errors import DataError

ROOT = Path("pets")


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("train", ("train", ())),
        ("Training", ("train", ())),
        ("TEST", ("test", ())),
        ("testing", ("test", ())),
        ("Valid", ("validation", ())),
        ("dev", ("validation", ())),
        ("training_set", ("train", ())),
        ("trainset", ("train", ())),
        ("TestImages", ("test", ())),
        ("test-data", ("test", ())),
        ("seg_train", ("train", ("seg",))),
        ("asl_alphabet_test", ("test", ("asl", "alphabet"))),
        ("train2017", ("train", ("2017",))),
        ("train_val", None),
        ("trainer", None),
        ("strain", None),
        ("contest", None),
        ("cat", None),
    ],
)
def test_the_split_that_a_name_means(name: str, meaning: object) -> None:
    assert find_split(name) == meaning


def paths(*names: str) -> list[Parts]:
    return [tuple(name.split("/")) for name in names]


def rewritten(*names: str, folders: tuple[str, ...] = ()) -> list[str]:
    """Return the rewritten paths of images in these folders; fails if there are no splits."""
    images = paths(*(f"{name}/1.png" for name in names))
    rewrite = find_splits(ROOT, images, paths(*folders))
    assert rewrite
    return ["/".join(rewrite(parts)[:-1]) for parts in images]


@pytest.mark.parametrize(
    ("images", "read_as"),
    [
        (("train/cat", "test/cat"), ["train/cat", "test/cat"]),
        (("Training/cat", "Test/cat", "validation/cat"), ["train/cat", "test/cat", "validation/cat"]),
        (("seg_train/cat", "seg_test/cat"), ["train/cat", "test/cat"]),
        (("training_set/training_set/cat", "test_set/test_set/cat"), ["train/cat", "test/cat"]),
        (
            ("train/images/cat", "train/images/dog", "test/cat", "test/dog"),
            ["train/cat", "train/dog", "test/cat", "test/dog"],
        ),
        (("cat/train", "cat/test", "dog/train", "dog/test"), ["train/cat", "test/cat", "train/dog", "test/dog"]),
        (
            ("cat/training", "cat/testing/young", "dog/training", "dog/testing"),
            ["train/cat", "test/cat/young", "train/dog", "test/dog"],
        ),
        (("train/cat", "test/cat", "cat"), ["train/cat", "test/cat", "cat"]),
        (("train/train/tabby", "train/bus", "test/bus"), ["train/train/tabby", "train/bus", "test/bus"]),
    ],
)
def test_splits_and_what_is_in_them(images: tuple[str, ...], read_as: list[str]) -> None:
    assert rewritten(*images) == read_as


def test_an_only_class_with_images_is_no_wrapper_beside_an_empty_one() -> None:
    images = ("train/cat/tabby", "train/cat/black", "test/cat/tabby")
    assert rewritten(*images, folders=("train/cat", "train/dog"))[:2] == ["train/cat/tabby", "train/cat/black"]


@pytest.mark.parametrize(
    "images",
    [
        ("cat", "dog"),
        ("bus", "car", "train"),
        ("train_station", "test_tube"),
        ("test_positive", "test_negative"),
        ("valid", "invalid"),
        ("cat/young", "dog/train"),
        ("cat/train", "dog/young"),
    ],
)
def test_classes_that_sound_like_splits(images: tuple[str, ...]) -> None:
    assert find_splits(ROOT, paths(*(f"{name}/1.png" for name in images)), []) is None


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (("training/cat", "training/dog"), "has training/, but no images in test/"),
        (("Test/cat", "Val/cat"), "has Test/, Val/, but no images in train/"),
        (("train_images/cat", "valid_images/cat"), "no images in test/"),
        (("train/cat", "training_set/cat", "test/cat"), "has train/ and training_set/, which mean the same"),
        (("Train/cat", "train/cat", "test/cat"), "has Train/ and train/, which mean the same"),
        (("train_1/cat", "train_2/cat", "test/cat"), "cannot be told which belong together"),
        (
            ("trainval/cat", "trainval/dog", "test/cat", "test/dog"),
            "test/, trainval/, which all hold cat, dog: these",
        ),
        (("traning/cat", "traning/dog", "testing/cat", "testing/dog"), "these seem to be the classes"),
        (("train/cat", "train/dog", "holdout/cat", "holdout/dog"), "these seem to be the classes"),
        (("Training/cat", "Training/dog", "PublicTest/cat", "PublicTest/dog"), "these seem to be the classes"),
        (
            tuple(
                f"fold{k}/{split}/{label}" for k in (1, 2) for split in ("train", "test") for label in ("a", "b")
            ),
            "these seem to be the classes",
        ),
        (
            ("cat/train", "cat/val", "dog/train", "dog/val"),
            "hold train/, val/: splits, but not to train and to test",
        ),
        (("cat/train", "cat/test", "dog/young"), "cat/ has folders to train and to test inside, dog/ has none"),
    ],
)
def test_splits_that_are_not_whole(images: tuple[str, ...], said: str) -> None:
    with pytest.raises(DataError, match=said):
        find_splits(ROOT, paths(*(f"{name}/1.png" for name in images)), [])


@pytest.mark.parametrize(
    ("images", "folders", "depth"),
    [
        (("a/b/cat/1", "a/b/dog/1"), (), 2),
        (("a/cat/1", "a/cat/2"), (), 1),
        (("cat/1", "dog/1"), (), 0),
        (("cat/1",), (), 0),
        (("cat/tabby/1", "cat/black/1"), ("cat", "dog"), 0),
        (("train/cat/1", "train/dog/1"), (), 0),
        (("data/train/cat/1", "data/train/dog/1"), (), 1),
    ],
)
def test_wrappers(images: tuple[str, ...], folders: tuple[str, ...], depth: int) -> None:
    assert count_wrappers(paths(*images), paths(*folders), keep_splits=True) == depth


@pytest.mark.parametrize(
    ("images", "common"),
    [
        (("训练集/cat", "训练集/dog", "测试集/cat", "测试集/dog"), ["cat", "dog"]),
        (("cat/young", "dog/young"), []),
        (("cat/young", "cat/old", "dog/young"), []),
        (("cat", "dog"), []),
    ],
)
def test_folders_that_all_classes_hold_may_be_the_classes(images: tuple[str, ...], common: list[str]) -> None:
    found = paths(*(f"{name}/1.png" for name in images))
    assert find_splits(ROOT, found, []) is None
    assert find_common_folders(found) == common

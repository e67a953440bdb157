"""A user's own images: every layout that is understood, and a message for every other."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from folders import OFFICIAL, pack
from PIL import Image

from asymbp_cli.datasets.catalog import FolderSource
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.readers.folder import locate
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.errors import DataError

Grow = Callable[..., Path]
Decoded = Callable[..., DecodedDataset]


def test_train_and_test_folders(grow: Grow, decoded: Decoded) -> None:
    info = decoded(grow("pets", OFFICIAL))
    assert (info.train_count, info.test_count) == (5, 3)
    assert info.classes == ("cat", "dog")
    assert (info.key, info.label, info.paper_name, info.exact, info.note) == ("folder", "pets", None, False, "")
    assert np.load(info.path / "y_train.npy").tolist() == [0, 0, 0, 1, 1]
    assert np.load(info.path / "y_test.npy").tolist() == [0, 1, 1]
    kept = np.asarray(Image.open(Path(info.path).parents[2] / "pets" / "train" / "dog" / "1.png"))
    assert np.array_equal(np.load(info.path / "x_train.npy")[4], kept)


@pytest.mark.parametrize("top", ["", "wrapped", "twice/wrapped"])
@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tar.xz", ".tar.bz2", ".zip"])
def test_an_archive_reads_like_its_folder(ending: str, top: str, grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", OFFICIAL)
    packed = decoded(pack(tree, ending, top))
    assert packed.fingerprint == decoded(tree).fingerprint
    assert packed.label == "pets"


@pytest.mark.parametrize("ending", ["", ".tar.gz", ".zip"])
def test_a_few_images_tell_whether_they_are_in_colour(ending: str, grow: Grow) -> None:
    tree = grow("pets", OFFICIAL)

    def look() -> int | None:
        return locate(FolderSource(folder=str(pack(tree, ending) if ending else tree))).channels()

    files = sorted(tree.rglob("*.png"))
    for file in files:
        Image.new("L", (4, 4)).save(file)
    assert look() == 1
    Image.new("P", (4, 4)).save(files[-1])
    assert look() == 3
    for file in files:
        file.write_bytes(b"no image")
    assert look() is None


@pytest.mark.parametrize(
    ("options", "train", "test"),
    [
        ({}, [6, 3], [2, 1]),
        ({"test_fraction": 0.5}, [4, 2], [4, 2]),
        ({"train_per_class": 2}, [2, 2], [6, 2]),
        ({"test_per_class": 3}, [5, 1], [3, 3]),
        ({"train_per_class": 1, "test_per_class": 2}, [1, 1], [2, 2]),
    ],
)
def test_one_tree_is_split_per_class(
    options: dict[str, float], train: list[int], test: list[int], grow: Grow, decoded: Decoded
) -> None:
    info = decoded(grow("pets", {"cat": 8, "dog": 4}), **options)
    assert np.bincount(np.load(info.path / "y_train.npy")).tolist() == train
    assert np.bincount(np.load(info.path / "y_test.npy")).tolist() == test
    assert info.note == "split per class by seed 0"


def test_the_seed_decides_and_nothing_overlaps(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", {"cat": 8, "dog": 8})
    first, again, other = decoded(tree), decoded(tree, label="else"), decoded(tree, seed=1)
    assert first.fingerprint == again.fingerprint != other.fingerprint
    images = [np.load(first.path / f"x_{split}.npy") for split in ("train", "test")]
    assert len(np.unique(np.concatenate(images), axis=0)) == 16


def test_what_lies_about_is_passed_over(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", {"cat": 4, "dog": 4})
    before = decoded(tree).fingerprint
    (tree / "README.md").write_text("hello")
    (tree / "cat" / "Thumbs.db").write_text("x")
    (tree / ".git").mkdir()
    (tree / ".git" / "0.png").write_text("not an image, but hidden")
    (tree / "__MACOSX").mkdir()
    (tree / "__MACOSX" / "._0.png").write_text("x")
    assert decoded(tree).fingerprint == before


def test_subfolders_of_a_class_belong_to_it(grow: Grow, decoded: Decoded) -> None:
    info = decoded(grow("pets", {"cat/a": 2, "cat/b": 2, "dog/a": 4}))
    assert info.classes == ("cat", "dog")
    assert info.train_count + info.test_count == 8


def test_an_empty_class_beside_the_only_other_one_is_named(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", {"cat/tabby": 4, "cat/black": 4, "dog": 0})
    with pytest.raises(DataError, match=r"dog/ holds no images. Fill it or remove it"):
        decoded(tree)


NO_LAYOUT = "Expected: train/CLASS/\\* and test/CLASS/\\*, or one folder per class"


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ({}, f"holds no images. {NO_LAYOUT}"),
        ({"cat": 4}, "holds only one class"),
        ({"cat": 4, "dog": 0}, "dog/ holds no images. Fill it or remove it"),
        ({"cat": 4, "dog": 1}, 'class "dog" has 1 image, too few for 1 to train and 1 to test'),
        ({"cat": 4, "dog": 4, ".": 1}, "0.png is not inside a class folder"),
        (OFFICIAL | {"test/owl": 1}, 'class "owl" has images in test/ but none in train/'),
        (OFFICIAL | {"train/owl": 1}, 'class "owl" has images in train/ but none in test/'),
        (OFFICIAL | {"train/owl": 0}, "train/owl/ holds no images"),
        (OFFICIAL | {"extra/cat": 1}, "extra/cat/0.png is outside train/CLASS/ and test/CLASS/"),
        ({"training/cat": 3, "training/dog": 3}, "has training/, but no images in test/"),
        ({"cat/train": 3, "cat/test": 3, "dog": 3}, "cat/ has folders to train and to test inside, dog/ has none"),
        ({"train/cat": 3, "train/dog": 3}, "has train/, but no images in test/"),
        ({"train/cat": 3, "train/dog": 3, "test/cat": 0}, "has train/, but no images in test/"),
        (
            {"train/cat": 3, "train/dog": 3, "val/cat": 3, "val/dog": 3},
            "no images in test/. To test on val/, rename it to",
        ),
        ({"test/cat": 3, "test/dog": 3}, "has test/, but no images in train/"),
    ],
)
@pytest.mark.parametrize("ending", ["", ".tar"])
def test_layouts_that_are_none(
    ending: str, tree: dict[str, int], said: str, grow: Grow, decoded: Decoded, tmp_path: Path
) -> None:
    (tmp_path / "pets").mkdir(exist_ok=True)
    made = grow("pets", {f"./{name}": count for name, count in tree.items() if name != "."})
    if "." in tree:
        Image.new("L", (2, 2)).save(made / "0.png")
    with pytest.raises(DataError, match=said) as caught:
        decoded(pack(made, ending) if ending else made)
    assert str(made) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_class_may_be_called_train(grow: Grow, decoded: Decoded) -> None:
    assert decoded(grow("vehicles", {"bus": 2, "car": 2, "train": 2})).classes == ("bus", "car", "train")


def test_counts_beside_official_splits(grow: Grow, decoded: Decoded) -> None:
    with pytest.raises(DataError, match=r"has its own train and test folders\. Leave out"):
        decoded(grow("pets", OFFICIAL), train_per_class=1)


def test_too_many_wanted(grow: Grow, decoded: Decoded) -> None:
    with pytest.raises(DataError, match='class "cat" has 4 images, too few for 3 to train and 2 to test'):
        decoded(grow("pets", {"cat": 4, "dog": 9}), train_per_class=3, test_per_class=2)


@pytest.mark.parametrize("name", [b"owl\xff", b"owl\n"])
def test_names_that_cannot_be_shown(name: bytes, grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", {"cat": 4, "dog": 4})
    os.rename(tree / "dog", os.fsencode(tree) + b"/" + name)
    with pytest.raises(DataError, match=r"'owl\\.*cannot be shown") as caught:
        decoded(tree)
    assert str(caught.value).isprintable()


def test_names_in_any_script(grow: Grow, decoded: Decoded) -> None:
    info = decoded(grow("Räume", {"Küche (alt)": 4, "お風呂": 4}))
    assert info.label == "Räume"
    assert info.classes == ("Küche (alt)", "お風呂")


@pytest.mark.parametrize(
    ("name", "label"),
    [("flowers17.tar", "flowers17"), ("a.tar.gz", "a"), ("a.tgz", "a"), ("v1.2", "v1.2"), ("b.zip", "b")],
)
def test_the_label_is_the_name(name: str, label: str) -> None:
    from asymbp_cli.datasets.readers.folder import _label

    assert _label(Path("some") / name) == label


def test_a_folder_whose_name_cannot_be_shown_has_a_label(grow: Grow, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = grow("pets", OFFICIAL)
    odd = tree.with_name("p\udcffets\n")
    tree.rename(odd)
    monkeypatch.chdir(odd)
    info = prepare(FolderSource(folder="."), (4, 6, 3), DataSource(cache_dir=odd.parent / "cache"))
    assert info.label == "p\\udcffets\\n"
    text = info.model_dump_json()
    assert DecodedDataset.model_validate_json(text).model_dump_json() == text


@pytest.mark.parametrize("options", [{"seed": 1}, {"test_fraction": 0.5}, {"train_per_class": 1}])
def test_a_folder_with_splits_follows_no_other(options: dict[str, float], grow: Grow, decoded: Decoded) -> None:
    with pytest.raises(
        DataError, match=r"has its own train and test folders\. Leave out the per-class counts, fraction"
    ):
        decoded(grow("pets", OFFICIAL), **options)

"""Published datasets that are damaged, mixed up or incomplete are refused with a message."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import painted
import pytest
from folders import unpack
from miniatures import ready
from scipy.io import savemat

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.checksums import digest
from asymbp_cli.datasets.entry import Draw
from asymbp_cli.errors import DataError, MissingDataError

Install = Callable[[str], Path]


@pytest.mark.parametrize("key", [key for key, row in CATALOG.items() if row.archives])
def test_a_changed_archive_is_refused(key: str, install: Install) -> None:
    root = install(key)
    archive = root / next(a.name for a in CATALOG[key].archives if a.checksum)
    archive.write_bytes(archive.read_bytes()[:-50])  # half-copied
    with pytest.raises(
        DataError, match=rf"{archive.name} is not the published file .*(--download|asymbp data fetch)"
    ):
        ready(key, root)


@pytest.mark.parametrize("key", [key for key, row in CATALOG.items() if key != "digits"])
def test_what_is_not_there_is_explained(key: str, tmp_path: Path) -> None:
    row = CATALOG[key]
    with pytest.raises(MissingDataError) as caught:
        ready(key, tmp_path)
    text = str(caught.value)
    assert row.accepts in text
    assert row.source in text
    assert "--data-dir" in text
    assert ("asymbp data fetch " + key in text) == bool(row.archives)
    assert (row.by_hand or "--download") in text


@pytest.mark.parametrize(
    ("key", "name", "said"),
    [
        ("pubfig83", "pubfig83/Uma Thurman/3.jpg", "Uma Thurman has 4 images, not 5, as PubFig83-ID is published"),
        ("sufrw", "SUFR-W/image_files/SUFR-W/SUFR_in_the_wild/7.jpg", r"lacks 7\.jpg, which .* lists"),
        ("icub", "iCubWorld/test/category3", "category3"),
    ],
)
def test_something_is_missing(key: str, name: str, said: str, install: Install) -> None:
    root = install(key)
    shutil.rmtree(root / name) if (root / name).is_dir() else (root / name).unlink()
    with pytest.raises(DataError, match=said):
        ready(key, root)


def test_images_that_a_list_names_are_missing(install: Install) -> None:
    root = install("indoor67")
    unpack(root / "indoor67" / "indoorCVPR_09.tar", root / "indoor67")
    (root / "indoor67" / "Images" / "bar" / "bar_3.jpg").unlink()
    with pytest.raises(DataError, match=r"lacks bar/bar_3\.jpg, which TrainImages\.txt lists"):
        ready("indoor67", root)
    root = install("flowers102")
    unpack(root / "flowers-102" / "102flowers.tgz", root / "flowers-102")
    for n in range(1, 6):
        (root / "flowers-102" / "jpg" / f"image_{n:05d}.jpg").unlink()
    with pytest.raises(DataError, match=r"lacks image_00001\.jpg, image_00002\.jpg, image_00003\.jpg and 2 more"):
        ready("flowers102", root)


def test_an_extra_class_and_a_stray_image_are_named(install: Install) -> None:
    root = install("pubfig83")
    home = root / "pubfig83"
    (home / "Not Famous").mkdir()
    (home / "Not Famous" / "1.jpg").write_bytes(painted.jpeg(5))
    with pytest.raises(DataError, match="holds Not Famous, which PubFig83-ID has not"):
        ready("pubfig83", root)
    shutil.rmtree(home / "Not Famous")
    (home / "Zac Efron" / "me.jpg").write_bytes(painted.jpeg(5))
    with pytest.raises(
        DataError,
        match=r"Zac Efron/me\.jpg is not named as the images of PubFig83-ID are .*Name it so, or remove it",
    ):
        ready("pubfig83", root)


def test_a_corrupt_image_is_named(install: Install) -> None:
    root = install("pubfig83")
    for file in (root / "pubfig83" / "Adam Sandler").glob("*.jpg"):
        file.write_bytes(file.read_bytes()[:200])
    for file in (root / "pubfig83" / "Zac Efron").glob("*.jpg"):
        file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(DataError, match=r"pubfig83:(Adam Sandler|Zac Efron)/\d\.jpg cannot be decoded"):
        ready("pubfig83", root)
    assert not list((root / "cache" / "resident").glob("pubfig83-*"))


def test_too_few_images_of_too_many_classes(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    root = install("lfw")
    draw = Draw(classes=4, train=3, test=2, of=5, images=22)
    monkeypatch.setitem(CATALOG, "lfw", dataclasses.replace(CATALOG["lfw"], draw=draw))
    said = "3 of the 4 classes that are needed have at least 5 images; Aaron_Eckhart has 1"
    with pytest.raises(DataError, match=said):
        ready("lfw", root)


def test_the_other_icub_world_is_told_from_the_right_one(install: Install) -> None:
    root = install("icub")
    shutil.move(root / "iCubWorld", root / "there")
    shutil.move(root / "there" / "train", root / "iCubWorld" / "human" / "train")
    with pytest.raises(DataError, match=r"is Hello iCubWorld \(7 objects, iCubWorld1\.0\.zip\)"):
        ready("icub", root)
    shutil.rmtree(root / "iCubWorld")
    shutil.move(root / "there" / "test", root / "iCubWorld")
    with pytest.raises(DataError, match=r"has no train/ and test/ folders. Expected: iCubWorld/"):
        ready("icub", root)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 # Ann\n1 Ann\n", r"SUFR_in_the_wild_info\.txt:2 is not `ID # NAME`"),
        ("1 # Ann\n" * 25, r"lacks 20\.jpg"),
    ],
)
def test_a_list_of_names_that_is_wrong(text: str, said: str, install: Install) -> None:
    root = install("sufrw")
    next(root.rglob("SUFR_in_the_wild_info.txt")).write_text(text)
    with pytest.raises(DataError, match=said):
        ready("sufrw", root)


def test_matlab_files_that_are_wrong(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    def accept(key: str, name: str) -> None:
        row = CATALOG[key]
        archives = tuple(dataclasses.replace(a, checksum=digest(root / a.name, "0" * 32)) for a in row.archives)
        monkeypatch.setitem(CATALOG, key, dataclasses.replace(row, archives=archives))

    root = install("svhn")
    savemat(root / "test_32x32.mat", {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.ones((3, 1))})
    accept("svhn", "test_32x32.mat")
    with pytest.raises(DataError, match=r"test_32x32\.mat holds images \(32, 32, 3, 2\) and 3 labels"):
        ready("svhn", root)
    savemat(root / "test_32x32.mat", {"X": np.zeros((32, 32, 3, 2), np.uint8)})
    accept("svhn", "test_32x32.mat")
    with pytest.raises(DataError, match=r"test_32x32\.mat holds no y"):
        ready("svhn", root)
    (root / "test_32x32.mat").write_bytes(b"<html>")
    accept("svhn", "test_32x32.mat")
    with pytest.raises(DataError, match=r"test_32x32\.mat cannot be read"):
        ready("svhn", root)


def test_a_second_set_of_the_same_images_is_not_mixed_in(install: Install) -> None:
    root = install("sufrw")
    home = root / "SUFR-W" / "image_files" / "SUFR-W"
    expected = ready("sufrw", root).fingerprint
    shutil.copytree(home / "SUFR_in_the_wild", home / "SUFR_in_the_wild_aligned")
    for file in (home / "SUFR_in_the_wild_aligned").iterdir():
        file.write_bytes(painted.jpeg(9))
    assert ready("sufrw", root).fingerprint == expected
    root = install("flowers102")
    unpack(root / "flowers-102" / "102flowers.tgz", root / "flowers-102")
    thumbs = root / "flowers-102" / "jpg" / "thumbs"
    thumbs.mkdir()
    (thumbs / "image_00001.jpg").write_bytes(painted.jpeg(9))
    with pytest.raises(
        DataError, match=r"holds image_00001\.jpg twice: image_00001\.jpg and thumbs/image_00001\.jpg"
    ):
        ready("flowers102", root)


def test_a_list_that_lost_a_line_does_not_shift_the_labels(install: Install) -> None:
    root = install("sufrw")
    file = next(root.rglob("SUFR_in_the_wild_info.txt"))
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[1:]))
    with pytest.raises(DataError, match=r"holds 19 images, but SUFR_in_the_wild_info\.txt 18 lines"):
        ready("sufrw", root)
    file.write_text("".join(lines).replace("2 # Bo", "1 # Bo", 1))
    with pytest.raises(DataError, match=r"info\.txt:2: 1 is Bo O'Neil, but was Ann Lee"):
        ready("sufrw", root)


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [
        ("", None, r"class \"airport_inside\" has test images, but none to train"),
        ("bar/bar_1.jpg\n" * 2, None, r"bar/bar_1\.jpg is listed twice|none to train"),
        (None, "bar/bar_1.jpg\n", r"bar_1\.jpg is listed to train and to test"),
        ("\ufeffbar/bar_1.jpg\n", "bar/bar_2.jpg\n", r"must have 3 classes, not 1"),
        ("<html>\n", None, r"lacks <html>, which TrainImages\.txt lists. .* type asymbp data fetch indoor67"),
    ],
)
def test_lists_that_are_wrong(train: str | None, test: str | None, said: str, install: Install) -> None:
    root = install("indoor67")
    for name, text in (("TrainImages.txt", train), ("TestImages.txt", test)):
        if text is not None:
            (root / "indoor67" / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=said):
        ready("indoor67", root)


def test_an_empty_folder_hides_no_archive(install: Install) -> None:
    root = install("lfw")
    (root / "lfw").mkdir()
    assert ready("lfw", root).train_count == 6

"""Folders as people have them: each is read rightly, or refused with what is wrong."""

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from folders import pack
from PIL import Image

from asymbp_cli.cli.app import cli
from asymbp_cli.datasets.decoded import DecodedDataset

Grow = Callable[..., Path]
Decoded = Callable[..., DecodedDataset]


def check(path: Path) -> Result:
    return CliRunner().invoke(cli, ["data", "check", str(path), "--quiet"])


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training/{}", "testing/{}"),
        ("Training/{}", "Test/{}"),
        ("TRAIN/{}", "test/{}"),
        ("training_set/training_set/{}", "test_set/test_set/{}"),
        ("data/seg_train/seg_train/{}", "data/seg_test/seg_test/{}"),
        ("{}/train", "{}/test"),
    ],
)
def test_splits_are_taken_however_they_are_named(train: str, test: str, grow: Grow, decoded: Decoded) -> None:
    counts = {train.format("cat"): 3, train.format("dog"): 2, test.format("cat"): 1, test.format("dog"): 2}
    plain = decoded(grow("plain", {"train/cat": 3, "train/dog": 2, "test/cat": 1, "test/dog": 2}))
    found = decoded(grow("pets", counts))
    assert (found.classes, found.train_count, found.test_count) == (("cat", "dog"), 5, 3)
    assert found.fingerprint == plain.fingerprint


def test_validation_images_are_not_used_and_that_is_said(grow: Grow, decoded: Decoded) -> None:
    splits = {"train/cat": 3, "train/dog": 3, "test/cat": 1, "test/dog": 1}
    tree = grow("pets", splits | {"valid/cat": 2, "valid/dog": 2})
    info = decoded(tree)
    assert (info.train_count, info.test_count) == (6, 2)
    assert info.note.startswith("4 validation images are not used")
    assert "4 validation images are not used" in check(tree).stdout


def test_what_systems_leave_is_no_image(grow: Grow) -> None:
    tree = grow("pets", {"cat": 8, "dog": 8})
    before = check(tree).stdout
    for folder in ("@eaDir/1.png", "#recycle", "$RECYCLE.BIN", "lost+found", ".ipynb_checkpoints"):
        (tree / "cat" / folder).mkdir(parents=True)
        (tree / "cat" / folder / "SYNOPHOTO_THUMB_M.png").write_bytes((tree / "cat" / "1.png").read_bytes())
    assert check(tree).stdout == before


def test_test_images_that_are_trained_on_are_counted(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", {"train/cat": 3, "train/dog": 3, "test/cat": 2, "test/dog": 2})
    assert decoded(tree).shared == 0
    for label in ("cat", "dog"):
        (tree / "test" / label / "0.png").write_bytes((tree / "train" / label / "2.png").read_bytes())
    found = check(tree)
    assert found.exit_code == 0
    assert "warning: pets: 2 of 4 test images are training images too" in found.stderr
    info = decoded(tree)
    assert (info.shared, info.note) == (2, "2 of 4 test images are training images too")


def test_all_damaged_images_are_named_and_counted(grow: Grow) -> None:
    tree = grow("pets", {"cat": 20, "dog": 20})
    for i in range(12):
        (tree / "cat" / f"{i}.png").write_bytes(b"<html>")
    found = check(tree)
    text = str(found.exception)
    assert "pets: 12 of 40 images cannot be decoded" in text
    assert text.count("cannot be decoded: ") == 10
    assert text.endswith("and 2 more")


def test_images_that_no_split_has_are_read_too(grow: Grow, tmp_path: Path) -> None:
    tree = grow("pets", {"cat": 9, "dog": 9})
    (tree / "dog" / "7.png").write_bytes(b"")
    recipe = tmp_path / "r.yaml"
    recipe.write_text(f"dataset: {{folder: {tree}, train_per_class: 1, test_per_class: 1}}\nmethod: SGD\n")
    assert "1 of 18 images cannot be decoded" in str(check(tree).exception)


def test_files_that_are_passed_over_are_counted_by_ending(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", {"cat": 4, "dog": 4})
    for name in ("a.xml", "b.XML", "c.txt"):
        (tree / "cat" / name).write_text("about the cats")
    assert "passed over: 2 .xml, 1 .txt" in check(tree).stdout
    assert decoded(tree).note == "split per class by seed 0; passed over: 2 .xml, 1 .txt"


def test_swapped_files_of_one_size_and_time_are_noticed(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", {"cat": 4, "dog": 4})
    files = [tree / label / "0.bmp" for label in ("cat", "dog")]
    for brightness, file in enumerate(files):
        Image.new("L", (6, 4), 100 * brightness).save(file)
        os.utime(file, ns=(1, 1))
    before = decoded(tree)
    files[0].rename(tree / "kept")
    files[1].rename(files[0])
    (tree / "kept").rename(files[1])
    assert decoded(tree).fingerprint != before.fingerprint


def test_a_file_written_over_another_with_its_time_is_noticed(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", {"cat": 4, "dog": 4})
    file = tree / "cat" / "0.bmp"
    Image.new("L", (6, 4), 10).save(file)
    before, time = decoded(tree), file.stat().st_mtime_ns
    Image.new("L", (6, 4), 200).save(file)
    os.utime(file, ns=(time, time))
    assert decoded(tree).fingerprint != before.fingerprint


@pytest.mark.parametrize("ending", ["", ".tar", ".zip"])
def test_a_class_in_two_unicode_spellings_is_one(ending: str, grow: Grow, decoded: Decoded) -> None:
    composed, apart = (unicodedata.normalize(form, "Bébé") for form in ("NFC", "NFD"))
    assert composed != apart
    counts = {f"train/{composed}": 3, "train/dog": 3, f"test/{apart}": 2, "test/dog": 2}
    tree = grow("pets", counts)
    info = decoded(pack(tree, ending) if ending else tree)
    assert info.classes == (composed, "dog")
    assert np.bincount(np.load(info.path / "y_test.npy")).tolist() == [2, 2]


def test_classes_that_all_hold_the_same_folders_are_asked_about(grow: Grow) -> None:
    found = check(grow("pets", {"a/cat": 4, "a/dog": 4, "b/cat": 4, "b/dog": 4}))
    assert "each class holds the folders cat, dog: are these the classes?" in found.stdout


def test_pictures_beside_idx_files_are_refused(grow: Grow) -> None:
    tree = grow("pets", {"cat": 4, "dog": 4})
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tree / f"{name}-ubyte").write_bytes(b"")
    assert "holds idx files and pictures. Give each a folder" in str(check(tree).exception)


def test_packed_idx_files_are_named(grow: Grow) -> None:
    tree = grow("pets", {})
    tree.mkdir()
    (tree / "train-images-idx3-ubyte").write_bytes(b"")
    assert "holds idx files. Unpack it if it is packed" in str(check(pack(tree, ".zip")).exception)


@pytest.mark.parametrize("name", ["recycler", "found", "work", "synology"])
def test_classes_that_sound_like_left_overs_stay(name: str, grow: Grow, decoded: Decoded) -> None:
    assert name in decoded(grow("things", {"bin": 4, name: 4})).classes


def test_an_unused_channel_of_opacity_is_no_transparency(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", {"cat": 4, "dog": 4})
    expected = decoded(tree)
    for file in [*tree.rglob("*.png")]:
        pixels = np.dstack([np.asarray(Image.open(file)), np.zeros((4, 6), np.uint8)])
        Image.fromarray(pixels, "RGBA").save(file.with_suffix(".tga"))
        file.unlink()
    info = decoded(tree)
    for split in ("train", "test"):
        old, new = (np.sort(np.load(i.path / f"x_{split}.npy").ravel()) for i in (expected, info))
        assert new.min() < 200  # not white
        assert len(old) == len(new)


def test_folders_of_documents_are_no_classes(grow: Grow, decoded: Decoded) -> None:
    tree = grow("pets", {"images/cat": 4, "images/dog": 4})
    expected = decoded(tree).fingerprint
    (tree / "annotations" / "xmls").mkdir(parents=True)
    (tree / "annotations" / "xmls" / "cat.xml").write_text("<xml>")
    (tree / "annotations" / "README").write_text("about")
    assert decoded(tree).fingerprint == decoded(pack(tree, ".zip")).fingerprint == expected
    (tree / "images" / "owl").mkdir()
    assert "owl/ holds no images" in str(check(tree).exception)
    (tree / "images" / "owl" / "0.svgz").write_text("")
    assert "owl/ holds no images" in str(check(tree).exception)

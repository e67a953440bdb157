"""A copy of a published set has its classes and its images, or is no copy: other ones would be drawn."""

import dataclasses
import hashlib
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import painted
import pytest
from folders import unpack
from miniatures import ready

from asymbp_cli.datasets import fetch
from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.readers.members import draw_members
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.datasets.survey import find_state
from asymbp_cli.errors import DataError

Install = Callable[[str], Path]


@pytest.fixture
def classes(install: Install) -> Path:
    """Return the folder with the classes of a small Caltech-256, in its data directory."""
    root = install("caltech256")
    unpack(root / "caltech256" / "256_ObjectCategories.tar", root)
    return root / "256_ObjectCategories"


@pytest.mark.parametrize(
    ("label", "spelling"), [("001.ak47", "001.AK47"), ("198.spider", "198 Spider"), ("056.dog", "056.Dog")]
)
def test_another_spelling_draws_the_same_images(label: str, spelling: str, classes: Path) -> None:
    expected = ready("caltech256", classes.parent).fingerprint
    (classes / label).rename(classes / spelling)
    assert ready("caltech256", classes.parent).fingerprint == expected


def test_endings_in_upper_case_draw_the_same_images(classes: Path) -> None:
    expected = ready("caltech256", classes.parent).fingerprint
    for file in [*classes.glob("001.ak47/*.jpg"), classes / "056.dog" / "056_0001.jpg"]:
        file.rename(file.with_suffix(".JPG"))
    assert ready("caltech256", classes.parent).fingerprint == expected


def test_hidden_files_beside_the_images_change_nothing(classes: Path) -> None:
    expected = ready("caltech256", classes.parent).fingerprint
    image = (classes / "001.ak47" / "001_0001.jpg").read_bytes()
    (classes / "001.ak47" / "._001_0001.jpg").write_bytes(b"Mac OS X")
    for folder in (".ipynb_checkpoints", "001.ak47/.ipynb_checkpoints", "__MACOSX", "001.ak47/@eaDir"):
        (classes / folder).mkdir()
        (classes / folder / "001_0001.jpg").write_bytes(image)
    assert ready("caltech256", classes.parent).fingerprint == expected


def test_a_misnamed_class_is_called_so(classes: Path) -> None:
    (classes / "056.dog").rename(classes / "056.hound")
    with pytest.raises(DataError) as caught:
        ready("caltech256", classes.parent)
    assert "lacks 056.dog and holds 056.hound, which Caltech-256 (102 classes) has not" in str(caught.value)
    assert "Rename what is misnamed" in str(caught.value)
    assert "elete" not in str(caught.value)


def test_a_missing_class_is_named(install: Install) -> None:
    root = install("caltech101")
    outer = root / "caltech101" / "caltech-101.zip"
    shutil.unpack_archive(outer, root)
    outer.unlink()
    unpack(root / "caltech-101" / "101_ObjectCategories.tar.gz", root)
    assert ready("caltech101", root).train_count == 12
    shutil.rmtree(root / "101_ObjectCategories" / "BACKGROUND_Google")
    with pytest.raises(DataError, match=r"it lacks BACKGROUND_Google\. Copy what is missing"):
        ready("caltech101", root)


def test_an_image_in_another_class_is_noticed(classes: Path) -> None:
    (classes / "056.dog" / "056_0006.jpg").rename(classes / "001.ak47" / "001_0006.jpg")
    with pytest.raises(
        DataError, match=r"001\.ak47 has 6 images, not 5; 056\.dog has 5 images, not 6.*copy them again"
    ):
        ready("caltech256", classes.parent)


def test_a_class_that_is_there_twice_is_refused(classes: Path) -> None:
    shutil.copytree(classes / "056.dog", classes / "056.DOG")
    with pytest.raises(DataError, match=r"holds the class 056\.dog of .* twice, also as"):
        ready("caltech256", classes.parent)


@pytest.mark.parametrize("key", [key for key, row in CATALOG.items() if row.images_of_class])
def test_the_published_classes_fit_the_published_sums(key: str) -> None:
    """Two sums that were published elsewhere: all images, and the test images that the paper's numbers imply."""
    entry = CATALOG[key]
    assert entry.draw
    counts = entry.images_of_class
    assert (len(counts), sum(counts.values())) == (entry.draw.of, entry.draw.images)
    members = draw_members(entry, {name: [f"{i:04d}" for i in range(n)] for name, n in counts.items()}, "")
    assert (len(members["train"]), len(members["test"])) == (entry.train_count, entry.test_count)


def test_the_classes_of_lfw_are_known_by_their_checksum(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    root = install("lfw")
    unpack(root / "lfw-funneled.tgz", root)
    people = root / "lfw_funneled"
    counts = {folder.name: len(list(folder.glob("*.jpg"))) for folder in people.iterdir() if folder.is_dir()}
    lines = "".join(f"{name} {count}\n" for name, count in sorted(counts.items()))
    known = dataclasses.replace(CATALOG["lfw"], classes_checksum=hashlib.sha256(lines.encode()).hexdigest())
    monkeypatch.setitem(CATALOG, "lfw", known)
    ready("lfw", root)
    (people / "George_W_Bush" / "George_W_Bush_0007.jpg").rename(people / "Zico" / "Zico_0005.jpg")
    with pytest.raises(DataError, match="how many images each has, are not those of LFW-ID as published"):
        ready("lfw", root)


@pytest.mark.parametrize(
    ("key", "archive", "place"),
    [
        ("caltech101", "caltech101/caltech-101.zip", "caltech-101.zip"),
        ("caltech256", "caltech256/256_ObjectCategories.tar", "caltech-256/256_ObjectCategories.tar"),
        ("lfw", "lfw-funneled.tgz", "lfw/lfw-funneled.tgz"),
        ("lfw", "lfw-funneled.tgz", "lfw_home/lfw-funneled.tgz"),
        ("lfw", "lfw-funneled.tgz", "faces/lfw-funneled.tgz"),
        ("caltech256", "caltech256/256_ObjectCategories.tar", "images/256_ObjectCategories.tar"),
    ],
)
def test_other_places(key: str, archive: str, place: str, install: Install) -> None:
    root = install(key)
    expected = ready(key, root)
    (root / place).parent.mkdir(exist_ok=True)
    (root / archive).rename(root / place)
    assert ready(key, root).fingerprint == expected.fingerprint


@pytest.mark.parametrize("place", ["caltech-101", "caltech101/caltech-101", "."])
def test_caltech_101_as_unzipping_leaves_it(place: str, install: Install) -> None:
    root = install("caltech101")
    expected = ready("caltech101", root).fingerprint
    inner = root / "inner"
    shutil.unpack_archive(root / "caltech101" / "caltech-101.zip", inner)
    shutil.rmtree(root / "caltech101")
    unpack(inner / "caltech-101" / "101_ObjectCategories.tar.gz", root / place)
    assert ready("caltech101", root).fingerprint == expected


def test_a_data_directory_one_level_too_high_or_low(install: Install) -> None:
    root = install("indoor67")
    expected = ready("indoor67", root).fingerprint
    unpack(root / "indoor67" / "indoorCVPR_09.tar", root / "indoor67")
    for directory in (root, root / "indoor67", root / "indoor67" / "Images"):
        assert ready("indoor67", directory).fingerprint == expected
    (root / "datasets").mkdir()
    (root / "indoor67").rename(root / "datasets" / "indoor67")
    assert ready("indoor67", root).fingerprint == expected


def test_lists_and_images_that_lie_in_the_data_directory(install: Install) -> None:
    root = install("indoor67")
    expected = ready("indoor67", root).fingerprint
    for file in [*(root / "indoor67").iterdir()]:
        file.rename(root / file.name)
    (root / "indoor67").rmdir()
    assert ready("indoor67", root).fingerprint == expected


def test_two_copies_below_the_data_directory_are_named(install: Install) -> None:
    root = install("svhn")
    for name in ("a", "b"):
        (root / name).mkdir()
        for split in ("train", "test"):
            shutil.copy(root / f"{split}_32x32.mat", root / name)
    for split in ("train", "test"):
        (root / f"{split}_32x32.mat").unlink()
    with pytest.raises(
        DataError, match=r"SVHN is in several folders: .*a, .*b\. Name one of them with --data-dir"
    ):
        ready("svhn", root)


def test_what_is_there_and_what_is_missing(install: Install) -> None:
    root = install("indoor67")
    unpack(root / "indoor67" / "indoorCVPR_09.tar", root / "indoor67")
    for name in ("TrainImages.txt", "TestImages.txt"):
        (root / "indoor67" / name).unlink()
    with pytest.raises(DataError) as caught:
        ready("indoor67", root)
    said = "indoor67/Images is here; TrainImages.txt and TestImages.txt are missing"
    assert said in str(caught.value)
    (root / "sets").mkdir()
    (root / "indoor67").rename(root / "sets" / "indoor67")
    with pytest.raises(DataError, match=f"sets/{said}"):
        ready("indoor67", root)


def test_grey_aligned_faces_are_taken_and_called_so(install: Install) -> None:
    root = install("lfw")
    unpack(root / "lfw-funneled.tgz", root)
    (root / "lfw_funneled").rename(root / "lfw2")
    info = ready("lfw", root)
    assert info.label == "LFW-ID (grey, aligned)"
    assert info.note.startswith("aligned grey faces, not the colour pictures of the paper")
    assert info.train_count == CATALOG["lfw"].train_count


def test_what_nobody_named_makes_no_dataset_unreadable(install: Install, tmp_path: Path) -> None:
    root = install("pubfig83").rename(tmp_path / "data")
    (root / "old").mkdir()
    (root / "pubfig83").rename(root / "new")
    (root / "old" / "pubfig83.v1.tgz").write_bytes(b"<html>")
    (root.parent / "timit.zip").write_bytes(b"<html>")
    assert find_state(CATALOG["timit"], root) == "manual download"
    assert find_state(CATALOG["pubfig83"], root) == "manual download"
    (root / "faces").mkdir()
    (root / "new").rename(root / "faces" / "pubfig83")
    assert find_state(CATALOG["pubfig83"], root) == "ready"


def test_published_files_in_a_folder_precede_a_stand_in(install: Install) -> None:
    root = install("flowers17")
    published = ready("flowers17", root)
    (root / "sets").mkdir()
    (root / "flowers-17").rename(root / "sets" / "flowers-17")
    (root / "flowers17" / "01_daffodil").mkdir(parents=True)
    (root / "flowers17" / "01_daffodil" / "image_0001.jpg").write_bytes(painted.jpeg(0))
    assert ready("flowers17", root).fingerprint == published.fingerprint


def test_a_download_settles_which_of_several_copies_counts(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = install("svhn")
    expected = ready("svhn", root).fingerprint
    for name in ("a", "b"):
        (root / name).mkdir()
        for split in ("train", "test"):
            shutil.copy(root / f"{split}_32x32.mat", root / name)
    for split in ("train", "test"):
        (root / f"{split}_32x32.mat").unlink()
    monkeypatch.setattr(fetch, "fetch", lambda archive, root, _: shutil.copy(root / "a" / archive.name, root))
    info = prepare("svhn", (32, 32, 3), DataSource(data_dir=root, cache_dir=root / "cache", download=True))
    assert info.fingerprint == expected


def test_images_with_the_number_of_another_class_are_noticed(classes: Path) -> None:
    first, second = classes / "001.ak47" / "001_0001.jpg", classes / "256.toad" / "256_0001.jpg"
    first.rename(classes / "kept")
    second.rename(classes / "001.ak47" / second.name)
    (classes / "kept").rename(classes / "256.toad" / first.name)
    with pytest.raises(DataError, match=r"are not named as the images of Caltech-256 .*\(001\.ak47/001_"):
        ready("caltech256", classes.parent)


def test_an_image_of_another_number_is_noticed(classes: Path) -> None:
    (classes / "056.dog" / "056_0002.jpg").rename(classes / "056.dog" / "056_0099.jpg")
    with pytest.raises(DataError, match=r"056\.dog are numbered from 1 on, but 2 is missing, and .*0099"):
        ready("caltech256", classes.parent)


def test_numbers_with_zeros_before_them_draw_the_same_images(install: Install) -> None:
    root = install("pubfig83")
    expected = ready("pubfig83", root).fingerprint
    for file in [*(root / "pubfig83").glob("*/*.jpg")]:
        file.rename(file.with_name(f"{int(file.stem):04d}.jpg"))
    assert ready("pubfig83", root).fingerprint == expected


def test_a_set_with_names_of_its_own_is_not_told_to_be_removed(classes: Path) -> None:
    for file in [*classes.glob("*/*.jpg")]:
        file.rename(file.with_name(f"photo{file.stem}.jpg"))
    with pytest.raises(DataError, match=r"no image is named as those of Caltech-256 .* are: 001\.ak47/001_"):
        ready("caltech256", classes.parent)


def test_what_sounds_like_the_set_is_named(tmp_path: Path) -> None:
    for name in ("mnist.zip", "fashion-mnist.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("train-images-idx3-ubyte", b"")
    with pytest.raises(DataError, match=r"\. mnist\.zip is there, but not in a form or place that is read"):
        ready("mnist", tmp_path)

"""What is said of a dataset that is not decoded: no more than a glance tells, but that."""

import dataclasses
import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.preview import preview
from asymbp_cli.datasets.readers import idx
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.errors import DataError

Grow = Callable[..., Path]
Install = Callable[[str], Path]
FETCHED = [key for key, entry in CATALOG.items() if entry.archives]


def glance(key: str, root: Path) -> None:
    info = preview(key, (8, 8, 1), DataSource(root, root / "cache", decode=False))
    assert (info.label, info.directory) == (CATALOG[key].label, "")
    assert not (root / "cache").exists()


def in_use(key: str, root: Path) -> list[Path]:
    return [file for archive in CATALOG[key].archives if (file := root / archive.name).exists()]


@pytest.mark.parametrize("key", [key for key in CATALOG if key not in ("digits", "timit")])
def test_a_whole_set_is_what_the_catalogue_says(key: str, install: Install) -> None:
    glance(key, install(key))


@pytest.mark.parametrize("key", FETCHED)
def test_a_web_page_in_place_of_a_file_is_named(key: str, install: Install) -> None:
    root = install(key)
    file = in_use(key, root)[0]
    file.write_bytes(b"<!DOCTYPE html><title>Please log in</title>")
    with pytest.raises(DataError, match=rf"{file.name} is .*a web page .*[Ff]etch it again"):
        glance(key, root)


def test_sizes_that_are_not_the_published_ones_are_named(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = install("svhn")
    archives = tuple(
        dataclasses.replace(archive, size=(root / archive.name).stat().st_size)
        for archive in CATALOG["svhn"].archives
    )
    monkeypatch.setitem(CATALOG, "svhn", dataclasses.replace(CATALOG["svhn"], archives=archives))
    glance("svhn", root)
    file = root / archives[1].name
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(
        DataError, match=rf"{file.name} has .* bytes, not {archives[1].size:,}\. Delete it and fetch"
    ):
        glance("svhn", root)


def test_classes_that_lack_images_are_named(install: Install) -> None:
    root = install("pubfig83")
    next((root / "pubfig83" / "Uma Thurman").iterdir()).unlink()
    with pytest.raises(DataError, match="Uma Thurman has 4 images, not 5"):
        glance("pubfig83", root)


def test_a_file_that_is_packed_anew_is_no_damage(install: Install) -> None:
    root = install("mnist")
    for file in in_use("mnist", root):
        file.write_bytes(file.read_bytes() + b"\0")
    glance("mnist", root)


@pytest.mark.parametrize("lost", [1, 9])
@pytest.mark.parametrize("is_packed", [True, False])
def test_a_file_of_mnist_that_is_cut_short_is_named(install: Install, *, is_packed: bool, lost: int) -> None:
    root = install("mnist")
    packed = in_use("mnist", root)[1]
    file = packed if is_packed else packed.with_suffix("")
    content = packed.read_bytes() if is_packed else gzip.decompress(packed.read_bytes())
    packed.unlink()
    file.write_bytes(content)
    glance("mnist", root)
    file.write_bytes(content[:-lost])
    with pytest.raises(DataError, match=rf"{file.name} .*Get it again"):
        glance("mnist", root)


def test_a_whole_file_of_mnist_is_not_read_to_its_end(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    root = install("mnist")
    monkeypatch.setattr(idx, "unpack", pytest.fail)
    glance("mnist", root)


def test_what_is_held_out_is_counted_if_it_is_asked_for(grow: Grow, tmp_path: Path) -> None:
    tree = grow("pets", {"cat": 20, "dog": 7})
    source = DataSource(cache_dir=tmp_path / "cache")
    for get in (preview, prepare, preview):
        info = get(str(tree), (4, 6, 3), source, held_out=0.1)
        assert info.held_out == (2 + 1 if info.directory else None)
        assert get(str(tree), (4, 6, 3), source).held_out is None

"""Which copies are the set itself, by a checksum of their images, and which are labelled as copies."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from copied_sets import Published, content_checksum, remove_published, write_copy
from copied_sets import published as published
from folders import pack
from miniatures import ready
from PIL import Image

from asymbp_cli.cli.app import cli
from asymbp_cli.datasets.catalog import CATALOG
from asymbp_cli.datasets.content import ContentChecksum
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.datasets.survey import find_state


def exchange(one: Path, other: Path) -> None:
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def change_pixel(tree: Path) -> None:
    file = next(tree.rglob("*.png"))
    pixels = np.array(Image.open(file))
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(file)


def swap_labels(tree: Path) -> None:
    exchange(next((tree / "train" / "cat").iterdir()), next((tree / "train" / "dog").iterdir()))


def swap_splits(tree: Path) -> None:
    exchange(next((tree / "train" / "cat").iterdir()), next((tree / "test" / "cat").iterdir()))


def copy_over(tree: Path) -> None:
    shutil.copy(next((tree / "train" / "cat").iterdir()), next((tree / "test" / "cat").iterdir()))


@pytest.mark.parametrize("harm", [change_pixel, swap_labels, swap_splits, copy_over])
def test_another_content_is_a_copy(harm: Callable[[Path], None], published: Published) -> None:
    root, original = published("cifar10")
    remove_published("cifar10", root)
    harm(write_copy(original, root / "cifar10"))
    info = ready("cifar10", root)
    assert (info.label, info.paper_name, info.exact) == ("CIFAR-10 (own copy)", "CIFAR", False)
    assert info.note == "a copy of CIFAR-10 whose images or labels differ from the published ones"


def test_an_unknown_content_is_not_verified(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    root, original = published("cifar100")
    known = CATALOG["cifar100"]
    monkeypatch.setitem(CATALOG, "cifar100", dataclasses.replace(known, content=""))
    remove_published("cifar100", root)
    write_copy(original, root / "cifar100")
    info = ready("cifar100", root)
    assert (info.label, info.exact) == ("CIFAR-100 (own copy, not verified)", False)
    assert find_state(CATALOG["cifar100"], root) == "stand-in"
    assert info.content == known.content
    monkeypatch.setitem(CATALOG, "cifar100", known)  # a later version knows it: the cache tells, without decoding
    monkeypatch.setattr(ContentChecksum, "add", None)
    assert ready("cifar100", root).label == "CIFAR-100"
    assert find_state(CATALOG["cifar100"], root) == "ready"


def test_the_lossless_copy_is_taken_before_the_lossy_one(published: Published) -> None:
    root, original = published("cifar10")
    remove_published("cifar10", root)
    pack(write_copy(original, root / "lossy", ".jpg"), ".tar.xz").rename(root / "cifar10-jpeg.tar.xz")
    jpeg = ready("cifar10", root)
    assert (jpeg.label, jpeg.exact) == ("CIFAR-10 (JPEG copy)", False)
    assert find_state(CATALOG["cifar10"], root) == "stand-in"
    shutil.copytree(root / "lossy", root / "CIFAR-10-images")
    assert ready("cifar10", root).label == "CIFAR-10 (JPEG copy)"  # the ending tells
    write_copy(original, root / "cifar10_png")
    assert ready("cifar10", root).label == "CIFAR-10"
    assert find_state(CATALOG["cifar10"], root) == "ready"


def test_the_size_of_the_network_does_not_matter(published: Published) -> None:
    root, original = published("cifar10")
    remove_published("cifar10", root)
    write_copy(original, root / "cifar10")
    for shape in ((16, 16, 3), (32, 32, 1), (40, 40, 1)):
        info = prepare("cifar10", shape, DataSource(data_dir=root, cache_dir=root / "cache"))
        assert (info.label, info.exact, info.shape) == ("CIFAR-10", True, shape)


def test_an_older_cache_stays_readable_and_counts_as_a_copy(published: Published) -> None:
    root, original = published("cifar10")
    remove_published("cifar10", root)
    write_copy(original, root / "cifar10")
    info = ready("cifar10", root)
    file = info.path / "info.json"
    content = json.loads(file.read_text())
    for younger in ("content", "arrays", "checksum"):
        del content[younger]
    content["files"] = {}
    file.write_text(json.dumps(content))
    again = ready("cifar10", root)
    assert (again.fingerprint, again.label) == (info.fingerprint, "CIFAR-10 (copy, not compared yet)")


def test_check_and_show_judge_a_copy_too(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    root, original = published("cifar10")
    remove_published("cifar10", root)
    tree = write_copy(original, root / "cifar10")
    monkeypatch.setenv("ASYMBP_DATA", str(root))

    def asymbp(*arguments: str) -> str:
        done = CliRunner().invoke(cli, ["data", *arguments, "--quiet"])
        assert done.exit_code == 0, done.exception
        return str(done.stdout)

    assert asymbp("check", "cifar10").startswith("CIFAR-10: ok, 10 classes")
    assert CATALOG["cifar10"].content in asymbp("show", "cifar10")
    change_pixel(tree)
    assert asymbp("check", "cifar10").startswith("CIFAR-10 (own copy): ok")
    assert CATALOG["cifar10"].content not in asymbp("show", "cifar10")


def test_the_checksum_takes_no_notice_of_order() -> None:
    random = np.random.default_rng(0)
    data = [
        (split, random.integers(0, 256, (3, 4, 3), np.uint8), i % 3)
        for i, split in enumerate(["train", "test"] * 5)
    ]

    def checksum(order: list[int]) -> str:
        content = ContentChecksum()
        for i in order:
            content.add(*data[i])
        return content.hexdigest()

    known = content_checksum(*([(y, x) for kind, x, y in data if kind == split] for split in ("train", "test")))
    assert checksum([*range(10)]) == checksum([*range(10)][::-1]) == known
    assert checksum([*range(9)]) != known
    grey = ContentChecksum()
    grey.add("train", np.zeros((2, 3), np.uint8), 0)
    assert grey.hexdigest() == content_checksum([(0, np.zeros((2, 3, 1), np.uint8))], [])

"""A decoded dataset of which a bit has changed is never believed, whatever the times of its files say."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from asymbp_cli.datasets import cache
from asymbp_cli.datasets.cache import ARRAYS, read_info, read_verified
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.source import DataSource


@pytest.fixture
def info(tmp_path: Path) -> DecodedDataset:
    return prepare("digits", (8, 8, 1), DataSource(cache_dir=tmp_path))


@contextmanager
def flipped(file: Path, bit: int) -> Iterator[None]:
    """Flip a bit of a file in place; the file keeps its times, and gets its content back at the end."""
    before, content = file.stat(), file.read_bytes()
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    try:
        for value in (changed, content):
            file.write_bytes(value)
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
            if value is changed:
                yield
    finally:
        file.write_bytes(content)


def test_a_flipped_bit_of_the_facts_is_noticed_or_changes_nothing(info: DecodedDataset) -> None:
    file = info.path / "info.json"
    for bit in range(0, 8 * file.stat().st_size, 7):  # all places of a byte in turn
        with flipped(file, bit):
            assert read_info(info.path) in (None, info), bit
            assert read_verified(info.path) in (None, info), bit
    assert read_verified(info.path) == info


@pytest.mark.parametrize("name", ARRAYS)
def test_a_flipped_bit_of_an_array_is_noticed(name: str, info: DecodedDataset) -> None:
    size, header = 8 * (info.path / name).stat().st_size, 8 * 128
    for bit in [*range(0, header, 7), *np.random.default_rng(0).integers(header, size, 30)]:
        with flipped(info.path / name, int(bit)):
            assert read_verified(info.path) is None, bit
    assert read_verified(info.path) == info


def test_a_flipped_pixel_is_decoded_again(info: DecodedDataset, tmp_path: Path) -> None:
    file = info.path / "x_train.npy"
    content = file.read_bytes()
    with flipped(file, 8 * 1000):
        assert prepare("digits", (8, 8, 1), DataSource(cache_dir=tmp_path)) == info
        assert file.read_bytes() == content


def make_old(info: DecodedDataset, **changes: object) -> Path:
    """Rewrite info.json as it was before it had checksums."""
    file = info.path / "info.json"
    content = json.loads(file.read_text()) | {"files": {name: [1, 2, 3, 4] for name in ARRAYS}} | changes
    del content["arrays"], content["checksum"]
    file.write_text(json.dumps(content))
    return file


def test_facts_without_checksums_are_checked_by_the_fingerprint_once(
    info: DecodedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_old(info)
    with flipped(info.path / "x_test.npy", 8 * 5000):
        assert read_verified(info.path) is None
    assert read_verified(info.path) == read_info(info.path) == info
    assert json.loads(file.read_text()).keys() >= {"arrays", "checksum"}
    monkeypatch.setattr(cache, "fingerprint", lambda *_: pytest.fail("checked by the fingerprint again"))
    assert read_verified(info.path) == info


@pytest.mark.parametrize("changes", [{"train_count": 1037}, {"test_count": 36}, {"shape": [64]}])
def test_counts_and_shapes_are_those_of_the_arrays(changes: dict[str, object], info: DecodedDataset) -> None:
    make_old(info, **changes)
    assert read_info(info.path) is read_verified(info.path) is None


def test_old_facts_that_cannot_be_rewritten_still_serve(
    info: DecodedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    make_old(info)
    monkeypatch.setattr(cache, "replace", refuse)
    assert read_verified(info.path) == info

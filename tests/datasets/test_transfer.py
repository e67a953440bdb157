"""Decoded datasets that other machines get: shared, cached, or sent once."""

import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from asymbp_cli.datasets.cache import ARRAYS, read_verified
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.transfer import read_arrays, receive
from asymbp_cli.errors import DataError


def never() -> Mapping[str, bytes]:
    raise AssertionError("the data are here")


def elsewhere(info: DecodedDataset) -> DecodedDataset:
    """Return a dataset in a directory that this machine does not see."""
    return info.model_copy(update={"directory": "/nowhere/to/be/seen"})


def test_a_directory_that_is_shared_is_used(digits_info: DecodedDataset, tmp_path: Path) -> None:
    assert receive(digits_info, never, tmp_path) is digits_info
    assert not list(tmp_path.iterdir())


def test_workers_of_a_machine_fetch_a_dataset_once(digits_info: DecodedDataset, tmp_path: Path) -> None:
    fetched, found = [], []

    def fetch() -> Mapping[str, bytes]:
        fetched.append(1)
        return read_arrays(digits_info)

    def work() -> None:
        found.append(receive(elsewhere(digits_info), fetch, tmp_path))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fetched == [1]
    assert len({info.directory for info in found}) == 1
    assert read_verified(found[0].path) == found[0]
    assert found[0] == digits_info.model_copy(update={"directory": found[0].directory})
    assert receive(elsewhere(digits_info), never, tmp_path) == found[0]


def test_a_cache_of_this_machine_that_is_damaged_is_fetched_again(
    digits_info: DecodedDataset, tmp_path: Path
) -> None:
    found = receive(elsewhere(digits_info), lambda: read_arrays(digits_info), tmp_path)
    path = found.path / ARRAYS[0]
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    receive(elsewhere(digits_info), lambda: read_arrays(digits_info), tmp_path)
    assert read_arrays(found) == read_arrays(digits_info)


def test_another_dataset_in_the_same_place_is_not_used(digits_info: DecodedDataset, tmp_path: Path) -> None:
    other = digits_info.model_copy(update={"fingerprint": "0" * 64})
    with pytest.raises(DataError, match=r"the images of digits were damaged on their way"):
        receive(other, lambda: read_arrays(digits_info), tmp_path)


@pytest.mark.parametrize("damage", [b"", b"no array", None])
def test_what_is_damaged_on_its_way_is_not_kept(
    digits_info: DecodedDataset, tmp_path: Path, damage: bytes | None
) -> None:
    arrays = read_arrays(digits_info)
    arrays["x_train.npy"] = arrays["x_train.npy"][:-1] + b"?" if damage is None else damage
    with pytest.raises(DataError, match=r"damaged on their way. Run the same command again"):
        receive(elsewhere(digits_info), lambda: arrays, tmp_path)
    assert [path for path in (tmp_path / "resident").iterdir() if not path.name.endswith(".lock")] == []


def test_a_cache_that_cannot_be_written_is_named(digits_info: DecodedDataset, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot keep the decoded images in .*file/resident.*\$ASYMBP_CACHE"):
        receive(elsewhere(digits_info), never, tmp_path / "file")

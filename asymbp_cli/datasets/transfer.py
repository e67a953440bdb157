"""Decoded datasets on other machines: found where this one has them, else taken in once for all its processes."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from asymbp_cli.datasets.cache import (
    ARRAYS,
    cache_directory,
    has_fingerprint,
    read_info,
    read_verified,
    write_info,
)
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.errors import DataError
from asymbp_cli.files.locks import hold_lock
from asymbp_cli.files.patience import patiently

#: returns the files of a dataset's arrays by name, as `read_arrays` does on the machine that has them
Fetch = Callable[[], Mapping[str, bytes | memoryview]]


def read_arrays(info: DecodedDataset) -> dict[str, bytes]:
    """Return the files of a dataset's arrays, by name. Raises DataError if they cannot be read."""
    try:
        return {name: patiently((info.path / name).read_bytes) for name in ARRAYS}
    except OSError as error:
        raise DataError(f"cannot read the decoded images {error.filename}: {error.strerror}") from error


def receive(info: DecodedDataset, fetch: Fetch, cache_dir: Path | None = None) -> DecodedDataset:
    """Return a dataset of another machine as this one has it: in the same place, in the cache, or fetched.

    Only one process of this machine fetches it. Raises DataError if what comes is damaged, or cannot be kept.
    """
    found = read_info(info.path)
    if found and found.fingerprint == info.fingerprint:
        return info
    target = cache_directory(cache_dir) / "resident" / f"{info.key}-{info.fingerprint[:16]}"
    here = info.model_copy(update={"directory": str(target)})
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with hold_lock(target.with_name(f".{target.name}.lock")):
            found = read_verified(target)
            if not found or found.fingerprint != info.fingerprint:
                _install(here, fetch())
    except OSError as error:
        raise DataError(
            f"cannot keep the decoded images in {target.parent}: {error.strerror or error}. Free some space, or "
            "name another directory with $ASYMBP_CACHE"
        ) from error
    return here


def _install(info: DecodedDataset, arrays: Mapping[str, bytes | memoryview]) -> None:
    """Make the directory of a dataset; whole or not at all. Raises OSError, DataError if it is another dataset."""
    part = info.path.with_name(f".{info.path.name}.part")
    for left_over in (info.path, part):
        shutil.rmtree(left_over, ignore_errors=True)
    try:
        part.mkdir()
        for name in ARRAYS:
            with (part / name).open("wb") as file:
                file.write(arrays[name])
                file.flush()
                os.fsync(file.fileno())
        if not has_fingerprint(info, part):
            raise DataError(f"the images of {info.label} were damaged on their way. Run the same command again")
        write_info(info, part)
        os.replace(part, info.path)
    finally:
        shutil.rmtree(part, ignore_errors=True)

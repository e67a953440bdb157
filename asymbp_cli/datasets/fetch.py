"""Downloads: mirrors in order, broken ones resumed, checked before they are put in place, one at a time."""

import fcntl
import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from asymbp_cli.datasets.catalog import Archive
from asymbp_cli.errors import DataError

Report = Callable[[str, int, int], None]
_CHUNK = 1 << 16
_TIMEOUT_SECONDS = 30
_ATTEMPTS = 3  # per mirror; each goes on where the last one broke off


def fetch(archive: Archive, root: Path, report: Report | None = None) -> Path:
    """Return the archive's path under `root`, downloading it where it is not there yet.

    A file appears under its name only when its MD5 is right. Raises DataError with what each mirror answered.
    """
    target = root / archive.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target):
            if not target.exists():
                _from_mirrors(archive, target, report)
    except OSError as error:
        raise DataError(
            f"cannot write {target}: {error.strerror or error}; free some space or use --data-dir DIR"
        ) from error
    return target


def _from_mirrors(archive: Archive, target: Path, report: Report | None) -> None:
    part = target.with_name(target.name + ".part")
    answers = []
    for url in archive.urls:
        problem = _from(url, archive, part, report)
        if problem is None:
            os.replace(part, target)
            return
        answers.append(f"{url}: {problem}")
    raise DataError(
        f"{archive.name} could not be downloaded ({'; '.join(answers)}). Get it by hand and put it at {target}"
    )


def _from(url: str, archive: Archive, part: Path, report: Report | None) -> str | None:
    """Download into `part`, going on where it ends; return what went wrong, or None."""
    problem = ""
    for _ in range(_ATTEMPTS):
        try:
            _receive(url, archive, part, report)
        except (urllib.error.HTTPError, ValueError) as error:
            part.unlink(missing_ok=True)  # also after "416 range not satisfiable"
            problem = str(error)
            continue
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            problem = str(getattr(error, "reason", error)) or type(error).__name__
            continue
        if part.stat().st_size < archive.size:
            problem = f"broke off at {part.stat().st_size} of {archive.size} bytes"
            continue
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if digest == archive.md5:
            return None
        part.unlink()
        problem = f"its MD5 is {digest}, not {archive.md5}"
    return problem


def _receive(url: str, archive: Archive, part: Path, report: Report | None) -> None:
    have = part.stat().st_size if part.exists() else 0
    if have >= archive.size:
        part.unlink()
        have = 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
        if answer.status != 206:
            have = 0  # the server does not resume
        with part.open("ab" if have else "wb") as file:
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                have += len(chunk)
                if have > archive.size:
                    raise ValueError(f"sent more than {archive.size} bytes")
                if report:
                    report(f"downloading {archive.name}", have, archive.size)
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Wait until no other process fetches the same file."""
    with target.with_name(target.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

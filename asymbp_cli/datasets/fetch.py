"""Downloads: mirrors in order, broken ones resumed, checked before they are put in place, one at a time."""

import errno
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from asymbp_cli.datasets.checksums import algorithm, digest
from asymbp_cli.datasets.entry import Archive
from asymbp_cli.errors import DataError
from asymbp_cli.locks import hold_lock

#: (what is done, bytes so far, of how many)
Report = Callable[[str, int, int], None]
_CHUNK = 1 << 16  # bytes
_TIMEOUT_SECONDS = 30
_LARGEST = 1 << 33  # bytes, of a file whose size nobody says
_ATTEMPTS = 3  # per mirror; each goes on where the last one broke off
_NETWORK = (OSError, http.client.HTTPException, ValueError)  # ValueError: an address that is none
_RANGE_NOT_SATISFIABLE = 416


def fetch(archive: Archive, root: Path, report: Report | None = None) -> Path:
    """Return the archive's path under `root`, downloading it where it is not there yet.

    A file appears under its name only when its size and checksum, as far as they are published, are right.
    Raises DataError with what each mirror answered, or with why the file cannot be written.
    """
    target = root / archive.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with hold_lock(target.parent / ".fetch.lock"):
            if target.is_dir():
                raise DataError(f"{target} is a folder; move it away, the file of that name belongs there")
            if not target.exists():
                _from_mirrors(archive, target, report)
    except OSError as error:
        remedy = "free some space or use" if error.errno == errno.ENOSPC else "use"
        raise DataError(f"cannot write {target}: {error.strerror or error}; {remedy} --data-dir DIR") from error
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
    problem: str | None = None
    if not archive.checksum:  # nothing would tell whether the rest fits to what an earlier command left
        part.unlink(missing_ok=True)
    for _ in range(_ATTEMPTS):
        try:
            problem = _receive(url, archive, part, report)
        except urllib.error.HTTPError as error:
            error.close()
            problem = f"HTTP {error.code} {error.reason}"
            if error.code == _RANGE_NOT_SATISFIABLE:
                part.unlink(missing_ok=True)
            elif error.code < 500:
                break  # asking again gets the same answer
        if problem is None:
            break
    return problem


def _receive(url: str, archive: Archive, part: Path, report: Report | None) -> str | None:
    """Append to `part` what is missing and check it; return what went wrong. Raises OSError on writing."""
    have = part.stat().st_size if part.exists() else 0
    have = 0 if archive.size and have >= archive.size else have
    headers = {"User-Agent": "asymbp"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError:
        raise
    except _NETWORK as error:
        return _reason(error)
    if not archive.checksum and "html" in answer.headers.get("Content-Type", ""):
        answer.close()
        return "sent a web page"
    resumed = have and answer.status == http.HTTPStatus.PARTIAL_CONTENT
    if resumed and not answer.headers.get("Content-Range", f"bytes {have}-").startswith(f"bytes {have}-"):
        answer.close()
        part.unlink()
        return "sent another part than was asked for"
    have = have if resumed else 0
    size = archive.size or (have + answer.length if answer.length is not None else None)
    with answer, part.open("ab" if resumed else "wb") as file:
        while have <= (size or _LARGEST):
            try:
                chunk = answer.read(_CHUNK)
            except _NETWORK as error:
                return _reason(error)
            if not chunk:
                break
            file.write(chunk)
            have += len(chunk)
            if report:
                report(f"downloading {archive.name}", min(have, size or have), size or 0)
        file.flush()
        os.fsync(file.fileno())
    return _check(archive, part, have, size)


def _check(archive: Archive, part: Path, have: int, size: int | None) -> str | None:
    """Return what is wrong with a finished download, or None; only one that can be resumed is kept."""
    if not have:
        return "sent nothing"
    if size and have < size:
        return f"broke off at {have} of {size} bytes"
    found = digest(part, archive.checksum) if archive.checksum else ""
    if found == archive.checksum and have <= (size or _LARGEST):
        return None
    part.unlink()
    if have > (size or _LARGEST):
        return f"sent more than {size or _LARGEST} bytes"
    return f"{algorithm(found)} {found}, not {archive.checksum}"


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error) or type(error).__name__

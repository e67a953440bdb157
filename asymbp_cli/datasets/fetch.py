"""Downloads, one at a time: mirrors in order; broken downloads resume; files are checked before they appear."""

import errno
import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path

from asymbp_cli.datasets.checksums import algorithm, digest
from asymbp_cli.datasets.entry import Archive
from asymbp_cli.errors import DataError
from asymbp_cli.events import OnProgress
from asymbp_cli.locks import hold_lock

_CHUNK = 1 << 16  # bytes
_TIMEOUT_SECONDS = 30
_LARGEST = 1 << 33  # bytes, of a file whose size is not published
_ATTEMPTS = 3  # per mirror; each resumes the last one
_NETWORK = (OSError, http.client.HTTPException, ValueError)  # ValueError: an invalid address
_RANGE_NOT_SATISFIABLE = 416


def fetch(archive: Archive, root: Path, on_progress: OnProgress | None = None) -> Path:
    """Return the archive's path under `root`, downloading it if it is missing.

    A file appears under its name only if its size and checksum, as far as published, are right.
    Raises DataError with the answer of each mirror, or if the file cannot be written.
    """
    target = root / archive.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with hold_lock(target.parent / ".fetch.lock"):
            if target.is_dir():
                raise DataError(
                    f"{target} is a folder, but the file of that name belongs there. Move the folder away."
                )
            if not target.exists():
                _download(archive, target, on_progress)
    except OSError as error:
        remedy = "Free some space or use" if error.errno == errno.ENOSPC else "Use"
        raise DataError(f"cannot write {target}: {error.strerror or error}. {remedy} --data-dir DIR.") from error
    return target


def _download(archive: Archive, target: Path, on_progress: OnProgress | None) -> None:
    part = target.with_name(target.name + ".part")
    answers = []
    for url in archive.urls:
        problem = _download_from(url, archive, part, on_progress)
        if problem is None:
            os.replace(part, target)
            return
        answers.append(f"{url}: {problem}")
    raise DataError(
        f"{archive.name} could not be downloaded ({'; '.join(answers)}). Get it by hand and put it at {target}"
    )


def _download_from(url: str, archive: Archive, part: Path, on_progress: OnProgress | None) -> str | None:
    """Download into `part`, resuming at its end; return what went wrong, or None."""
    problem: str | None = None
    if not archive.checksum:  # no check would notice if the rest did not fit what an earlier command left
        part.unlink(missing_ok=True)
    for _ in range(_ATTEMPTS):
        try:
            problem = _receive(url, archive, part, on_progress)
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


def _receive(url: str, archive: Archive, part: Path, on_progress: OnProgress | None) -> str | None:
    """Append the missing rest to `part` and check it; return what went wrong. Raises OSError on writing."""
    have = part.stat().st_size if part.exists() else 0
    if archive.size and have >= archive.size:
        have = 0
    headers = {"User-Agent": "asymbp"}
    if have:
        headers["Range"] = f"bytes={have}-"
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
        return "sent another part than requested"
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
            if on_progress:
                on_progress(f"downloading {archive.name}", min(have, size or have), size or 0)
        file.flush()
        os.fsync(file.fileno())
    return _check(archive, part, have, size)


def _check(archive: Archive, part: Path, have: int, size: int | None) -> str | None:
    """Return what is wrong with a finished download, or None; keep a wrong one only if it can be resumed."""
    if not have:
        return "sent nothing"
    if size and have < size:
        return f"broke off at {have} of {size} bytes"
    checksum = digest(part, archive.checksum) if archive.checksum else ""
    if checksum == archive.checksum and have <= (size or _LARGEST):
        return None
    part.unlink()
    if have > (size or _LARGEST):
        return f"sent more than {size or _LARGEST} bytes"
    return f"{algorithm(checksum)} {checksum}, not {archive.checksum}"


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error) or type(error).__name__

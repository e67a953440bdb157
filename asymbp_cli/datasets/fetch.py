"""Downloads, one at a time: mirrors in order; broken downloads resume; files are checked before they appear."""

import errno
import http.client
import os
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

from asymbp_cli.datasets.checksums import algorithm, digest
from asymbp_cli.datasets.entry import Archive
from asymbp_cli.errors import DataError
from asymbp_cli.events import OnProgress
from asymbp_cli.files.locks import hold_lock

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
        root.mkdir(parents=True, exist_ok=True)
        with hold_lock(root / f".fetch-{target.name}.lock"):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                if target.is_dir():
                    raise DataError(
                        f"{target} is a folder, but the file of that name belongs there. Move the folder away."
                    )
                if not target.exists():
                    _download(archive, target, on_progress)
            finally:
                _remove_empty(target.parent, root)
    except OSError as error:
        remedy = "Free some space or use" if error.errno == errno.ENOSPC else "Use"
        raise DataError(f"cannot write {target}: {error.strerror or error}. {remedy} --data-dir DIR.") from error
    return target


def _remove_empty(folder: Path, root: Path) -> None:
    """Remove the folders between `root` and a file that did not come, if they are empty."""
    with suppress(OSError):
        while folder != root:
            folder.rmdir()
            folder = folder.parent


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


class _DownloadError(Exception):
    """An attempt failed; the message says why."""


def _download_from(url: str, archive: Archive, part: Path, on_progress: OnProgress | None) -> str | None:
    """Download into `part`, resuming at its end; return what went wrong, or None."""
    problem: str | None = None
    if not archive.checksum:  # no check would notice if the rest did not fit what an earlier command left
        part.unlink(missing_ok=True)
    for _ in range(_ATTEMPTS):
        try:
            _receive(url, archive, part, on_progress)
            return None
        except _DownloadError as error:
            problem = str(error)
        except urllib.error.HTTPError as error:
            error.close()
            problem = f"HTTP {error.code} {error.reason}"
            if error.code == _RANGE_NOT_SATISFIABLE:
                part.unlink(missing_ok=True)
            elif error.code < 500:
                break  # asking again gets the same answer
    return problem


def _receive(url: str, archive: Archive, part: Path, on_progress: OnProgress | None) -> None:
    """Append the missing rest to `part` and check it.

    Raises _DownloadError or HTTPError if the server is at fault, and OSError if the file cannot be written.
    """
    kept = part.stat().st_size if part.exists() else 0
    if archive.size and kept >= archive.size:
        kept = 0
    with _request(url, kept) as answer:
        start = _first_byte(answer, archive, part, kept)
        size = archive.size
        if size is None and answer.length is not None:
            size = start + answer.length
        received = _append(answer, archive, part, start, size, on_progress)
    _check(archive, part, received, size)


def _request(url: str, kept: int) -> http.client.HTTPResponse:
    headers = {"User-Agent": "asymbp"}
    if kept:
        headers["Range"] = f"bytes={kept}-"
    try:
        answer: http.client.HTTPResponse = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_SECONDS
        )
    except urllib.error.HTTPError:
        raise
    except _NETWORK as error:
        raise _DownloadError(_reason(error)) from error
    return answer


def _first_byte(answer: http.client.HTTPResponse, archive: Archive, part: Path, kept: int) -> int:
    """Return the position in the file that an answer begins at: after the bytes that were kept, or 0."""
    if not archive.checksum and "html" in answer.headers.get("Content-Type", ""):
        raise _DownloadError("sent a web page")
    if not kept or answer.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0
    if not answer.headers.get("Content-Range", f"bytes {kept}-").startswith(f"bytes {kept}-"):
        part.unlink()
        raise _DownloadError("sent another part than requested")
    return kept


def _append(
    answer: http.client.HTTPResponse,
    archive: Archive,
    part: Path,
    start: int,
    size: int | None,
    on_progress: OnProgress | None,
) -> int:
    """Write an answer to `part` from `start` on; return the bytes that the file holds then."""
    received = start
    with part.open("ab" if start else "wb") as file:
        while received <= (size or _LARGEST):
            try:
                chunk = answer.read(_CHUNK)
            except _NETWORK as error:
                raise _DownloadError(_reason(error)) from error
            if not chunk:
                break
            file.write(chunk)
            received += len(chunk)
            if on_progress:
                on_progress(f"downloading {archive.name}", min(received, size or received), size or 0)
        file.flush()
        os.fsync(file.fileno())
    return received


def _check(archive: Archive, part: Path, received: int, size: int | None) -> None:
    """Raise _DownloadError if a finished download is wrong; keep a wrong one only if it can be resumed."""
    if not received:
        raise _DownloadError("sent nothing")
    if size and received < size:
        raise _DownloadError(f"broke off at {received} of {size} bytes")
    checksum = digest(part, archive.checksum) if archive.checksum else ""
    if checksum == archive.checksum and received <= (size or _LARGEST):
        return
    part.unlink()
    if received > (size or _LARGEST):
        raise _DownloadError(f"sent more than {size or _LARGEST} bytes")
    raise _DownloadError(f"{algorithm(checksum)} {checksum}, not {archive.checksum}")


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error) or type(error).__name__

"""The folder of a job in a results directory: its package, its id on the cluster, what its worker sent."""

import fnmatch
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from asymbp_cli.errors import StoreError
from asymbp_cli.executors import Job
from asymbp_cli.executors.remote import spool
from asymbp_cli.executors.remote.package import Package, pack
from asymbp_cli.files.patience import patiently
from asymbp_cli.files.whole import replace

_JOB, _ID = "job.json", "id"
_LOGS = "logs"  # of all jobs, next to their folders
_AN_ID = re.compile("[0-9]+(_[0-9]+)?")  # of a job, of a job in an array


def jobs_directory(results: Path) -> Path:
    """Return the directory of the jobs of a results directory."""
    return results.absolute() / "jobs"


def logs_directory(results: Path) -> Path:
    """Return the directory of what the cluster and submitit write about jobs."""
    return jobs_directory(results) / _LOGS


def make_folder(results: Path, job: Job) -> Path:
    """Return the new folder of a job, with its package. Raises StoreError."""
    package = pack(job)
    folder = jobs_directory(results) / f"{job.stack.id}-{uuid.uuid4().hex[:8]}"
    with _writing(folder):
        patiently(partial((folder / "checkpoints").mkdir, parents=True, exist_ok=True))
        spool.prepare(folder)
        for run_id, content in package.checkpoints.items():
            patiently(partial(replace, _checkpoint(folder, run_id), content))
        patiently(partial(replace, folder / _JOB, package.job))
    return folder


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Explain why a folder cannot be written. Raises StoreError."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot write {folder}: {error.strerror}. Free some space or choose another directory with "
            "--results DIR, then run the same command again"
        ) from error


@contextmanager
def reading(results: Path) -> Iterator[None]:
    """Explain why folders cannot be read. Raises StoreError."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot read {error.filename or jobs_directory(results)}: {error.strerror}. Run the same command "
            "again once it can be read, or delete the folder of that job, which is then trained anew"
        ) from error


def read_package(folder: Path) -> Package:
    """Return the package in a folder. Raises OSError."""
    paths = _list(folder / "checkpoints", "*.safetensors")
    return Package(read_description(folder), {path.stem: patiently(path.read_bytes) for path in paths})


def read_description(folder: Path) -> bytes:
    """Return the job in a folder, for `read_job`. Raises OSError."""
    return patiently((folder / _JOB).read_bytes)


def _list(directory: Path, pattern: str = "*") -> list[Path]:
    """Return the paths in a directory that match a pattern; none if there is no such directory.

    Raises OSError, unlike `glob`, which may leave out what it cannot see.
    """
    with suppress(FileNotFoundError, NotADirectoryError):
        return [directory / name for name in fnmatch.filter(patiently(partial(os.listdir, directory)), pattern)]
    return []


def _checkpoint(folder: Path, run_id: str) -> Path:
    return folder / "checkpoints" / f"{run_id}.safetensors"


def note_ids(folders: Sequence[Path], ids: Sequence[str]) -> None:
    """Note under which ids jobs were submitted. Raises StoreError."""
    for folder, job_id in zip(folders, ids, strict=True):
        with _writing(folder):
            note_id(folder, job_id)


def note_id(folder: Path, job_id: str) -> None:
    """Note the id of a job, as its driver and its worker do, since either may die first. Raises OSError."""
    patiently(partial(replace, folder / _ID, job_id.encode(), durable=True))


def read_id(folder: Path) -> str | None:
    """Return the id of a job; None if it was not submitted, or waits in a queue. Raises OSError."""
    with suppress(FileNotFoundError, ValueError):
        text = patiently((folder / _ID).read_bytes).decode("ascii").strip()
        return text if _AN_ID.fullmatch(text) else None
    return None


def find_folders(results: Path) -> list[Path]:
    """Return the folders of jobs, the latest first. Raises OSError."""
    found: dict[Path, int] = {}
    for folder in _list(jobs_directory(results)):
        with suppress(FileNotFoundError, NotADirectoryError):
            found[folder] = patiently((folder / _JOB).stat).st_mtime_ns
    return sorted(found, key=lambda folder: found[folder], reverse=True)


def take_back(folder: Path) -> str | None:
    """Take the job out of a folder, so that no worker begins it; return the id, which one that began has noted.

    None if it cannot be read.
    """
    with suppress(OSError):
        patiently(partial((folder / _JOB).unlink, missing_ok=True))
    with suppress(OSError):
        return read_id(folder)
    return None


def discard(folder: Path, results: Path) -> None:
    """Delete a folder and the logs of its job; what cannot be deleted stays."""
    job_id = take_back(folder)
    _delete_folder(folder)
    if job_id:
        array = job_id.partition("_")[0]
        _delete_logs(results, f"{job_id}_*", f"{array}_submission.sh")
        _delete_logs(results, ".submission_file_*.sh", if_broken=True)  # submitit's links to it


def sweep(results: Path) -> None:
    """Delete what belongs to no job, as killed drivers leave it: folders without one, logs if no job is left.

    Raises OSError.
    """
    found = find_folders(results)
    for folder in _list(jobs_directory(results)):
        if folder not in found and folder.name != _LOGS:
            _delete_folder(folder)
    if not found:
        _delete_logs(results, "*")


def tidy(results: Path) -> None:
    """Delete what belongs to no job, and the directories of jobs if they are empty; the rest stays."""
    with suppress(OSError):
        sweep(results)
    for directory in (logs_directory(results), jobs_directory(results)):
        with suppress(OSError):
            directory.rmdir()


def _delete_folder(folder: Path) -> None:
    """Delete a folder, under another name: a worker that still runs does not find it, and writes nothing more."""
    renamed = folder.with_name(f".{folder.name}")
    with suppress(OSError):
        folder = patiently(partial(folder.rename, renamed))
    shutil.rmtree(folder, ignore_errors=True)


def _delete_logs(results: Path, *patterns: str, if_broken: bool = False) -> None:
    """Delete the files of patterns among the logs, or of these the broken links; what cannot be deleted stays."""
    found: list[Path] = []
    with suppress(OSError):
        found += [path for pattern in patterns for path in _list(logs_directory(results), pattern)]
    for path in found:
        with suppress(OSError):
            if not (if_broken and path.exists()):
                path.unlink()


def has_logs(results: Path, job_id: str) -> bool:
    """Return whether a job has written where the results are: its node sees them. Raises OSError."""
    return bool(_list(logs_directory(results), f"{job_id}_*_log.*"))


def read_log(results: Path, job_id: str, *, most: int = 2000) -> str:
    """Return the end of what a job wrote as errors; empty if there is nothing."""
    with suppress(OSError):
        text = (logs_directory(results) / f"{job_id}_0_log.err").read_text(encoding="utf-8", errors="replace")
        return text[-most:].strip()
    return ""

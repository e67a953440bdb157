"""The folder of a job in a results directory: its package, its id on the cluster, what its worker sent."""

import shutil
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from asymbp_cli.errors import StoreError
from asymbp_cli.executors import Job
from asymbp_cli.executors.remote.package import Package, pack
from asymbp_cli.files.whole import replace

_JOB, _ID = "job.json", "id"
_LOGS = "logs"  # of all jobs, next to their folders


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
    try:
        (folder / "checkpoints").mkdir(parents=True)
        for run_id, content in package.checkpoints.items():
            replace(_checkpoint(folder, run_id), content)
        replace(folder / _JOB, package.job)
    except OSError as error:
        raise StoreError(
            f"cannot write {folder}: {error.strerror}. Free some space or choose another directory with "
            "--results DIR, then run the same command again"
        ) from error
    return folder


def read_package(folder: Path) -> Package:
    """Return the package in a folder. Raises OSError."""
    paths = (folder / "checkpoints").glob("*.safetensors")
    return Package((folder / _JOB).read_bytes(), {path.stem: path.read_bytes() for path in paths})


def _checkpoint(folder: Path, run_id: str) -> Path:
    return folder / "checkpoints" / f"{run_id}.safetensors"


def note_ids(folders: Sequence[Path], ids: Sequence[str]) -> None:
    """Note under which ids jobs were submitted. Raises OSError."""
    for folder, job_id in zip(folders, ids, strict=True):
        replace(folder / _ID, job_id.encode(), durable=True)


def read_id(folder: Path) -> str | None:
    """Return the id of a job; None if it was never submitted, as far as its driver could tell."""
    with suppress(OSError):
        return (folder / _ID).read_text(encoding="ascii").strip() or None
    return None


def find_folders(results: Path) -> list[Path]:
    """Return the folders of jobs, the latest first."""
    found = [path.parent for path in jobs_directory(results).glob(f"*/{_JOB}")]
    return sorted(found, key=lambda folder: (folder / _JOB).stat().st_mtime_ns, reverse=True)


def discard(folder: Path, results: Path) -> None:
    """Delete a folder and the logs of its job; what cannot be deleted stays."""
    job_id = read_id(folder)
    (folder / _JOB).unlink(missing_ok=True)  # first: without it nobody takes the rest for a job
    shutil.rmtree(folder, ignore_errors=True)
    if job_id:
        for path in logs_directory(results).glob(f"{job_id}_*"):
            with suppress(OSError):
                path.unlink()


def read_log(results: Path, job_id: str, *, most: int = 2000) -> str:
    """Return the end of what a job wrote as errors; empty if there is nothing."""
    with suppress(OSError):
        text = (logs_directory(results) / f"{job_id}_0_log.err").read_text(encoding="utf-8", errors="replace")
        return text[-most:].strip()
    return ""

"""The cluster as the driver sees it: jobs are submitted, listed and cancelled."""

import io
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from pathlib import Path
from typing import Any, Protocol

from asymbp_cli.errors import UsageError
from asymbp_cli.executors import Train
from asymbp_cli.executors.slurm.options import SlurmOptions
from asymbp_cli.executors.slurm.work import work
from asymbp_cli.spawn import known_package, safe_path

#: states of SLURM after which nothing follows
_ENDED = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "REVOKED",
    "SPECIAL_EXIT",
    "TIMEOUT",
}
_UNKNOWN = "UNKNOWN"  # of a job that nobody knows any more
_COMMAND_SECONDS = 60.0  # in which a command of the cluster answers
_HURRIED_SECONDS = 3.0  # the same for somebody who waits to leave
_KILLING_SECONDS = 5.0  # in which one that does not answer ends
_TIMED_OUT, _KILLED = 124, 137  # exit codes of `timeout`; the first also of what did not answer here
_NOT_FOUND = 127  # exit code of a shell if there is no such command
_UNCONFIGURED = "configuration source"  # which the commands of SLURM lack outside of a cluster
_UNREACHED = "Unable to contact"  # the controller, say the commands of SLURM
_FOREVER_MINUTES = 60 * 24 * 365


class Cluster(Protocol):
    """Runs `work` for folders of jobs."""

    #: between two looks at the states of jobs
    look_seconds: float

    def submit(self, folders: Sequence[Path], train: Train) -> list[str]:
        """Submit jobs together, and return their ids. Raises UsageError if the cluster refuses, or is silent."""

    def ended(self, ids: Collection[str]) -> dict[str, str]:
        """Return the states of those jobs that neither run nor wait any more, by id.

        Raises UsageError if the cluster does not answer.
        """

    def cancel(self, ids: Collection[str]) -> bool:
        """Tell workers to save what they have and to end; jobs that wait never start. Return whether all heard."""

    def hurry(self) -> None:
        """From now on, wait only a few seconds for an answer."""


def open_cluster(options: SlurmOptions, logs: Path) -> Cluster:
    """Return the cluster that options name. Raises UsageError if it cannot be used from here."""
    check_name(logs)
    submitit = _import_submitit()
    try:
        logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # also of a file that has this name
        raise UsageError(
            f"cannot make the directory {logs}/: {error.strerror}. Move what is in the way, or use --results DIR"
        ) from error
    if options.cluster == "local":
        return _Local(submitit.LocalExecutor(logs), options)
    if shutil.which("srun") is None:  # which submitit asks for
        raise _absence("srun is not found")
    with _explained():  # -P: a node imports no file of the working directory
        executor = submitit.SlurmExecutor(logs, python=f"{shlex.quote(sys.executable)} -P")
        executor.update_parameters(**options.make_parameters())
    return _Slurm(executor)


def check_name(directory: Path) -> None:
    """Raise UsageError if SLURM and submitit would read a part of a directory's name as the id of a job."""
    if "%" in str(directory):
        raise UsageError(
            f'SLURM cannot write into {directory}, since it reads "%" as the beginning of something else. Choose '
            "another directory with --results DIR"
        )


def check_cluster(options: SlurmOptions, results: Path) -> None:
    """Raise UsageError if jobs with these options, and these results, would be refused."""
    check_name(results.absolute())
    with tempfile.TemporaryDirectory() as folder:
        cluster = open_cluster(options, Path(folder))
        if isinstance(cluster, _Slurm):
            cluster.check(Path(folder))


def _import_submitit() -> Any:
    try:
        import submitit
    except ImportError as error:
        raise UsageError(
            f"--executor slurm needs submitit, which is not installed ({error}). Type: pip install 'asymbp[slurm]'"
        ) from error
    return submitit


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what submitit raises into one message; it also prints it, which is left out."""
    try:
        with redirect_stderr(io.StringIO()):
            yield
    except OSError as error:
        raise UsageError(f"jobs cannot be submitted: {error}. Run the same command again") from error
    except (RuntimeError, ValueError) as error:
        raise _explain_failure(getattr(error.__cause__, "returncode", 1), str(error)) from error


@contextmanager
def _bounded(kind: Any) -> Iterator[None]:
    """Let the sbatch of submitit's executor end after some time: submitit would wait for it without end."""
    plain = kind._make_submission_command
    bound = ["timeout", f"--kill-after={_KILLING_SECONDS}", str(_COMMAND_SECONDS)]
    kind._make_submission_command = lambda executor, script: [*bound, *plain(executor, script)]
    try:
        yield
    finally:
        kind._make_submission_command = plain


def _silence(words: str) -> UsageError:
    """Return the error of a cluster that does not answer."""
    return UsageError(f"the cluster does not answer: {words}. Type sinfo to see how it is")


def _late(program: str, seconds: float) -> str:
    return f"{program} has taken more than {seconds:.0f} s"


def _absence(words: str) -> UsageError:
    """Return the error of a machine that is in no cluster."""
    return UsageError(f"there is no SLURM here ({words}). Run this on a login node of the cluster")


def _explain_failure(code: int, words: str) -> UsageError:
    """Return the error of an sbatch that has ended with a code, and with words."""
    if code in (_TIMED_OUT, _KILLED):
        return _silence(_late("sbatch", _COMMAND_SECONDS))
    if code == _NOT_FOUND:
        return _absence("sbatch is not found")
    if _UNCONFIGURED in words:
        return _absence("its commands are installed, but know no cluster")
    return _refusal(words)


def _refusal(text: str) -> UsageError:
    """Return the error of a cluster that refuses jobs, with its own words in one line."""
    return UsageError(
        f"the cluster refuses the jobs: {_join_lines(text) or 'it does not say why'}. Change --partition, --time, "
        "--workers or what is below slurm: in the file of the executor"
    )


def _join_lines(text: str) -> str:
    """Return the words of a command in one line."""
    return "; ".join(line.removeprefix("sbatch: error: ").strip() for line in text.splitlines() if line.strip())


class _Slurm:
    """A cluster of SLURM, by submitit and the commands of SLURM."""

    look_seconds = 10.0

    def __init__(self, executor: Any) -> None:
        self._executor = executor
        self._hurried = False

    def hurry(self) -> None:
        self._hurried = True

    def check(self, folder: Path) -> None:
        script = folder / "check.sh"
        script.write_text(self._executor._make_submission_file_text("true", "check"), encoding="utf-8")
        done = self._call("sbatch", "--test-only", str(script))
        if done.returncode:
            raise _explain_failure(done.returncode, done.stderr)

    def submit(self, folders: Sequence[Path], train: Train) -> list[str]:
        with _explained(), _bounded(type(self._executor)), known_package():
            jobs = self._executor.map_array(work, [str(folder) for folder in folders], [train] * len(folders))
        return [job.job_id for job in jobs]

    def ended(self, ids: Collection[str]) -> dict[str, str]:
        if not ids:
            return {}
        listed = self._call("squeue", "--noheader", "--array", "--states=all", f"--user={os.getuid()}", "-o%i|%T")
        if listed.returncode:
            raise _silence(_join_lines(listed.stderr) or "squeue has failed")  # its jobs run on
        states = _read_states(listed.stdout)
        found = {}
        for job_id in ids:
            array = job_id.partition("_")[0]  # stands for those of its jobs that were cancelled while they waited
            if state := states.get(job_id) or states.get(array):
                found[job_id] = state
        found |= self._ask_accounting([job_id for job_id in ids if job_id not in found])
        return {job_id: state for job_id, state in found.items() if _is_over(state)}

    def cancel(self, ids: Collection[str]) -> bool:
        done = self._call("scancel", *ids) if ids else None
        return done is None or not (done.returncode == _TIMED_OUT or _UNREACHED in done.stderr)

    def _ask_accounting(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the states of jobs that the controller has forgotten."""
        if not ids:
            return {}
        asked = ("--noheader", "--parsable2", "--allocations", "--format=JobID,State", f"--jobs={','.join(ids)}")
        states = _read_states(self._call("sacct", *asked).stdout)
        found = {job_id: states.get(job_id, _UNKNOWN) for job_id in ids}
        return {job_id: state if _is_over(state) else _UNKNOWN for job_id, state in found.items()}

    def _call(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Return the output of a command of SLURM; one that is missing or does not answer has failed."""
        seconds = _HURRIED_SECONDS if self._hurried else _COMMAND_SECONDS
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, _TIMED_OUT, "", _late(command[0], seconds))
        except OSError as error:
            code = _NOT_FOUND if isinstance(error, FileNotFoundError) else 1
            return subprocess.CompletedProcess(command, code, "", f"{command[0]}: {error.strerror}")


def _read_states(text: str) -> dict[str, str]:
    """Return the states in lines of ids and states."""
    return dict(line.strip().split("|", 1) for line in text.splitlines() if "|" in line)


def _is_over(state: str) -> bool:
    return state.split()[0] in _ENDED or state == _UNKNOWN


class _Local:
    """Processes of this machine in place of a cluster; they outlive the driver, as jobs of a cluster do."""

    look_seconds = 0.5

    def __init__(self, executor: Any, options: SlurmOptions) -> None:
        seconds = options.seconds
        self._executor = executor
        self._executor.update_parameters(
            timeout_min=seconds / 60 if seconds else _FOREVER_MINUTES,
            signal_delay_s=options.saving_seconds,
        )

    def submit(self, folders: Sequence[Path], train: Train) -> list[str]:
        with safe_path(), known_package():
            jobs = [self._executor.submit(work, str(folder), train) for folder in folders]
        for job in jobs:  # which outlives its executor; when it ends, this process takes note
            threading.Thread(target=job._process.wait, name=f"asymbp job {job.job_id}", daemon=True).start()
        return [job.job_id for job in jobs]

    def ended(self, ids: Collection[str]) -> dict[str, str]:
        return {job_id: _UNKNOWN for job_id in ids if not _is_job(job_id)}

    def cancel(self, ids: Collection[str]) -> bool:
        for job_id in filter(_is_job, ids):
            with suppress(OSError):
                os.kill(int(job_id), signal.SIGTERM)  # which it passes on
        return True

    def hurry(self) -> None:
        pass  # no answer takes time


def _is_job(pid: str) -> bool:
    """Return whether a process runs, and is one of submitit's; one that has ended has no command line."""
    with suppress(OSError, ValueError):
        return b"submitit" in Path(f"/proc/{int(pid)}/cmdline").read_bytes()
    return False

"""Takes studies the space on their disk, or the right to write, and gives it back until they have finished.

python tests/campaigns/disks.py COUNT [SEED]: COUNT times the disk is full in training, it is read-only, or files
may not grow beyond a size. Full and read-only disks need root, who may mount a small disk. Exit code 1 if the
command says anything but one line, finished results cannot be read meanwhile, or something is lost or differs
after that.
"""

import os
import random
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from running_command import Command
from studies import Study, ask, disturb_studies
from tally import Tally, main

SIZE = "8m"  # of a disk
LONGEST_WAIT = 0.5  # seconds after the first epoch of a command
MOST_LEFT = 100_000  # bytes on a full disk
FILE_SIZES = (1_000, 400_000)  # bytes that a file may have; a whole study has a database of about 100,000


@contextmanager
def small_disk(directory: Path) -> Iterator[None]:
    """Have a small disk at `directory`."""
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", directory], check=True, capture_output=True
    )
    try:
        yield
    finally:
        subprocess.run(["umount", directory], check=True)


def may_mount() -> bool:
    """Return whether this user may mount a disk."""
    try:
        with tempfile.TemporaryDirectory() as directory, small_disk(Path(directory)):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


@contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Have the disk at `directory` read-only."""
    subprocess.run(["mount", "-o", "remount,ro", directory], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", directory], check=True)


@contextmanager
def full(directory: Path, left: int) -> Iterator[None]:
    """Have only `left` bytes free on the disk of a directory, or a few more."""
    fill = directory / "fill"
    with fill.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(shutil.disk_usage(directory).free - left, 1))
    try:
        yield
    finally:
        fill.unlink()


def check_answer(study: Study, command: Command) -> None:
    """Check what a command says of the disk, and that results are read meanwhile."""
    code = command.end()
    if code:
        command.expect(code == 2, f"exit code {code}")
        command.expect(command.errors.startswith("asymbp: "), "says nothing")
        command.expect(command.errors.count("\n") == 1, f"says {command.errors!r}")
    if (study.results / "asymbp.sqlite").exists():
        read = ask(study, "ls", "runs")
        command.expect(read.returncode == 0, f"results are not read meanwhile: {read.stderr}")


def run(tally: Tally, seed: int, *, mount: bool | None = None) -> None:
    """Note in the tally what becomes of studies; `mount`: on disks of their own (None: if this user may)."""
    source, mounts = random.Random(seed), may_mount() if mount is None else mount

    def fill_disk(study: Study) -> tuple[Command, str]:
        command = study.start(source.choice([1, 2]))
        if not command.wait_for_epoch():
            return command, ""
        time.sleep(source.uniform(0, LONGEST_WAIT))
        with full(study.directory, source.choice([0, source.randrange(MOST_LEFT)])):
            check_answer(study, command)
        return command, "full disk"

    def forbid_writing(study: Study) -> tuple[Command, str]:
        with read_only(study.directory):
            command = study.start(source.choice([1, 2]))
            check_answer(study, command)
            command.expect(command.process.returncode, "trains on a read-only disk")
        return command, "read-only disk"

    def limit_files(study: Study) -> tuple[Command, str]:
        most = source.randrange(*FILE_SIZES)
        command = study.start(
            source.choice([1, 2]), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        )
        check_answer(study, command)
        return command, "small files"

    ways = [fill_disk, fill_disk, forbid_writing, limit_files] if mounts else [limit_files]
    disk = small_disk if mounts else nullcontext
    disturb_studies(tally, lambda study: source.choice(ways)(study), often=True, disk=disk)
    if not mounts:
        tally.notes.append("full and read-only disks: not run, only root may mount them")


if __name__ == "__main__":
    raise SystemExit(main(run, 100))

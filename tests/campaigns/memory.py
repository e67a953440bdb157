"""Gives studies too little memory, and runs the same command with all of it until they have finished.

python tests/campaigns/memory.py COUNT [SEED]: COUNT limits of the address space (`ulimit -v`), from the start on,
or of the parent or a worker in training. Exit code 1 if a command fails without a word, crashes, ends in a
traceback, or something is lost or differs after that.
"""

import random
import resource
import time
from pathlib import Path

from running_command import Command
from studies import Study, disturb_studies
from tally import Tally, main

LIMITS = (100 << 20, 6 << 30)  # bytes, from the start on
MOST_MORE = 10 << 20  # bytes that a process in training may still take
LONGEST_WAIT = 0.5  # seconds after the first epoch of a command


def address_space(pid: int) -> int:
    """Return the bytes that a process has mapped."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()


def check_answer(command: Command) -> None:
    """Check that a command which fails says why, as itself or as the library that ended it."""
    code = command.end()
    command.expect(code in (0, 1, 2), f"exit code {code}: {command.errors}")
    is_said = "asymbp" in command.errors or command.errors.startswith("OpenBLAS error: ")
    command.expect(code == 0 or is_said, f"says {command.errors!r}")


def run(tally: Tally, seed: int) -> None:
    """Note in the tally what becomes of limits."""
    source = random.Random(seed)

    def limit_start(study: Study) -> tuple[Command, str]:
        most = source.randrange(*LIMITS)
        command = study.start(
            source.choice([1, 2]), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (most, most))
        )
        check_answer(command)
        return command, "from the start"

    def limit_training(study: Study) -> tuple[Command, str]:
        command = study.start(source.choice([1, 2]))
        if not command.wait_for_epoch():
            return command, ""
        time.sleep(source.uniform(0, LONGEST_WAIT))
        whom = source.choice([command.process.pid, *command.workers()])
        try:
            most = address_space(whom) + source.randrange(MOST_MORE)
            resource.prlimit(whom, resource.RLIMIT_AS, (most, most))
        except (OSError, ValueError):  # it has just ended
            return command, ""
        check_answer(command)
        return command, "the parent in training" if whom == command.process.pid else "a worker in training"

    disturb_studies(tally, lambda study: source.choice([limit_start, limit_training])(study), often=True)


if __name__ == "__main__":
    raise SystemExit(main(run, 100))

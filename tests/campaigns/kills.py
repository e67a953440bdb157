"""Kills studies with SIGKILL during training, and runs the same command again until it has finished.

python tests/campaigns/kills.py COUNT [SEED]: COUNT kills of the parent, of the group, or of a worker. Checkpoints
are written after every epoch. Exit code 1 if more than the epoch in training is lost, a result differs in a bit
from that of an undisturbed study, a file stays for ever, or there is a traceback.
"""

import os
import random
import signal
import time

from running_command import Command
from studies import Study, disturb_studies
from tally import Tally, main

LONGEST_WAIT = 0.5  # seconds after the first epoch of a command


def kill(command: Command, source: random.Random) -> str:
    """Kill something of a command in training; return what."""
    workers = command.workers()
    whom = source.choice(["parent", "group", "worker"] if workers else ["parent", "group"])
    if whom == "worker":
        try:
            os.kill(source.choice(workers), signal.SIGKILL)
        except ProcessLookupError:
            return ""
    else:
        command.send(signal.SIGKILL, group=whom == "group")
    return whom


def run(tally: Tally, seed: int) -> None:
    """Note in the tally what becomes of kills."""
    source = random.Random(seed)

    def attempt(study: Study) -> tuple[Command, str]:
        command, killed = study.start(source.choice([1, 2, 2])), ""
        if command.wait_for_epoch():
            time.sleep(source.uniform(0, LONGEST_WAIT))
            killed = kill(command, source) if command.alive else ""
        code = command.end()
        allowed = {"worker": [0], "": [0]}.get(killed, [-signal.SIGKILL, 0])  # it may just have finished
        command.expect(code in allowed, f"exit code {code}: {command.errors}")
        return command, killed

    disturb_studies(tally, attempt, often=True)


if __name__ == "__main__":
    raise SystemExit(main(run, 300))

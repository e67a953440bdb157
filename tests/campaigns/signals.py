"""Interrupts studies at random moments, and runs the same command again until it has finished.

python tests/campaigns/signals.py COUNT [SEED]: COUNT times SIGINT, SIGTERM or SIGHUP, once or several times within
0.2 seconds, to the command or to its whole group. Exit code 1 if more than the epoch in training is lost, a result
differs in a bit, the exit code or the message is wrong, or there is a traceback. How many were slow is counted.
"""

import random
import re
import signal
import time

from running_command import Command
from studies import Study, disturb_studies, make_recipe
from tally import Tally, main

LEAVING_SECONDS = 2.0  # that a command may take
EARLY_SECONDS = 0.1  # in which Python itself may not have started
LONGEST_START = 3.0  # seconds after the program hears signals
LONGEST_WAIT = 0.5  # seconds after the first epoch of a command
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MOMENTS = ("in training", "in training", "at once", "at the start")
#: what it says; click ends the line of the terminal's ^C
_ANSWERS = {
    "in training": re.compile(r"\n?asymbp: interrupted: [^\n]+[.] Run the same command again to resume\n"),
    "at the start": re.compile(r"\n?asymbp: interrupted[^\n]*\n"),
    "at once": re.compile(r"\n?asymbp: interrupted[^\n]*\n"),
}


def wait(command: Command, moment: str, source: random.Random) -> bool:
    """Wait for a moment; return whether the command still runs."""
    if moment == "in training" and command.wait_for_epoch():
        time.sleep(source.uniform(0, LONGEST_WAIT))
    elif moment == "at the start":
        while command.alive and not command.hears(signal.SIGTERM):
            time.sleep(0.001)
        time.sleep(source.uniform(0, LONGEST_START))
    elif moment == "at once":
        time.sleep(source.uniform(0, EARLY_SECONDS))
    return command.alive


def interrupt(command: Command, source: random.Random) -> tuple[signal.Signals, str]:
    """Send one signal one, two or three times; return it, and what was done in words."""
    number, times, group = source.choice(SIGNALS), source.choice([1, 1, 2, 3]), source.random() < 0.5
    for again in range(times):
        time.sleep(source.uniform(0, 0.2 / times) if again else 0)
        command.send(number, group=group)
    return number, f"{times} x {number.name} to the {'group' if group else 'parent'}"


def check_answer(command: Command, number: signal.Signals, moment: str, sent: str) -> None:
    """Check exit code and message."""
    code, errors = command.process.returncode, command.errors
    if code == 0 and not errors:
        return  # it had just finished
    if moment == "at once" and "asymbp" not in errors and code in (-number, 1, 128 + number):
        command.errors = ""  # Python, or the system, has answered: this program had not begun
        return
    command.expect(code == 128 + number, f"{sent}: exit code {code}")
    command.expect(_ANSWERS[moment].fullmatch(errors), f"{sent}: says {errors!r}")


def run(tally: Tally, seed: int) -> None:
    """Note in the tally what becomes of interruptions."""
    source, seconds = random.Random(seed), [0.0]

    def attempt(study: Study) -> tuple[Command, str]:
        moment = source.choice(MOMENTS)
        command = study.start(source.choice([1, 2]))
        if not wait(command, moment, source):
            return command, ""
        began = time.monotonic()
        number, sent = interrupt(command, source)
        command.process.wait()
        seconds.append(time.monotonic() - began)
        command.end()
        check_answer(command, number, moment, sent)
        return command, f"{number.name} {moment}"

    disturb_studies(tally, attempt, recipe=make_recipe(epochs=100))
    slow = sum(found > LEAVING_SECONDS for found in seconds)
    tally.notes.append(f"{slow} took longer than {LEAVING_SECONDS:g} s; the longest {max(seconds):.1f} s")


if __name__ == "__main__":
    raise SystemExit(main(run, 100))

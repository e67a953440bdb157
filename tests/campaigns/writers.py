"""Starts two or three studies at once on one results directory, of which some are killed.

python tests/campaigns/writers.py COUNT [SEED]: COUNT groups of studies, of the same runs or of some in common. One
writes at a time; the others are refused in one line, and repeat their command until they have finished. Exit code
1 if a run is trained twice, a result differs in a bit, the database is damaged, or a command says anything else.
"""

import random
import re
import signal
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from running_command import Command
from studies import Stored, Study, check_end, make_recipe, train_undisturbed
from tally import Tally, main

from asymbp_cli.results.store import Store

RECIPES = [make_recipe("SGD", "uSF+BN"), make_recipe("uSF+BN", "BM"), make_recipe("BM", "SGD")]
WAIT_SECONDS = 0.5  # before a command that was refused is repeated, on average
KILL_SHARE = 0.25  # of commands
LONGEST_WAIT = 0.5  # seconds after the first epoch of a command that is killed then
LONGEST_SECONDS = 600.0  # of a group
_REFUSED = re.compile(
    r"asymbp: another asymbp \(pid [0-9?]+\) is writing to \S+/\. Wait for it or use --results DIR\.\n"
)


class Writer:
    """Repeats the command of a study until it has finished."""

    def __init__(self, study: Study, workers: int) -> None:
        self.finished = False
        self._study, self._workers = study, workers
        self._command: Command | None = None
        self._doomed = self._killed = False
        self._again = 0.0  # on the monotonic clock

    def go_on(self, source: random.Random, tally: Tally, what: str) -> str:
        """Start or judge the command, or kill it; return what has ended: "", "refused" or "killed"."""
        if self._command is None:
            if not self.finished and time.monotonic() > self._again:
                self._command, self._killed = self._study.start(self._workers), False
                self._doomed = source.random() < KILL_SHARE
            return ""
        if self._command.alive:
            if self._doomed and self._command.trains and source.random() < 0.01 / LONGEST_WAIT:
                self._command.send(signal.SIGKILL, group=source.random() < 0.5)
                self._killed = True
            return ""
        command, self._command = self._command, None
        code = command.end()
        tally.check_words(command.errors, what)
        self.finished = code == 0
        self._again = time.monotonic() + source.uniform(0, 2 * WAIT_SECONDS)
        if code == 0:
            return ""
        if code == -signal.SIGKILL and self._killed:
            return "killed"
        tally.lost(code == 2 and _REFUSED.fullmatch(command.errors), f"{what}: exit code {code}: {command.errors}")
        return "refused"


def check_attempts(study: Study, tally: Tally, what: str) -> None:
    """Check that every run was finished once, and that nobody trained it meanwhile."""
    with Store.open(study.results, create=False) as store:
        runs = {summary.id: store.attempts([summary.id]) for summary in store.runs()}
    for run, attempts in runs.items():
        finished = sum(attempt.outcome == "finished" for attempt in attempts)
        tally.lost(finished == 1, f"{what}: {run} was finished {finished} times")
        times = [(attempt.started, attempt.ended or 0.0) for attempt in attempts]
        apart = all(ended <= began for (_, ended), (began, _) in pairwise(times))
        tally.lost(apart, f"{what}: {run} was trained by two at once: {times}")


def train_together(directory: Path, recipes: list[str], source: random.Random, tally: Tally, what: str) -> None:
    """Train recipes at once into the results of one directory; they are left finished, and checked."""
    studies = [
        Study(directory, recipe, name=f"study-{number}", often=True) for number, recipe in enumerate(recipes)
    ]
    writers = [Writer(study, source.choice([1, 2])) for study in studies]
    last = time.monotonic() + LONGEST_SECONDS
    while not all(writer.finished for writer in writers) and time.monotonic() < last:
        for writer in writers:
            if ended := writer.go_on(source, tally, what):
                tally.tried[ended] += 1
        time.sleep(0.01)
    tally.lost(all(writer.finished for writer in writers), f"{what}: does not come to its end")
    for study in studies:
        check_attempts(study, tally, what)


def run(tally: Tally, seed: int) -> None:
    """Note in the tally what becomes of studies that are started at once."""
    source = random.Random(seed)
    with tempfile.TemporaryDirectory() as root:
        expected: dict[int, dict[str, Stored]] = {}
        for number in range(tally.goal):
            if tally.stopped:
                return
            same, many = source.random() < 0.5, source.choice([2, 3])
            chosen = [source.randrange(len(RECIPES))] * many if same else source.sample(range(len(RECIPES)), many)
            what = f"group {number}, recipes {chosen}"
            directory = Path(root) / f"group {number}"
            train_together(directory, [RECIPES[k] for k in chosen], source, tally, what)
            for k in set(chosen) - expected.keys():
                expected[k] = train_undisturbed(Path(root) / f"recipe {k}", RECIPES[k])
            union = {run: found for k in chosen for run, found in expected[k].items()}
            check_end(Study(directory, RECIPES[chosen[0]], name="study-0"), union, tally, what)
            tally.tried["the same runs" if same else "some runs in common"] += 1


if __name__ == "__main__":
    raise SystemExit(main(run, 30))

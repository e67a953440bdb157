"""What a campaign has tried and what it has lost, and what the events of a study promise."""

import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Tally:
    """What a campaign has tried, which is to do so `goal` times, and the faults that it has found, by kind."""

    goal: int
    stopped: bool = False
    tried: Counter[str] = field(default_factory=Counter)  # by what was done
    faults: dict[str, list[str]] = field(default_factory=lambda: {"lost": [], "believed": [], "tracebacks": []})
    notes: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Return how often something was tried."""
        return self.tried.total()

    @property
    def left(self) -> int:
        """Return how often something is still to be tried."""
        return 0 if self.stopped else max(self.goal - self.count, 0)

    @property
    def found(self) -> list[str]:
        """Return all faults."""
        return [fault for faults in self.faults.values() for fault in faults]

    def lost(self, fact: object, what: str) -> None:
        """Note that something was lost, unless `fact` holds."""
        if not fact:
            self.faults["lost"].append(what)

    def believed(self, fact: object, what: str) -> None:
        """Note that a wrong result is believed, unless `fact` holds."""
        if not fact:
            self.faults["believed"].append(what)

    def check_words(self, errors: str, what: str) -> None:
        """Note a traceback on standard error."""
        if "Traceback" in errors:
            self.faults["tracebacks"].append(f"{what}: {errors}")

    def print(self, name: str) -> int:
        """Print the tally; return the exit code of the campaign."""
        kinds = ", ".join(f"{len(faults)} {kind}" for kind, faults in self.faults.items())
        print(f"{name}: {self.count} tried; {kinds}")
        print("  " + ", ".join(f"{number} {what}" for what, number in self.tried.most_common()))
        for line in self.notes + self.found:
            print(f"  {line}")
        return min(len(self.found), 1)


class Record:
    """What the events of a study's commands promise, one command after the other."""

    def __init__(self) -> None:
        self.ended: dict[str, int] = {}  # run -> its last epoch
        self.saved: dict[str, int] = {}  # run -> the epoch of its last checkpoint
        self.finished: set[str] = set()

    def note(self, events: list[dict[str, Any]], tally: Tally, what: str) -> None:
        """Note the events of a command that has ended, and what of the earlier ones they lose.

        No more than the epoch in training may be trained anew once a run has a checkpoint of every epoch.
        """
        for event in events:
            kind = event["event"]
            if kind == "StackStarted":
                self._note_start(event["runs"], event["start_epoch"], tally, what)
            elif kind == "EpochEnded":
                run, epoch = event["run"], event["epoch"]
                tally.lost(epoch == self.ended.get(run, 0) + 1, f"{what}: {run} has epoch {epoch} at a wrong time")
                self.ended[run] = epoch
            elif kind == "CheckpointSaved":
                self.saved.update(dict.fromkeys(event["runs"], event["epoch"]))
            elif kind == "RunFinished":
                self.finished.add(event["run"])

    def _note_start(self, runs: list[str], start: int, tally: Tally, what: str) -> None:
        for run in runs:
            due = max(self.saved.get(run, 0), self.ended.get(run, 0) - 1)
            tally.lost(start >= due, f"{what}: {run} starts after epoch {start}, and {due} was kept")
            tally.lost(run not in self.finished, f"{what}: {run} had finished")
            self.ended[run] = self.saved[run] = start


def main(run: Callable[[Tally, int], None], goal: int) -> int:
    """Run a campaign as the command line says (COUNT [SEED]), print its tally, and return the exit code.

    Ctrl-C and SIGTERM let it come to an end early.
    """
    words = [int(word) for word in sys.argv[1:3]]
    tally, began = Tally(words[0] if words else goal), time.monotonic()

    def stop(*_: object) -> None:
        tally.stopped = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    run(tally, words[1] if words[1:] else 0)
    tally.notes.append(f"{(time.monotonic() - began) / 60:.0f} minutes")
    return tally.print(Path(sys.argv[0]).stem)

"""How far the runs of a study are: what an interruption keeps, and what starts anew."""

from dataclasses import dataclass, field

from asymbp_cli.events import CheckpointSaved, RunFinished
from asymbp_cli.executors import StackFailed, StudyEvent
from asymbp_cli.text import count


@dataclass
class Standing:
    """Fed by events. `saved` maps each run that has not ended to the epoch of its last checkpoint, or 0."""

    saved: dict[str, int]
    finished: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # run -> why

    def note(self, event: StudyEvent) -> None:
        """Note an event, which may come twice."""
        if isinstance(event, RunFinished):
            if self.saved.pop(event.run, None) is not None:
                self.finished.append(event.run)
        elif isinstance(event, CheckpointSaved):
            self.saved.update((run, event.epoch) for run in event.runs if run in self.saved)
        elif isinstance(event, StackFailed) and not event.retrying:
            self.failed.update(dict.fromkeys(event.runs, event.message))

    def describe(self) -> str:
        """Describe how far the runs are: `2 runs are finished, 3 runs go on after epoch 10, 1 run starts anew`."""
        epochs = sorted(epoch for epoch in self.saved.values() if epoch)
        parts = [_count(len(self.finished), "is finished", "are finished")]
        if epochs:
            span = f"epoch {epochs[0]}" if epochs[0] == epochs[-1] else f"epochs {epochs[0]} to {epochs[-1]}"
            parts.append(_count(len(epochs), f"goes on after {span}", f"go on after {span}"))
        parts.append(_count(len(self.saved) - len(epochs), "starts anew", "start anew"))
        return ", ".join(filter(None, parts))


def _count(runs: int, one: str, several: str) -> str:
    """Return how many runs do something; nothing if none does."""
    return f"{count(runs, 'run')} {one if runs == 1 else several}" if runs else ""

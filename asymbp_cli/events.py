"""Facts that the engine emits. They travel from worker processes to the store and the terminal."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

RunState = Literal["finished", "collapsed", "diverged"]
#: of each measure: layer -> value (`specs/measures.py`); None if it has no meaning there
Measured = Mapping[str, Mapping[int, float | None]]
#: told (what is done, units done so far, units in all) of a download or of decoding; 0 in all: not known
OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Provenance:
    """Where and with what a process trains. Stored with every attempt at a run; no part of a run's identity."""

    host: str  # "" before a worker of another machine has begun
    device: str  # "cpu (AMD EPYC 9554)", "cuda:0 (NVIDIA H100, standard precision: tf32)"
    software: Mapping[str, str]  # package -> version
    git: str | None  # commit of the checkout, "(changed)" if files differ from it; None outside a checkout
    semantics: int  # what numbers runs have, `SEMANTICS` in `specs/runs.py`; not stored
    instruction_set: str | None = None  # "AVX2", ...: decides the bits on the CPU; None on a GPU, or not known yet


@dataclass(frozen=True)
class WorkerFound:
    """The process that trains these runs has opened its device, and says where it is."""

    runs: tuple[str, ...]
    provenance: Provenance
    note: str | None = None  # what its user should know, as a sentence: that it is slow, and why


@dataclass(frozen=True)
class Progress:
    """A stack is inside an epoch: `step` of `steps` mini-batches are done (no host sync is made for this).

    Epoch 0 is the mirroring of initial weights into V, if a scheme has that.
    """

    stack: str
    epoch: int
    step: int
    steps: int


@dataclass(frozen=True)
class EpochEnded:
    """One epoch of one run, counts not percentages.

    `train_*` are measured while training (training-mode statistics, moving weights). A loss is the mean
    over samples of the protocol's, a cross-entropy being in nats. `seconds` is the run's share of its stack's
    wall time.
    """

    run: str
    epoch: int
    rate: float
    train_loss: float
    train_wrong: int
    train_seen: int
    test_loss: float
    test_wrong: int
    test_seen: int
    validation_wrong: int | None
    validation_seen: int | None
    one_class: bool  # the test set was answered with one and the same class
    diverged: bool  # scored as "always the first class", see RunDiverged
    seconds: float
    validation_loss: float | None = None  # None: nothing is held out, or it was not stored
    measures: Measured = field(default_factory=dict, hash=False)  # by measure and layer; empty: none was made

    @property
    def test_percent(self) -> float:
        """Return the test error in percent."""
        return 100 * self.test_wrong / self.test_seen

    @property
    def criterion(self) -> tuple[float, float]:
        """Return the error, 0 to 1, by which epochs are selected, and the loss that breaks its ties: lowest first.

        Both are of the held-out data, if there are any. Otherwise the error is the test error, whose ties no loss
        breaks. A loss that is not known, or not a number, counts as infinite.
        """
        if self.validation_wrong is None or not self.validation_seen:
            return self.test_wrong / self.test_seen, math.inf
        loss = math.inf if self.validation_loss is None else self.validation_loss
        return self.validation_wrong / self.validation_seen, math.inf if math.isnan(loss) else loss


@dataclass(frozen=True)
class RunDiverged:
    """A loss or weight stopped being finite in `epoch`; the run is frozen before that update.

    From this epoch on it is scored as answering the first class, as an argmax over NaN does.
    """

    run: str
    epoch: int


@dataclass
class CheckpointDue:
    """Checkpoints are written once the next event is asked for: first store those before, or postpone them.

    Then no checkpoint is ever ahead of what is stored, whatever is killed when.
    """

    stack: str
    postponed: bool = False  # the answer: the events before are not stored, so try again later


@dataclass(frozen=True)
class CheckpointSaved:
    """The runs can be resumed after `epoch`."""

    runs: tuple[str, ...]
    epoch: int


@dataclass(frozen=True)
class EpochKept:
    """All runs of a stack have ended `epoch`, and `save` writes their checkpoints if the training is interrupted.

    It may be called from any thread. The event stays in the process that trains.
    """

    stack: str
    runs: tuple[str, ...]
    epoch: int
    save: Callable[[], None]


@dataclass(frozen=True)
class RunFinished:
    """All epochs are done. `collapsed`: finite, but one class is predicted for every test image."""

    run: str
    state: RunState
    epochs: int


Event = (
    WorkerFound | Progress | EpochEnded | RunDiverged | CheckpointDue | CheckpointSaved | EpochKept | RunFinished
)

"""Facts about stored runs, as lists and pages show them, and how they are made of rows of the database."""

import json
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Annotated, Any, NamedTuple

from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError

from asymbp_cli.events import EpochEnded, Measured, Provenance
from asymbp_cli.results.database import RowError, parse_column
from asymbp_cli.specs.base import Label
from asymbp_cli.specs.methods import method_name
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.references import HASH_DIGITS
from asymbp_cli.specs.runs import Run

_MEASURES = TypeAdapter(dict[Label, dict[Annotated[int, Field(ge=0)], FiniteFloat | None]])
PLUGIN = "plugin "  # begins the name of one among the software of an attempt
#: of the database, in the order of the fields
EPOCH_COLUMNS = tuple(field.name for field in fields(EpochEnded))


@dataclass(frozen=True)
class RunSummary:
    """A run as a list of runs shows it."""

    id: str
    method: str  # the paper's name
    dataset: str  # its label, with what tells it apart from others of that label
    rate_multiplier: float
    seed: int
    state: str | None  # "finished", "collapsed", "diverged", "failed"; None: not done
    epochs: int  # stored
    epochs_wanted: int
    best: tuple[int, int, int] | None  # test error of the epoch that the rule selects: wrong, seen, epoch
    updated: float  # seconds since 1970

    @property
    def progress(self) -> str:
        """Return the state, or the number of epochs so far: `7/20`."""
        return self.state or f"{self.epochs}/{self.epochs_wanted}"

    @property
    def best_percent(self) -> float | None:
        """Return the test error of the selected epoch in percent."""
        return 100 * self.best[0] / self.best[1] if self.best else None


@dataclass(frozen=True)
class Attempt:
    """An attempt at training a run; `outcome` is None while it lasts."""

    started: float  # seconds since 1970
    ended: float | None
    start_epoch: int
    host: str  # "" if no worker has begun it
    device: str
    software: Mapping[str, str]  # package -> version
    git: str | None
    outcome: str | None  # "finished", "failed", "interrupted"
    message: str | None
    traceback: str | None
    instruction_set: str | None  # of the CPU: "AVX2", ...; None on a GPU, or if it was not recorded

    @property
    def began(self) -> bool:
        """Return whether a worker has begun it."""
        return bool(self.host)


ATTEMPT_COLUMNS = tuple(field.name for field in fields(Attempt))


@dataclass(frozen=True)
class RunDetail:
    """Everything that is stored about a run."""

    summary: RunSummary
    run: Run
    attempts: tuple[Attempt, ...]
    epochs: tuple[EpochEnded, ...]


class Spent(NamedTuple):
    """What a run has cost so far."""

    epochs: int
    seconds: float
    samples: int  # trained on, each as often as it was; a frozen run trains on none


class Effort(NamedTuple):
    """An attempt at a run: what its device has spent on it, a share of the time of its stack."""

    run: str
    device: str
    seconds: float
    lost: bool  # it failed, or was interrupted


def make_effort(row: tuple[Any, ...]) -> Effort:
    """Return the effort in a row of `queries.EFFORTS`."""
    run, device, outcome, seconds, runs = row
    return Effort(run, device, seconds / runs, outcome in ("failed", "interrupted"))


def _check_counts(run_id: str, wrong: object, seen: object, least: int) -> None:
    """Raise RowError if `wrong` of `seen` samples cannot be: both None, or whole numbers in order."""
    if wrong is None and seen is None and least == 0:
        return
    if not (isinstance(wrong, int) and isinstance(seen, int) and 0 <= wrong <= seen and seen >= least):
        raise RowError("runs", run_id, f"an epoch of it has {wrong!r} wrong answers of {seen!r}")


_ENDED_EARLY = "it has ended before its last epoch"


def check_history(row: tuple[Any, ...]) -> None:
    """Raise RowError if a row of `queries.HISTORIES` tells of epochs that no training has."""
    run_id, stored, first, last, wanted, state, run, dataset, impossible, foreign = row
    problems = {
        "it has epochs, and is missing": stored and run is None,
        "its dataset is missing": run and dataset is None,
        f"its epochs are not 1, 2, ... up to {wanted} at most": stored
        and ((first, last) != (1, stored) or (wanted is not None and last > wanted)),
        _ENDED_EARLY: state and wanted is not None and stored < wanted,
        "an epoch of it has more wrong answers than samples, or fewer than none": impossible,
        "an epoch of it has other samples than its dataset": foreign,
    }
    for reason, found in problems.items():
        if found:
            raise RowError("runs", run_id, reason)


def make_summary(
    row: tuple[Any, ...], names: Mapping[tuple[str, Network | None], str], labels: Mapping[str, str]
) -> RunSummary:
    """Return the summary in a row of `queries.SUMMARIES`.

    `names` are those of datasets under networks in tables; a run of no table has its dataset's own, in `labels`.
    """
    run_id, spec, state, updated, outcome, stored, wrong, seen, epoch, late = row
    run = parse_column(Run, spec, "runs", run_id)
    if late and run.id != run_id:  # others are as they were written
        raise RowError("runs", run_id, "it has the content of another run")
    if run.dataset not in labels:
        raise RowError("runs", run_id, "its dataset is missing")
    if stored:
        _check_counts(run_id, wrong, seen, 1)
    if state and stored != run.protocol.epochs:
        raise RowError("runs", run_id, _ENDED_EARLY)
    return RunSummary(
        id=run_id,
        method=method_name(run.method),
        dataset=names.get((run.dataset, run.network), labels[run.dataset]),
        rate_multiplier=run.rate_multiplier,
        seed=run.seed,
        state=state or ("failed" if outcome == "failed" else None),
        epochs=stored or 0,
        epochs_wanted=run.protocol.epochs,
        best=(wrong, seen, epoch) if stored else None,
        updated=updated,
    )


def make_attempt(row: tuple[Any, ...]) -> Attempt:
    """Return the attempt in a row of `ATTEMPT_COLUMNS`."""
    named = dict(zip(ATTEMPT_COLUMNS, row, strict=True))
    try:
        software = json.loads(named["software"])
    except ValueError:
        software = None
    if not isinstance(software, dict):
        raise RowError("attempts", repr(named["started"]), "software is not a mapping")
    return Attempt(**named | {"software": software})


def read_plugins(texts: Iterable[str]) -> dict[str, str]:
    """Return the names of the plugins in columns of software, by the beginning of their SHA-256 in references."""
    found = {}
    for text in texts:
        with suppress(ValueError, AttributeError):  # of a damaged row, which reading its attempt says
            for name, version in json.loads(text).items():
                if name.startswith(PLUGIN):
                    found[str(version)[:HASH_DIGITS]] = name.removeprefix(PLUGIN)
    return found


def make_provenance_row(provenance: Provenance) -> tuple[str | None, ...]:
    """Return host, device, software as JSON, git and instruction set, as the columns of attempts."""
    software = json.dumps(dict(provenance.software))
    return provenance.host, provenance.device, software, provenance.git, provenance.instruction_set


def make_epoch_row(event: EpochEnded) -> tuple[Any, ...]:
    """Return the row of `EPOCH_COLUMNS` of an event, as SQLite keeps it.

    Flags are 0 and 1, not-a-number is NULL, and measures are JSON, or NULL if there are none.
    """
    return tuple(_plain(getattr(event, name)) for name in EPOCH_COLUMNS)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return json.dumps(value, separators=(",", ":")) if value else None
    if isinstance(value, float) and math.isnan(value):
        return None
    return int(value) if isinstance(value, bool) else value


def make_epoch(row: tuple[Any, ...]) -> EpochEnded:
    """Return the event in a row of `EPOCH_COLUMNS`; SQLite stores not-a-number as NULL.

    A validation loss that is not a number is None then. Raises RowError if the counts cannot be.
    """
    named = dict(zip(EPOCH_COLUMNS, row, strict=True))
    for split, least in (("train", 0), ("test", 1), ("validation", 0)):
        _check_counts(named["run"], named[f"{split}_wrong"], named[f"{split}_seen"], least)
    for loss in ("train_loss", "test_loss"):
        named[loss] = math.nan if named[loss] is None else named[loss]
    named["measures"] = parse_measures(named["run"], named["measures"])
    return EpochEnded(**named | {flag: bool(named[flag]) for flag in ("one_class", "diverged")})


def parse_measures(run_id: str, text: object) -> Measured:
    """Return the measures in a column; raises RowError if they are not as `make_epoch_row` writes them."""
    if text is None:
        return {}
    try:
        found = _MEASURES.validate_json(text)  # type: ignore[arg-type]
    except ValidationError as error:
        raise RowError("epochs", run_id, "the measures of an epoch are damaged") from error
    return found

"""What the store knows of its runs, as lists and pages show it; and rows of the database as facts."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from asymbp_cli.datasets.decoded import DataInfo
from asymbp_cli.events import EpochEnded
from asymbp_cli.results.database import RowError, parsed
from asymbp_cli.specs.methods import method_name
from asymbp_cli.specs.runs import Run

EPOCH_COLUMNS = tuple(field.name for field in fields(EpochEnded))


@dataclass(frozen=True)
class RunSummary:
    """A run as a list of runs shows it."""

    id: str
    method: str  # the paper's name
    dataset: str  # its label
    rate_multiplier: float
    seed: int
    state: str | None  # "finished", "collapsed", "diverged", "failed"; None: not done
    epochs: int  # stored
    epochs_wanted: int
    best: tuple[int, int, int] | None  # test error of the epoch that the rule selects: wrong, seen, epoch
    updated: float  # seconds since 1970

    @property
    def progress(self) -> str:
        """Return the state, or how far the run has come: `7/20`."""
        return self.state or f"{self.epochs}/{self.epochs_wanted}"

    @property
    def best_percent(self) -> float | None:
        """Return that test error in percent."""
        return 100 * self.best[0] / self.best[1] if self.best else None


@dataclass(frozen=True)
class Attempt:
    """One try at training a run; `outcome` is None while it lasts."""

    started: float  # seconds since 1970
    ended: float | None
    start_epoch: int
    host: str
    device: str
    software: Mapping[str, str]  # package -> version
    git: str | None
    outcome: str | None  # "finished", "failed", "interrupted"
    message: str | None
    traceback: str | None


@dataclass(frozen=True)
class RunDetail:
    """Everything that is known of a run."""

    summary: RunSummary
    run: Run
    attempts: tuple[Attempt, ...]
    epochs: tuple[EpochEnded, ...]


class Spent(NamedTuple):
    """What a run has cost so far."""

    epochs: int
    seconds: float


ATTEMPT_COLUMNS = tuple(field.name for field in fields(Attempt))

_CRITERION = "coalesce(1.0 * validation_wrong / validation_seen, 1.0 * test_wrong / test_seen)"

#: the row of `EPOCH_COLUMNS` that the rule selects, of every run in :runs (JSON): lowest criterion, earliest epoch
SELECTED = f"""
    SELECT {", ".join(EPOCH_COLUMNS)} FROM (
        SELECT *, row_number() OVER (PARTITION BY run ORDER BY {_CRITERION}, epoch) AS place
        FROM epochs WHERE run IN (SELECT value FROM json_each(:runs)))
    WHERE place = 1"""

#: one row per run whose id starts with :prefix, for `summary`
SUMMARIES = f"""
    WITH ranked AS (
        SELECT run, epoch, test_wrong, test_seen, count(*) OVER (PARTITION BY run) AS stored,
            row_number() OVER (PARTITION BY run ORDER BY {_CRITERION}, epoch) AS place
        FROM epochs WHERE substr(run, 1, length(:prefix)) = :prefix)
    SELECT runs.id, runs.spec, datasets.info, runs.state, runs.updated,
        (SELECT outcome FROM attempts WHERE run = runs.id ORDER BY started DESC LIMIT 1),
        stored, test_wrong, test_seen, ranked.epoch
    FROM runs JOIN datasets ON datasets.fingerprint = runs.dataset
        LEFT JOIN ranked ON ranked.run = runs.id AND ranked.place = 1
    WHERE substr(runs.id, 1, length(:prefix)) = :prefix
    ORDER BY runs.updated DESC, runs.id"""

#: (run, message) of runs whose last attempt failed
FAILURES = """
    SELECT run, message FROM attempts JOIN runs ON runs.id = run
    WHERE runs.state IS NULL AND outcome = 'failed'
        AND started = (SELECT max(started) FROM attempts AS later WHERE later.run = attempts.run)"""


def summary(row: tuple[Any, ...]) -> RunSummary:
    """Return one row of `SUMMARIES` as a fact."""
    run_id, spec, info, state, updated, outcome, stored, wrong, seen, epoch = row
    run = parsed(Run, spec, "runs", "id", run_id)
    return RunSummary(
        id=run_id,
        method=method_name(run.method),
        dataset=parsed(DataInfo, info, "datasets", "fingerprint", run.dataset).label,
        rate_multiplier=run.rate_multiplier,
        seed=run.seed,
        state=state or ("failed" if outcome == "failed" else None),
        epochs=stored or 0,
        epochs_wanted=run.protocol.epochs,
        best=(wrong, seen, epoch) if stored else None,
        updated=updated,
    )


def attempt(row: tuple[Any, ...]) -> Attempt:
    """Return a row of `ATTEMPT_COLUMNS` as a fact."""
    named = dict(zip(ATTEMPT_COLUMNS, row, strict=True))
    try:
        software = json.loads(named["software"])
    except ValueError:
        software = None
    if not isinstance(software, dict):
        raise RowError("attempts", "started", repr(named["started"]), "software is no mapping")
    return Attempt(**named | {"software": software})


def epoch_ended(row: tuple[Any, ...]) -> EpochEnded:
    """Return a row of `EPOCH_COLUMNS` as the event that it was; SQLite keeps not-a-number as NULL."""
    named = dict(zip(EPOCH_COLUMNS, row, strict=True))
    for loss in ("train_loss", "test_loss"):
        named[loss] = math.nan if named[loss] is None else named[loss]
    return EpochEnded(**named | {flag: bool(named[flag]) for flag in ("one_class", "diverged")})

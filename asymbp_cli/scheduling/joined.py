"""Which shards of a study a store has, by the marks on its commands and by the runs themselves."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from asymbp_cli.recipe.grid import Grid
from asymbp_cli.results.contents import StoredGrid
from asymbp_cli.scheduling.shards import collect_runs, divide, identify_study
from asymbp_cli.specs.runs import Run
from asymbp_cli.specs.shards import Mark, Shard, split_mark


@dataclass
class Study:
    """A study that was divided: what asked for its shards."""

    id: str
    commands: dict[Shard, str] = field(default_factory=dict)  # as they were typed
    grids: list[Grid] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return its tables: `table-2 (quick)`."""
        return ", ".join(dict.fromkeys(f"{grid.key} ({grid.protocol_label})" for grid in self.grids))


@dataclass(frozen=True)
class Progress:
    """How far a study is that was divided into `count` shards."""

    count: int
    missing: tuple[int, ...]  # shards of which no run was trained
    unfinished: tuple[int, ...]  # shards of which some runs have not ended
    left: int  # runs that have not ended; 0 if that cannot be told
    total: int  # its runs; 0 if they are not known

    @property
    def is_complete(self) -> bool:
        """Return whether nothing is missing."""
        return not (self.missing or self.unfinished)


def read_marks(grids: Iterable[StoredGrid]) -> dict[Mark, str]:
    """Return the marks on the commands of tables, each with its command."""
    found = (split_mark(command) for stored in grids for command in stored.commands)
    return {mark: command for command, mark in found if mark}


def find_studies(grids: Collection[StoredGrid]) -> dict[str, Study]:
    """Return the studies that commands on tables were shards of, by id."""
    studies: dict[str, Study] = {}
    for stored in grids:
        for mark, command in read_marks([stored]).items():
            study = studies.setdefault(mark.study, Study(mark.study))
            study.commands[mark.shard] = command
            if stored.grid not in study.grids:
                study.grids.append(stored.grid)
    return studies


def find_runs(study_id: str, stores: Iterable[Collection[StoredGrid]]) -> dict[str, Run] | None:
    """Return the runs of a study by id, as the first of several stores knows them; None if none does.

    The tables of a store have other runs, too, if it was asked for more.
    """
    for grids in stores:
        study = find_studies(grids).get(study_id)
        runs = collect_runs(study.grids) if study else {}
        if runs and identify_study(runs) == study_id:
            return runs
    return None


def follow(
    study: Study,
    count: int,
    runs: Mapping[str, Run] | None,
    train_counts: Mapping[str, int],
    begun: Collection[str],
    ended: Collection[str],
) -> Progress:
    """Return how far a study is, given the ids of runs that have epochs and of those that have ended.

    If its runs are not known, a shard counts as trained once a command has asked for it.
    """
    if runs is None:
        asked = {shard.number for shard in study.commands if shard.count == count}
        return Progress(count, tuple(n for n in range(1, count + 1) if n not in asked), (), 0, 0)
    missing, unfinished = list[int](), list[int]()
    for number, part in enumerate(divide(runs, train_counts, count), 1):
        if not all(run_id in ended for run_id in part):
            (unfinished if any(run_id in begun for run_id in part) else missing).append(number)
    left = sum(run_id not in ended for run_id in runs)
    return Progress(count, tuple(missing), tuple(unfinished), left, len(runs))

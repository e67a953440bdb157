"""Which shards of a study a store has, by the marks on its commands and by the runs themselves."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from asymbp_cli.recipe.grid import Grid
from asymbp_cli.results.contents import StoredGrid
from asymbp_cli.scheduling.shards import collect_runs, divide, identify_division, identify_study
from asymbp_cli.specs.runs import Run
from asymbp_cli.specs.shards import Mark, split_mark


@dataclass
class Study:
    """A study that was divided into `count` shards: what asked for them."""

    id: str
    count: int
    marks: dict[Mark, str] = field(default_factory=dict)  # with the commands as they were typed
    grids: list[Grid] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return its tables: `table-2 (quick)`."""
        return ", ".join(dict.fromkeys(f"{grid.key} ({grid.protocol_label})" for grid in self.grids))

    @property
    def divisions(self) -> set[str]:
        """Return the ids of the divisions that its shards are of; versions that divide alike make one."""
        return {mark.division for mark in self.marks}


@dataclass(frozen=True)
class Coverage:
    """How far a study is.

    Shards are known by their runs, or else (`begun`) by the commands that asked for them.
    """

    present: tuple[int, ...]  # shards of which all runs have ended; or that were begun
    unfinished: tuple[int, ...]  # shards of which some runs have not ended
    missing: tuple[int, ...]  # shards of which no run was trained; or that were not begun
    left: int | None  # runs that have not ended; None: it is not known which runs there are
    total: int | None  # its runs
    begun: bool = False

    @property
    def is_complete(self) -> bool:
        """Return whether all runs have ended; or whether all shards were begun, if the runs are not known."""
        return not (self.missing if self.left is None else self.left)


def read_marks(grids: Iterable[StoredGrid]) -> dict[Mark, str]:
    """Return the marks on the commands of tables, each with its command."""
    found = (split_mark(command) for stored in grids for command in stored.commands)
    return {mark: command for command, mark in found if mark}


def find_studies(grids: Collection[StoredGrid]) -> dict[tuple[str, int], Study]:
    """Return the studies that commands on tables were shards of, by id and number of shards."""
    studies: dict[tuple[str, int], Study] = {}
    for stored in grids:
        for mark, command in read_marks([stored]).items():
            key = mark.study, mark.shard.count
            study = studies.setdefault(key, Study(*key))
            study.marks[mark] = command
            if stored.grid not in study.grids:
                study.grids.append(stored.grid)
    return studies


def find_runs(study: Study, stores: Iterable[Collection[StoredGrid]]) -> dict[str, Run] | None:
    """Return the runs of a study by id, as the first of several stores knows them; None if none does.

    The tables of a store have other runs, too, if it was asked for more.
    """
    for grids in stores:
        known = find_studies(grids).get((study.id, study.count))
        runs = collect_runs(known.grids) if known else {}
        if runs and identify_study(runs) == study.id:
            return runs
    return None


def follow(
    study: Study,
    runs: Mapping[str, Run] | None,
    train_counts: Mapping[str, int],
    begun: Collection[str],
    ended: Collection[str],
) -> Coverage:
    """Return how far a study is, given the ids of runs that have epochs and of those that have ended.

    The runs of each shard are known if this version divides the study as those did that trained it.
    """
    left, total = (None, None) if runs is None else (sum(run_id not in ended for run_id in runs), len(runs))
    parts = _divide_alike(study, runs, train_counts)
    if parts is None:
        asked = {mark.shard.number for mark in study.marks}
        others = tuple(number for number in range(1, study.count + 1) if number not in asked)
        return Coverage(tuple(sorted(asked)), (), others, left, total, begun=True)
    present, unfinished, missing = list[int](), list[int](), list[int]()
    for number, part in enumerate(parts, 1):
        if all(run_id in ended for run_id in part):
            present.append(number)
        else:
            (unfinished if any(run_id in begun for run_id in part) else missing).append(number)
    return Coverage(tuple(present), tuple(unfinished), tuple(missing), left, total)


def _divide_alike(
    study: Study, runs: Mapping[str, Run] | None, train_counts: Mapping[str, int]
) -> list[list[str]] | None:
    """Return the ids of the runs of each shard; None if that cannot be told."""
    if runs is None or any(run.dataset not in train_counts for run in runs.values()):
        return None
    parts = divide(runs, train_counts, study.count)
    return parts if study.divisions == {identify_division(parts)} else None

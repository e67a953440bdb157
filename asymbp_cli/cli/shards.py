"""What `asymbp store merge` says of studies that were divided among machines."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from asymbp_cli.errors import UsageError
from asymbp_cli.recipe.grid import Grid
from asymbp_cli.report.text import head_tables
from asymbp_cli.results.source import Source
from asymbp_cli.results.store import Store
from asymbp_cli.scheduling.joined import Coverage, Study, find_runs, find_studies, follow, read_marks
from asymbp_cli.text import printable_path

_TRAIN_HERE = "train the rest here: the same command without --shard"


@dataclass(frozen=True)
class Joined:
    """A study of which sources have shards, and how far it is once they are merged."""

    study: Study
    coverage: Coverage
    title: str  # of its tables, with their protocols
    places: Mapping[int, Sequence[str]]  # shard -> the sources that have it

    @property
    def overlaps(self) -> dict[int, Sequence[str]]:
        """Return the shards that several sources have, with these."""
        return {number: names for number, names in self.places.items() if len(names) > 1}


def check_shards(sources: Sequence[tuple[str, Source]]) -> None:
    """Raise UsageError if a source has a shard of another study in place of one that most sources lack.

    Its command was most likely typed otherwise.
    """
    marks = [(name, read_marks(source.grids.values())) for name, source in sources]
    found: dict[int, dict[str, set[int]]] = {}  # number of shards -> study -> shards
    for _, commands in marks:
        for mark in commands:
            found.setdefault(mark.shard.count, {}).setdefault(mark.study, set()).add(mark.shard.number)
    for name, commands in marks:
        for mark, command in commands.items():
            studies = found[mark.shard.count]
            largest = max(studies, key=lambda study: len(studies[study]))
            is_needed = mark.shard.number not in studies[largest]
            if is_needed and all(other.study != largest for other in commands):
                raise UsageError(
                    f"{name}: its shard {mark.shard} is of another study than most shards, which lack this one. "
                    f"Its command asks for other runs ({printable_path(command)}). Nothing was merged. Leave it "
                    "out, or merge it by itself"
                )


def join_shards(sources: Sequence[tuple[str, Source]], store: Store) -> list[Joined]:
    """Return the studies of which sources have shards, after these were merged into the store."""
    marks = [(name, mark) for name, source in sources for mark in read_marks(source.grids.values())]
    wanted = dict.fromkeys((mark.study, mark.shard.count) for _, mark in marks)
    if not wanted:
        return []
    merged = store.stored_grids().values()
    studies, known = find_studies(merged), [*(source.grids.values() for _, source in sources), merged]
    train_counts = {key: info.train_count for key, info in store.datasets().items()}
    ended = store.finished_ids()
    joined = []
    for key in wanted:
        study, places = studies[key], dict[int, dict[str, None]]()
        for name, mark in marks:
            if (mark.study, mark.shard.count) == key:
                places.setdefault(mark.shard.number, {})[name] = None
        runs = find_runs(study, known)
        coverage = follow(study, runs, train_counts, store.spent(runs or ()), ended)
        title = "; ".join(dict.fromkeys(head_in(study.grids, [stored.grid for stored in merged])))
        numbered = {number: tuple(places[number]) for number in sorted(places)}
        joined.append(Joined(study, coverage, title, numbered))
    return joined


def head_in(grids: Sequence[Grid], stored: Sequence[Grid]) -> list[str]:
    """Return the names of tables among those in the store: title, word for `--table`, and protocol."""
    heads = head_tables([*grids, *stored])
    return [f"{head}, protocol {grid.protocol_label}" for head, grid in zip(heads, grids, strict=False)]


def record_shards(source: str, joined: Sequence[Joined]) -> list[dict[str, Any]]:
    """Return the studies of which a source has shards: which ones, and what is known of the whole study."""
    return [
        {
            "study": one.study.id,
            "name": one.study.name,
            "shards": one.study.count,
            "in_source": [number for number, names in one.places.items() if source in names],
            "divisions": len(one.study.divisions),
            **asdict(one.coverage),
            "overlaps": [{"shard": number, "sources": names} for number, names in one.overlaps.items()],
        }
        for one in joined
        if any(source in names for names in one.places.values())
    ]


def describe_shards(joined: Sequence[Joined]) -> Iterator[str]:
    """Yield how far each study is, and which of its shards several sources have."""
    for one in joined:
        count = one.study.count
        yield f"{one.title}: {_describe_coverage(one.study, one.coverage)}"
        for number, names in one.overlaps.items():
            yield f"{one.title}: shard {number} of {count} is in {_list(names)}"


def _describe_coverage(study: Study, coverage: Coverage) -> str:
    """Return which shards are missing, or that none is, and what to do."""
    whole, left = f"{study.count} of {study.count} shards", ""
    if coverage.left is not None:
        left = f" ({coverage.left:,} of {coverage.total:,} runs)"
    if coverage.is_complete and left:
        return f"{whole}, all {coverage.total:,} runs have ended"
    remedy = _TRAIN_HERE
    if coverage.is_complete:
        facts = [f"{whole} were begun, but whether all runs have ended cannot be told"]
    elif len(study.divisions) > 1:
        facts = [f"its shards are of {len(study.divisions)} divisions, as other versions of asymbp make them"]
    else:
        facts = [
            *_describe_numbers(coverage.missing, study.count, "missing"),
            *_describe_numbers(coverage.unfinished, study.count, "not done"),
        ]
        if facts:
            remedy = f"train and merge them too, or {_TRAIN_HERE}"
        else:
            facts = [f"{whole} were begun, and not all are done"]
    return f"{', '.join(facts)}{left}. {remedy[0].upper()}{remedy[1:]}"


def _describe_numbers(numbers: Sequence[int], count: int, state: str) -> Iterator[str]:
    if numbers:
        is_one = len(numbers) == 1
        yield f"shard{'s' * (not is_one)} {_list(numbers)} of {count} {'is' if is_one else 'are'} {state}"


def _list(words: Sequence[object]) -> str:
    *first, last = map(str, words)
    return f"{', '.join(first)} and {last}" if first else last

"""What `asymbp store merge` says of studies that were divided among machines."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from asymbp_cli.results.source import Source
from asymbp_cli.results.store import Store
from asymbp_cli.scheduling.joined import Progress, Study, find_runs, find_studies, follow, read_marks
from asymbp_cli.specs.shards import Mark
from asymbp_cli.text import printable_path


def describe_shards(sources: Iterable[tuple[str, Source]], store: Store) -> list[str]:
    """Return a line for each study of which shards were merged, and for each source that is of another study."""
    named = list(sources)
    marks = {name: read_marks(source.grids.values()) for name, source in named}
    wanted = dict.fromkeys((mark.study, mark.shard.count) for found in marks.values() for mark in found)
    if not wanted:
        return []
    merged = store.stored_grids().values()
    studies = find_studies(merged)
    known = [*(source.grids.values() for _, source in named), merged]
    train_counts = {key: info.train_count for key, info in store.datasets().items()}
    ended = store.finished_ids()
    progress: dict[tuple[str, int], Progress] = {}
    for key, count in wanted:
        runs = find_runs(key, known)
        begun = store.spent(runs or ())
        progress[key, count] = follow(studies[key], count, runs, train_counts, begun, ended)
    lines = [_describe_progress(studies[key], found) for (key, _), found in progress.items()]
    return [*lines, *_describe_strays(marks, studies, progress)]


def _describe_progress(study: Study, progress: Progress) -> str:
    """Return which shards are missing, or that none is."""
    name, count = study.name, progress.count
    if progress.is_complete:
        ended = f", all {progress.total:,} runs have ended" if progress.total else ""
        return f"{name}: {count} of {count} shards{ended}"
    facts = [
        *_describe_numbers(progress.missing, count, "missing"),
        *_describe_numbers(progress.unfinished, count, "not done"),
    ]
    left = f" ({progress.left:,} of {progress.total:,} runs)" if progress.total else ""
    return (
        f"{name}: {', '.join(facts)}{left}. Train and merge them too, or train the rest here: the same command "
        "without --shard"
    )


def _describe_numbers(numbers: Sequence[int], count: int, state: str) -> Iterator[str]:
    if len(numbers) == 1:
        yield f"shard {numbers[0]} of {count} is {state}"
    elif numbers:
        yield f"shards {', '.join(map(str, numbers[:-1]))} and {numbers[-1]} of {count} are {state}"


def _describe_strays(
    marks: Mapping[str, Mapping[Mark, str]],
    studies: Mapping[str, Study],
    progress: Mapping[tuple[str, int], Progress],
) -> Iterator[str]:
    """Yield which sources have shards of an incomplete study, while more shards are of another one."""
    for name, found in marks.items():
        for mark, command in found.items():
            count = mark.shard.count
            largest = max(studies.values(), key=lambda study: _count_shards(study, count))
            if progress[mark.study, count].is_complete or any(other.study == largest.id for other in found):
                continue
            yield (
                f"{name}: its shard {mark.shard} is not part of the study of most shards, as its command asks for "
                f"other runs ({printable_path(command)}). They were merged all the same"
            )


def _count_shards(study: Study, count: int) -> int:
    return sum(shard.count == count for shard in study.commands)

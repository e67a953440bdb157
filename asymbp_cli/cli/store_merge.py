"""`asymbp store merge`."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asymbp_cli.cli import options
from asymbp_cli.cli.streams import note_kept
from asymbp_cli.cli.waiting import say
from asymbp_cli.errors import StoreError, UsageError
from asymbp_cli.files.paths import FILE_NAME, exists, is_file
from asymbp_cli.text import count, nearest_path, printable_path

if TYPE_CHECKING:
    from asymbp_cli.events import EpochEnded
    from asymbp_cli.recipe.grid import Grid
    from asymbp_cli.report.document import Listing
    from asymbp_cli.results.contents import StoredRun
    from asymbp_cli.results.merge import Difference, Merged
    from asymbp_cli.results.source import Source

_INPUT = Path("-")


@click.command("merge", short_help="Add exported files, or other results directories.")
@click.argument("sources", nargs=-1, required=True, metavar="FILE|DIR...", type=options.UserPath())
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON list: run ids, tables and shards, source by source."
)
@options.results_to_extend
def command(sources: tuple[Path, ...], as_json: bool, results_directory: Path) -> int:
    """Add exported files, or other results directories, to the results. - is standard input.

    A run that both have with the same counts is one; of an unfinished one the longer training is kept. Runs
    whose counts differ are listed. The results keep theirs, and the exit code is 1. All sources are merged or
    none: nothing is if a file is damaged, or a study is writing to the results. Sources are only read. Their
    checkpoints and kept weights stay where they are. Of a study that was trained with --shard, missing shards are
    named. A shard of another study in place of a missing one is refused.

    \b
    Example:
      asymbp store merge results.jsonl.xz
      asymbp store merge a.jsonl.xz b.jsonl.xz ../other/results --results results
      asymbp store merge shard1 shard2 shard3 --results joined
    """
    from asymbp_cli.cli.shards import check_shards, describe_shards, join_shards, record_shards
    from asymbp_cli.results.merge import add_sources
    from asymbp_cli.results.store import Store

    names = [printable_path(source) for source in sources]

    with ExitStack() as stack:
        found = [stack.enter_context(closing(_load(source, results_directory))) for source in sources]
        named = list(zip(names, found, strict=True))
        check_shards(named)
        with Store.open(results_directory, on_wait=say) as store, store.writing(say):
            results = add_sources(found, store)
            note_kept("The results are merged")
            joined = join_shards(named, store)
            grids = store.grids()
    outcomes = list(zip(names, results, strict=True))
    if as_json:
        click.echo(
            json.dumps([_record(*outcome) | {"shards": record_shards(outcome[0], joined)} for outcome in outcomes])
        )
    else:
        for outcome in outcomes:
            _print_outcome(*outcome, grids)
        for line in describe_shards(joined):
            click.echo(line)
        for source, merged in zip(sources, results, strict=True):
            _tell_of_weights(source, merged, results_directory)
    return int(any(merged.different for merged in results))


def _record(name: str, merged: "Merged") -> dict[str, object]:
    return {
        "source": name,
        "new": merged.new,
        "longer": merged.longer,
        "same": merged.same,
        "different": [_record_difference(difference) for difference in merged.different],
        "moved": [
            {"table": moved.grid.key, "protocol": moved.grid.protocol_label, "count": moved.count}
            for moved in merged.moved
        ],
    }


def _record_difference(difference: "Difference") -> dict[str, object]:
    sides = {"kept": difference.kept, "other": difference.other}
    return {
        "run": difference.run,
        "epoch": difference.epoch,
        **{side: _record_side(stored, difference.epoch) for side, stored in sides.items()},
    }


def _record_side(stored: "StoredRun", epoch: int | None) -> dict[str, object]:
    """Return how a run ended, where it was trained last, and its counts in an epoch; None: it has none."""
    event = _find_epoch(stored, epoch)
    names = ("train_wrong", "train_seen", "test_wrong", "test_seen", "validation_wrong", "validation_seen")
    counts = {name: getattr(event, name) for name in names} if event else None
    return {"state": stored.state, "processor": _processor(stored), "counts": counts}


def _print_outcome(name: str, merged: "Merged", grids: "Sequence[Grid]") -> None:
    from asymbp_cli.cli.shards import head_in

    click.echo(f"{name}: {_count(merged)}")
    for moved in merged.moved:
        (table,) = head_in([moved.grid], grids)
        verb = "comes" if moved.count == 1 else "come"
        click.echo(f"{name}: {table}: {count(moved.count, 'cell')} now {verb} from other runs")
    if merged.different:
        from asymbp_cli.cli import console

        listing = _list_differences(merged.different, name)
        console.print_listing(console.make_console(stderr=False), listing)


def _tell_of_weights(source: Path, merged: "Merged", results_directory: Path) -> None:
    """Say that the weights of runs stay in the directory that they come from, before somebody deletes it."""
    from asymbp_cli.training.weight_files import weights_directory, weights_path

    there, here = weights_directory(source), weights_directory(results_directory)
    runs = (*merged.new, *merged.longer, *merged.same)
    left = [run for run in runs if is_file(weights_path(there, run)) and not is_file(weights_path(here, run))]
    if left:
        click.echo(
            f"the weights of {count(len(left), 'run')} stay in {printable_path(there)}/. To export them here, "
            f"copy them into {printable_path(here)}/",
            err=True,
        )


def _load(source: Path, results_directory: Path) -> "Source":
    """Return the results in an exported file or a results directory; raises StoreError, UsageError."""
    from asymbp_cli.results.export import decode
    from asymbp_cli.results.source import read_directory

    if source == _INPUT:
        return decode(sys.stdin.buffer.read(), Path("standard input"))
    if not exists(source):
        hint = nearest_path(source, lambda path: path.suffix == source.suffix)
        raise UsageError(
            f"there is no file or directory {printable_path(source)}.{hint} "
            "Name a file that asymbp store export has written, or a results directory"
        )
    if source.name == FILE_NAME:
        raise UsageError(f"{printable_path(source)} is the database of a results directory. Name the directory")
    if is_file(source) or source.is_fifo():
        try:
            return decode(source.read_bytes(), source)
        except OSError as error:
            raise StoreError(f"cannot read {printable_path(source)}: {error.strerror}") from error
    if exists(results_directory) and source.samefile(results_directory):
        raise UsageError(f"{printable_path(source)}/ is the results directory itself. Name another one")
    return read_directory(source)


def _count(merged: "Merged") -> str:
    parts = {
        "new": merged.new,
        "longer than before": merged.longer,
        "already there": merged.same,
        "with other numbers, not merged": merged.different,
    }
    total = sum(map(len, parts.values()))
    details = ", ".join(f"{len(runs):,} {what}" for what, runs in parts.items() if runs)
    return f"{count(total, 'run')}: {details}" if details else "no runs"


def _list_differences(differences: "Sequence[Difference]", source: str) -> "Listing":
    from asymbp_cli.report.document import Listing

    header = ("run", "what", "epoch", "kept: wrong in training, test", f"{source}: wrong in training, test")
    rows = tuple(_describe_difference(difference) for difference in differences)
    return Listing("Runs with other numbers", header, rows, tuple(_note_reasons(differences)))


def _describe_difference(difference: "Difference") -> tuple[str, ...]:
    from asymbp_cli.specs.methods import method_name

    run, epoch = difference.kept.run, difference.epoch
    sides = (difference.kept, difference.other)
    return (
        difference.run,
        f"{method_name(run.method)} x{run.rate_multiplier:g}, seed {run.seed}",
        "-" if epoch is None else str(epoch),
        *(_describe_side(side, epoch) for side in sides),
    )


def _describe_side(stored: "StoredRun", epoch: int | None) -> str:
    event = _find_epoch(stored, epoch)
    if event is None:
        return stored.state or "not done"
    return f"{event.train_wrong:,} of {event.train_seen:,}, {event.test_wrong:,} of {event.test_seen:,}"


def _find_epoch(stored: "StoredRun", epoch: int | None) -> "EpochEnded | None":
    return next((event for event in stored.epochs if event.epoch == epoch), None)


def _note_reasons(differences: "Sequence[Difference]") -> Iterator[str]:
    """Yield what happened, and what may explain the differences: other instruction sets or devices."""
    yield "Epoch: the first that differs. The results that were there are kept, and nothing is averaged."
    pairs = [(_processor(difference.kept), _processor(difference.other)) for difference in differences]
    others = [(kept, other) for kept, other in pairs if kept and other and kept != other]
    if others:
        names = "; ".join(f"{kept} here, {other} there" for kept, other in dict.fromkeys(others))
        yield f"Processors, whose bits differ, may be why for {len(others)} of them: {names}."


def _processor(stored: "StoredRun") -> str | None:
    """Return the instruction set of the last attempt at a run, or its device if that is not the CPU."""
    if not stored.attempts:
        return None
    last = stored.attempts[-1]
    return last.instruction_set or (None if last.device.startswith("cpu") else last.device)

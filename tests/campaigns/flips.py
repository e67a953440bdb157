"""Flips single bits in every kind of file that asymbp keeps, and counts which damage is believed.

PYTHONPATH=tests python tests/campaigns/flips.py COUNT [SEED]: COUNT flips of each kind. Exit code 1 if one is
believed, ends in a traceback, or stops a study.
"""

import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import small_study
import torch
from click.testing import CliRunner
from foreign_results import decode

from asymbp_cli.cli.app import cli
from asymbp_cli.datasets.prepare import prepare
from asymbp_cli.datasets.resident import load
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.errors import AsymbpError
from asymbp_cli.results.export import encode
from asymbp_cli.results.store import Store
from asymbp_cli.training import checkpoint
from asymbp_cli.training.resume import saved_epoch

OLD = Path(__file__).parents[1] / "results" / "old_store" / "results"
Judge = Callable[[], str]  # of a file as it is: "noticed", "harmless" or "believed"


@contextmanager
def flipped(file: Path, bit: int) -> Iterator[None]:
    """Have one bit of a file the other way, with the file's times as they were."""
    content, status = file.read_bytes(), file.stat()
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    try:
        file.write_bytes(damaged)
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
        yield
    finally:
        file.write_bytes(content)
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def judge_checkpoint(directory: Path, run: str) -> Judge:
    """Return the judge of a checkpoint: the run starts anew, or continues from what was saved."""
    whole = checkpoint.read(directory, run)

    def judge() -> str:
        if saved_epoch(directory, run) == 0:
            return "noticed"
        found = checkpoint.read(directory, run)
        same = (found.epoch, found.diverged) == (whole.epoch, whole.diverged)
        same = same and torch.equal(found.weights, whole.weights) and torch.equal(found.state, whole.state)
        return "harmless" if same else "believed"

    return judge


def judge_cache(cache: Path) -> Judge:
    """Return the judge of a decoded dataset: what is trained on is what its fingerprint says."""

    def look() -> tuple[object, ...]:
        info = prepare("digits", (8, 8, 1), DataSource(cache_dir=cache))
        data = load(info)
        arrays = (data.train.x, data.train.y, data.test.x, data.test.y, data.mean)
        return info, *(array.numpy().tobytes() for array in arrays)

    whole = look()
    return lambda: "noticed" if look() == whole else "believed"  # decoded again, or not read


def judge_store(directory: Path) -> Judge:
    """Return the judge of a database: all that is in it and printed of it is what it was, or it is refused."""

    def look() -> object:
        with Store.open(directory, create=False) as store:
            stored = store.contents(), store.datasets(), store.runs(), store.states(), store.failures()
        printed = [print_of(command, directory) for command in (["report", "--to", "csv"], ["ls", "runs"])]
        return repr(stored), printed

    whole = look()

    def judge() -> str:
        try:
            return "harmless" if look() == whole else "believed"
        except AsymbpError:
            return "noticed"

    return judge


def print_of(command: list[str], directory: Path) -> str:
    """Return what a command that reads results prints; raises AsymbpError."""
    return CliRunner().invoke(cli, [*command, "--results", str(directory)], catch_exceptions=False).output


def judge_export(file: Path) -> Judge:
    """Return the judge of an exported file: it is refused."""

    def judge() -> str:
        try:
            decode(file.read_bytes(), file)
        except AsymbpError:
            return "noticed"
        return "believed"

    return judge


def make_files(directory: Path) -> dict[str, tuple[list[Path], Judge]]:
    """Train a small study into a directory; return the files of each kind, and their judge."""
    results, cache = directory / "results", directory / "cache"
    kept: dict[str, bytes] = {}

    def keep(event: object) -> None:
        kept.update({path.name: path.read_bytes() for path in small_study.checkpoints(results)})

    small_study.train_digits(results, cache, on_event=keep, checkpoint_seconds=0.0)
    name, content = next((name, content) for name, content in kept.items() if not name.startswith("."))
    saved = directory / "saved" / name
    saved.parent.mkdir()
    saved.write_bytes(content)
    exported = directory / "all.jsonl.xz"
    with Store.open(results, create=False) as store:
        exported.write_bytes(encode(store.contents()))
    old = shutil.copytree(OLD, directory / "old")
    Store.open(old).close()  # brought to the present version; its runs are unfinished
    arrays = [file for file in cache.rglob("*") if file.is_file() and file.name[0] != "."]
    return {
        "checkpoint": ([saved], judge_checkpoint(saved.parent, saved.stem)),
        "decoded dataset": (arrays, judge_cache(cache)),
        "database": ([results / "asymbp.sqlite"], judge_store(results)),
        "database of an earlier version": ([old / "asymbp.sqlite"], judge_store(old)),
        "exported file": ([exported], judge_export(exported)),
    }


def try_flips(files: list[Path], judge: Judge, count: int, source: random.Random) -> Counter[str]:
    """Return how often a flip is noticed, harmless, believed, or ends in an error that is none of ours."""
    found: Counter[str] = Counter()
    for _ in range(count):
        file = source.choice(files)
        header = min(file.stat().st_size, 1024)  # where damage matters most, half of the time
        bit = source.randrange(8 * (header if source.random() < 0.5 else file.stat().st_size))
        with flipped(file, bit):
            try:
                outcome = judge()
            except Exception as error:
                outcome = f"{type(error).__name__} in {file.name}, bit {bit}: {str(error)[:80]}"
        found[outcome] += 1
    return found


def run(count: int, seed: int) -> dict[str, Counter[str]]:
    """Return what became of the flips in each kind of file."""
    with tempfile.TemporaryDirectory() as directory:
        return {
            kind: try_flips(files, judge, count, random.Random(f"{seed}/{kind}"))
            for kind, (files, judge) in make_files(Path(directory)).items()
        }


def main(count: int, seed: int) -> int:
    """Print what became of the flips; return the exit code."""
    bad = 0
    for kind, found in run(count, seed).items():
        bad += sum(number for outcome, number in found.items() if outcome not in ("noticed", "harmless"))
        print(f"{kind}: {count} tried; " + ", ".join(f"{n} {outcome}" for outcome, n in found.most_common()))
    print(f"{bad} believed or broken")
    return min(bad, 1)


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))

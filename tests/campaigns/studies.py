"""Small studies on the digits as commands, which campaigns disturb until they have finished."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from program import choose_engine
from running_command import Command, obey_interruptions
from tally import Record, Tally

from asymbp_cli.api.asked import prepare_recipe
from asymbp_cli.datasets.source import DataSource
from asymbp_cli.recipe.recipe import load_recipe
from asymbp_cli.results.check import check_results
from asymbp_cli.results.store import Store
from asymbp_cli.study import Execution
from asymbp_cli.study import run as run_study

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("program.py")
METHODS = ("SGD", "uSF+BN")
_EXECUTOR = "executor.yaml"  # the file of it, next to the recipe


#: of a run: its state, and its epochs exact to the bit
Stored = tuple[str | None, list[str]]
#: a context in which a directory is on a disk of its own
Disk = Callable[[Path], AbstractContextManager[object]]


def make_recipe(*methods: str, epochs: int = 60, more: str = "") -> str:
    """Return a recipe of two rates for each method, of some milliseconds an epoch."""
    return f"""dataset: digits
network: {{input: 8x8x1, layers: [FC 8, FC classes]}}
method: [{", ".join(methods or METHODS)}]
protocol: {{extends: demo, epochs: {epochs}, batch_size: 500, rate_multipliers: [1, 0.1]}}
{more}"""


class Study:
    """A recipe and its results in `directory`; its commands are all the same. `often`: a checkpoint an epoch.

    `executor` is the content of a file of one; without it the number of workers is what a command says.
    """

    def __init__(
        self, directory: Path, recipe: str = "", *, often: bool = False, name: str = "study", executor: str = ""
    ) -> None:
        self.directory = directory
        self.results = directory / "results"
        self.recipe = directory / f"{name}.yaml"
        directory.mkdir(parents=True, exist_ok=True)
        self.recipe.write_text(recipe or make_recipe())
        self._executor = executor
        (directory / _EXECUTOR).write_text(executor)
        self._program = [str(PROGRAM)] if often or "FAKE_EPOCH_SECONDS" in os.environ else ["-m", "asymbp_cli"]

    def start(self, workers: int = 1, **options: Any) -> Command:
        """Start to train it, or to go on with it."""
        options = {"preexec_fn": obey_interruptions} | options
        return Command(self._make_arguments(workers), self.directory, self._environment, **options)

    def start_into(self, output: IO[bytes], errors: IO[bytes]) -> "subprocess.Popen[bytes]":
        """Do so, in a process group of its own, with what it prints in files."""
        return subprocess.Popen(
            [sys.executable, *self._make_arguments()],
            cwd=self.directory,
            env=self._environment,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )

    def _make_arguments(self, workers: int = 1) -> list[str]:
        how = ["--executor", _EXECUTOR] if self._executor else ["--workers", str(workers)]
        return [*self._program, "train", "--recipe", self.recipe.name, "--json", *how]

    @property
    def _environment(self) -> dict[str, str]:
        places = [str(ROOT), str(ROOT / "tests"), *sys.path] if self._executor else [str(ROOT)]
        return os.environ | {
            "PYTHONPATH": os.pathsep.join(places),
            "ASYMBP_CACHE": str(self.directory.parent / "cache"),
        }

    def read(self) -> dict[str, Stored]:
        """Return the state of every run, and each epoch exact to the bit but for its duration."""
        with Store.open(self.results, create=False) as store:
            states = store.states()
            epochs = store.epochs(summary.id for summary in store.runs())
        return {
            run: (states.get(run), [repr(replace(event, seconds=0.0)) for event in events])
            for run, events in epochs.items()
        }

    def left_behind(self) -> set[str]:
        """Return the files in the results directory that a finished study does not need."""
        files = {str(path.relative_to(self.results)) for path in self.results.rglob("*") if path.is_file()}
        files = {name for name in files if "/pid-" not in name}  # by which the fake engine tells its processes
        return files - {"asymbp.sqlite", "asymbp.sqlite-wal", "asymbp.sqlite-shm", ".lock"}


def ask(study: Study, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run another command on the results of a study."""
    command = [sys.executable, "-m", "asymbp_cli", *arguments, "--results", str(study.results)]
    return subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)


def train_undisturbed(directory: Path, recipe: str = "") -> dict[str, Stored]:
    """Train a study in `directory`, in this process and without any disturbance; return what it stores."""
    undisturbed = Study(directory / "undisturbed", recipe)
    loaded = load_recipe(undisturbed.recipe)
    source = DataSource(cache_dir=directory / "cache")
    asked = prepare_recipe(loaded, source)
    with Store.open(undisturbed.results) as store:
        by_fingerprint = {info.fingerprint: info for info in asked.infos}
        outcome = run_study(asked.grids, by_fingerprint, store, Execution(**choose_engine()))
    assert not outcome.failed
    return undisturbed.read()


#: starts a command for a study, disturbs it, ends it; returns it, and what was done to it ("" if nothing)
Attempt = Callable[[Study], tuple[Command, str]]


def disturb_studies(
    tally: Tally, attempt: Attempt, *, recipe: str = "", often: bool = False, disk: Disk = nullcontext
) -> None:
    """Disturb commands as often as the tally wants it: of one study after the other, each to its end.

    `disk` is a context in which the directory of a study is on a disk of its own.
    """
    with tempfile.TemporaryDirectory() as directory:
        expected = train_undisturbed(Path(directory), recipe)
        for number in range(10 * tally.goal):
            if not tally.left:
                return
            where = Path(directory) / f"study {number}"
            where.mkdir()
            with disk(where):
                study = Study(where, recipe, often=often)
                finish(study, attempt, tally)
                check_end(study, expected, tally, where.name)
    tally.lost(False, f"{tally.left} attempts came too late")


def finish(study: Study, attempt: Attempt, tally: Tally) -> None:
    """Repeat the command of a study until it ends well, disturbed as often as the tally wants it."""
    record = Record()
    for number in range(10 * tally.goal + 10):
        what = f"{study.directory.name}, command {number}"
        command, done = attempt(study) if tally.left else (study.start(), "")
        code = command.end()
        if done:
            tally.tried[done] += 1
            what = f"{what}, {done}"
        record.note(command.events, tally, what)
        tally.check_words(command.errors, what)
        for fault in command.faults:
            tally.lost(False, f"{what}: {fault}")
        if code == 0:
            return
        tally.lost(done, f"{what}: exit code {code}, undisturbed: {command.errors}")
    tally.lost(False, f"{study.directory.name} does not come to its end")


def check_end(study: Study, expected: object, tally: Tally, what: str) -> None:
    """Check a study that has come to its end: same bits, no damage, and no file is left behind."""
    command = study.start()  # trains nothing, and tidies up
    code = command.end()
    tally.lost(code == 0, f"{what}: a finished study ends with {code}: {command.errors}")
    tally.check_words(command.errors, what)
    started = [event for event in command.events if event["event"] == "StackStarted"]
    tally.lost(not started, f"{what}: a finished study trains {started}")
    tally.believed(study.read() == expected, f"{what}: the results differ from those of the undisturbed study")
    problems = check_results(study.results).problems
    tally.believed(not problems, f"{what}: {problems}")
    tally.lost(not study.left_behind(), f"{what}: {study.left_behind()} stay for ever")

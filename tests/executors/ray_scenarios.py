"""Studies in a Ray cluster of three nodes, one of them the driver's; prints what came of them as JSON.

    python ray_scenarios.py FOLDER SCENARIO ...

It is run where only the loopback interface exists: Ray binds the addresses that a machine has.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS), str(TESTS / "campaigns")]
os.environ["PYTHONPATH"] = os.pathsep.join([str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")])
os.environ["FAKE_EPOCH_SECONDS"] = "0.2"  # of the workers
os.environ["RAY_raylet_start_wait_time_s"] = "60"  # noqa: SIM112  # on a busy machine

import fake_engine  # noqa: E402
import small_study  # noqa: E402
from studies import PROGRAM, make_recipe  # noqa: E402

from asymbp_cli.datasets.prepare import prepare  # noqa: E402
from asymbp_cli.errors import AsymbpError, StudyInterrupted  # noqa: E402
from asymbp_cli.events import CheckpointSaved, EpochEnded  # noqa: E402
from asymbp_cli.executors import StackFailed, StackStarted, StudyEvent  # noqa: E402
from asymbp_cli.executors.ray import executor  # noqa: E402
from asymbp_cli.executors.ray.cluster import import_ray  # noqa: E402
from asymbp_cli.executors.registry import load_executor  # noqa: E402
from asymbp_cli.training.resume import saved_epochs  # noqa: E402

EPOCHS = 12
STARTS = 8  # of a node, at most
DISTURBED_AFTER = int(os.environ.get("DISTURBED_AFTER", "4"))  # epochs
Disturb = Callable[[], None]


class Nodes:
    """A cluster on this machine: a head without workers, and two nodes for one each, which share a cache."""

    def __init__(self, folder: Path) -> None:
        import_ray()
        from ray.cluster_utils import Cluster

        here = os.getcwd()
        (folder / "nodes").mkdir()
        os.chdir(folder / "nodes")  # the driver's relative paths mean nothing there
        self._cluster = Cluster(initialize_head=True, head_node_args=self._arguments(0))
        self._variables = {"ASYMBP_CACHE": str(folder / "cache of nodes"), "TMPDIR": os.environ["RAY_TMPDIR"]}
        self._nodes = [self._add() for _ in range(2)]
        os.chdir(here)
        self.address: str = self._cluster.address
        os.environ["FAKE_EPOCH_SECONDS"] = "0"  # of studies without Ray

    def _arguments(self, cpus: int, **more: object) -> dict[str, Any]:
        given = {"num_cpus": cpus, "num_gpus": 0, "node_ip_address": "127.0.0.1", "include_dashboard": False}
        return given | {"object_store_memory": 80 << 20} | more

    def _add(self) -> Any:
        """Return a new node; on a busy machine some do not come up in the time that Ray gives them."""
        for _ in range(STARTS):
            with suppress(Exception):
                return self._cluster.add_node(**self._arguments(1, env_vars=self._variables))
        raise RuntimeError("no node of Ray comes up here")

    def kill_one(self) -> None:
        """Kill a node with its worker."""
        self._cluster.remove_node(self._nodes.pop(), allow_graceful=False)

    def kill_head(self) -> None:
        """Kill what holds the cluster together."""
        self._cluster.head_node.kill_gcs_server(check_alive=False)

    def close(self) -> None:
        self._cluster.shutdown()


def list_workers() -> list[int]:
    """Return the processes of workers; no others are in sight."""
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    found = [line.split(None, 1) for line in listed.splitlines()]
    return [int(pid) for pid, words in found if words.startswith("ray::Worker")]


class Watch:
    """Told of all events of a study; disturbs it once."""

    def __init__(self, disturb: Disturb | None = None) -> None:
        self.events: list[StudyEvent] = []
        self._disturb = disturb

    def __call__(self, event: StudyEvent) -> None:
        self.events.append(event)
        if self._disturb and isinstance(event, CheckpointSaved) and event.epoch >= DISTURBED_AFTER:
            disturb, self._disturb = self._disturb, None
            disturb()

    @property
    def failures(self) -> list[str]:
        return [f"{e.message}; {e.remedy}" for e in self.events if isinstance(e, StackFailed)]

    @property
    def starts(self) -> list[int]:
        return [event.start_epoch for event in self.events if isinstance(event, StackStarted)]


class Studies:
    """One small study in one directory after the other, and the undisturbed one that they must equal."""

    def __init__(self, folder: Path, address: str | None) -> None:
        self.folder, self._address = folder, address
        info = prepare("digits", (8, 8, 1))
        hidden = os.path.relpath(info.directory)  # from here alone
        self._info = info.model_copy(update={"directory": hidden})
        self.train(folder / "undisturbed", executor="inline")
        self.expected = small_study.numbers(folder / "undisturbed")

    def train(
        self,
        directory: Path,
        watch: Watch | None = None,
        executor: str = "ray",
        **how: Any,
    ) -> Watch:
        """Train the study on, with a checkpoint after every epoch; return what was told of it."""
        info, watch = self._info, watch or Watch()
        wanted = small_study.grid(epochs=EPOCHS, rows=(small_study.row(info.fingerprint),))
        options = load_executor(executor, {"address": self._address} if executor == "ray" else {})
        how = {"train": fake_engine.train, "devices": ("cpu",) * 2, "checkpoint_seconds": 0.0} | how
        infos = {info.fingerprint: info}
        small_study.train(directory, wanted, infos=infos, executor=options, on_event=watch, **how)
        return watch

    def describe(self, directory: Path, watch: Watch, **more: object) -> dict[str, object]:
        """Return what a test wants to know of a study that has ended."""
        same = small_study.numbers(directory) == self.expected
        left = [path.name for path in small_study.checkpoints(directory)]
        return {"same": same, "failures": watch.failures, "starts": watch.starts, "left": left, **more}


def lose_node(studies: Studies, nodes: Nodes) -> dict[str, object]:
    """A node dies with its worker."""
    directory = studies.folder / "node"
    watch = studies.train(directory, Watch(nodes.kill_one))
    cache = sorted(path.name for path in (studies.folder / "cache of nodes/resident").glob("digits-*"))
    return studies.describe(directory, watch, cache=cache)


def lose_worker(studies: Studies, nodes: Nodes) -> dict[str, object]:
    """A worker's process is killed."""
    directory = studies.folder / "worker"
    watch = studies.train(directory, Watch(lambda: os.kill(list_workers()[0], signal.SIGKILL)))
    return studies.describe(directory, watch)


def interrupt(studies: Studies, nodes: Nodes) -> dict[str, object]:
    """Ctrl-C, then the same command again."""
    directory = studies.folder / "interrupted"
    began = 0.0

    def press() -> None:
        nonlocal began
        began = time.monotonic()
        threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start()

    first = Watch(press)
    try:
        studies.train(directory, first)
        return {"interrupted": False}
    except StudyInterrupted as error:
        text, seconds = str(error), time.monotonic() - began
    ended = {event.run: event.epoch for event in first.events if isinstance(event, EpochEnded)}
    saved = saved_epochs(directory / "checkpoints", ended)
    lost = {run: (epoch, saved[run]) for run, epoch in ended.items() if epoch < EPOCHS and saved[run] < epoch}
    workers = list_workers()
    watch = studies.train(directory)
    return studies.describe(directory, watch, text=text, seconds=seconds, lost=lost, workers=workers)


def kill_driver(studies: Studies, nodes: Nodes) -> dict[str, object]:
    """The process of the study is killed, then the same command runs again."""
    directory = studies.folder / "driver"
    child = subprocess.Popen([sys.executable, __file__, str(directory), "--child", nodes.address])
    small_study.wait_for(lambda: len(small_study.checkpoints(directory)) >= 2, 300)
    child.kill()
    child.wait()
    began = time.monotonic()
    small_study.wait_for(lambda: not list_workers(), 120)
    seconds = time.monotonic() - began
    watch = studies.train(directory)
    return studies.describe(directory, watch, seconds=seconds)


def lose_cluster(studies: Studies, nodes: Nodes) -> dict[str, object]:
    """The head dies; the study goes on without Ray."""
    executor._CHECKING_SECONDS, executor._SILENT_SECONDS = 0.2, 1.0
    directory = studies.folder / "cluster"
    first = Watch(nodes.kill_head)
    text = None
    try:
        studies.train(directory, first)
    except AsymbpError as error:
        text = str(error)
    watch = studies.train(directory, executor="inline")
    return studies.describe(directory, watch, text=text)


def compute(studies: Studies, nodes: Nodes) -> dict[str, object]:
    """The engine itself trains, in the cluster and in this process."""
    there, here = studies.folder / "there", studies.folder / "here"
    watch = studies.train(there, train=small_study.real_train)
    studies.train(here, executor="inline", train=small_study.real_train)
    same = small_study.numbers(there) == small_study.numbers(here)
    return studies.describe(there, watch) | {"same": same}


def own(studies: Studies, nodes: Nodes) -> dict[str, object]:
    """A command with a Ray of its own, in a directory whose files nobody may import; what it prints counts."""
    directory = studies.folder / "own"
    directory.mkdir()
    (directory / "platformdirs.py").write_text("raise SystemExit('imported')\n", encoding="utf-8")
    (directory / "recipe.yaml").write_text(make_recipe(epochs=3), encoding="utf-8")
    words = [
        "train",
        "--recipe",
        "recipe.yaml",
        "--results",
        "results",
        "--executor",
        "ray",
        "--workers",
        "2",
        "--json",
    ]
    before = set(Path(tempfile.gettempdir()).glob("asymbp-*"))
    done = subprocess.run([sys.executable, "-P", PROGRAM, *words], cwd=directory, capture_output=True, text=True)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    finished = [event["run"] for event in events if event["event"] == "RunFinished"]
    left = sorted(path.name for path in set(Path(tempfile.gettempdir()).glob("asymbp-*")) - before)
    return {"code": done.returncode, "said": done.stderr, "finished": len(finished), "left": left}


ORDER = (lose_node, lose_worker, interrupt, kill_driver, compute, own, lose_cluster)  # which ends the cluster
SCENARIOS = {found.__name__: found for found in ORDER}


def main(folder: Path, *names: str) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if names[:1] == ("--child",):
        Studies(folder.parent / "child", names[1]).train(folder)
        return
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as place:
        os.environ["RAY_TMPDIR"] = place  # for Ray, whose sockets need short paths, and what killed workers leave
        print(json.dumps(_run(folder, names or SCENARIOS)))


def _run(folder: Path, names: Iterable[str]) -> dict[str, object]:
    """Return the outcome of each scenario, in one cluster."""
    found: dict[str, object] = {}
    nodes = Nodes(folder)
    try:
        studies = Studies(folder, nodes.address)
        for name in names:
            began = time.monotonic()
            found[name] = SCENARIOS[name](studies, nodes)
            print(name, round(time.monotonic() - began, 1), found[name], file=sys.stderr, flush=True)
    finally:
        nodes.close()
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), *sys.argv[2:])

"""What `asymbp plan` computes: stacks, their seconds and bytes, and the schedule played in advance."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple

from asymbp_cli import machine
from asymbp_cli.api.asked import Asked
from asymbp_cli.cli.plan import Plan, plan_works
from asymbp_cli.cli.waiting import say
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.errors import UsageError
from asymbp_cli.executors.devices import check_devices
from asymbp_cli.executors.registry import load_executor
from asymbp_cli.files.paths import FILE_NAME, exists
from asymbp_cli.results.store import Store
from asymbp_cli.scheduling.estimate import Forecast
from asymbp_cli.scheduling.replica_limit import available_bytes, limit_by_memory, workspace_bytes
from asymbp_cli.scheduling.simulation import Conditions, Schedule, simulate
from asymbp_cli.scheduling.stack_costs import StackCost, cost_stacks
from asymbp_cli.scheduling.stacks import plan_stacks
from asymbp_cli.scheduling.step_times import StepTimes
from asymbp_cli.scheduling.steps_file import load_steps
from asymbp_cli.specs.runs import Run
from asymbp_cli.study import Execution
from asymbp_cli.training.probe import facts_if_usable

_START_SECONDS = 10.0
Limit = Callable[[Run], int]  # from a run to how many like it a stack may hold


@dataclass(frozen=True)
class Cluster:
    """Nodes of the same number of workers: GPUs, or processes on the CPU."""

    nodes: int
    per_node: int

    @property
    def workers(self) -> int:
        """Return the workers of all nodes."""
        return self.nodes * self.per_node


@dataclass(frozen=True)
class Question:
    """Where a study is to be planned for; what is None is as in training."""

    results: Path
    device: str | None = None
    workers: int | None = None
    steps: str | None = None  # a file of step times, or the name of one that comes with the tool
    cluster: Cluster | None = None
    executor: str | None = None  # the name or file of what is to train
    start: float | None = None  # seconds of a worker until its first stack
    failures: float | None = None  # of a worker, per hour
    price: float | None = None  # of a worker's hour

    @property
    def are_jobs(self) -> bool:
        """Return whether each stack is a job of a cluster. Raises AsymbpError if there is no such executor."""
        return self.executor is not None and load_executor(self.executor).starts_for_each


class Start(NamedTuple):
    """The seconds of a worker until its first stack, and where they come from."""

    seconds: float
    origin: Literal["given", "measured", "assumed"]


@dataclass(frozen=True)
class Costs:
    """The plan of a study with the stacks that train it, in the order in which workers take them."""

    plan: Plan
    steps: StepTimes
    stacks: tuple[StackCost, ...]
    question: Question
    start: Start
    schedule: Schedule | None  # if a cluster was asked for

    @property
    def seconds(self) -> float:
        """Return the seconds of all stacks, one after the other."""
        return sum(cost.seconds for cost in self.stacks)


def compute_costs(asked: Asked, question: Question) -> Costs:
    """Compute the costs of a study. Steps are measured on this machine, unless a file of them is named.

    Raises UsageError if that file is of another device, DeviceError if the device cannot be used.
    """
    infos = {info.fingerprint: info for info in asked.infos}
    works, whole, notices = plan_works(asked.grids, asked.infos, question.results)
    given = _load(question)
    device = given.device if given else question.device or "cpu"
    workers, sharing = _count_workers(question, device)
    limit = _limit(given, device, infos, sharing)
    steps = given or _measure(whole.runs.values(), device, limit)
    counts = {fingerprint: info.train_count for fingerprint, info in infos.items()}
    stacks = plan_stacks(whole.runs.values(), whole.start_epochs, counts, max_replicas=limit, workers=workers)
    costs = tuple(cost_stacks(stacks, infos, steps))
    forecast = Forecast({run: cost for stack in costs for run, cost in stack.epoch_seconds.items()}, True, workers)
    execution = Execution((device,) * workers)
    plan = Plan(asked.grids, works, whole, infos, execution, forecast, part=None, notices=notices)
    start = _find_start(question, device.partition(":")[0])
    conditions = Conditions(start.seconds, jobs=question.are_jobs, failures=question.failures or 0.0)
    schedule = simulate([cost.seconds for cost in costs], workers, conditions) if question.cluster else None
    return Costs(plan, steps, costs, question, start, schedule)


def _find_start(question: Question, kind: str) -> Start:
    """Return the start that was asked for, or else that of workers on such devices in the results."""
    if question.start is not None:
        return Start(question.start, "given")
    if exists(question.results / FILE_NAME):
        with Store.open(question.results, create=False, on_wait=say) as store:
            if starts := store.worker_starts(kind):
                return Start(median(starts), "measured")
    return Start(_START_SECONDS, "assumed")


def _load(question: Question) -> StepTimes | None:
    """Return the times of the steps that are given."""
    if question.steps is None:
        return None
    given = load_steps(question.steps)
    if question.device and question.device.partition(":")[0] != given.device:
        raise UsageError(
            f"{given.origin} has steps of {given.device}, not of {question.device}. Leave out --device"
        )
    return given


def _count_workers(question: Question, device: str) -> tuple[int, int]:
    """Return the workers of all machines, and how many share the memory of a device."""
    kind = device.partition(":")[0]
    if question.cluster:
        return question.cluster.workers, question.cluster.per_node if kind == "cpu" else 1
    workers = 1 if kind != "cpu" else question.workers or machine.count_workers()
    return workers, workers


def _limit(given: StepTimes | None, device: str, infos: Mapping[str, DecodedDataset], sharing: int) -> Limit:
    if given:
        return limit_by_memory(device, given.memory, infos, sharing)
    check_devices((device,))
    kind, workspace = device.partition(":")[0], workspace_bytes(device)
    return limit_by_memory(kind, available_bytes(device), infos, sharing, workspace=workspace)


def _measure(runs: Iterable[Run], device: str, limit: Limit) -> StepTimes:
    from asymbp_cli.bench.rehearsal import time_stacks

    facts = facts_if_usable(device) if device.startswith("cuda") else None
    model = (facts.model if facts else None) or machine.processor()
    runs = list(runs)
    seconds = time_stacks(runs, device, limit) if runs else {}
    return StepTimes(device.partition(":")[0], model, "measured", available_bytes(device), seconds)

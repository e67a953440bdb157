"""What a file of a SLURM executor may say."""

import re
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from asymbp_cli.executors.options import ExecutorOptions, RemoteDevice
from asymbp_cli.machine import MOST_WORKERS
from asymbp_cli.specs.base import Label, Spec

#: minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes, days-hours:minutes:seconds
_TIME = re.compile(r"(?:(?P<days>[0-9]+)-(?P<of_days>[0-9]+(?::[0-9]+){0,2})|(?P<plain>[0-9]+(?::[0-9]+){0,2}))")


def parse_seconds(text: str | int) -> int:
    """Return the seconds of a time as sbatch reads it. Raises ValueError.

    >>> parse_seconds(90), parse_seconds("1:30"), parse_seconds("02:00:00"), parse_seconds("1-12")
    (5400, 90, 7200, 129600)
    """
    found = _TIME.fullmatch(str(text))
    if not found:
        raise ValueError(f'"{text}" is not a time. Write minutes (90), HOURS:MINUTES:SECONDS, or DAYS-HOURS')
    parts = [int(part) for part in (found["of_days"] or found["plain"]).split(":")]
    if found["days"]:
        hours, minutes, seconds = [*parts, 0, 0][:3]
        hours += 24 * int(found["days"])
    else:
        hours, minutes, seconds = {1: [0, *parts, 0], 2: [0, *parts], 3: parts}[len(parts)]
    total = 3600 * hours + 60 * minutes + seconds
    if not total:
        raise ValueError(f'"{text}" leaves no time to train')
    return total


def _check_time(text: str | int) -> str | int:
    parse_seconds(text)
    return text


class SlurmParameters(Spec):
    """Further parameters of sbatch, by their names in submitit."""

    account: Label | None = None
    qos: Label | None = None
    constraint: Label | None = None
    nodelist: Label | None = None
    exclude: Label | None = None
    exclusive: bool | Label | None = None
    gres: Label | None = None
    gpus_per_node: int | None = None
    cpus_per_task: int | None = None
    mem: Label | None = None
    mem_per_cpu: Label | None = None
    mem_per_gpu: Label | None = None
    comment: Label | None = None
    dependency: Label | None = None
    mail_type: Label | None = None
    mail_user: Label | None = None
    signal_delay_s: int | None = Field(default=None, ge=1)
    array_parallelism: int | None = Field(default=None, ge=1)
    setup: Annotated[tuple[Label, ...], Field(strict=False)] | None = None
    teardown: Annotated[tuple[Label, ...], Field(strict=False)] | None = None
    srun_args: Annotated[tuple[Label, ...], Field(strict=False)] | None = None
    use_srun: bool | None = None
    additional_parameters: dict[str, str | int | bool] | None = None


class SlurmOptions(ExecutorOptions):
    """How jobs are asked for."""

    remote: ClassVar[bool] = True

    executor: Literal["slurm"] = "slurm"
    workers: int | None = Field(default=8, ge=1, le=MOST_WORKERS)
    device: RemoteDevice | None = None
    """cpu, or cuda for a GPU."""
    partition: Label | None = None
    time: Annotated[int | str, AfterValidator(_check_time)] | None = None
    """The limit of each job. A stack that needs longer resumes in another job."""
    cluster: Literal["slurm", "local"] = "slurm"
    """`local`: processes of this machine stand in for a cluster, to try things out."""
    slurm: SlurmParameters = SlurmParameters()

    @property
    def seconds(self) -> int | None:
        """The time limit of each job; None: that of the partition."""
        return None if self.time is None else parse_seconds(self.time)

    def make_parameters(self) -> dict[str, object]:
        """Return the parameters for submitit."""
        given = {key: value for key, value in self.slurm.model_dump().items() if value is not None}
        on_gpu = self.device is not None and self.device.startswith("cuda")
        asks_for_gpu = given.keys() & {"gpus_per_node", "gres"}
        found: dict[str, object] = {"job_name": "asymbp", "cpus_per_task": 1, "signal_delay_s": 60}
        if on_gpu and not asks_for_gpu:
            found["gpus_per_node"] = 1
        if self.partition:
            found["partition"] = self.partition
        if self.seconds:
            found["time"] = -(-self.seconds // 60)
        # a job that is preempted, or whose node fails, goes on from its checkpoints in another one
        extra = {"no-requeue": True} | (self.slurm.additional_parameters or {})
        lists = {key: list(value) for key, value in given.items() if isinstance(value, tuple)}
        return found | given | lists | {"additional_parameters": extra}

"""What a file of a SLURM executor may say."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from asymbp_cli.executors.options import RemoteOptions
from asymbp_cli.machine import MOST_WORKERS
from asymbp_cli.recipe.wording import quote
from asymbp_cli.specs.base import Label, Spec

_SAVING_SECONDS = 60
_LONGEST_SECONDS = 3650 * 24 * 3600

#: minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes, days-hours:minutes:seconds
_PARTS = "[0-9]{1,9}(?::[0-9]{1,9}){0,2}"
_TIME = re.compile(f"(?:(?P<days>[0-9]{{1,9}})-(?P<of_days>{_PARTS})|(?P<plain>{_PARTS}))")


def parse_seconds(text: str | int) -> int:
    """Return the seconds of a time as sbatch reads it. Raises ValueError.

    >>> parse_seconds(90), parse_seconds("1:30"), parse_seconds("02:00:00"), parse_seconds("1-12")
    (5400, 90, 7200, 129600)
    """
    found = _TIME.fullmatch(str(text))
    if not found:
        raise ValueError(f"{quote(text)} is not a time. Write minutes (90), HOURS:MINUTES:SECONDS, or DAYS-HOURS")
    parts = [int(part) for part in (found["of_days"] or found["plain"]).split(":")]
    if found["days"]:
        hours, minutes, seconds = [*parts, 0, 0][:3]
        hours += 24 * int(found["days"])
    else:
        hours, minutes, seconds = {1: [0, *parts, 0], 2: [0, *parts], 3: parts}[len(parts)]
    total = 3600 * hours + 60 * minutes + seconds
    if not total:
        raise ValueError(f'"{text}" leaves no time to train')
    if total > _LONGEST_SECONDS:
        raise ValueError(f'"{text}" is more than ten years. Leave it out, for the limit of the partition')
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


class SlurmOptions(RemoteOptions):
    """How jobs are asked for."""

    executor: Literal["slurm"] = "slurm"
    workers: int | None = Field(default=8, ge=1, le=MOST_WORKERS)
    partition: Label | None = None
    time: Annotated[int | str, AfterValidator(_check_time)] | None = None
    """The limit of each job. A stack that needs longer resumes in another job."""
    cluster: Literal["slurm", "local"] = "slurm"
    """`local`: processes of this machine stand in for a cluster, to try things out."""
    slurm: SlurmParameters = SlurmParameters()

    @model_validator(mode="after")
    def _check_parameters(self) -> "SlurmOptions":
        if self.memory and not self.on_gpu and (self.slurm.mem or self.slurm.mem_per_cpu):
            raise ValueError("memory is asked for twice. Leave out memory, or mem and mem_per_cpu below slurm")
        if self.seconds and self.saving_seconds >= self.seconds:
            raise ValueError(
                "a job with this time saves at once, by signal_delay_s below slurm. Give it more time"
            )
        return self

    @property
    def starts_for_each(self) -> bool:
        """Return True: each stack is a job."""
        return True

    @property
    def seconds(self) -> int | None:
        """Return the time limit of each job, whole minutes; None: that of the partition."""
        return None if self.time is None else -(-parse_seconds(self.time) // 60) * 60

    @property
    def saving_seconds(self) -> int:
        """Return how long before its limit a job saves, and ends."""
        return self.slurm.signal_delay_s or min(_SAVING_SECONDS, (self.seconds or 3600) // 4)

    def make_parameters(self) -> dict[str, object]:
        """Return the parameters for submitit."""
        given = {key: value for key, value in self.slurm.model_dump().items() if value is not None}
        asks_for_gpu = given.keys() & {"gpus_per_node", "gres"}
        found: dict[str, object] = {
            "job_name": "asymbp",
            "cpus_per_task": 1,
            "signal_delay_s": self.saving_seconds,
            "time": self.seconds and self.seconds // 60,  # None, or submitit would ask for five minutes
        }
        if self.on_gpu and not asks_for_gpu:
            found["gpus_per_node"] = 1
        if self.memory_bytes and not self.on_gpu:
            found["mem"] = f"{self.memory_bytes >> 20}MB"
        if self.partition:
            found["partition"] = self.partition
        # a job that is preempted, or whose node fails, goes on from its checkpoints in another one
        extra = {"no-requeue": True} | (self.slurm.additional_parameters or {})
        lists = {key: list(value) for key, value in given.items() if isinstance(value, tuple)}
        return found | given | lists | {"additional_parameters": extra}

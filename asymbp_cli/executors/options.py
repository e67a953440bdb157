"""What files of executors may say: each executor has a model, from which all of them inherit."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from asymbp_cli.errors import UsageError
from asymbp_cli.machine import MOST_WORKERS, parse_device, parse_devices
from asymbp_cli.specs.base import Spec


def _check_devices(text: str) -> str:
    try:
        return ",".join(parse_devices(text))
    except UsageError as error:
        raise ValueError(str(error)) from None


def _check_device(name: str) -> str:
    try:
        return parse_device(name)
    except UsageError as error:
        raise ValueError(f"{error}. Each worker has one") from None


def _check_remote_device(name: str) -> str:
    device = _check_device(name)
    if device.startswith("cuda") and device != "cuda:0":
        raise ValueError(f'"{name}" is a GPU of one machine. Write cuda, for one that the cluster chooses')
    return device


Device = Annotated[str, AfterValidator(_check_device)]
#: of a worker on another machine
RemoteDevice = Annotated[str, AfterValidator(_check_remote_device)]


class ExecutorOptions(Spec):
    """The options of an executor; those that are None are left to the command."""

    remote: ClassVar[bool] = False  # it trains on other machines, whose devices this one cannot look at

    executor: str
    workers: int | None = Field(default=None, ge=1, le=MOST_WORKERS)
    """How many stacks train at once."""
    device: Annotated[str, AfterValidator(_check_devices)] | None = None
    """As --device."""


class InlineOptions(ExecutorOptions):
    """Of the executor that trains one stack at a time, in this process."""

    workers: int | None = Field(default=None, ge=1, le=1)
    device: Device | None = None

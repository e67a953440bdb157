"""What a file of a Ray executor may say."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from asymbp_cli.executors.options import RemoteOptions
from asymbp_cli.machine import MOST_WORKERS, cores

_ADDRESS = re.compile(r"auto|[^/\s]+:[0-9]{1,5}")


def _check_address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError(
            f'"{text}" is not the address of a Ray cluster. Run the command on a node of the cluster, and write '
            "auto, or HOST:PORT as ray start prints it"
        )
    return text


class RayOptions(RemoteOptions):
    """Where the cluster is, and what a worker takes of it."""

    executor: Literal["ray"] = "ray"
    workers: int | None = Field(default_factory=cores, ge=1, le=MOST_WORKERS)
    address: Annotated[str, AfterValidator(_check_address)] | None = None
    """None: a Ray of this study's own, on this machine."""
    gpus_per_worker: float | None = Field(default=None, gt=0, le=1)
    """The share of a GPU that a worker takes: 0.5 lets two of them use one."""

    @model_validator(mode="before")
    @classmethod
    def _share_of_a_gpu_means_cuda(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("gpus_per_worker") and given.get("device") is None:
            return given | {"device": "cuda"}
        return given

    @model_validator(mode="after")
    def _check_device(self) -> "RayOptions":
        if self.gpus_per_worker and self.device == "cpu":
            raise ValueError("a worker with a share of a GPU needs device: cuda")
        return self

    @property
    def resources(self) -> dict[str, float]:
        """What a worker takes, by the names that Ray has."""
        if self.on_gpu:
            return {"CPU": 1.0, "GPU": self.gpus_per_worker or 1.0}
        return {"CPU": 1.0} | ({"memory": float(self.memory_bytes)} if self.memory_bytes else {})

"""Stands in for Ray in this process: actors are objects, and what they yield is there at once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import fake_engine

from asymbp_cli.errors import AsymbpError
from asymbp_cli.executors import Train
from asymbp_cli.executors.ray.executor import RayExecutor

Stream = Iterator[Any]


class RayError(Exception):
    """Named as Ray's."""


class ActorDiedError(RayError):
    """Named as Ray's."""


class Lost(Iterator[Any]):
    """The stream of an actor that has died."""

    def __init__(self, text: str = "The actor died unexpectedly") -> None:
        self._text = text

    def __next__(self) -> Any:
        raise ActorDiedError(self._text)


class Silent(Iterator[Any]):
    """The stream of an actor for which there is no place."""

    def __next__(self) -> Any:
        raise AssertionError("nothing is there")


@dataclass
class FakeCluster:
    """In place of `Cluster`; `streams` are those of the first jobs, in place of what their workers say."""

    streams: list[Stream | None] = field(default_factory=list)
    is_there: bool = True
    folder: str | None = None
    actors: list[Any] = field(default_factory=list)
    killed: list[Any] = field(default_factory=list)
    stored: list[Any] = field(default_factory=list)
    closed: bool = False
    name: str = "the cluster"
    exceptions = SimpleNamespace(RayError=RayError)

    @property
    def ray(self) -> "FakeCluster":
        return self

    def remote(self, kind: Callable[..., Any]) -> "FakeCluster":
        self._kind = kind
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=self._start))  # type: ignore[return-value]

    def _start(self, *arguments: Any) -> Any:
        actor = self._kind(*arguments)

        def train(*sent: Any) -> Stream:
            prepared = self.streams.pop(0) if self.streams else None
            return actor.train(*sent) if prepared is None else prepared

        handle = SimpleNamespace(
            train=SimpleNamespace(options=lambda num_returns: SimpleNamespace(remote=train)),
            stop=SimpleNamespace(remote=actor.stop),
        )
        self.actors.append(handle)
        return handle

    def wait(
        self, streams: Sequence[Stream], num_returns: int = 1, timeout: float = 0
    ) -> tuple[list[Stream], None]:
        return [stream for stream in streams if not isinstance(stream, Silent)][:num_returns], None

    def get(self, sent: Any) -> Any:
        return sent

    def put(self, content: Any) -> Any:
        self.stored.append(content)
        return content

    def kill(self, actor: Any) -> None:
        self.killed.append(actor)

    def answers(self) -> bool:
        return self.is_there

    def explain_end(self) -> AsymbpError:
        return AsymbpError("it is gone")

    def close(self) -> None:
        self.closed = True


def make(cluster: FakeCluster, workers: int = 2, train: Train = fake_engine.train) -> RayExecutor:
    return RayExecutor(cluster, {"CPU": 1.0}, workers, train)  # type: ignore[arg-type]

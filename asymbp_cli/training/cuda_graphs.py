"""A stack's work on one mini-batch, on CUDA captured in one graph and replayed whole.

After a few plain calls, the whole is captured: a mini-batch is one launch. What is captured depends on nothing but
the indices of its mini-batch, and reads and writes tensors that stay in place.

All stacks of a process share one stream per device, because CUDA's libraries keep a workspace for every stream
that they have ever worked on.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Protocol
from weakref import WeakSet

import torch
from torch import Tensor

from asymbp_cli.errors import CaptureError

Replay = Callable[[], None]
PLAIN_CALLS = 3  # of each size of mini-batch before it is captured: libraries set themselves up meanwhile


@cache
def capture_stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream of a CUDA device that captures, the same at every call."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


class Graphs(Protocol):
    """Captures computations of one stack."""

    def run(self, compute: Callable[[], None]) -> None:
        """Compute plainly, on the stream that will capture."""

    def capture(self, compute: Callable[[], None]) -> Replay:
        """Return a function that replays `compute`; raises RuntimeError (torch.OutOfMemoryError) if it cannot."""


class CudaGraphs:
    """Captures computations of one stack as CUDA graphs that share a memory pool: none outlives its replay.

    `generators` are all that the computations draw from.
    """

    def __init__(self, device: torch.device, generators: Iterable[torch.Generator]) -> None:
        self._device, self._generators = device, tuple(generators)
        self._pool: Any = None  # a handle of torch's own type
        self._alive = WeakSet[_Replay]()

    def run(self, compute: Callable[[], None]) -> None:
        """Compute plainly, on the stream that will capture: its libraries set up their workspaces there."""
        stream, caller = capture_stream(self._device), torch.cuda.current_stream(self._device)
        stream.wait_stream(caller)
        with torch.cuda.stream(stream):
            compute()
        caller.wait_stream(stream)

    def capture(self, compute: Callable[[], None]) -> Replay:
        """Return a function that replays `compute`; raises RuntimeError (torch.OutOfMemoryError) if it cannot."""
        if not self._alive:  # a pool cannot be used again once its last graph is gone
            self._pool = torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        with torch.cuda.graph(graph, pool=self._pool, stream=capture_stream(self._device)):
            compute()
        replay = _Replay(graph)
        self._alive.add(replay)
        return replay


def make_graphs(device: torch.device, generators: Iterable[torch.Generator]) -> Graphs | None:
    """Return the graphs of a device that capture; None if it has none."""
    return CudaGraphs(device, generators) if device.type == "cuda" else None


class _Replay:
    def __init__(self, graph: torch.cuda.CUDAGraph) -> None:
        self._graph = graph

    def __call__(self) -> None:
        self._graph.replay()


class Captured:
    """Runs one computation: plainly without `graphs`, otherwise captured per size of mini-batch.

    It keeps no reference to what computes, so that a stack's memory is free as soon as the stack is dropped.
    """

    def __init__(self, graphs: Graphs | None) -> None:
        self._graphs = graphs
        self._calls = Counter[int]()
        self._replays: dict[int, tuple[Tensor, Replay]] = {}

    def __call__(self, compute: Callable[[Tensor], None], index: Tensor) -> None:
        """Let `compute`, the same at every call, compute the mini-batch of the samples in `index` [B].

        Raises CaptureError if a graph cannot be captured.
        """
        size = len(index)
        self._calls[size] += 1
        if self._graphs is None:
            compute(index)
        elif self._calls[size] <= PLAIN_CALLS:
            self._graphs.run(lambda: compute(index))
        else:
            if size not in self._replays:
                self._replays[size] = _capture(self._graphs, compute, index.clone())
            kept, replay = self._replays[size]
            kept.copy_(index)
            replay()

    @property
    def sizes(self) -> frozenset[int]:
        """Return the sizes of mini-batch that are captured."""
        return frozenset(self._replays)

    def forget(self) -> None:
        """Drop what was captured, since the replicas that it computes have changed.

        Kernels for another number of replicas may have to be compiled, which no capture can do: one plain call of
        each size comes first.
        """
        self._replays.clear()
        self._calls = Counter(dict.fromkeys(self._calls, PLAIN_CALLS - 1))


def _capture(graphs: Graphs, compute: Callable[[Tensor], None], kept: Tensor) -> tuple[Tensor, Replay]:
    try:
        return kept, graphs.capture(lambda: compute(kept))
    except RuntimeError as error:
        if interruption := _interruption(error):
            raise interruption from None
        raise CaptureError(
            f"a CUDA graph could not be captured ({_first_line(error)}); this process can no longer use its GPU"
        ) from error


def _interruption(error: BaseException | None) -> BaseException | None:
    """Return the interruption (Ctrl-C) that an error at the end of a capture hides; None without one."""
    while error is not None and isinstance(error, Exception):
        error = error.__context__
    return error


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)

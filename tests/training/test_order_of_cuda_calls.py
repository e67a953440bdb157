"""The order of CUDA's calls while graphs are captured, by a CUDA that notes them."""

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from asymbp_cli.training.cuda_graphs import Captured, CudaGraphs, capture_stream


def _four_times(captured: Captured, compute: Callable[[Tensor], None]) -> None:
    for _ in range(4):
        captured(compute, torch.tensor([1]))


# the order of CUDA's calls ---------------------------------------------------------------------------------------
class _Stream:
    """Stands in for a CUDA stream: what was queued on it, or before something that it waits for."""

    def __init__(self, device: object = None, priority: int = 0) -> None:
        self.done: list[object] = []
        self.priority = priority

    def record_event(self) -> list[object]:
        return list(self.done)

    def wait_event(self, event: list[object]) -> None:
        self.done += event

    def wait_stream(self, other: "_Stream") -> None:
        self.done += other.done


class _Cuda:
    """Stands in for torch.cuda: streams, and graphs that refuse to be captured into a pool without graphs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.caller = _Stream()
        self._current = [self.caller]
        self.streams: list[_Stream] = []
        self.pools: list[int] = []  # of each capture
        self.capturing: list[_Stream] = []  # the stream of each capture
        self.alive: dict[int, weakref.WeakSet[Any]] = {}
        self.replays = 0
        for name in ("current_stream", "stream", "graph_pool_handle", "graph"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))
        monkeypatch.setattr(torch.cuda, "Stream", self._new_stream)
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: _Graph(self))
        capture_stream.cache_clear()

    def _new_stream(self, device: object = None, priority: int = 0) -> _Stream:
        self.streams.append(_Stream(device, priority))
        return self.streams[-1]

    def current_stream(self, device: object = None) -> _Stream:
        return self._current[-1]

    @contextmanager
    def stream(self, stream: _Stream) -> Iterator[None]:
        self._current.append(stream)
        try:
            yield
        finally:
            self._current.pop()

    def graph_pool_handle(self) -> int:
        self.alive[len(self.alive)] = weakref.WeakSet()
        return len(self.alive) - 1

    @contextmanager
    def graph(self, graph: Any, pool: int, stream: _Stream) -> Iterator[None]:
        assert self.alive[pool] or pool not in self.pools, "its last graph is gone"
        self.pools.append(pool)
        self.capturing.append(stream)
        with self.stream(stream):
            yield
        self.alive[pool].add(graph)


class _Graph:
    def __init__(self, cuda: _Cuda) -> None:
        self._cuda = cuda
        self.generators: list[object] = []

    def register_generator_state(self, generator: object) -> None:
        self.generators.append(generator)

    def replay(self) -> None:
        self._cuda.replays += 1


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Cuda]:
    yield _Cuda(monkeypatch)
    capture_stream.cache_clear()


DEVICE = torch.device("cuda", 0)


def test_all_stacks_share_the_stream_of_a_device(cuda: _Cuda) -> None:
    for _ in range(3):
        CudaGraphs(DEVICE, ()).run(lambda: None)
    assert len(cuda.streams) == 1
    CudaGraphs(torch.device("cuda", 1), ()).run(lambda: None)
    assert len(cuda.streams) == 2


def test_plain_calls_run_on_the_stream_that_captures_and_in_order(cuda: _Cuda) -> None:
    where: list[object] = []
    captured = Captured(CudaGraphs(DEVICE, ()))

    def compute(index: Tensor) -> None:
        where.append(cuda.current_stream())
        cuda.current_stream().done.append(len(where))

    cuda.caller.done.append("data")
    for _ in range(5):
        captured(compute, torch.tensor([1]))
    stream = capture_stream(DEVICE)
    assert where == [stream] * 4
    assert cuda.capturing == [stream]
    assert cuda.replays == 2
    assert stream.done[0] == "data"  # type: ignore[attr-defined]
    assert {1, 2, 3} <= set(cuda.caller.done)


def test_a_pool_is_never_captured_into_after_its_last_graph(cuda: _Cuda) -> None:
    graphs = CudaGraphs(DEVICE, ())
    first, second = Captured(graphs), Captured(graphs)
    for captured in (first, second):
        _four_times(captured, lambda index: None)
    assert cuda.pools == [0, 0]  # graphs of one stack share their memory
    first.forget()
    _four_times(first, lambda index: None)
    assert cuda.pools == [0, 0, 0]
    first.forget()
    second.forget()
    gc.collect()
    _four_times(first, lambda index: None)
    assert cuda.pools == [0, 0, 0, 1]


def test_a_graph_knows_every_generator(cuda: _Cuda) -> None:
    made: list[_Graph] = []
    generators = [torch.Generator(), torch.Generator()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "CUDAGraph", lambda: made.append(_Graph(cuda)) or made[-1])
        CudaGraphs(DEVICE, generators).capture(lambda: None)
    assert made[0].generators == generators

"""The pieces that decide how a step should be computed: graph nodes, updates, convolutions, products.

`only-nodes` as a further argument times the nodes alone, with as many hardware queues as the environment says.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from common import DEVICE, GPU, Budget, save, sync
from torch import Tensor

from asymbp_cli.bench.steps import Steps
from asymbp_cli.training import update
from asymbp_cli.training.cuda_graphs import CudaGraphs, SideStreams
from asymbp_cli.training.device import open_device, set_precision

Compute = Callable[[], Any]
_REPLICAS = 64 if GPU else 2


def _seconds(compute: Compute, repeat: int = 20) -> float:
    """Return the seconds of one replay of `compute`; on the CPU of a call."""
    if not GPU:
        began = time.perf_counter()
        compute()
        return time.perf_counter() - began
    graphs = CudaGraphs(torch.device(DEVICE), ())
    for _ in range(2):
        graphs.run(compute)
    replay = graphs.capture(compute)
    for _ in range(3):
        replay()
    samples = []
    for _ in range(5):
        sync()
        began = time.perf_counter()
        for _ in range(repeat):
            replay()
        sync()
        samples.append((time.perf_counter() - began) / repeat)
    return sorted(samples)[2]


def _branched(calls: list[Compute]) -> Compute:
    """Return what makes each call on a side stream."""
    side = SideStreams(torch.device(DEVICE), len(calls))

    def compute() -> None:
        for number, call in enumerate(calls):
            with side.branch(number):
                call()
        side.join()

    return compute


def _node(lanes: int, size: int, nodes: int = 2048) -> float:
    """Return the seconds per node of a graph of so many small kernels in so many branches."""
    tensors = [torch.zeros(size, device=DEVICE) for _ in range(lanes)]

    def chain(x: Tensor) -> Compute:
        return lambda: [x.add_(1) for _ in range(nodes // lanes)]

    return _seconds(_branched([chain(x) for x in tensors])) / nodes


def _draw(*shape: int, dtype: torch.dtype) -> Tensor:
    drawn = torch.randn(shape, device=DEVICE, dtype=dtype)
    return drawn.permute(0, 3, 1, 2) if drawn.ndim == 4 else drawn  # channels_last


def _convolve(x: Tensor, w: Tensor, v: Tensor, error: Tensor, need_x: bool = True) -> Any:
    def gradients(weight: Tensor, mask: list[bool]) -> Any:
        pair = ([1, 1], [0, 0], [1, 1], False, [0, 0], 1)
        return torch.ops.aten.convolution_backward(error, x, weight, None, *pair, mask)

    y = torch.nn.functional.conv2d(x, w)
    return y, gradients(w, [False, True, False])[1], gradients(v, [True, False, False])[0] if need_x else None


class _Notes:
    """Measures one piece after the other, until there is no time left."""

    def __init__(self, seconds: float) -> None:
        self._budget, self._rows = Budget(seconds), dict[str, float | str]()
        self._queues = os.environ.get("CUDA_DEVICE_MAX_CONNECTIONS", "default")

    def take(self, name: str, measure: Callable[[], float]) -> None:
        if self._budget.left < 3:
            print(f"micro: no time left for {name}", flush=True)
            return
        try:
            self._rows[name] = 1e6 * measure()
        except Exception as error:
            self._rows[name] = f"{type(error).__name__}: {error}"[:200]
        print(f"micro [{self._queues} queues] {name}: {self._rows[name]} us", flush=True)
        save(f"micro-{self._queues}", self._rows)

    @property
    def fine(self) -> bool:
        return bool(self._rows) and not any(isinstance(value, str) for value in self._rows.values())


def micro(seconds: float) -> bool:
    """Time the pieces; return whether none failed."""
    device, notes = open_device(DEVICE), _Notes(seconds)
    set_precision(device, "standard")
    for size, label in ((256, "one block"), (64 * 1024, "64 blocks")):
        for lanes in (1, 8, 32):
            notes.take(f"node of {label}, {lanes} branches", lambda lanes=lanes, size=size: _node(lanes, size))
    if "only-nodes" not in sys.argv:
        _updates(notes, device)
        for dtype, tag in ((torch.float32, "tf32"), (torch.bfloat16, "bf16")):
            _convolutions(notes, dtype, tag)
            _products(notes, dtype, tag)
        _grouped(notes)
    return notes.fine


def _updates(notes: _Notes, device: torch.device) -> None:
    bank = Steps("mnist", ["uSF"] * _REPLICAS, device).trainer.bank
    finite = torch.ones_like(bank.alive)
    ways = {"plain": update.plain} | ({"fused": update._kernel_of("cuda")} if GPU else {})
    for name, kernel in ways.items():
        call = lambda kernel=kernel: update.update(bank, finite, kernel)  # noqa: E731
        notes.take(f"update and V, {name}", lambda call=call: _seconds(call))


def _convolutions(notes: _Notes, dtype: torch.dtype, tag: str) -> None:
    count = _REPLICAS
    x = _draw(100, 28, 28, 1, dtype=dtype)
    ws = [_draw(20, 5, 5, 1, dtype=dtype) for _ in range(count)]
    es = [_draw(100, 24, 24, 20, dtype=dtype) for _ in range(count)]
    calls: list[Compute] = [lambda w=w, e=e: _convolve(x, w, w, e, False) for w, e in zip(ws, es, strict=True)]
    notes.take(f"conv 1 and its gradient, branches, {tag}", lambda: _seconds(_branched(calls)))
    w_all, e_all = _draw(20 * count, 5, 5, 1, dtype=dtype), _draw(100, 24, 24, 20 * count, dtype=dtype)
    notes.take(
        f"conv 1 and its gradient, one for the stack, {tag}",
        lambda: _seconds(lambda: _convolve(x, w_all, w_all, e_all, False)),
    )
    for c, k in ((20, 50), (20, 64), (32, 64)):  # features that fill tensor cores, and the network's own
        xs = [_draw(100, 12, 12, c, dtype=dtype) for _ in range(count)]
        ws = [_draw(k, 5, 5, c, dtype=dtype) for _ in range(count)]
        es = [_draw(100, 8, 8, k, dtype=dtype) for _ in range(count)]
        calls = [lambda x=x, w=w, e=e: _convolve(x, w, w, e) for x, w, e in zip(xs, ws, es, strict=True)]
        notes.take(f"conv 2 {c}->{k} and gradients, branches, {tag}", lambda c=calls: _seconds(_branched(c)))
        if (c, k) == (20, 50):
            in_turn = lambda c=calls: [call() for call in c]  # noqa: E731
            notes.take(f"conv 2 {c}->{k}, one after the other, {tag}", lambda f=in_turn: _seconds(f))


def _products(notes: _Notes, dtype: torch.dtype, tag: str) -> None:
    def draw(*shape: int) -> Tensor:
        return torch.randn(_REPLICAS, *shape, device=DEVICE, dtype=dtype)

    def products(x: Tensor, w: Tensor, e: Tensor) -> Any:
        return torch.bmm(x, w.mT), torch.bmm(e.mT, x), torch.bmm(e, w)

    columns = draw(6400, 500), draw(50, 500), draw(6400, 50)
    notes.take(f"conv 2 as bmm on unfolded inputs, {tag}", lambda: _seconds(lambda: products(*columns)))
    x, w, e = draw(100, 800), draw(500, 800), draw(100, 500)
    notes.take(f"FC 800->500 and gradients, bmm, {tag}", lambda: _seconds(lambda: products(x, w, e)))
    each: list[Compute] = [lambda i=i: (x[i] @ w[i].T, e[i].T @ x[i], e[i] @ w[i]) for i in range(_REPLICAS)]
    notes.take(f"FC 800->500 and gradients, branches, {tag}", lambda: _seconds(_branched(each)))


def _grouped(notes: _Notes) -> None:
    """Last, since a slow kernel here costs nothing else."""
    torch.backends.cudnn.benchmark = False
    x = torch.randn(100, 20 * _REPLICAS, 12, 12, device=DEVICE)
    w = torch.randn(50 * _REPLICAS, 20, 5, 5, device=DEVICE)
    forward = lambda: torch.nn.functional.conv2d(x, w, groups=_REPLICAS)  # noqa: E731
    notes.take("conv 2 as one grouped convolution, forward", lambda: _seconds(forward, repeat=3))

"""A stack's work on one mini-batch as one program: replicas in branches, on CUDA recorded once and replayed whole.

On the CPU a program is a plain loop over replicas. On CUDA every replica is a branch on a side stream, and after
a few plain calls the whole is captured in a CUDA graph: however many small networks there are, a mini-batch is one
launch. So what is computed depends on nothing but the indices of its mini-batch, and reads and writes tensors that
stay where they are.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from asymbp_cli.errors import ran_out_of_memory

Replay = Callable[[], None]
#: records what a function computes without computing it; what it returns computes it, as often as it is called
Record = Callable[[Callable[[], None]], Replay]
PLAIN_CALLS = 3  # of each size of mini-batch before it is recorded: libraries set themselves up meanwhile
MOST_STREAMS = 32  # as many as PyTorch keeps


class Branches:
    """Lets replicas run beside each other: on side streams of a CUDA device, elsewhere one after the other."""

    def __init__(self, device: torch.device, replicas: int) -> None:
        self._device, self._used = device, set[int]()
        self._fork: torch.cuda.Event | None = None  # all that was asked for before the first branch
        count = min(replicas, MOST_STREAMS) if device.type == "cuda" and replicas > 1 else 0
        self._streams = [torch.cuda.Stream(device) for _ in range(count)]  # type: ignore[no-untyped-call]

    @contextmanager
    def branch(self, replica: int) -> Iterator[None]:
        """Run the body on the replica's stream, after all that was asked for before the first branch.

        And after no other branch: a side stream may be the one that the first branch was asked for from.
        """
        if not self._streams:
            yield
            return
        number = replica % len(self._streams)
        stream = self._streams[number]
        if not self._used:
            self._fork = torch.cuda.current_stream(self._device).record_event()
        if number not in self._used:
            assert self._fork is not None
            stream.wait_event(self._fork)
            self._used.add(number)
        with torch.cuda.stream(stream):
            try:
                yield
            except BaseException:
                self._used.clear()  # nothing will join them
                raise

    def join(self) -> None:
        """Let what follows wait for all branches."""
        for number in self._used:
            torch.cuda.current_stream(self._device).wait_stream(self._streams[number])
        self._used.clear()


class CudaGraphs:
    """Records computations of one stack as CUDA graphs, which share their memory: none outlives its call.

    `generators` are all that the computations draw from.
    """

    def __init__(self, generators: Iterable[torch.Generator]) -> None:
        self._generators, self._pool = tuple(generators), torch.cuda.graph_pool_handle()
        # of another kind than the branches', of which PyTorch hands out the same ones again and again
        self._stream = torch.cuda.Stream(priority=-1)  # type: ignore[no-untyped-call]

    def __call__(self, compute: Callable[[], None]) -> Replay:
        """Return what replays `compute`; raises torch.OutOfMemoryError, RuntimeError where that cannot be."""
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            compute()
        replay: Replay = graph.replay
        return replay


class Program:
    """Runs one computation: plainly without `record`, else recorded per size of mini-batch.

    It keeps no reference to what computes, so that a stack's memory is free as soon as the stack is dropped.
    """

    def __init__(self, record: Record | None) -> None:
        self._record = record
        self._calls = Counter[int]()
        self._recorded: dict[int, tuple[Tensor, Replay]] = {}

    def __call__(self, compute: Callable[[Tensor], None], index: Tensor) -> None:
        """Let `compute`, the same at every call, compute the mini-batch of the samples in `index` [B]."""
        size = len(index)
        self._calls[size] += 1
        if self._record is None or self._calls[size] <= PLAIN_CALLS:
            compute(index)
            return
        found = self._recorded.get(size) or self._try_to_record(compute, index, self._record)
        if found is None:
            compute(index)
            return
        kept, replay = found
        kept.copy_(index)
        replay()

    def forget(self) -> None:
        """Drop what was recorded, since the replicas that it computes have changed."""
        self._recorded.clear()

    def _try_to_record(
        self, compute: Callable[[Tensor], None], index: Tensor, record: Record
    ) -> tuple[Tensor, Replay] | None:
        kept = index.clone()
        try:
            replay = record(lambda: compute(kept))
        except RuntimeError as error:
            if ran_out_of_memory(error):
                raise
            if interruption := _interruption(error):
                raise interruption from None
            warnings.warn(f"a CUDA graph could not be captured, going on without: {error}", stacklevel=2)
            self._record = None
            return None
        self._recorded[len(index)] = kept, replay
        return kept, replay


def _interruption(error: BaseException | None) -> BaseException | None:
    """Return what is no failure, Ctrl-C for instance, behind an error that ending a capture has raised."""
    while error is not None and isinstance(error, Exception):
        error = error.__context__
    return error

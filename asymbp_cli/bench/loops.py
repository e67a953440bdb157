"""The engine against the loops that a good user of PyTorch would write, on random digits."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import datasets, transforms

from asymbp_cli.bench.measure import Measure, measure_interleaved
from asymbp_cli.bench.steps import SIZES, Steps, make_random_data, time_steps, wait
from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.spawn import spawn
from asymbp_cli.specs.protocol import Precision
from asymbp_cli.training.device import open_device, threads

_BATCH = 100
#: loops over a DataLoader -> processes that load
_LOADERS = {"DataLoader loop": 0, "DataLoader loop, 1 worker": 1}
#: work of the processes with one thread each -> the engine's precision, None for a loop
_IN_PROCESSES: dict[str, Precision | None] = {
    "a resident loop per core": None,
    "engine": "standard",
    "engine, bf16": "bf16",
}
_CPU = torch.device("cpu")


def build_network() -> nn.Sequential:
    """Return the MNIST network of Table 1 as a user of PyTorch would write it."""
    layers = [
        nn.Conv2d(1, 20, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(20, 50, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(800, 500),
        nn.ReLU(),
        nn.Linear(500, 10),
    ]
    return nn.Sequential(*layers)


class UserLoop:
    """nn.Sequential and torch.optim.SGD, on batches from `source`; `measure` times its steps.

    It reads no value on the host. If `compiled`, it runs under torch.compile.
    """

    def __init__(
        self,
        source: Callable[[], Any],
        device: torch.device = _CPU,
        memory_format: torch.memory_format = torch.preserve_format,
        *,
        compiled: bool = False,
    ) -> None:
        self._device = device
        model = build_network().to(device).to(memory_format=memory_format)
        self._optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4)
        self._model: Callable[[Tensor], Tensor] = torch.compile(model) if compiled else model
        self._loss = nn.CrossEntropyLoss()
        self._source = source
        self._batches = iter(source())

    def _batch(self) -> tuple[Tensor, Tensor]:
        try:
            x, y = next(self._batches)
        except StopIteration:
            self._batches = iter(self._source())
            x, y = next(self._batches)
        return x, y

    def measure(self, steps: int) -> float:
        """Return the seconds of one step."""
        wait(self._device)
        began = time.perf_counter()
        for _ in range(steps):
            x, y = self._batch()
            self._optimizer.zero_grad()
            self._loss(self._model(x), y).backward()
            self._optimizer.step()
        wait(self._device)
        return (time.perf_counter() - began) / steps


class Images(datasets.VisionDataset):  # type: ignore[misc]
    """A dataset as torchvision has them: one PIL image and its transforms per sample."""

    def __init__(self, data: ResidentData) -> None:
        steps = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.29,))])
        super().__init__("", transform=steps)
        self._x = data.train.x
        self._y = data.train.y

    def __len__(self) -> int:
        return len(self._y)

    def __getitem__(self, index: int) -> Any:
        image = Image.fromarray(self._x[index, :, :, 0].numpy())
        return self.transform(image), int(self._y[index])


def make_loader(data: ResidentData, workers: int) -> Any:
    """Return a DataLoader with `workers` processes; without any it loads in the training process."""
    return torch.utils.data.DataLoader(
        Images(data), batch_size=_BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )


def iterate_resident(data: ResidentData) -> Callable[[], Iterator[tuple[Tensor, Tensor]]]:
    """Return a function that yields an epoch's batches; the data stay on their device, normalized once."""
    x = (data.train.x.permute(0, 3, 1, 2).float() - 127.5) / 73.6
    y = data.train.y

    def epoch() -> Iterator[tuple[Tensor, Tensor]]:
        for index in torch.split(torch.randperm(len(x), device=x.device), _BATCH):
            yield x[index], y[index]

    return epoch


def measure_resident_loop(device_name: str, *, replicas: int, rounds: int, steps: int) -> list[Measure]:
    """Return seconds per step of the resident loop, and of a replica of the engine, on one device in one process.

    The loop trains one network, channels_last as in the engine, and the engine a stack of `replicas`. The CPU uses
    one thread.
    """
    device = open_device(device_name)
    data = make_random_data(NETWORKS["mnist"].resolve(10), *SIZES["mnist"], device)
    loop = UserLoop(iterate_resident(data), device, torch.channels_last)
    stack = Steps("mnist", ["uSF"] * replicas, device, data)
    with threads(1):
        candidates = {"resident loop": _loop_call(loop, steps * 2, 1), "engine": time_steps(stack, steps)}
        return measure_interleaved(candidates, rounds)


def measure_loops(*, workers: int, replicas: int, rounds: int, steps: int) -> list[Measure]:
    """Return seconds per step of loops that train one network, and of `workers` processes with one thread each.

    The loops have `workers` threads, minus one if another process loads for the DataLoader. Each process trains a
    resident loop, or a stack of the engine in fp32 (as the loops do) or bf16. Their seconds are the time until the
    last one has ended, divided by the steps that all have made.
    """
    data = make_random_data(NETWORKS["mnist"].resolve(10), *SIZES["mnist"], _CPU)
    candidates: dict[str, Callable[[], float]] = {}
    for name, loader_workers in _LOADERS.items():
        loop = UserLoop(make_loader(data, loader_workers).__iter__)
        candidates[name] = _loop_call(loop, steps * 2, max(1, workers - loader_workers))
    candidates["resident loop"] = _loop_call(UserLoop(iterate_resident(data)), steps * 2, workers)
    with _processes(workers, replicas) as pipes:
        candidates |= {name: partial(_together, pipes, name, replicas, steps) for name in _IN_PROCESSES}
        return measure_interleaved(candidates, rounds)


def _loop_call(loop: UserLoop, steps: int, count: int) -> Callable[[], float]:
    def measure() -> float:
        with threads(count):
            return loop.measure(steps)

    return measure


def _together(pipes: Sequence[Connection], name: str, replicas: int, steps: int) -> float:
    began = time.perf_counter()
    for pipe in pipes:
        pipe.send((name, steps))
    for pipe in pipes:
        pipe.recv()
    return (time.perf_counter() - began) / (len(pipes) * replicas * steps)


@contextmanager
def _processes(count: int, replicas: int) -> Iterator[list[Connection]]:
    """Start `count` workers; end them when the context ends."""
    workers: list[tuple[SpawnProcess, Connection]] = []
    try:
        for _ in range(count):
            workers.append(spawn(_worker, replicas))
        pipes = [pipe for _, pipe in workers]
        for pipe in pipes:
            pipe.recv()
        yield pipes
    finally:
        for process, pipe in workers:
            process.kill()
            process.join()
            pipe.close()


def _worker(pipe: Connection, replicas: int) -> None:
    """Make as many steps as the pipe asks for: of a stack, or `replicas` times as many of a loop."""
    torch.set_num_threads(1)
    data = make_random_data(NETWORKS["mnist"].resolve(10), *SIZES["mnist"], _CPU)
    measures = {name: _measure_of(precision, data, replicas) for name, precision in _IN_PROCESSES.items()}
    pipe.send("ready")
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent has ended
        while True:
            name, steps = pipe.recv()
            pipe.send(measures[name](steps))


def _measure_of(precision: Precision | None, data: ResidentData, replicas: int) -> Callable[[int], float]:
    """Return a function that times steps of the engine in a precision, or without one of the resident loop."""
    if precision is None:
        loop = UserLoop(iterate_resident(data))
        return lambda steps: loop.measure(steps * replicas)
    return Steps("mnist", ["uSF"] * replicas, _CPU, data, precision=precision).measure

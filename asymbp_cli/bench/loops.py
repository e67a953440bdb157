"""The engine against the loops that a good user of PyTorch would write, on random digits."""

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import Tensor, nn

from asymbp_cli.bench.measure import Measure, interleaved
from asymbp_cli.bench.steps import SIZES, Steps, random_data, threads, timed, wait
from asymbp_cli.datasets.resident import ResidentData
from asymbp_cli.engine import open_device
from asymbp_cli.networks import NETWORKS
from asymbp_cli.protocol import Precision

_BATCH = 100
_ENGINES: dict[str, Precision] = {"engine": "standard", "engine, bf16": "bf16"}
_CPU = torch.device("cpu")


def sequential() -> nn.Sequential:
    """Return the MNIST network of Table 1 as a user of PyTorch would write it."""
    return nn.Sequential(
        *(nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10)),
    )


class UserLoop:
    """nn.Sequential and torch.optim.SGD, on batches from `source`; `measure` times its steps.

    It reads no value on the host.
    """

    def __init__(
        self,
        source: Callable[[], Any],
        device: torch.device = _CPU,
        memory_format: torch.memory_format = torch.preserve_format,
    ) -> None:
        self._device = device
        self._model = sequential().to(device).to(memory_format=memory_format)
        self._optimizer = torch.optim.SGD(self._model.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4)
        self._loss = nn.CrossEntropyLoss()
        self._source, self._batches = source, iter(source())

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


def loader(data: ResidentData) -> Any:
    """Return a DataLoader over a torchvision-style dataset: one PIL image and its transforms per sample.

    It loads in the training process (num_workers=0, the default): both cores are busy with training already.
    """
    from PIL import Image
    from torchvision import datasets, transforms

    class Images(datasets.VisionDataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return len(data.train.y)

        def __getitem__(self, index: int) -> Any:
            image = Image.fromarray(data.train.x[index, :, :, 0].numpy())
            return self.transform(image), int(data.train.y[index])

    steps = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.29,))])
    return torch.utils.data.DataLoader(Images("", transform=steps), batch_size=_BATCH, shuffle=True)


def resident(data: ResidentData) -> Callable[[], Iterator[tuple[Tensor, Tensor]]]:
    """Return a function that yields an epoch's batches of data that stay on their device, normalized once."""
    x, y = (data.train.x.permute(0, 3, 1, 2).float() - 127.5) / 73.6, data.train.y

    def epoch() -> Iterator[tuple[Tensor, Tensor]]:
        for index in torch.split(torch.randperm(len(x), device=x.device), _BATCH):
            yield x[index], y[index]

    return epoch


def engine_over_resident(device_name: str, *, replicas: int, rounds: int, steps: int) -> list[Measure]:
    """Return seconds per step of the resident loop, and of a replica of the engine, on one device in one process.

    The loop trains one network, channels_last as the engine's, and the engine a stack of `replicas`; on the CPU on
    one thread.
    """
    device = open_device(device_name)
    data = random_data(NETWORKS["mnist"].resolve(10), *SIZES["mnist"], device)
    loop = UserLoop(resident(data), device, torch.channels_last)
    stack = Steps("mnist", ["uSF"] * replicas, device, data)
    with threads(1):
        return interleaved({"resident loop": _loop_call(loop, steps * 2), "engine": timed(stack, steps)}, rounds)


def engine_over_loops(*, workers: int, replicas: int, rounds: int, steps: int) -> list[Measure]:
    """Return seconds per step of the two loops on `workers` threads, and of `workers` engine processes together.

    The engine works in fp32 as the loops do, and in bf16. Its seconds are those of one step divided by the steps
    that all processes make at once.
    """
    data = random_data(NETWORKS["mnist"].resolve(10), *SIZES["mnist"], _CPU)
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for _ in range(workers):
        ours, theirs = context.Pipe()
        process = context.Process(target=_engine_worker, args=(theirs, replicas), daemon=True)
        process.start()
        pipes.append(ours)
        processes.append(process)
    for pipe in pipes:
        pipe.recv()

    def engine(precision: Precision) -> float:
        for pipe in pipes:
            pipe.send((precision, steps))
        return 1 / sum(1 / float(pipe.recv()) for pipe in pipes)

    loops = {
        "DataLoader loop": UserLoop(lambda: loader(data)),
        "resident loop": UserLoop(resident(data)),
    }
    candidates = {name: _loop_call(loop, steps * 2) for name, loop in loops.items()}
    candidates |= {name: partial(engine, precision) for name, precision in _ENGINES.items()}
    try:
        with threads(workers):
            return interleaved(candidates, rounds)
    finally:
        for process in processes:
            process.kill()
            process.join()


def _loop_call(loop: UserLoop, count: int) -> Callable[[], float]:
    return lambda: loop.measure(count)


def _engine_worker(pipe: Connection, replicas: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to handle, which closes the pipe
    torch.set_num_threads(1)
    device = open_device("cpu")
    stacks = {p: Steps("mnist", ["uSF"] * replicas, device, precision=p) for p in _ENGINES.values()}
    pipe.send("ready")
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent has gone
        while True:
            precision, count = pipe.recv()
            pipe.send(stacks[precision].measure(count))

"""Measures of this machine: feedback overhead, and the engine against loops a good user would write.

Everything is interleaved in one run and compared round by round, so that a machine whose speed drifts still
gives honest ratios. Images are random: speed does not depend on what they show.
"""

import multiprocessing
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from asymbp_cli.datasets.info import DataInfo
from asymbp_cli.datasets.resident import ResidentData, Split
from asymbp_cli.engine import Tally, Trainer, open_device
from asymbp_cli.methods import parse_method
from asymbp_cli.networks import NETWORKS
from asymbp_cli.protocol import Protocol
from asymbp_cli.runs import Run, Stack

#: methods whose step is compared with SGD's; none has BN, which is compared by itself
SCHEMES = ("uSF", "NuSF", "brSF", "brSF-50%", "frSF", "frSF-50%", "RndF", "BM")
_BATCH = 100
_SAMPLES = 6000


@dataclass(frozen=True)
class Measure:
    """Seconds of a step per replica, and its ratio to the reference of the same round: median, least, most."""

    name: str
    seconds: float
    ratio: float
    lowest: float
    highest: float


def random_digits(samples: int = _SAMPLES) -> ResidentData:
    """Return random images in MNIST's shape, on the CPU."""
    source = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (samples, 28, 28, 1), dtype=torch.uint8, generator=source)
    y = torch.randint(0, 10, (samples,), generator=source)
    split = Split(x, y)
    info = DataInfo(
        key="random",
        label="random",
        paper_name=None,
        exact=False,
        classes=tuple("0123456789"),
        shape=(28, 28, 1),
        train_count=samples,
        test_count=samples,
        fingerprint="",
        directory="",
    )
    return ResidentData(info, split, split, None, torch.full((28, 28, 1), 127.5), torch.full((1,), 1 / 73.6))


def _on(data: ResidentData, device: torch.device) -> ResidentData:
    split = Split(data.train.x.to(device), data.train.y.to(device))
    return ResidentData(data.info, split, split, None, data.mean.to(device), data.inverse_std.to(device))


class Steps:
    """A stack of one method on the MNIST network; `measure` times its training steps."""

    def __init__(self, method: str, replicas: int, data: ResidentData, device: torch.device) -> None:
        network, protocol = NETWORKS["mnist"].resolve(10), Protocol()
        runs = tuple(
            Run(
                dataset="random",
                network=network,
                method=parse_method(method),
                protocol=protocol,
                rate_multiplier=0.01 / (i + 1),
                seed=0,
            )
            for i in range(replicas)
        )
        self._trainer = Trainer(Stack(runs), data, device)
        self._trainer.bank.begin_epoch(1)
        self._batches = self._trainer.batches(1)
        self._replicas = list(range(replicas))
        self._next = 0

    def measure(self, steps: int) -> float:
        """Return the seconds of one step of one replica, over `steps` steps of the stack."""
        tally = Tally(len(self._replicas), self._replicas, self._trainer.device)
        _wait(self._trainer.device)
        began = time.perf_counter()
        for _ in range(steps):
            self._next = (self._next + 1) % len(self._batches)
            self._trainer.step(self._batches[self._next], 5e-4, tally)
        _wait(self._trainer.device)
        return (time.perf_counter() - began) / steps / len(self._replicas)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def feedback_overhead(device_name: str, *, replicas: int, rounds: int, steps: int) -> list[Measure]:
    """Return each scheme's step over plain backpropagation's, and BN's; on the CPU on one thread."""
    device = open_device(device_name)
    data = _on(random_digits(), device)
    candidates = {name: Steps(name, replicas, data, device) for name in ("SGD", *SCHEMES, "uSF+BN")}
    return interleaved({name: _call(c, steps) for name, c in candidates.items()}, rounds, threads=1)


def _call(steps: Steps, count: int) -> Callable[[], float]:
    return lambda: steps.measure(count)


def interleaved(candidates: Mapping[str, Callable[[], float]], rounds: int, *, threads: int) -> list[Measure]:
    """Measure every candidate once a round, after one round of warming up; the first is the reference."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for run in candidates.values():
            run()
        table = [{name: run() for name, run in candidates.items()} for _ in range(rounds)]
    finally:
        torch.set_num_threads(before)
    reference = next(iter(candidates))
    found = []
    for name in candidates:
        ratios = [line[name] / line[reference] for line in table]
        found.append(Measure(name, median(line[name] for line in table), median(ratios), min(ratios), max(ratios)))
    return found


def sequential() -> nn.Sequential:
    """Return the MNIST network of Table 1 as a user of PyTorch would write it."""
    return nn.Sequential(
        *(nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10)),
    )


class UserLoop:
    """nn.Sequential and torch.optim.SGD, on batches from `source`; `measure` times its steps."""

    def __init__(self, source: Callable[[], Any]) -> None:
        self._model = sequential()
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
        began = time.perf_counter()
        for _ in range(steps):
            x, y = self._batch()
            self._optimizer.zero_grad()
            self._loss(self._model(x), y).backward()
            self._optimizer.step()
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


def resident(data: ResidentData) -> Any:
    """Yield batches of data that stay in memory, normalized once."""
    x = (data.train.x.permute(0, 3, 1, 2).float() - 127.5) / 73.6
    for index in torch.split(torch.randperm(len(x)), _BATCH):
        yield x[index], data.train.y[index]


def engine_over_loops(*, workers: int, replicas: int, rounds: int, steps: int) -> list[Measure]:
    """Return seconds per step of the two loops on `workers` threads, and of `workers` engine processes together.

    The engine's seconds are those of one step divided by the steps that all processes make at once.
    """
    data = random_digits()
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

    def engine() -> float:
        for pipe in pipes:
            pipe.send(steps)
        return 1 / sum(1 / float(pipe.recv()) for pipe in pipes)

    loops = {
        "DataLoader loop": UserLoop(lambda: loader(data)),
        "resident loop": UserLoop(lambda: resident(data)),
    }
    candidates = {name: _loop_call(loop, steps * 2) for name, loop in loops.items()} | {"engine": engine}
    try:
        return interleaved(candidates, rounds, threads=workers)
    finally:
        for process in processes:
            process.kill()
            process.join()


def _loop_call(loop: UserLoop, count: int) -> Callable[[], float]:
    return lambda: loop.measure(count)


def _engine_worker(pipe: Connection, replicas: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to handle, which closes the pipe
    torch.set_num_threads(1)
    steps = Steps("uSF", replicas, random_digits(), open_device("cpu"))
    pipe.send("ready")
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent has gone
        while count := pipe.recv():
            pipe.send(steps.measure(count))

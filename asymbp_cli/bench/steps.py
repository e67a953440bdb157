"""Timed steps of the engine on random data: speed does not depend on the content of images."""

import time
from collections.abc import Callable, Sequence

import torch

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.resident import ResidentData, Split
from asymbp_cli.recipe.networks import NETWORK_FILES, NETWORKS
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import Precision, Protocol
from asymbp_cli.specs.runs import Run, Stack
from asymbp_cli.training.engine import Trainer

#: network of Table 1 -> samples that are enough for some batches
_SAMPLES = {"mnist": 6000, "cifar": 2000, "svhn": 1000, "large": 400, "timit": 2000}
#: network of Table 1 -> (classes, samples)
SIZES = {network: (NETWORK_FILES[network].classes, samples) for network, samples in _SAMPLES.items()}


def make_random_data(network: Network, classes: int, samples: int, device: torch.device) -> ResidentData:
    """Return random inputs of a network's shape on a device."""
    source = torch.Generator().manual_seed(0)
    shape = (samples, *network.input)
    images = len(network.input) == 3
    x = torch.randn(shape, generator=source)
    if images:
        x = torch.randint(0, 256, shape, dtype=torch.uint8, generator=source)
    y = torch.randint(0, classes, (samples,), generator=source)
    split = Split(x.to(device), y.to(device))
    info = DecodedDataset(
        key="random",
        label="random",
        paper_name=None,
        exact=False,
        classes=tuple(map(str, range(classes))),
        shape=network.input,
        train_count=samples,
        test_count=samples,
        fingerprint="",
        directory="",
    )
    mean, deviation = (127.5, 73.6) if images else (0.0, 1.0)
    statistics = torch.full(network.input, mean), torch.full((1,), 1 / deviation)
    return ResidentData(info, split, split, None, *(part.to(device) for part in statistics))


def make_runs(
    network: Network, methods: Sequence[str], batch: int = 100, precision: Precision = "standard"
) -> tuple[Run, ...]:
    """Return a run of each method on a resolved network, all of one stack, with mini-batches of `batch`."""
    return tuple(
        Run(
            dataset="random",
            network=network,
            method=parse_method(method),
            protocol=Protocol(batch_size=batch, precision=precision),
            rate_multiplier=0.01 / (i + 1),
            seed=0,
        )
        for i, method in enumerate(methods)
    )


class Steps:
    """A stack of methods on a network of Table 1; `measure` times its training steps on `batch` samples each."""

    def __init__(
        self,
        key: str,
        methods: Sequence[str],
        device: torch.device,
        data: ResidentData | None = None,
        *,
        batch: int = 100,
        precision: Precision = "standard",
        graphs: bool = True,
    ):
        classes, samples = SIZES[key] if data is None else (len(data.info.classes), 0)
        network = NETWORKS[key].resolve(classes)
        runs = make_runs(network, methods, batch, precision)
        self.flop = network.flop_per_sample() * batch  # of a replica's step
        data = data or make_random_data(network, classes, samples, device)
        self.trainer = Trainer(Stack(runs), data, device, graphs=graphs)
        self.trainer.begin_epoch(1, range(len(runs)))
        self.batches = [index for index in self.trainer.batches(1) if len(index) == batch]
        self.replicas = len(runs)
        self._next = 0
        self.trainer.warm_up(self.batches[0])

    def measure(self, steps: int) -> float:
        """Return the seconds of one step of one replica, over `steps` steps of the stack."""
        self.trainer.use_precision()
        wait(self.trainer.device)
        began = time.perf_counter()
        for _ in range(steps):
            self._next = (self._next + 1) % len(self.batches)
            self.trainer.step(self.batches[self._next])
        wait(self.trainer.device)
        return (time.perf_counter() - began) / steps / self.replicas

    def evaluate(self) -> None:
        """Test all replicas, as after an epoch."""
        self.trainer.evaluation.scores(range(self.replicas), self.trainer.statistics_batches(1))


def wait(device: torch.device) -> None:
    """Wait until a device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def time_steps(steps: Steps, count: int) -> Callable[[], float]:
    """Return a function that times `count` steps."""
    return lambda: steps.measure(count)


def repeat_for(seconds: float, measure: Callable[[int], float], replicas: int) -> Callable[[], float]:
    """Return a function that calls `measure` with as many steps as last about `seconds`, at least one.

    `measure(steps)` returns the seconds of a replica's step in a stack of `replicas`.
    """
    count = max(1, round(seconds / (measure(1) * replicas)))
    return lambda: measure(count)

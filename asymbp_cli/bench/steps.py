"""Steps of the engine on random data, to be timed: speed does not depend on what images show."""

import time
from collections.abc import Callable, Sequence

import torch

from asymbp_cli.bench.measure import Measure, interleaved
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.datasets.resident import ResidentData, Split
from asymbp_cli.recipe.networks import NETWORK_FILES, NETWORKS
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import Precision, Protocol
from asymbp_cli.specs.runs import Run, Stack
from asymbp_cli.training.device import open_device, threads
from asymbp_cli.training.engine import Trainer

#: methods whose step is compared with SGD's; none has BN, which is compared by itself
SCHEMES = ("uSF", "NuSF", "brSF", "brSF-50%", "frSF", "frSF-50%", "RndF", "BM")
#: network of Table 1 -> samples that are enough for some batches
_SAMPLES = {"mnist": 6000, "cifar": 2000, "svhn": 1000, "large": 400, "timit": 2000}
#: network of Table 1 -> (classes, samples)
SIZES = {network: (NETWORK_FILES[network].classes, samples) for network, samples in _SAMPLES.items()}

#: samples of a mini-batch; the first is the reference, the paper's
_BATCHES = (100, 25, 50, 200, 500)


def random_data(network: Network, classes: int, samples: int, device: torch.device) -> ResidentData:
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


def runs_of(
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
    """A stack of methods on a network of Table 1; `measure` times its training steps on `batch` samples."""

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
        runs = runs_of(network, methods, batch, precision)
        self.flop = network.flop_per_sample() * batch  # of a replica's step
        data = data or random_data(network, classes, samples, device)
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
    """Wait until a device has done its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def timed(steps: Steps, count: int) -> Callable[[], float]:
    """Return a function that measures `count` steps."""
    return lambda: steps.measure(count)


def feedback_overhead(device_name: str, *, replicas: int, rounds: int, steps: int) -> list[Measure]:
    """Return each scheme's step over plain backpropagation's, and BN's; on the CPU on one thread."""
    device = open_device(device_name)
    network = NETWORKS["mnist"].resolve(10)
    data = random_data(network, *SIZES["mnist"], device)
    with threads(1):
        candidates = {name: Steps("mnist", [name] * replicas, device, data) for name in ("SGD", *SCHEMES)}
        for name in ("BN", "uSF+BN"):
            candidates[name] = Steps("mnist", [name] * replicas, device, data)
        return interleaved({name: timed(c, steps) for name, c in candidates.items()}, rounds)


def precisions(device_name: str, *, replicas: int, rounds: int, seconds: float) -> list[Measure]:
    """Return a step in each precision over that in the standard one, of the MNIST and the CIFAR network.

    On the CPU on one thread, where fp32 is the standard. About `seconds` a candidate and round.
    """
    device, found = open_device(device_name), []
    names: dict[str, Precision] = {"fp32": "standard", "bf16": "bf16"}
    if device.type == "cuda":
        names = {"tf32": "standard", "fp32": "fp32", "bf16": "bf16"}
    with threads(1):
        for key in ("mnist", "cifar"):
            made = {
                f"{key}, {name}": Steps(key, ["uSF"] * replicas, device, precision=precision)
                for name, precision in names.items()
            }
            found += interleaved(
                {name: lasting(steps.measure, replicas, seconds) for name, steps in made.items()}, rounds
            )
    return found


def lasting(measure: Callable[[int], float], replicas: int, seconds: float) -> Callable[[], float]:
    """Return a function that lets `measure` take as many steps as last about `seconds`, one at least.

    `measure(steps)` returns the seconds of a replica's step in a stack of `replicas`.
    """
    count = max(1, round(seconds / (measure(1) * replicas)))
    return lambda: measure(count)


def scaling(device_name: str, counts: Sequence[int], *, rounds: int, seconds: float) -> list[Measure]:
    """Return the seconds of a replica's step in stacks of several sizes, over those in a stack of one.

    About `seconds` a size and round.
    """
    device = open_device(device_name)
    data = random_data(NETWORKS["mnist"].resolve(10), *SIZES["mnist"], device)
    with threads(1):
        candidates = {
            f"{count} replicas": lasting(Steps("mnist", ["uSF"] * count, device, data).measure, count, seconds)
            for count in counts
        }
        return interleaved(candidates, rounds)


def growth(device_name: str, *, replicas: int, rounds: int, steps: int) -> list[Measure]:
    """Return the seconds per sample of a replica at several batch sizes, over those at batch 100.

    `steps` at batch 100, and at the other sizes about as many as see the same samples.
    """
    device = open_device(device_name)
    data = random_data(NETWORKS["mnist"].resolve(10), *SIZES["mnist"], device)
    with threads(1):
        made = {batch: Steps("mnist", ["uSF"] * replicas, device, data, batch=batch) for batch in _BATCHES}
        candidates = {f"batch {batch}": _per_sample(stack, batch, steps) for batch, stack in made.items()}
        found = dict(zip(_BATCHES, interleaved(candidates, rounds), strict=True))
    return [found[batch] for batch in sorted(found)]


def _per_sample(made: Steps, batch: int, steps: int) -> Callable[[], float]:
    count = max(1, round(steps * _BATCHES[0] / batch))
    return lambda: made.measure(count) / batch

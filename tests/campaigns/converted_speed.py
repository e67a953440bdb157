"""Times training steps of LeNet converted by `asymbp.convert`, next to those of LeNet itself, on one thread.

python tests/campaigns/converted_speed.py [ROUNDS] [STEPS]: mini-batches of 64 images of 32 x 32. Rounds of STEPS
steps of each are interleaved; each ratio is the median over rounds. Processor time: other programs count less.
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence

import torch
from torch import nn

from asymbp_cli.modules.convert import convert

SCHEMES = ("sham", "uSF", "brSF", "FA", "KP", "DFA")
BATCH = 64


def make_lenet() -> nn.Sequential:
    """Return LeNet-5 with ReLU and max pooling (LeCun, Bottou, Bengio and Haffner 1998)."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


def make_training(module: nn.Module) -> Callable[[int], float]:
    """Return a function that trains so many steps on random images and returns the seconds of one."""
    x, y = torch.randn(BATCH, 3, 32, 32), torch.randint(0, 10, (BATCH,))
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3, momentum=0.9)
    loss = nn.CrossEntropyLoss()

    def train(steps: int) -> float:
        began = time.process_time()
        for _ in range(steps):
            optimizer.zero_grad()
            loss(module(x), y).backward()
            optimizer.step()
        return (time.process_time() - began) / steps

    return train


def measure(schemes: Sequence[str], rounds: int, steps: int) -> dict[str, float]:
    """Return the step of each scheme over that of the module itself."""
    torch.set_num_threads(1)
    plain = make_training(make_lenet())
    example = torch.zeros(BATCH, 3, 32, 32)
    trainings = {
        scheme: make_training(convert(make_lenet(), scheme, seed=0, example_input=example)) for scheme in schemes
    }
    for training in (plain, *trainings.values()):
        training(steps)
    ratios: dict[str, list[float]] = {scheme: [] for scheme in schemes}
    for _ in range(rounds):
        for scheme, training in trainings.items():
            before, own, after = plain(steps), training(steps), plain(steps)
            ratios[scheme].append(2 * own / (before + after))
    return {scheme: statistics.median(found) for scheme, found in ratios.items()}


def main(rounds: int = 21, steps: int = 40) -> None:
    """Print the ratios."""
    for scheme, ratio in measure(SCHEMES, rounds, steps).items():
        print(f"{scheme}: {ratio:.3f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

"""Banks of a small network with made-up weights, for what updates them."""

from typing import Any

import torch

from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.networks import Network
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run
from asymbp_cli.training import draws
from asymbp_cli.training.bank import Bank
from asymbp_cli.training.model import Model

CPU = torch.device("cpu")
# its row is longer than a block of the kernel, and neither it nor the part with feedback is a multiple of one
NETWORK = Network(input=(4, 4, 2), layers=("Conv 3x3x8/1 pad 1", "FC 9", "FC 3"))


def banks(methods: tuple[str, ...], *, together: bool = False, **protocol: Any) -> list[Bank]:
    """Return the same bank twice."""
    settings = Protocol.model_validate({"manhattan_biases": False, **protocol})
    runs = [
        Run(
            dataset="x",
            network=NETWORK,
            method=parse_method(name),
            protocol=settings,
            rate_multiplier=rate,
            seed=3,
        )
        for name in methods
        for rate in (1.0, 0.1)
    ]
    model = Model.of(NETWORK, settings, runs[0].method)
    found = [Bank(runs, model, CPU, together=together) for _ in range(2)]
    for bank in found:
        with torch.no_grad():
            bank.weights += torch.randn(bank.weights.shape, generator=draws.generator("weights"))
            bank.weights[:, ::5] = 0.0
            bank.weights[:, 1::5] = -0.0
        bank.begin_epoch(1, 0.01)
    return found

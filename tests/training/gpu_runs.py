"""Runs on the digits, for tests on a GPU."""

from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.recipe.networks import NETWORKS
from asymbp_cli.specs.methods import parse_method
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.runs import Run


def make_runs(info: DecodedDataset, *methods: str) -> tuple[Run, ...]:
    network = NETWORKS["digits"].resolve(10)
    return tuple(
        Run(
            dataset=info.fingerprint,
            network=network,
            method=parse_method(name),
            protocol=Protocol(epochs=5),
            rate_multiplier=1.0,
            seed=0,
        )
        for name in methods
    )

"""Table 1: the networks, with shapes and counts that are computed, not copied."""

from collections.abc import Iterator
from math import prod

from asymbp_cli.recipe.networks import NETWORK_FILES
from asymbp_cli.report.document import Listing
from asymbp_cli.specs.networks import Network, dimensions

_HEADER = ("layer", "notation", "output", "weights and biases")


def list_networks() -> Iterator[Listing]:
    """Yield every network layer by layer: notation of Table 1, output shape, weights and biases."""
    for name, file in NETWORK_FILES.items():
        resolved = file.network.resolve(file.classes)
        rows = (
            ("input", "", dimensions(resolved.input), ""),
            *_layer_rows(file.network, resolved),
            ("total", "", "", f"{resolved.parameter_count():,}"),
        )
        use = f"{file.used_by}; " if file.used_by else ""
        title = f"{name}: {use}{resolved.flop_per_sample() / 1e6:,.1f} MFLOP per sample and step"
        yield Listing(title, _HEADER, rows)


def _layer_rows(written: Network, resolved: Network) -> list[tuple[str, str, str, str]]:
    """Return number, notation, output shape and parameters of every layer."""
    counts = {operation.number: _count_parameters(operation.weight_shape) for operation in resolved.weighted()}
    layers = zip(written.layers, resolved.layers, resolved.shapes()[1:], strict=True)
    rows = []
    for number, (notation, text, shape) in enumerate(layers, start=1):
        label = notation if notation == text else f"{notation} = {text}"
        count = f"{counts[number]:,}" if number in counts else ""
        rows.append((str(number), label, dimensions(shape), count))
    return rows


def _count_parameters(shape: tuple[int, ...]) -> int:
    return prod(shape) + shape[0]

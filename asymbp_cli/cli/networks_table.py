"""Table 1: the networks, with shapes and counts that are computed, not copied."""

from math import prod

from tabulate import tabulate

from asymbp_cli.recipe.networks import NETWORK_FILES, NetworkFile
from asymbp_cli.specs.networks import Network, dimensions

_HEADER = ("layer", "", "output", "weights and biases")
_ALIGNMENT = ("right", "left", "right", "right")


def render_networks() -> str:
    """Return every network layer by layer: notation of Table 1, output shape, weights and biases."""
    parts = ["Table 1. The networks; ReLU after every layer but the last."]
    parts += [_render_network(name, file) for name, file in NETWORK_FILES.items()]
    return "\n\n".join(parts)


def _render_network(name: str, file: NetworkFile) -> str:
    resolved = file.network.resolve(file.classes)
    rows = [
        ("input", "", dimensions(resolved.input), ""),
        *_layer_rows(file.network, resolved),
        ("", "total", "", f"{resolved.parameter_count():,}"),
    ]
    use = f"{file.used_by}; " if file.used_by else ""
    title = f"{name}: {use}{resolved.flop_per_sample() / 1e6:,.1f} MFLOP per sample and step"
    table = tabulate(rows, _HEADER, tablefmt="simple", disable_numparse=True, colalign=_ALIGNMENT)
    return f"{title}\n{table}"


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

"""Table 1: the networks, with shapes and counts that are computed, not copied."""

from math import prod

from tabulate import tabulate

from asymbp_cli.datasets.catalog import CATALOG, typical_classes
from asymbp_cli.specs.networks import NETWORKS

_MOST_NAMED = 2  # datasets of a network


def networks_table() -> str:
    """Return every network layer by layer: notation of Table 1, output shape, weights and biases."""
    parts = ["Table 1. The networks; ReLU after every layer but the last."]
    for name, network in NETWORKS.items():
        resolved = network.resolve(typical_classes(name))
        rows = [["input", "", "x".join(map(str, resolved.input)), ""]]
        counts = {operation.number: _parameters(operation.weight_shape) for operation in resolved.weighted()}
        layers = zip(network.layers, resolved.layers, resolved.shapes()[1:], strict=True)
        for number, (written, text, shape) in enumerate(layers, start=1):
            count = f"{counts[number]:,}" if number in counts else ""
            label = written if written == text else f"{written} = {text}"
            rows.append([str(number), label, "x".join(map(str, shape)), count])
        rows.append(["", "total", "", f"{resolved.parameter_count():,}"])
        title = f"{name}: {_used_by(name)}; {resolved.flop_per_sample() / 1e6:,.1f} MFLOP per sample and step"
        header = ["layer", "", "output", "weights and biases"]
        align = ("right", "left", "right", "right")
        table = tabulate(rows, header, tablefmt="simple", disable_numparse=True, colalign=align)
        parts.append(f"{title}\n{table}")
    return "\n\n".join(parts)


def _used_by(network: str) -> str:
    """Return the datasets that the paper, or this tool, trains a network on."""
    entries = [entry for entry in CATALOG.values() if entry.network == network]
    names = " and ".join(entry.label for entry in entries)
    if len(entries) > _MOST_NAMED:
        names = "all other image sets"
    if not any(entry.paper for entry in entries):
        return f"{names} (not in the paper)"
    if len({entry.classes for entry in entries}) > 1:
        return f"{names} (counts for {typical_classes(network)} classes)"
    return names


def _parameters(shape: tuple[int, ...]) -> int:
    return prod(shape) + shape[0]

"""Table 1: the networks, with shapes and counts that are computed, not copied."""

from math import prod

from tabulate import tabulate

from asymbp_cli.recipe.networks import NETWORKS

_CLASSES = {"large": 102, "timit": 80}
_USED_BY = {
    "large": "all other image sets (counts for 102 classes)",
    "mnist": "MNIST",
    "cifar": "CIFAR-10 and CIFAR-100 (counts for 10 classes)",
    "svhn": "SVHN",
    "timit": "TIMIT-80",
    "digits": "digits (not in the paper)",
}


def networks_table() -> str:
    """Return every network layer by layer: notation of Table 1, output shape, weights and biases."""
    parts = ["Table 1. The networks; ReLU after every layer but the last."]
    for name, network in NETWORKS.items():
        resolved = network.resolve(_CLASSES.get(name, 10))
        rows = [["input", "", "x".join(map(str, resolved.input)), ""]]
        counts = {operation.number: _parameters(operation.weight_shape) for operation in resolved.weighted()}
        layers = zip(network.layers, resolved.layers, resolved.shapes()[1:], strict=True)
        for number, (written, text, shape) in enumerate(layers, start=1):
            count = f"{counts[number]:,}" if number in counts else ""
            label = written if written == text else f"{written} = {text}"
            rows.append([str(number), label, "x".join(map(str, shape)), count])
        rows.append(["", "total", "", f"{resolved.parameter_count():,}"])
        title = f"{name}: {_USED_BY[name]}; {resolved.flop_per_sample() / 1e6:,.1f} MFLOP per sample and step"
        header = ["layer", "", "output", "weights and biases"]
        align = ("right", "left", "right", "right")
        table = tabulate(rows, header, tablefmt="simple", disable_numparse=True, colalign=align)
        parts.append(f"{title}\n{table}")
    return "\n\n".join(parts)


def _parameters(shape: tuple[int, ...]) -> int:
    return prod(shape) + shape[0]

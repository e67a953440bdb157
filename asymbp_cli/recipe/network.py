"""The network of a recipe: a name, or layers of the user's own, checked against the datasets it is to take."""

import re
from collections.abc import Sequence
from typing import Any

from asymbp_cli.datasets.catalog import DatasetRef, find
from asymbp_cli.errors import NetworkError
from asymbp_cli.recipe.yamlfile import Checker
from asymbp_cli.specs.layers import FC, Layer, parse_layer
from asymbp_cli.specs.networks import NETWORKS, Network, find_network

_ANY_CLASSES = 5040  # stands for an unknown number of classes: what groups may divide divides it


def read_network(checker: Checker, written: Any) -> Network | None:
    """Return the network that a recipe writes; None where it writes none, or its problems are noted."""
    if written is None:
        return None
    if isinstance(written, str):
        return checker.attempt(("network",), find_network, written)
    if not checker.keys(("network",), written, ("input", "layers")):
        return None
    content = dict(written)
    if isinstance(size := content.get("input"), str):
        if not re.fullmatch(r"[0-9]{1,6}(x[0-9]{1,6}){0,2}", size):
            checker.add(("network", "input"), f'"{size}": write it like 28x28x1, or 1845 for vectors')
            return None
        content["input"] = [int(part) for part in size.split("x")]
    elif isinstance(size, int):
        content["input"] = [size]
    network = checker.attempt(("network",), Network.model_validate, content)
    layers = network.layers if network else ()
    parsed = [checker.attempt(("network", "layers", i), _layer, text) for i, text in enumerate(layers)]
    return network if all(parsed) else None


def _layer(text: str) -> Layer:
    if text.count("(") > text.count(")"):
        raise NetworkError(f'"{text}" is cut at a comma; inside [...] put the layer in quotes')
    return parse_layer(text, _ANY_CLASSES)


def check_inputs(checker: Checker, network: Network | None, datasets: Sequence[DatasetRef]) -> None:
    """Check that the network's layers fit its input and that its input is one that the datasets can give."""
    if network is None:
        return
    last = parse_layer(network.layers[-1], _ANY_CLASSES)  # decides where the number of classes is not known
    counts = {find(ref).classes for ref in datasets if isinstance(ref, str)}
    for classes in sorted(counts) or [last.features if isinstance(last, FC) else _ANY_CLASSES]:
        if checker.attempt(("network", "layers"), network.resolve, classes) is None:
            return
    own = {NETWORKS[find(ref).network].input if isinstance(ref, str) else (0, 0, 0) for ref in datasets}
    if len(network.input) == 1 and any(shape != network.input for shape in own):
        found = f"takes vectors of {network.input[0]}, but the datasets hold "
        shapes = sorted({f"vectors of {shape[0]}" if len(shape) == 1 else "images" for shape in own})
        checker.add(("network",), f"{found}{' and '.join(shapes)}; use input: 8x8x1 for images")
    elif len(network.input) == 3 and any(len(shape) == 1 for shape in own):
        checker.add(("network", "input"), "takes images, but a dataset holds vectors; use input: 1845 for timit")
    elif len(network.input) == 3 and network.input[2] not in (1, 3):
        checker.add(("network", "input"), f"images have 1 or 3 channels, not {network.input[2]}")

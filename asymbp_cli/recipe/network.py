"""The network of a recipe: a name, or the user's own layers, checked against the datasets."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from asymbp_cli.datasets.catalog import DatasetRef, find_entry
from asymbp_cli.errors import NetworkError
from asymbp_cli.recipe.yamlfile import Checker
from asymbp_cli.specs.layers import FC, Layer, parse_layer
from asymbp_cli.specs.networks import NETWORKS, Network, find_network

_ANY_CLASSES = 5040  # stands for an unknown number of classes: what groups may divide divides it


def read_network(checker: Checker, written: Any) -> Network | None:
    """Return the network of a recipe; None if it has none, or if its problems are noted."""
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
    """Note a problem if the layers do not fit the network's input, or the input does not fit the datasets."""
    if network is None:
        return
    last = parse_layer(network.layers[-1], _ANY_CLASSES)  # decides if the number of classes is unknown
    counts = {find_entry(ref).classes for ref in datasets if isinstance(ref, str)}
    for classes in sorted(counts) or [last.features if isinstance(last, FC) else _ANY_CLASSES]:
        if checker.attempt(("network", "layers"), network.resolve, classes) is None:
            return
    has_layers = isinstance(checker.document.data.get("network"), Mapping)
    path = ("network", "input") if has_layers else ("network",)
    checker.attempt(path, _check_channels, network)
    for ref in datasets:
        checker.attempt(path, _check_kind, network, *_key_and_name(ref))


def network_for(key: str) -> Network:
    """Return the paper's network for a dataset; the large one for a folder of images."""
    return NETWORKS["large"] if key == "folder" else find_network(find_entry(key).network)


def input_shape(network: Network, ref: DatasetRef) -> tuple[int, ...]:
    """Return the shape of a dataset's samples for `network`: (height, width, channels) or (features,).

    Images are resized to it. Raises NetworkError if the network does not fit the dataset.
    """
    _check_kind(network, *_key_and_name(ref))
    _check_channels(network)
    return network.input


def _key_and_name(ref: DatasetRef) -> tuple[str, str]:
    return (ref, ref) if isinstance(ref, str) else ("folder", ref.folder)


def _check_kind(network: Network, key: str, name: str) -> None:
    """Raise NetworkError if the network takes vectors and the dataset holds images, or the reverse."""
    own = network_for(key).input
    if len(own) == 1 and network.input != own:
        raise NetworkError(f"{_takes(network)}, but {name} holds vectors of {own[0]}. Use input: {own[0]}.")
    if len(own) == 3 and len(network.input) == 1:
        raise NetworkError(f"{_takes(network)}, but {name} holds images. Use an input like 8x8x1.")


def _check_channels(network: Network) -> None:
    if len(network.input) == 3 and network.input[2] not in (1, 3):
        raise NetworkError(f"images have 1 or 3 channels, not {network.input[2]}")


def _takes(network: Network) -> str:
    return f"the network takes {'images' if len(network.input) == 3 else f'vectors of {network.input[0]}'}"

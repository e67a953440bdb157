"""Networks: by name (`recipes/networks/*.yaml`), in files of users, and written out in a recipe."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, field_validator

from asymbp_cli.datasets.catalog import DatasetRef, find_entry
from asymbp_cli.datasets.decoded import DecodedDataset
from asymbp_cli.errors import NetworkError, RecipeError, UsageError
from asymbp_cli.recipe.document import Node, make_document
from asymbp_cli.recipe.resources import find_file, is_inline, names_a_file, recipes_directory
from asymbp_cli.recipe.wording import quote
from asymbp_cli.recipe.yamlfile import read_yaml
from asymbp_cli.specs.base import Label
from asymbp_cli.specs.layers import FC, Layer, Shape, parse_layer
from asymbp_cli.specs.networks import Network, dimensions
from asymbp_cli.text import nearest, printable

T = TypeVar("T", bound="WrittenNetwork")
#: how `input` is written as text
INPUT = re.compile(r"^[0-9]{1,6}(x[0-9]{1,6}){0,2}$")
_ANY_CLASSES = 5040  # for an unknown number of classes: highly composite, so that groups divide it
_FEW_CLASSES = 12  # likewise
_IMAGE_CHANNELS = (1, 3)


class WrittenNetwork(Network):
    """A network as users write it: `input` may also be 28x28x1, or 1845 for vectors."""

    @field_validator("input", mode="before")
    @classmethod
    def _parse_input(cls, value: Any) -> Any:
        if isinstance(value, str):
            if not INPUT.fullmatch(value):
                raise ValueError(f'"{value}": write it like 28x28x1, or 1845 for vectors')
            return [int(size) for size in value.split("x")]
        return [value] if isinstance(value, int) and not isinstance(value, bool) else value

    @property
    def network(self) -> Network:
        """The network alone."""
        return Network.model_validate({name: getattr(self, name) for name in Network.model_fields})


class NetworkFile(WrittenNetwork):
    """A network in a file of its own, with what `asymbp reproduce --table 1` prints with it."""

    used_by: Label | None = None  # the datasets that it is for, in words
    classes: Annotated[int, Field(ge=1)] = 10  # that Table 1 counts weights for
    column: Annotated[int, Field(ge=1)] | None = None  # of the paper's Table 1


def _validate(node: Node, form: type[T]) -> T | None:
    """Return the network written in a node; None if its layers or its input have problems. All are noted."""
    node.has_only(form.model_fields)
    if not node.is_mapping:
        return None
    network = node.validate(form, node.select(form.model_fields).value)
    texts = [layer for layer in node["layers"].items() if isinstance(layer.value, str)]
    layers = [layer.attempt(_check_layer, layer.value) for layer in texts]
    return network if all(layers) else None


def _resolve(network: Network, classes: int | None) -> Network:
    """Return the network for a number of classes, or for some number if that is not known: many, or else few."""
    if classes is not None:
        return network.resolve(classes)
    try:
        return network.resolve(_ANY_CLASSES)
    except NetworkError:  # perhaps only because so many make too many weights
        return network.resolve(_FEW_CLASSES)


def _check_layer(text: str) -> Layer:
    if text.count("(") > text.count(")"):
        raise NetworkError(f'"{text}" is cut at a comma; inside [...] put the layer in quotes')
    return parse_layer(text, _ANY_CLASSES)


def load_network(file: Path) -> NetworkFile:
    """Return the network in a file; raises RecipeError with all its problems."""
    document = read_yaml(file)
    network = _validate(document.root, NetworkFile)
    document.raise_problems()
    if network is None:
        raise RecipeError([f"{file}: is not a network"])
    return network


def load_networks(folder: Path) -> dict[str, NetworkFile]:
    """Return the networks in the files of a folder by name: in the order of Table 1's columns, others last."""
    networks = {file.stem.lower(): load_network(file) for file in sorted(folder.glob("*.yaml"))}
    last = len(networks)
    return dict(sorted(networks.items(), key=lambda named: named[1].column or last))


#: name -> network and what Table 1 says of it
NETWORK_FILES = load_networks(recipes_directory() / "networks")
if not NETWORK_FILES:
    raise UsageError(f"{recipes_directory() / 'networks'} has no networks. Install asymbp again")
#: name -> network
NETWORKS = {name: file.network for name, file in NETWORK_FILES.items()}


def find_network(name: str) -> Network:
    """Return the network of that name; raises UsageError with the nearest one."""
    if name.lower() not in NETWORKS:
        raise UsageError(f'"{name}" is not a network.{nearest(name, NETWORKS)} (asymbp ls networks)')
    return NETWORKS[name.lower()]


def network_for(key: str) -> Network:
    """Return the paper's network for a dataset; the large one for a folder of images."""
    return NETWORKS["large"] if key == "folder" else find_network(find_entry(key).network)


def resolve_like(known: Network, network: Network) -> Network | None:
    """Return a known network for as many classes as another one has; None if it cannot have so many."""
    try:
        (classes,) = network.shapes()[-1]
        return known.resolve(classes)
    except (NetworkError, ValueError):
        return None


def is_known(network: Network | None) -> bool:
    """Return whether a resolved network is one that comes with the tool."""
    return network is not None and any(resolve_like(known, network) == network for known in NETWORKS.values())


def spell_out(network: Network) -> dict[str, Any]:
    """Return a network as recipes write it out."""
    content: dict[str, Any] = {"input": dimensions(network.input), "layers": list(network.layers)}
    return content if network.activation == "relu" else content | {"activation": network.activation}


def read_networks(node: Node, folder: Path, datasets: Sequence[DatasetRef]) -> list[Network]:
    """Return the networks that a recipe in `folder` names or writes out, one or a list; problems are noted."""
    networks: list[Network] = []
    if node.value == []:
        node.note("must name at least one network (asymbp ls networks)")
    for item in node.items():
        network = read_network(item, folder)
        check_network(item, network, datasets)
        if item.value is None and item is not node:
            item.note("must be a network: a name (asymbp ls networks), a file or a mapping")
        elif network in networks:
            item.note("is named twice. Leave one out")
        elif network:
            networks.append(network)
    return networks


def read_network(node: Node, folder: Path) -> Network | None:
    """Return the network that a recipe in `folder` names or writes out.

    None if it does neither, or if that has problems, which are noted.
    """
    if node.value is None:
        return None
    if isinstance(node.value, str):
        return node.attempt(_find_or_load, node.value, folder)
    if isinstance(node.value, list):
        node.note("must be one network. Only a recipe may list several")
        return None
    written = _validate(node, WrittenNetwork)
    return written.network if written else None


def _find_or_load(name: str, folder: Path) -> Network:
    if not printable(name):
        raise UsageError(f"must be the name of a network, not {quote(name)} (asymbp ls networks)")
    if name.lower() not in NETWORKS and names_a_file(name):
        return load_network(find_file(name, folder)).network
    return find_network(name)


def read_any_network(written: str | Mapping[str, Any]) -> Network:
    """Return the network that is named, in a file, or written out; raises UsageError or RecipeError."""
    if isinstance(written, str):
        return load_network(Path(written)).network if is_inline(written) else _find_or_load(written, Path())
    document = make_document("network", {"network": written})
    network = read_network(document.root["network"], Path())
    document.raise_problems()
    if network is None:
        raise UsageError("network is empty. Write {input: 28x28x1, layers: [FC 64, FC classes]}")
    return network


def check_network(node: Node, network: Network | None, datasets: Sequence[DatasetRef]) -> None:
    """Note it if the network's layers do not fit its input, or its input is not what the datasets hold."""
    if network is None:
        return
    last = parse_layer(network.layers[-1], _ANY_CLASSES)  # decides if the number of classes is not known
    counts: list[int | None] = [*sorted({find_entry(ref).classes for ref in datasets if isinstance(ref, str)})]
    written = last.features if isinstance(last, FC) and last.features != _ANY_CLASSES else None
    place = node["input"] if isinstance(node.value, Mapping) else node
    is_possible = place.attempt(network.check_input) is not None
    if len(network.input) == 2:
        return
    for classes in counts or [written]:
        if not is_possible or node["layers"].attempt(_resolve, network, classes) is None:
            break
    place.attempt(_check_channels, network)
    for ref in datasets:
        place.attempt(_check_samples, network, ref)


def input_shape(network: Network, ref: DatasetRef) -> Shape:
    """Return the (height, width, channels) that images must be resized to for `network`, or (features,).

    Raises NetworkError if the network takes vectors and the dataset holds images, or the reverse.
    """
    _check_samples(network, ref)
    _check_channels(network)
    return network.input


def describe_channels(info: DecodedDataset) -> str:
    """Return a note on images in a network of more or fewer channels; nothing if they fit."""
    has = info.channels if info.key == "folder" else network_for(info.key).input[-1]
    if len(info.shape) == 1 or has in (None, info.shape[-1]):
        return ""
    if has == 1:
        return "grey images fill three equal channels, since the network has three"
    return "colour images are read in grey, since the network has one channel"


def _check_samples(network: Network, ref: DatasetRef) -> None:
    """Raise NetworkError if the network takes vectors and the dataset holds images, or the reverse."""
    key, name = (ref, ref) if isinstance(ref, str) else ("folder", ref.folder)
    own = network_for(key).input
    if len(network.input) != len(own) or (len(own) == 1 and network.input != own):
        takes, holds = _describe_samples(network.input), _describe_samples(own)
        remedy = f"Use input: {own[0]}" if len(own) == 1 else "Use an input like 8x8x1"
        raise NetworkError(f"the network takes {takes}, but {name} holds {holds}. {remedy}")


def _check_channels(network: Network) -> None:
    if len(network.input) == 3 and network.input[2] not in _IMAGE_CHANNELS:
        raise NetworkError(f"images have 1 or 3 channels, not {network.input[2]}")


def _describe_samples(shape: Shape) -> str:
    return f"vectors of {shape[0]}" if len(shape) == 1 else "images"

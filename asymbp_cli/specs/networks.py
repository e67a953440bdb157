"""The paper's networks (Table 1) as data; shapes, parameter counts and FLOP. No torch.

Layers are written as in Table 1: `Conv 5x5x20/1` is a 5x5 filter bank with 20 output features and stride 1,
`Max 2x2/2` a pooling, `FC 500` a fully connected layer. `pad 2` adds two units of zeros around a
convolution's input, `pad_end 1` one unit on the right and bottom of a pooling's; `dilation` and `groups`
follow PyTorch. A width may depend on the number of classes: `FC classes`, `FC 2*classes`,
`FC max(256, 3*classes)`. ReLU follows every layer but the last.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Annotated

from pydantic import Field

from asymbp_cli.errors import NetworkError, UsageError, nearest
from asymbp_cli.specs.base import Spec

#: far beyond any network that this tool is for; what is larger was mistyped, and no memory would hold it
_MOST_VALUES = 10**8  # of one sample after one layer
_MOST_WEIGHTS = 10**9
_MOST_DIGITS = 6
_Size = Annotated[int, Field(ge=1, le=10**_MOST_DIGITS)]

Shape = tuple[int, ...]  # (height, width, features) of images, (features,) of vectors


@dataclass(frozen=True)
class Conv:
    """A 2-d convolution; `kernel` is (height, width)."""

    kernel: tuple[int, int]
    features: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1

    def output(self, shape: Shape) -> Shape:
        """Return the (height, width, features) that an input of `shape` gives."""
        height, width = (
            (size + 2 * self.padding - self.dilation * (kernel - 1) - 1) // self.stride + 1
            for size, kernel in zip(shape[:2], self.kernel, strict=True)
        )
        return height, width, self.features

    def weight_shape(self, shape: Shape) -> Shape:
        """Return (output features, height, width, input features per group)."""
        return self.features, *self.kernel, shape[2] // self.groups

    def __str__(self) -> str:
        text = f"Conv {self.kernel[0]}x{self.kernel[1]}x{self.features}/{self.stride}"
        extras = (("pad", self.padding, 0), ("dilation", self.dilation, 1), ("groups", self.groups, 1))
        return text + "".join(f" {name} {value}" for name, value, default in extras if value != default)


@dataclass(frozen=True)
class Pool:
    """A max or average pooling over `size` (height, width)."""

    kind: str  # "max" or "avg"
    size: tuple[int, int]
    stride: int
    padding_end: int = 0

    def output(self, shape: Shape) -> Shape:
        """Return the (height, width, features) that an input of `shape` gives."""
        height, width = (
            (size + self.padding_end - window) // self.stride + 1
            for size, window in zip(shape[:2], self.size, strict=True)
        )
        return height, width, shape[2]

    def padding_fits(self, shape: Shape) -> bool:
        """Tell whether `padding_end` completes the last window in both directions, as Table 1's do."""
        overhangs = {(size - window) % self.stride for size, window in zip(shape[:2], self.size, strict=True)}
        return not self.padding_end or overhangs == {self.stride - self.padding_end}

    def __str__(self) -> str:
        end = f" pad_end {self.padding_end}" if self.padding_end else ""
        return f"{self.kind.capitalize()} {self.size[0]}x{self.size[1]}/{self.stride}{end}"


@dataclass(frozen=True)
class FC:
    """A fully connected layer; images are flattened before it."""

    features: int

    def output(self, shape: Shape) -> Shape:
        """Return (features,)."""
        return (self.features,)

    def weight_shape(self, shape: Shape) -> Shape:
        """Return (output features, input features)."""
        return self.features, prod(shape)

    def __str__(self) -> str:
        return f"FC {self.features}"


Layer = Conv | Pool | FC


class Network(Spec):
    """Layers over an input of (height, width, channels), or of (features,)."""

    input: Annotated[tuple[_Size, ...], Field(strict=False, min_length=1, max_length=3)]
    layers: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]

    def resolve(self, classes: int) -> "Network":
        """Return the network for `classes` classes: widths computed, notation normalized, shapes checked.

        Raises NetworkError where a layer does not parse or fit its input, or the last is not `FC classes`.
        """
        layers = tuple(parse_layer(text, classes) for text in self.layers)
        resolved = Network(input=self.input, layers=tuple(str(layer) for layer in layers))
        shapes = resolved.shapes()
        if (count := resolved.parameter_count()) > _MOST_WEIGHTS:
            raise NetworkError(
                f"the network has {count:,} weights and biases; at most {_MOST_WEIGHTS:,} are possible"
            )
        if shapes[-1] != (classes,) or not isinstance(layers[-1], FC):
            raise NetworkError(
                f"the last layer must be FC classes (here {classes}, one unit per class), not {layers[-1]}"
            )
        return resolved

    def parsed(self) -> tuple[Layer, ...]:
        """Return the layers as data; the network must be resolved."""
        return tuple(parse_layer(text, None) for text in self.layers)

    def shapes(self) -> tuple[Shape, ...]:
        """Return the input's shape and every layer's output shape.

        Raises NetworkError naming the first layer that does not fit what reaches it.
        """
        if len(self.input) == 2:
            raise NetworkError(f"input {_by(self.input)} has no channels; write {_by(self.input)}x1")
        if prod(self.input) > _MOST_VALUES:
            raise NetworkError(f"input {_by(self.input)} has more than {_MOST_VALUES:,} values")
        shapes: list[Shape] = [self.input]
        for number, layer in enumerate(self.parsed(), start=1):
            before = shapes[-1]
            where = f"layer {number} ({layer})"
            if isinstance(layer, Conv | Pool) and len(before) != 3:
                raise NetworkError(f"{where} needs an image, but a vector of {before[0]} reaches it")
            if isinstance(layer, Conv) and (before[2] % layer.groups or layer.features % layer.groups):
                raise NetworkError(f"{where}: groups must divide both {before[2]} and {layer.features}")
            after = layer.output(before)
            if min(after) < 1:
                raise NetworkError(f"{where} does not fit an input of {_by(before)}: it is too small")
            if isinstance(layer, Pool) and not layer.padding_fits(before):
                raise NetworkError(f"{where} on {_by(before)}: pad_end must just complete the last window")
            if prod(after) > _MOST_VALUES:
                raise NetworkError(f"{where} gives {_by(after)}, more than {_MOST_VALUES:,} values a sample")
            if not isinstance(layer, Pool) and (count := prod(layer.weight_shape(before))) > _MOST_WEIGHTS:
                raise NetworkError(f"{where} has {count:,} weights; at most {_MOST_WEIGHTS:,} are possible")
            shapes.append(after)
        return tuple(shapes)

    def weight_shapes(self) -> tuple[Shape, ...]:
        """Return the weight shapes of the convolutions and FC layers, in order."""
        pairs = zip(self.parsed(), self.shapes(), strict=False)
        return tuple(layer.weight_shape(shape) for layer, shape in pairs if not isinstance(layer, Pool))

    def parameter_count(self, *, biases: bool = True) -> int:
        """Return the number of weights, plus one bias per output feature where `biases`."""
        return sum(prod(shape) + (shape[0] if biases else 0) for shape in self.weight_shapes())

    def flop_per_sample(self) -> int:
        """Return the floating-point operations of one training step per sample; a multiply-add counts as two.

        Forward, gradient of the weights, and gradient of the input for all layers but the first.
        """
        forward = self.forward_flop()
        return 3 * sum(forward) - forward[0]

    def forward_flop(self) -> list[int]:
        """Return the floating-point operations of each weighted layer's forward pass per sample."""
        forward = []
        for (before, after), layer in zip(pairwise(self.shapes()), self.parsed(), strict=True):
            if not isinstance(layer, Pool):
                positions = prod(after[:2]) if isinstance(layer, Conv) else 1
                forward.append(2 * positions * prod(layer.weight_shape(before)))
        return forward


_CIFAR = (
    *("Conv 5x5x32/1 pad 2", "Max 3x3/2 pad_end 1", "Conv 5x5x64/1 pad 2", "Avg 3x3/2 pad_end 1"),
    *("Conv 5x5x64/1 pad 2", "Avg 3x3/2 pad_end 1", "FC 128", "FC classes"),
)
_LARGE = (
    *("Conv 9x9x48/2", "Max 2x2/2", "Conv 5x5x128/1", "Max 2x2/2"),
    *("FC max(256, 3*classes)", "FC 2*classes", "FC classes"),
)
_MNIST = ("Conv 5x5x20/1", "Max 2x2/2", "Conv 5x5x50/1", "Max 2x2/2", "FC 500", "FC classes")
_SVHN = ("Conv 5x5x20/1", "Max 2x2/2", "Conv 7x7x512/1", "Max 2x2/2", "FC 40", "FC classes")
_DIGITS = (
    *("Conv 3x3x16/1 pad 1", "Max 2x2/2", "Conv 3x3x32/1 pad 1", "Max 2x2/2"),
    *("FC 64", "FC classes"),
)

#: name -> network; all but `digits` are columns of Table 1
NETWORKS: dict[str, Network] = {
    "large": Network(input=(119, 119, 3), layers=_LARGE),
    "mnist": Network(input=(28, 28, 1), layers=_MNIST),
    "cifar": Network(input=(32, 32, 3), layers=_CIFAR),
    "svhn": Network(input=(32, 32, 3), layers=_SVHN),
    "timit": Network(input=(1845,), layers=("FC 512", "FC 256", "FC classes")),
    "digits": Network(input=(8, 8, 1), layers=_DIGITS),
}


def find_network(name: str) -> Network:
    """Return the network of that name; raises UsageError with the nearest one."""
    if name.lower() not in NETWORKS:
        raise UsageError(f'"{name}" is not a network.{nearest(name, NETWORKS)} (asymbp ls networks)')
    return NETWORKS[name.lower()]


_CONV = re.compile(r"conv\s+(\d+)x(\d+)x(\S+)/(\d+)((?:\s+(?:pad|dilation|groups)\s+\d+)*)", re.IGNORECASE)
_POOL = re.compile(r"(max|avg)\s+(\d+)x(\d+)/(\d+)(?:\s+pad_end\s+(\d+))?", re.IGNORECASE)
_FC = re.compile(r"fc\s+(.+)", re.IGNORECASE)
_WIDTH = re.compile(r"(?:(\d+)\s*\*\s*)?classes|(\d+)")
_MAX = re.compile(r"max\(([^,()]+),([^,()]+)\)")


def parse_layer(text: str, classes: int | None) -> Layer:
    """Return the layer that `text` writes; `classes` may be None where no width depends on it.

    Raises NetworkError with the notation.
    """
    if long := re.search(rf"\d{{{_MOST_DIGITS + 1},}}", text):
        raise NetworkError(f"{long[0][:20]} is too large; numbers in layers have {_MOST_DIGITS} digits at most")
    if match := _CONV.fullmatch(text.strip()):
        height, width, features, stride, extras = match.groups()
        words = extras.lower().split()
        named = {key: int(value) for key, value in zip(words[::2], words[1::2], strict=True)}
        conv = Conv(
            kernel=(int(height), int(width)),
            features=_width(features, classes, text),
            stride=int(stride),
            padding=named.get("pad", 0),
            dilation=named.get("dilation", 1),
            groups=named.get("groups", 1),
        )
        return _positive(conv, (*conv.kernel, conv.features, conv.stride, conv.dilation, conv.groups), text)
    if match := _POOL.fullmatch(text.strip()):
        kind, height, width, stride, end = match.groups()
        pool = Pool(kind.lower(), (int(height), int(width)), int(stride), int(end or 0))
        if pool.padding_end >= min(pool.size):
            raise NetworkError(f'"{text}": pad_end must be smaller than the window')
        return _positive(pool, (*pool.size, pool.stride), text)
    if match := _FC.fullmatch(text.strip()):
        layer = FC(_width(match[1], classes, text))
        return _positive(layer, (layer.features,), text)
    raise NetworkError(
        f'"{text}" is not a layer; write it like Conv 5x5x20/1 pad 2, Max 2x2/2, FC 500 or FC classes'
    )


def _positive(layer: Layer, numbers: tuple[int, ...], text: str) -> Layer:
    if min(numbers) < 1:
        raise NetworkError(f'"{text}": sizes, strides and features must be at least 1')
    return layer


def _width(text: str, classes: int | None, layer: str) -> int:
    text = text.strip().lower()
    if match := _MAX.fullmatch(text):
        return max(_width(part, classes, layer) for part in match.groups())
    match = _WIDTH.fullmatch(text)
    if match is None or (match[2] is None and classes is None):
        raise NetworkError(f'"{layer}": a width is a number, classes, 2*classes or max(256, 3*classes)')
    return int(match[2]) if match[2] else int(match[1] or 1) * (classes or 0)


def _by(shape: Shape) -> str:
    return "x".join(map(str, shape))

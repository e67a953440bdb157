"""Layers as data, and their notation, which is that of the paper's Table 1. No torch.

`Conv 5x5x20/1` is a 5x5 filter bank with 20 output features and stride 1, `Max 2x2/2` a pooling, `FC 500` a fully
connected layer. `pad 2` adds two units of zeros around a convolution's input, `pad_end 1` one unit on the right
and bottom of a pooling's. `dilation` and `groups` follow PyTorch. A width may depend on the number of classes:
`FC classes`, `FC 2*classes`, `FC max(256, 3*classes)`.
"""

import re
from dataclasses import dataclass
from math import prod

from asymbp_cli.errors import NetworkError

MOST_DIGITS = 6  # of a number in a layer

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
        """Return whether `padding_end` completes the last window in both directions, as Table 1's do."""
        missing = {(window - size) % self.stride for size, window in zip(shape[:2], self.size, strict=True)}
        return not self.padding_end or missing == {self.padding_end}

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


_CONV = re.compile(
    r"conv\s+([0-9]+)x([0-9]+)x(\S+)/([0-9]+)((?:\s+(?:pad|dilation|groups)\s+[0-9]+)*)", re.IGNORECASE
)
_POOL = re.compile(r"(max|avg)\s+([0-9]+)x([0-9]+)/([0-9]+)(?:\s+pad_end\s+([0-9]+))?", re.IGNORECASE)
_FC = re.compile(r"fc\s+(.+)", re.IGNORECASE)
LAYERS = (_CONV, _POOL, _FC)  # how layers are written
_WIDTH = re.compile(r"(?:([0-9]+)\s*\*\s*)?classes|([0-9]+)")
_MAX = re.compile(r"max\(([^,()]+),([^,()]+)\)")


#: how a layer is written, for people with 80 columns
LAYER_GRAMMAR = """\
layer = "Conv " HxWxF "/" S [ " pad " N ] [ " dilation " N ] [ " groups " N ]
      | ( "Max " | "Avg " ) HxW "/" S [ " pad_end " N ]
      | "FC " F
F     = N | [ N "*" ] "classes" | "max(" F ", " F ")"

HxW is the size of a filter or window, F the number of features, S the stride.
pad adds zeros around the input, pad_end on the right and bottom. BN, if the
method has it, and then ReLU follow every Conv and FC but the last."""

#: what people write from habit -> what to do
_HABITS = {
    r"re-?lu\b|leaky|[gs]elu|elu|tanh|sigmoid|activation|act\b": "an activation follows every layer but the last. "
    "Delete it; for another one than ReLU write activation: tanh beside layers",
    r"bn\b|batch[ _-]?norm|layer[ _-]?norm|group[ _-]?norm": "batch normalization belongs to the method, as in "
    "uSF+BN. Delete it",
    r"(soft|log)[ _-]?(soft)?max": "the loss has it. Delete it",
    r"drop[ _-]?out": "there is no dropout here. Delete it",
    r"flatten|reshape|view": "FC flattens what reaches it. Delete it",
    r"(linear|dense|fully|affine|fc\b|fc[0-9])": "write it like FC 500 or FC classes",
    r"(global|adaptive)[ _-]?(avg|average|max)": "a pooling has a size: write Avg 7x7/7 for one of a 7x7 image",
    r"(max|avg|average|mean)\b.*|(max|avg|average)[ _-]?pool|pool": "write it like Max 2x2/2 or Avg 3x3/2 "
    "pad_end 1: size, / and stride",
    r"conv": "write it like Conv 5x5x20/1 or Conv 5x5x20/1 pad 2: size, features, / and stride",
}


def parse_layer(text: str, classes: int | None) -> Layer:
    """Return the layer that `text` writes; `classes` may be None if no width depends on it.

    Raises NetworkError with the notation.
    """
    if long := re.search(rf"[0-9]{{{MOST_DIGITS + 1},}}", text):
        raise NetworkError(f"{long[0][:20]} is too large; numbers in layers have {MOST_DIGITS} digits at most")
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
    raise NetworkError(_explain(text))


def _explain(text: str) -> str:
    """Return the message for text that is no layer: what it may mean, or the notation."""
    for pattern, advice in _HABITS.items():
        if re.match(pattern, text.strip(), re.IGNORECASE):
            return f'"{text}" is not a layer; {advice}'
    return f'"{text}" is not a layer; write it like Conv 5x5x20/1 pad 2, Max 2x2/2, FC 500 or FC classes'


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

"""A network as PyTorch's own modules in an `nn.Sequential`, which needs nothing of this tool. No torch."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from asymbp_cli.specs.layers import FC, Conv, Pool
from asymbp_cli.specs.networks import Activate, Network, Normalize, Pooling, Weighted
from asymbp_cli.specs.protocol import Protocol

#: which weights of a run are kept: of the epoch that the rule selects, or of the last one
WhichWeights = Literal["best", "last"]

#: what the names of feedback weights in a file begin with
FEEDBACK = "feedback."

_ACTIVATIONS = {"relu": "ReLU()", "sigmoid": "Sigmoid()", "tanh": "Tanh()"}


class Module(NamedTuple):
    """A module as Python writes it, and the operation whose weights or statistics it has, if any."""

    code: str  # "Conv2d(1, 20, 5)"
    operation: Weighted | Normalize | None = None

    @property
    def kind(self) -> str:
        """Return the class: `Conv2d`."""
        return self.code.partition("(")[0]


def list_modules(
    network: Network, protocol: Protocol, batch_norm: Literal["none", "plain", "learnable"]
) -> tuple[Module, ...]:
    """Return the modules that compute, in `eval` mode, what testing computes; the network must be resolved.

    Images are [N, C, H, W]. An FC layer after an image takes its values in PyTorch's order: C, H, W.
    """
    operations = network.operations(batch_norm=batch_norm != "none")
    normalized = {operation.number for operation in operations if isinstance(operation, Normalize)}
    modules: list[Module] = []
    for operation in operations:
        match operation:
            case Weighted():
                has_bias = protocol.has_bias(normalized=operation.number in normalized)
                modules += _weigh(operation, bias=has_bias)
            case Normalize(_, shape):
                options = {"eps": protocol.batch_norm_epsilon, "affine": batch_norm == "learnable"}
                name = "BatchNorm2d" if len(shape) == 3 else "BatchNorm1d"
                modules.append(Module(_write(name, shape[-1], **_drop(options, affine=True)), operation))
            case Activate():
                modules.append(Module(_ACTIVATIONS[network.activation]))
            case Pooling():
                modules += _pool(operation.layer, padded=protocol.average_pool_border == "padded")
    return tuple(modules)


def _weigh(operation: Weighted, *, bias: bool) -> Iterator[Module]:
    layer, inputs = operation.layer, operation.before
    if isinstance(layer, FC):
        if len(inputs) == 3:
            yield Module("Flatten()")
        sizes = operation.weight_shape[::-1]
        yield Module(_write("Linear", *sizes, **_drop({"bias": bias}, bias=True)), operation)
        return
    options = _drop(_geometry(layer) | {"bias": bias}, stride=1, padding=0, dilation=1, groups=1, bias=True)
    yield Module(_write("Conv2d", inputs[2], layer.features, _window(layer.kernel), **options), operation)


def _geometry(layer: Conv) -> dict[str, object]:
    names = ("stride", "padding", "dilation", "groups")
    return {name: getattr(layer, name) for name in names}


def _pool(layer: Pool, *, padded: bool) -> Iterator[Module]:
    """Yield a pooling. The cells beyond the border count in an average only if they are `padded` with zeros."""
    beyond = layer.padding_end > 0
    if beyond and layer.kind == "avg" and padded:
        yield Module(_write("ZeroPad2d", (0, layer.padding_end, 0, layer.padding_end)))
        beyond = False
    name = "MaxPool2d" if layer.kind == "max" else "AvgPool2d"
    yield Module(_write(name, _window(layer.size), layer.stride, **_drop({"ceil_mode": beyond}, ceil_mode=False)))


def _window(size: tuple[int, int]) -> int | tuple[int, int]:
    return size[0] if size[0] == size[1] else size


def _drop(options: Mapping[str, object], **defaults: object) -> dict[str, object]:
    """Return the options that are not PyTorch's defaults."""
    return {name: value for name, value in options.items() if name not in defaults or value != defaults[name]}


def _write(name: str, *arguments: object, **options: object) -> str:
    written = [*map(repr, arguments), *(f"{key}={value!r}" for key, value in options.items())]
    return f"{name}({', '.join(written)})"


def write_network(modules: Iterable[Module]) -> str:
    """Return the Python expression of the network."""
    return f"Sequential({', '.join(module.code for module in modules)})"


def write_loading(modules: Iterable[Module], file: str) -> str:
    """Return the lines of Python that build the network and load its weights from `file`."""
    listed = list(modules)
    names = ", ".join(sorted({"Sequential", *(module.kind for module in listed)}))
    return f"""\
from safetensors.torch import load_file
from torch.nn import {names}

weights = load_file({file!r})
mean, scale = weights.pop("input.mean"), weights.pop("input.scale")
feedback = {{name: weights.pop(name) for name in list(weights) if name.startswith("{FEEDBACK}")}}
net = {write_network(listed)}
net.load_state_dict(weights)
net.eval()  # net((x - mean) * scale) of raw inputs x: pixels from 0 to 255 [N, C, H, W], or vectors [N, D]
"""

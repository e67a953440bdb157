"""Networks as data, and the flat list of operations that they compute. No torch.

A network is written as a list of layers (`layers.py`). `Network.operations` alone knows where batch normalization
and activations are. Forward pass, parameter layout, counts of weights and operations, memory and Table 1 read it.
"""

from functools import lru_cache
from math import prod
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from asymbp_cli.errors import NetworkError
from asymbp_cli.specs.base import Spec
from asymbp_cli.specs.layers import FC, MOST_DIGITS, Conv, Layer, Pool, Shape, parse_layer

#: far beyond any network that this tool is for; what is larger was mistyped, and no memory would hold it
_MOST_VALUES = 10**8  # of one sample after one layer
_MOST_WEIGHTS = 10**9
_Size = Annotated[int, Field(ge=1, le=10**MOST_DIGITS)]


class Weighted(NamedTuple):
    """A convolution or FC layer. `number` counts written layers from 1, poolings too: it keys initial draws."""

    number: int
    layer: Conv | FC
    before: Shape
    after: Shape
    first: bool  # no error is needed below it

    @property
    def weight_shape(self) -> Shape:
        """Return (output features, height, width, input features per group), or (outputs, inputs)."""
        return self.layer.weight_shape(self.before)

    @property
    def flop(self) -> int:
        """Return the floating-point operations of the forward pass per sample; a multiply-add counts as two."""
        positions = prod(self.after[:2]) if isinstance(self.layer, Conv) else 1
        return 2 * positions * prod(self.weight_shape)


class Normalize(NamedTuple):
    """Batch normalization of the output of weighted layer `number`."""

    number: int
    shape: Shape


class Activate(NamedTuple):
    """The network's activation function."""

    shape: Shape


class Pooling(NamedTuple):
    """A max or average pooling."""

    number: int
    layer: Pool
    before: Shape
    after: Shape


Operation = Weighted | Normalize | Activate | Pooling
Activation = Literal["relu", "sigmoid", "tanh"]


class Network(Spec):
    """Layers over an input of (height, width, channels), or of (features,)."""

    input: Annotated[tuple[_Size, ...], Field(strict=False, min_length=1, max_length=3)]
    layers: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    activation: Activation = "relu"  # after every convolution and FC layer but the last

    @property
    def words(self) -> tuple[str, ...]:
        """Return the layers as they are written, and the activation if it is not ReLU."""
        return self.layers if self.activation == "relu" else (*self.layers, self.activation)

    def resolve(self, classes: int) -> "Network":
        """Return the network for `classes` classes: widths computed, notation normalized, shapes checked.

        Raises NetworkError if a layer does not parse or fit its input, or the last is not `FC classes`.
        """
        layers = tuple(parse_layer(text, classes) for text in self.layers)
        resolved = self.model_copy(update={"layers": tuple(str(layer) for layer in layers)})
        shapes = resolved.shapes()
        if shapes[-1] != (classes,) or not isinstance(layers[-1], FC):
            raise NetworkError(
                f"the last layer must be FC classes (here {classes}, one unit per class), not {layers[-1]}"
            )
        if (count := resolved.parameter_count()) > _MOST_WEIGHTS:
            raise NetworkError(
                f"the network has {count:,} weights and biases; at most {_MOST_WEIGHTS:,} are possible"
            )
        return resolved

    def parsed(self) -> tuple[Layer, ...]:
        """Return the layers as data; the network must be resolved."""
        return tuple(parse_layer(text, None) for text in self.layers)

    def check_input(self) -> Shape:
        """Return the input's shape; raises NetworkError if it has no channels, or is too large."""
        if len(self.input) == 2:
            raise NetworkError(f"input {dimensions(self.input)} has no channels; write {dimensions(self.input)}x1")
        if prod(self.input) > _MOST_VALUES:
            raise NetworkError(f"input {dimensions(self.input)} has more than {_MOST_VALUES:,} values")
        return self.input

    def shapes(self) -> tuple[Shape, ...]:
        """Return the input's shape and every layer's output shape.

        Raises NetworkError naming the first layer that does not fit what reaches it.
        """
        shapes: list[Shape] = [self.check_input()]
        for number, layer in enumerate(self.parsed(), start=1):
            before = shapes[-1]
            where = f"layer {number} ({layer})"
            if isinstance(layer, Conv | Pool) and len(before) != 3:
                raise NetworkError(f"{where} needs an image, but a vector of {before[0]} reaches it")
            if isinstance(layer, Conv) and (before[2] % layer.groups or layer.features % layer.groups):
                raise NetworkError(f"{where}: groups must divide both {before[2]} and {layer.features}")
            after = layer.output(before)
            if min(after) < 1:
                raise NetworkError(f"{where} does not fit an input of {dimensions(before)}: it is too small")
            if isinstance(layer, Pool) and not layer.padding_fits(before):
                raise NetworkError(f"{where} on {dimensions(before)}: pad_end must just complete the last window")
            if prod(after) > _MOST_VALUES:
                raise NetworkError(
                    f"{where} gives {dimensions(after)}, more than {_MOST_VALUES:,} values a sample"
                )
            if not isinstance(layer, Pool) and (count := prod(layer.weight_shape(before))) > _MOST_WEIGHTS:
                raise NetworkError(f"{where} has {count:,} weights; at most {_MOST_WEIGHTS:,} are possible")
            shapes.append(after)
        return tuple(shapes)

    def operations(self, *, batch_norm: bool = False) -> tuple[Operation, ...]:
        """Return the operations of the network, in order; it must be resolved."""
        return _compile(self, batch_norm)

    def weighted(self) -> tuple[Weighted, ...]:
        """Return the convolutions and FC layers, in order."""
        return tuple(operation for operation in self.operations() if isinstance(operation, Weighted))

    def parameter_count(self, *, biases: bool = True) -> int:
        """Return the number of weights, plus one bias per output feature if `biases`."""
        shapes = [operation.weight_shape for operation in self.weighted()]
        return sum(prod(shape) + (shape[0] if biases else 0) for shape in shapes)

    def flop_per_sample(self) -> int:
        """Return the floating-point operations of one training step per sample; a multiply-add counts as two.

        Forward, gradient of the weights, and gradient of the input for all layers but the first.
        """
        return sum((2 if operation.first else 3) * operation.flop for operation in self.weighted())


@lru_cache(maxsize=256)  # planning asks again and again
def _compile(network: "Network", batch_norm: bool) -> tuple[Operation, ...]:
    """Return the operations of `network`.

    BN follows every weighted layer but the last, and the activation follows that. A max pooling comes before the
    activation, which never falls: they commute, and the activation then has a quarter of the work.
    """
    layers, shapes = network.parsed(), network.shapes()
    last = max(number for number, layer in enumerate(layers) if not isinstance(layer, Pool))
    operations: list[Operation] = []
    activate = False
    for number, layer in enumerate(layers):
        before, after = shapes[number], shapes[number + 1]
        if activate and not (isinstance(layer, Pool) and layer.kind == "max"):
            operations.append(Activate(before))
            activate = False
        if isinstance(layer, Pool):
            operations.append(Pooling(number + 1, layer, before, after))
            continue
        first = not any(isinstance(earlier, Weighted) for earlier in operations)
        operations.append(Weighted(number + 1, layer, before, after, first))
        if number != last:
            operations += [Normalize(number + 1, after)] if batch_norm else []
            activate = True
    return tuple(operations)


def dimensions(shape: Shape) -> str:
    """Return a shape as users write it: `8x8x1`."""
    return "x".join(map(str, shape))

"""A network's layers -> a flat row of parameters, and the forward pass of replicas.

Convolution weights are in the row as (O, kh, kw, C), so that their view is channels_last without a copy; FC
weights after an image count its features in (height, width, channel) order. Weights that carry feedback come
first, then the first layer's, then biases, then batch normalization's scale and shift: V banks are a prefix,
and weights, biases and normalization are contiguous. A learned V comes last, laid out as V banks are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Literal

import torch
from torch import Tensor

from asymbp_cli.specs.layers import FC
from asymbp_cli.specs.measures import FIRST_LAYER
from asymbp_cli.specs.methods import Method
from asymbp_cli.specs.networks import Activate, Network, Normalize, Pooling, Weighted
from asymbp_cli.specs.protocol import Protocol
from asymbp_cli.specs.schemes import Learned, Route
from asymbp_cli.training import layers
from asymbp_cli.training.draws import generator
from asymbp_cli.training.initialization import draw_weight
from asymbp_cli.training.pooling import pool
from asymbp_cli.training.products import Geometry

Kind = Literal["weight", "bias", "scale", "shift", "feedback"]
#: (layer, input, scale, shift) -> normalized input
NormalizeBy = Callable[[int, Tensor, Tensor | None, Tensor | None], Tensor]
#: (layer, output of a weighted layer [B, R * C, ...], before normalization and activation)
Watch = Callable[[int, Tensor], None]
_ALIGNMENT = 64  # floats: every part starts on a full vector register, so packing cannot change a rounding


@dataclass(frozen=True)
class Parameter:
    """A part of the row: `size` numbers from `start`. `layer` counts from 1 over all layers, poolings too."""

    layer: int
    kind: Kind
    shape: tuple[int, ...]  # weights as stored: (O, kh, kw, C / groups) or (O, I)
    start: int

    @property
    def name(self) -> str:
        """For instance `3.weight`."""
        return f"{self.layer}.{self.kind}"

    @property
    def size(self) -> int:
        """Count of numbers."""
        return prod(self.shape)

    @property
    def fan_in(self) -> int:
        """Filter width * filter height * input features, or inputs of an FC layer."""
        return prod(self.shape[1:])

    @property
    def fan_out(self) -> int:
        """Filter width * filter height * output features, or outputs of an FC layer."""
        return self.shape[0] * prod(self.shape[1:-1]) if len(self.shape) == 4 else self.shape[0]

    def columns(self, rows: Tensor) -> Tensor:
        """Return this part of `rows` [R, P], as it is stored: [R, size]."""
        return rows[:, self.start : self.start + self.size]

    def view(self, rows: Tensor) -> Tensor:
        """Return this part of `rows` [R, P] for layers: [R, O, C / groups, kh, kw], [R, O, I] or [R, O]."""
        part = self.columns(rows).view(-1, *self.shape)
        return part.permute(0, 1, 4, 2, 3) if part.ndim == 5 else part

    def flat(self, part: Tensor) -> Tensor:
        """Return a part as layers take it [R, O, ...] in the order of rows, [R, size]: the inverse of `view`."""
        return (part.permute(0, 1, 3, 4, 2) if part.ndim == 5 else part).flatten(1)


class Model:
    """Layout and forward pass of `network` (resolved) with the given normalization and kind of feedback.

    `fed` are the parts of a row of V [F]: of each layer but the first. If the first has a V for measures, it comes
    last, after `passed_size` columns. If V is learned, it is also a part of the row of parameters, from column
    `learned_from`.
    """

    def __init__(
        self,
        network: Network,
        protocol: Protocol,
        batch_norm: Literal["none", "plain", "learnable"],
        route: Route = "layerwise",
        learned: Learned = "",
    ) -> None:
        self.protocol, self.route, self.learns_by = protocol, route, learned
        self.dtype = torch.bfloat16 if protocol.precision == "bf16" else torch.float32  # of activations
        self.batch_norm = batch_norm
        self.activate = layers.ACTIVATIONS[network.activation]
        self.activate_output = layers.OUTPUTS[protocol.loss]
        self.operations = network.operations(batch_norm=batch_norm != "none")
        self.weighted = network.weighted()
        #: numbers of the weighted layers that BN follows: all but the last, if there is BN
        self.normalized = frozenset(op.number for op in self.operations if isinstance(op, Normalize))
        self.first, self.last = (self.weighted[end].number for end in (0, -1))
        self.classes = prod(self.weighted[-1].after)
        self.parameters = self._lay_out()
        self.learned_from = _end(self.parameters)
        passed = self._lay_out_feedback()
        self.passed_size = _end(passed)
        #: whether the first layer has a V, which no error passes
        self.feeds_first = FIRST_LAYER in protocol.measure and route == "layerwise"
        self.fed = (*passed, self.parameters[len(passed)]) if self.feeds_first else passed
        self.feedback_size = _end(self.fed)
        #: the parts of a row of parameters that are V
        self.learned = tuple(
            replace(part, kind="feedback", start=self.learned_from + part.start) for part in self.fed if learned
        )
        self.row_size = _end((*self.parameters, *self.learned))

    @property
    def learned_columns(self) -> slice:
        """Return the columns of a row of parameters that are V; empty if it is not learned."""
        return slice(self.learned_from, self.row_size)

    @classmethod
    def of(cls, network: Network, protocol: Protocol, method: Method) -> "Model":
        """Return the model that `method` trains."""
        scheme = method.feedback.kind
        return cls(network, protocol, method.batch_norm, scheme.route, scheme.learned)

    def _lay_out(self) -> tuple[Parameter, ...]:
        first, *fed = self.weighted
        parts: list[tuple[Weighted, Kind]] = [(op, "weight") for op in (*fed, first)]
        has_bias = self.protocol.has_bias
        parts += [(op, "bias") for op in self.weighted if has_bias(normalized=op.number in self.normalized)]
        if self.batch_norm == "learnable":
            kinds: tuple[Kind, ...] = ("scale", "shift")
            parts += [(op, kind) for kind in kinds for op in self.weighted if op.number in self.normalized]
        parameters, start = [], 0
        for op, kind in parts:
            shape = op.weight_shape if kind == "weight" else op.weight_shape[:1]
            parameters.append(Parameter(op.number, kind, shape, start))
            start = _aligned(start + prod(shape))
        return tuple(parameters)

    @property
    def fed_operations(self) -> list[Weighted]:
        """Return the weighted layers that have a V, in the order of `fed`."""
        by_number = {operation.number: operation for operation in self.weighted}
        return [by_number[part.layer] for part in self.fed]

    def _lay_out_feedback(self) -> tuple[Parameter, ...]:
        """Return the parts of V that errors pass: like W or, from the output, (classes, inputs of the layer)."""
        fed = [op for op in self.weighted if not op.first]
        if self.route == "layerwise":
            return self.parameters[: len(fed)]
        parts, start = [], 0
        for op in fed:
            parts.append(Parameter(op.number, "weight", (self.classes, prod(op.before)), start))
            start = _aligned(start + parts[-1].size)
        return tuple(parts)

    def initial_row(self, seed: int) -> Tensor:
        """Return the initial parameters [P]: as the protocol says, scale 1, everything else 0."""
        row = torch.zeros(self.row_size)
        for parameter in self.parameters:
            part = row[parameter.start : parameter.start + parameter.size]
            if parameter.kind == "scale":
                part.fill_(1)
            elif parameter.kind == "weight":
                source = generator(seed, "weights", parameter.layer)
                weights = part.view(parameter.shape)
                draw_weight(self.protocol, weights, parameter.fan_in, parameter.fan_out, source)
            elif parameter.kind == "bias" and self.protocol.initial_biases == "as-weights":
                of = next(p for p in self.parameters if p.layer == parameter.layer)
                source = generator(seed, "biases", parameter.layer)
                draw_weight(self.protocol, part, of.fan_in, of.fan_out, source)
        return row

    def random_feedback(self, seed: int, sigma: float | None = None) -> Tensor:
        """Return a random V [F], drawn layer by layer: N(0, sigma^2), or as W is drawn without `sigma`."""
        row = torch.zeros(self.feedback_size)
        for parameter in self.fed:
            source = generator(seed, "random-feedback", parameter.layer)
            part = row[parameter.start : parameter.start + parameter.size]
            if sigma is None:
                weights = part.view(parameter.shape)
                draw_weight(self.protocol, weights, parameter.fan_in, parameter.fan_out, source)
            else:
                part.normal_(0, sigma, generator=source)
        return row

    def row_of(self, value: Callable[[Parameter], float]) -> Tensor:
        """Return a row [F] that has, in each part of V, the `value` of that part (1 in the gaps)."""
        row = torch.ones(self.feedback_size)
        for parameter in self.fed:
            row[parameter.start : parameter.start + parameter.size] = value(parameter)
        return row

    def views(self, rows: Tensor) -> dict[str, Tensor]:
        """Return the named parts of parameter rows [R, P]."""
        return {parameter.name: parameter.view(rows) for parameter in (*self.parameters, *self.learned)}

    def feedback_views(self, rows: Tensor) -> dict[str, Tensor]:
        """Return the named parts of feedback rows [R, F]."""
        return {parameter.name: parameter.view(rows) for parameter in self.fed}

    def forward(
        self,
        x: Tensor,
        w: Mapping[str, Tensor],
        v: Mapping[str, Tensor],
        normalize: NormalizeBy,
        inputs: dict[int, Tensor] | None = None,
        watch: Watch | None = None,
    ) -> Tensor:
        """Return the logits [B, R * classes] of x [B, C, H, W] (channels_last) or [B, I].

        `w` holds the parameters of R replicas by name, `v` the feedback weights of all layers but the first. In
        between a replica's features are R-th parts of the channels: [B, R * C, H, W]. If `inputs` is given, it
        gets the input of each layer but the first, by number, and no error passes there to what comes before.
        `watch` sees the output of every weighted layer.
        """
        for operation in self.operations:
            match operation:
                case Weighted():
                    if inputs is not None and not operation.first:
                        inputs[operation.number], x = x, x.detach()
                    x = _weigh(operation, x, w, {} if inputs is not None else v)
                    if watch is not None:
                        watch(operation.number, x)
                case Normalize(number):
                    scale, shift = (w.get(f"{number}.{kind}") for kind in ("scale", "shift"))
                    x = normalize(
                        number, x, *(None if part is None else part.flatten() for part in (scale, shift))
                    )
                case Activate():
                    x = self.activate(x)
                case Pooling():
                    x = pool(x, operation.layer, counts_border=self.protocol.average_pool_border == "padded")
        return x


def _weigh(operation: Weighted, x: Tensor, w: Mapping[str, Tensor], v: Mapping[str, Tensor]) -> Tensor:
    """Return a weighted layer's output; the error of its input will go through V, if it has one."""
    layer, name = operation.layer, f"{operation.number}.weight"
    weight, bias = w[name], w.get(f"{operation.number}.bias")
    back = v.get(name, weight)
    if isinstance(layer, FC):
        return layers.linear(flatten_inputs(x, operation.before), weight, back, bias)
    return layers.conv2d(x, weight, back, bias, Geometry.of(layer))


def _end(parameters: tuple[Parameter, ...]) -> int:
    return _aligned(parameters[-1].start + parameters[-1].size) if parameters else 0


def flatten_inputs(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return the input of a layer [B, R * H * W * C], by replica: images of `shape` as FC layers take them."""
    return _flatten(x, shape) if x.ndim == 4 else x


def shape_as_input(flat: Tensor, x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return `flat` [B, R * H * W * C] in the form of a layer's input x: the inverse of `flatten_inputs`."""
    if x.ndim != 4:
        return flat
    return flat.view(len(x), -1, *shape).permute(0, 1, 4, 2, 3).reshape(x.shape)


def _flatten(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return images [B, R * C, H, W] as vectors [B, R * H * W * C]."""
    samples, features, *size = x.shape
    by_replica = x.permute(0, 2, 3, 1).reshape(samples, *size, features // shape[2], shape[2])
    return by_replica.permute(0, 3, 1, 2, 4).flatten(1)


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT

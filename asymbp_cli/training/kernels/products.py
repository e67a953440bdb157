"""Convolutions and products of a whole stack, by Triton's kernels: every replica with weights of its own.

`training/products.py` defines what is computed. A convolution is a product of patches and weights, and patches are
read where they lie (an implicit GEMM). An FC layer is one over an image of one pixel. How a number is summed
depends on its layer alone, so a replica gets the same bits in any stack.
"""

from math import prod
from typing import NamedTuple

import torch
import torch.nn.functional as F
import triton
from torch import Tensor

from asymbp_cli.training.kernels import FUSED
from asymbp_cli.training.kernels.backward import correlate_tile, pass_back_tile
from asymbp_cli.training.kernels.forward import multiply_tile
from asymbp_cli.training.kernels.images import make_image, order_channels_last
from asymbp_cli.training.products import Geometry

_ROWS = 128  # positions in a tile of outputs, or of the error of inputs
_DEPTH = 32  # numbers that are multiplied at a time
_MOST_UNROLLED = 4  # steps over a patch that are written out, so that what they read where is computed once
_SUMMED = 32  # positions that are summed at a time in a gradient; more if patches are small
_CHUNK = 4096  # positions that one program sums in a gradient; more are summed in parts
_PATCH = 128  # numbers of a patch in a tile of gradients
_SPLIT = True  # tf32 gradients as products of bf16: tf32 takes operands in one order of storage only
_LARGE = 2**30  # numbers in an image whose places are 64-bit numbers
_HOW = {"num_warps": 4, "num_stages": 3, **FUSED}


class _Shape(NamedTuple):
    """Sizes of a layer of a stack, and what of them kernels take."""

    replicas: int
    groups: int
    inputs: int  # of a group
    outputs: int  # of a group
    field: tuple[int, int]

    @classmethod
    def of(cls, weights: Tensor, geometry: Geometry) -> "_Shape":
        """Return the sizes of `weights` [R, O, I / groups, kh, kw]."""
        replicas, outputs, inputs, *field = weights.shape
        return cls(replicas, geometry.groups, inputs, outputs // geometry.groups, (field[0], field[1]))

    @property
    def depth(self) -> int:
        return prod(self.field) * self.inputs

    def of_patches(self, geometry: Geometry) -> dict[str, int]:
        """Return the sizes for kernels that read patches."""
        return {
            "FIELD": prod(self.field),
            "FIELD_WIDTH": self.field[1],
            "STRIDE": geometry.stride,
            "PADDING": geometry.padding,
            "DILATION": geometry.dilation,
            "GROUPS": self.groups,
            "INPUTS": self.inputs,
            "OUTPUTS": self.outputs,
        }


def multiply(x: Tensor, W: Tensor, bias: Tensor | None, geometry: Geometry, out: Tensor | None = None) -> Tensor:
    """Return `training.products.multiply` of an image x, in `out` if given."""
    shape = _Shape.of(W, geometry)
    W = _order_by_rows(W)
    size = geometry.output(x.shape[2:], shape.field)
    shared, x, geometry = _prepare_input(x, shape, geometry)
    y = make_image(x, shape.replicas * shape.groups * shape.outputs, size) if out is None else out
    columns, positions = _choose_width(shape.outputs), y.shape[0] * prod(y.shape[2:])
    steps = triton.cdiv(shape.depth, _DEPTH)
    tiles = triton.cdiv(positions, _ROWS) * triton.cdiv(shape.outputs, columns)
    multiply_tile[(tiles * shape.replicas * shape.groups,)](
        x, W, bias, y, positions, shape.replicas, W.stride(0), 0 if bias is None else bias.stride(0),
        HEIGHT=x.shape[2], WIDTH=x.shape[3], OUT_HEIGHT=y.shape[2], OUT_WIDTH=y.shape[3],
        **shape.of_patches(geometry), SHARED=shared, BIASED=bias is not None,
        PRECISION=_choose_precision(), ROWS=_ROWS, COLUMNS=columns, DEPTH=_DEPTH,
        UNROLLED=steps if steps <= _MOST_UNROLLED else 1, **_HOW,
    )  # fmt: skip
    return y


def pass_back(error: Tensor, V: Tensor, size: tuple[int, int], geometry: Geometry) -> Tensor:
    """Return `training.products.pass_back` of an image's error."""
    shape = _Shape.of(V, geometry)
    error = order_channels_last(error)
    x = make_image(error, shape.replicas * shape.groups * shape.inputs, size)
    tall, wide = shape.field
    inputs, outputs = shape.inputs, shape.outputs
    if tall * wide == 1:  # of an FC layer V is large, and read as it is stored
        V, strides = _order_by_rows(V), {"V_TAP": 0, "V_INPUT": 1, "V_OUTPUT": inputs}
    else:
        V = V.unflatten(1, (shape.groups, outputs)).permute(0, 1, 4, 5, 3, 2).contiguous()
        strides = {"V_TAP": inputs * outputs, "V_INPUT": outputs, "V_OUTPUT": 1}
    columns, positions = _choose_width(inputs), x.shape[0] * prod(size)
    tiles = triton.cdiv(positions, _ROWS) * triton.cdiv(inputs, columns)
    pass_back_tile[(tiles * shape.replicas * shape.groups,)](
        error, V, x, x.shape[0], positions, shape.replicas, V.stride(0),
        HEIGHT=error.shape[2], WIDTH=error.shape[3], IN_HEIGHT=size[0], IN_WIDTH=size[1], TALL=tall, WIDE=wide,
        STRIDE=geometry.stride, PADDING=geometry.padding, DILATION=geometry.dilation, GROUPS=shape.groups,
        INPUTS=inputs, OUTPUTS=outputs, V_GROUP=outputs * shape.depth, **strides, PRECISION=_choose_precision(),
        ROWS=_ROWS, COLUMNS=columns, DEPTH=min(_DEPTH, _choose_width(outputs)), LARGE=_is_large(x, error), **_HOW,
    )  # fmt: skip
    return x


def correlate(
    x: Tensor, error: Tensor, W: Tensor, geometry: Geometry, *, biased: bool
) -> tuple[Tensor, Tensor | None]:
    """Return `training.products.correlate` of images."""
    shape = _Shape.of(W, geometry)
    error = order_channels_last(error)
    shared, x, geometry = _prepare_input(x, shape, geometry)
    outputs, positions = shape.groups * shape.outputs, error.shape[0] * prod(error.shape[2:])
    parts, columns = triton.cdiv(positions, _CHUNK), _choose_width(shape.outputs)
    weights = x.new_empty(parts, shape.replicas, outputs, *shape.field, shape.inputs, dtype=torch.float32)
    biases = x.new_empty(parts, shape.replicas, outputs, dtype=torch.float32)
    patch = min(_PATCH, max(16, triton.next_power_of_2(shape.depth)))
    tiles = triton.cdiv(shape.depth, patch) * triton.cdiv(shape.outputs, columns)
    precision = _choose_precision()
    correlate_tile[(tiles * shape.replicas * shape.groups, parts)](
        x, error, weights, biases, positions, shape.replicas,
        HEIGHT=x.shape[2], WIDTH=x.shape[3], OUT_HEIGHT=error.shape[2], OUT_WIDTH=error.shape[3],
        **shape.of_patches(geometry), SHARED=shared, BIASED=biased,
        PRECISION=precision, SPLIT=_SPLIT and x.dtype == torch.float32 and precision == "tf32",
        ROWS=min(2 * _SUMMED, _SUMMED * _PATCH // patch), COLUMNS=columns, PATCH=patch, CHUNK=_CHUNK,
        LARGE=_is_large(x, error), **_HOW,
    )  # fmt: skip
    total = _add_parts(weights).permute(0, 1, 4, 2, 3).to(W.dtype)
    return total, _add_parts(biases).to(W.dtype) if biased else None


def _prepare_input(x: Tensor, shape: _Shape, geometry: Geometry) -> tuple[bool, Tensor, Geometry]:
    """Return whether all replicas share x, x as kernels read it, and the geometry that it then needs.

    What is shared gets its border once, so that no replica looks for it.
    """
    shared = x.shape[1] == shape.groups * shape.inputs
    if shared and geometry.padding:
        x, geometry = F.pad(x, [geometry.padding] * 4), geometry._replace(padding=0)
    return shared, order_channels_last(x), geometry


def _add_parts(parts: Tensor) -> Tensor:
    """Return the sum of `parts` [S, ...], in their order."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _choose_precision() -> str:
    """Return the precision of products of float32 numbers: as `set_precision` in `training/device.py` has said.

    Three tf32 products stand for one of float32: what they leave out is below 2^-21 of a product.
    """
    return "tf32x3" if torch.backends.cuda.matmul.fp32_precision == "ieee" else "tf32"


def _choose_width(count: int) -> int:
    """Return the width of a tile over `count` columns: a power of two from 16 to 64."""
    return int(min(64, max(16, triton.next_power_of_2(count))))


def _is_large(*images: Tensor) -> bool:
    """Return whether places in one of the images take 64 bits."""
    return any(image.numel() >= _LARGE for image in images)


def _order_by_rows(weights: Tensor) -> Tensor:
    """Return weights [R, O, I, kh, kw] whose rows are stored as (O, kh, kw, I), as those of a bank are."""
    stored = weights.permute(0, 1, 3, 4, 2)
    return stored if stored[0].is_contiguous() else stored.contiguous()

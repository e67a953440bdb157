"""Convolutions and products of a whole stack, as Triton kernels: every replica with weights of its own.

`training/products.py` defines what is computed. A convolution is a product of patches and weights, and patches are
read where they lie (an implicit GEMM). An FC layer is one over an image of one pixel. How a number is summed
depends on its layer alone, so a replica gets the same bits in any stack.
"""

from math import prod
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from asymbp_cli.training.products import Geometry

_ROWS = 128  # positions in a tile of outputs
_DEPTH = 32  # of a patch that are multiplied at a time
_SUMMED = 32  # positions that are summed at a time in a gradient
_CHUNK = 4096  # positions that one program sums in a gradient; more are summed in parts
_PATCH = 128  # numbers of a patch in a tile of gradients
_HOW = {"num_warps": 4, "num_stages": 3}


@triton.jit
def _find_member(tiles, GROUPS: tl.constexpr):
    """Return the replica and the group that a program works for, and which of their `tiles` it computes."""
    member = tl.program_id(0) // tiles
    return (member // GROUPS).to(tl.int64), member % GROUPS, tl.program_id(0) % tiles


@triton.jit
def _find_origin(x, replica, group, replicas, WIDTH: tl.constexpr, FEATURES: tl.constexpr, INPUTS: tl.constexpr,
            SHARED: tl.constexpr):  # fmt: skip
    """Return the place of a group's first feature of a replica in images x, and the sizes of row and column."""
    if SHARED:
        column_size = FEATURES
        x += group * INPUTS
    else:
        column_size = replicas * FEATURES
        x += replica * FEATURES + group * INPUTS
    return x, WIDTH * column_size, column_size


@triton.jit
def _find_places(m, row_size, HEIGHT: tl.constexpr, OUT_HEIGHT: tl.constexpr, OUT_WIDTH: tl.constexpr,
           STEP: tl.constexpr, OFFSET: tl.constexpr):  # fmt: skip
    """Return the places of the samples of positions m in images, and the rows and columns that they read."""
    sample, place = m // (OUT_HEIGHT * OUT_WIDTH), m % (OUT_HEIGHT * OUT_WIDTH)
    row, column = place // OUT_WIDTH, place % OUT_WIDTH
    return sample.to(tl.int64) * (HEIGHT * row_size), row * STEP + OFFSET, column * STEP + OFFSET


@triton.jit
def _read(x, start, top, left, k, inside, row_size, column_size, HEIGHT: tl.constexpr, WIDTH: tl.constexpr,
          FIELD_WIDTH: tl.constexpr, INPUTS: tl.constexpr, SPREAD: tl.constexpr, DIVIDE: tl.constexpr,
          BORDER: tl.constexpr):  # fmt: skip
    """Return the numbers k (of a patch in the order of a bank's rows) of the patches at (top, left)."""
    tap, feature = k // INPUTS, k % INPUTS
    i, j = tap // FIELD_WIDTH * SPREAD, tap % FIELD_WIDTH * SPREAD
    if BORDER:
        row, column = top[:, None] + i[None, :], left[:, None] + j[None, :]
        inside &= (row >= 0) & (row < HEIGHT * DIVIDE) & (column >= 0) & (column < WIDTH * DIVIDE)
    if DIVIDE == 1:
        at = (start + top * row_size + left * column_size)[:, None]
        at += (i * row_size + j * column_size + feature)[None, :]
    else:
        inside &= (row % DIVIDE == 0) & (column % DIVIDE == 0)
        at = start[:, None] + row // DIVIDE * row_size + column // DIVIDE * column_size + feature[None, :]
    return tl.load(x + at, inside, other=0.0)


@triton.jit
def _multiply(
    x, w, bias, y, positions, replicas, w_replica, bias_replica,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, OUT_HEIGHT: tl.constexpr, OUT_WIDTH: tl.constexpr,
    FIELD: tl.constexpr, FIELD_WIDTH: tl.constexpr, STEP: tl.constexpr, OFFSET: tl.constexpr,
    SPREAD: tl.constexpr, DIVIDE: tl.constexpr, BORDER: tl.constexpr, GROUPS: tl.constexpr, INPUTS: tl.constexpr,
    OUTPUTS: tl.constexpr, SHARED: tl.constexpr, W_OUTPUT: tl.constexpr, W_TAP: tl.constexpr,
    W_INPUT: tl.constexpr, W_GROUP: tl.constexpr, BIASED: tl.constexpr, PRECISION: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """Compute a tile of `positions` x `OUTPUTS` of one group of one replica.

    Tap (i, j) of output (r, c) reads input ((r, c) * STEP + OFFSET + (i, j) * SPREAD) / DIVIDE if that is one.
    """
    tiles: tl.constexpr = (OUTPUTS + COLUMNS - 1) // COLUMNS
    replica, group, tile = _find_member((positions + ROWS - 1) // ROWS * tiles, GROUPS)
    m = tile // tiles * ROWS + tl.arange(0, ROWS)
    n = tile % tiles * COLUMNS + tl.arange(0, COLUMNS)
    x, row_size, column_size = _find_origin(x, replica, group, replicas, WIDTH, GROUPS * INPUTS, INPUTS, SHARED)
    start, top, left = _find_places(m, row_size, HEIGHT, OUT_HEIGHT, OUT_WIDTH, STEP, OFFSET)
    w += replica * w_replica + group * W_GROUP
    total = tl.full((ROWS, COLUMNS), 0.0, tl.float32)
    for first in range(0, FIELD * INPUTS, DEPTH):
        k = first + tl.arange(0, DEPTH)
        within = k < FIELD * INPUTS
        patch = _read(
            x, start, top, left, k, (m < positions)[:, None] & within[None, :], row_size, column_size,
            HEIGHT, WIDTH, FIELD_WIDTH, INPUTS, SPREAD, DIVIDE, BORDER,
        )  # fmt: skip
        at = (k // INPUTS * W_TAP + k % INPUTS * W_INPUT)[:, None] + (n * W_OUTPUT)[None, :]
        weight = tl.load(w + at, within[:, None] & (n < OUTPUTS)[None, :], other=0.0)
        total = tl.dot(patch, weight, total, input_precision=PRECISION)
    if BIASED:
        total += tl.load(bias + replica * bias_replica + group * OUTPUTS + n, n < OUTPUTS, other=0.0)[None, :]
    at = (m.to(tl.int64) * replicas + replica)[:, None] * (GROUPS * OUTPUTS) + (group * OUTPUTS + n)[None, :]
    tl.store(y + at, total.to(y.dtype.element_ty), (m < positions)[:, None] & (n < OUTPUTS)[None, :])


@triton.jit
def _correlate(
    x, error, weights, biases, positions, replicas,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, OUT_HEIGHT: tl.constexpr, OUT_WIDTH: tl.constexpr,
    FIELD: tl.constexpr, FIELD_WIDTH: tl.constexpr, STEP: tl.constexpr, OFFSET: tl.constexpr,
    SPREAD: tl.constexpr, BORDER: tl.constexpr, GROUPS: tl.constexpr, INPUTS: tl.constexpr, OUTPUTS: tl.constexpr,
    SHARED: tl.constexpr, BIASED: tl.constexpr, PRECISION: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, PATCH: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """Sum a tile of the gradients [OUTPUTS, field * INPUTS] of one group of one replica over CHUNK positions.

    The bias counts as one number more of every patch, which is 1.
    """
    tiles: tl.constexpr = (OUTPUTS + COLUMNS - 1) // COLUMNS
    depth: tl.constexpr = FIELD * INPUTS
    replica, group, tile = _find_member((depth + BIASED + PATCH - 1) // PATCH * tiles, GROUPS)
    part = tl.program_id(1)
    k = tile // tiles * PATCH + tl.arange(0, PATCH)
    n = tile % tiles * COLUMNS + tl.arange(0, COLUMNS)
    output = group * OUTPUTS + n
    x, row_size, column_size = _find_origin(x, replica, group, replicas, WIDTH, GROUPS * INPUTS, INPUTS, SHARED)
    total = tl.full((COLUMNS, PATCH), 0.0, tl.float32)
    for first in range(part * CHUNK, tl.minimum((part + 1) * CHUNK, positions), ROWS):
        m = first + tl.arange(0, ROWS)
        start, top, left = _find_places(m, row_size, HEIGHT, OUT_HEIGHT, OUT_WIDTH, STEP, OFFSET)
        patch = _read(
            x, start, top, left, k, (m < positions)[:, None] & (k < depth)[None, :], row_size, column_size,
            HEIGHT, WIDTH, FIELD_WIDTH, INPUTS, SPREAD, 1, BORDER,
        )  # fmt: skip
        if BIASED:
            patch = tl.where(k[None, :] == depth, 1.0, patch).to(patch.dtype)
        at = (m.to(tl.int64) * replicas + replica)[:, None] * (GROUPS * OUTPUTS) + output[None, :]
        arrived = tl.load(error + at, (m < positions)[:, None] & (n < OUTPUTS)[None, :], other=0.0)
        total = tl.dot(tl.trans(arrived), patch, total, input_precision=PRECISION)
    row = (part * replicas + replica) * (GROUPS * OUTPUTS) + output
    tl.store(weights + (row * depth)[:, None] + k[None, :], total, (n < OUTPUTS)[:, None] & (k < depth)[None, :])
    if BIASED:
        tl.store(biases + row[:, None] + 0 * k[None, :], total, (n < OUTPUTS)[:, None] & (k == depth)[None, :])


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


def multiply(x: Tensor, W: Tensor, bias: Tensor | None, geometry: Geometry, out: Tensor | None = None) -> Tensor:
    """Return `training.products.multiply` of an image x, in `out` if given."""
    shape = _Shape.of(W, geometry)
    W, x = _order_by_rows(W), _order_channels_last(x)
    size = geometry.output(x.shape[2:], shape.field)
    y = _make_image(x, shape.replicas * shape.groups * shape.outputs, size) if out is None else out
    _multiply_tiles(
        shape, x, W, bias, y, features=shape.groups * shape.inputs,
        STEP=geometry.stride, OFFSET=-geometry.padding, SPREAD=geometry.dilation, DIVIDE=1,
        BORDER=geometry.padding > 0, INPUTS=shape.inputs, OUTPUTS=shape.outputs,
        W_OUTPUT=shape.depth, W_TAP=shape.inputs, W_INPUT=1,
    )  # fmt: skip
    return y


def pass_back(error: Tensor, V: Tensor, size: tuple[int, int], geometry: Geometry) -> Tensor:
    """Return `training.products.pass_back` of an image's error."""
    shape = _Shape.of(V, geometry)
    V, error = _order_by_rows(V), _order_channels_last(error)
    x = _make_image(error, shape.replicas * shape.groups * shape.inputs, size)
    _multiply_tiles(
        shape, error, V, None, x, features=shape.groups * shape.outputs,
        STEP=1, OFFSET=geometry.padding, SPREAD=-geometry.dilation, DIVIDE=geometry.stride,
        BORDER=shape.field != (1, 1) or geometry != Geometry(), INPUTS=shape.outputs, OUTPUTS=shape.inputs,
        W_OUTPUT=1, W_TAP=shape.inputs, W_INPUT=shape.depth,
    )  # fmt: skip
    return x


def _multiply_tiles(
    shape: _Shape, x: Tensor, w: Tensor, bias: Tensor | None, y: Tensor, *, features: int, **how: int
) -> None:
    """Write the products of `x` [B, R * features, H, W] with `w` into `y`, both channels_last."""
    columns = _choose_width(how["OUTPUTS"])
    positions = y.shape[0] * prod(y.shape[2:])
    tiles = triton.cdiv(positions, _ROWS) * triton.cdiv(how["OUTPUTS"], columns)
    _multiply[(tiles * shape.replicas * shape.groups,)](
        x, w, bias, y, positions, shape.replicas, w.stride(0), 0 if bias is None else bias.stride(0),
        HEIGHT=x.shape[2], WIDTH=x.shape[3], OUT_HEIGHT=y.shape[2], OUT_WIDTH=y.shape[3],
        FIELD=prod(shape.field), FIELD_WIDTH=shape.field[1], GROUPS=shape.groups,
        SHARED=x.shape[1] == features,
        W_GROUP=shape.outputs * shape.depth, BIASED=bias is not None, PRECISION=_choose_precision(),
        ROWS=_ROWS, COLUMNS=columns, DEPTH=_DEPTH, **_HOW, **how,
    )  # fmt: skip


def correlate(
    x: Tensor, error: Tensor, W: Tensor, geometry: Geometry, *, biased: bool
) -> tuple[Tensor, Tensor | None]:
    """Return `training.products.correlate` of images."""
    shape = _Shape.of(W, geometry)
    x, error = _order_channels_last(x), _order_channels_last(error)
    inputs, outputs = shape.groups * shape.inputs, shape.groups * shape.outputs
    positions = error.shape[0] * prod(error.shape[2:])
    parts, columns = triton.cdiv(positions, _CHUNK), _choose_width(shape.outputs)
    weights = x.new_empty(parts, shape.replicas, outputs, *shape.field, shape.inputs, dtype=torch.float32)
    biases = x.new_empty(parts, shape.replicas, outputs, dtype=torch.float32)
    depth = shape.depth + biased
    patch = min(_PATCH, max(16, triton.next_power_of_2(depth)))
    tiles = triton.cdiv(depth, patch) * triton.cdiv(shape.outputs, columns)
    _correlate[(tiles * shape.replicas * shape.groups, parts)](
        x, error, weights, biases, positions, shape.replicas,
        HEIGHT=x.shape[2], WIDTH=x.shape[3], OUT_HEIGHT=error.shape[2], OUT_WIDTH=error.shape[3],
        FIELD=prod(shape.field), FIELD_WIDTH=shape.field[1], STEP=geometry.stride, OFFSET=-geometry.padding,
        SPREAD=geometry.dilation, BORDER=geometry.padding > 0, GROUPS=shape.groups, INPUTS=shape.inputs,
        OUTPUTS=shape.outputs, SHARED=x.shape[1] == inputs, BIASED=biased, PRECISION=_choose_precision(),
        ROWS=_SUMMED, COLUMNS=columns, PATCH=patch, CHUNK=_CHUNK, **_HOW,
    )  # fmt: skip
    total = _add_parts(weights).permute(0, 1, 4, 2, 3).to(W.dtype)
    return total, _add_parts(biases).to(W.dtype) if biased else None


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


def _order_by_rows(weights: Tensor) -> Tensor:
    """Return weights [R, O, I, kh, kw] whose rows are stored as (O, kh, kw, I), as those of a bank are."""
    stored = weights.permute(0, 1, 3, 4, 2)
    return stored if stored[0].is_contiguous() else stored.contiguous()


def _order_channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _make_image(like: Tensor, features: int, size: tuple[int, ...]) -> Tensor:
    return torch.empty(
        (like.shape[0], features, *size),
        dtype=like.dtype,
        device=like.device,
        memory_format=torch.channels_last,
    )

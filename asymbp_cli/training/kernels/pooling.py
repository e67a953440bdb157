"""Max pooling of a whole stack and its way back, as Triton kernels.

`training/pooling.py` defines what is computed. A place in a window takes a byte. The error of a pixel is summed
over the windows that have it, in their order, so that its bits are the same at every call.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from asymbp_cli.specs.layers import Pool
from asymbp_cli.training.kernels import FUSED
from asymbp_cli.training.kernels.images import make_image, order_channels_last

_BLOCK = 1024
_HOW = {"num_warps": 4, **FUSED}


@triton.jit
def _find_row(WIDTH, channels, HEIGHT: tl.constexpr, BLOCK: tl.constexpr):
    """Return sample, row, columns and channels of the numbers of a program: BLOCK of a row of WIDTH columns."""
    blocks = (WIDTH * channels + BLOCK - 1) // BLOCK
    line = tl.program_id(0) // blocks
    number = tl.program_id(0) % blocks * BLOCK + tl.arange(0, BLOCK)
    return (line // HEIGHT).to(tl.int64), line % HEIGHT, number // channels, number % channels


@triton.jit
def pool_block(
    x, y, places, channels,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, OUT_HEIGHT: tl.constexpr, OUT_WIDTH: tl.constexpr,
    TALL: tl.constexpr, WIDE: tl.constexpr, STRIDE: tl.constexpr, KEEP: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Compute the maxima of a part of a row of y and, if `KEEP`, the place of each, or of the first of equals."""
    sample, row, column, channel = _find_row(OUT_WIDTH, channels, OUT_HEIGHT, BLOCK)
    inside = column < OUT_WIDTH
    best = tl.full((BLOCK,), float("-inf"), tl.float32)
    place = tl.full((BLOCK,), 0, tl.int32)
    x += (sample * HEIGHT + row * STRIDE) * WIDTH * channels
    for i in tl.static_range(TALL):
        for j in tl.static_range(WIDE):
            there = inside & (row * STRIDE + i < HEIGHT) & (column * STRIDE + j < WIDTH)
            at = (i * WIDTH + column * STRIDE + j) * channels + channel
            value = tl.load(x + at, there, other=float("-inf")).to(tl.float32)
            better = (value > best) | (value != value)  # what is not a number is the maximum
            best, place = tl.where(better, value, best), tl.where(better, i * WIDE + j, place)
    at = (sample * OUT_HEIGHT + row) * OUT_WIDTH * channels + column * channels + channel
    tl.store(y + at, best.to(y.dtype.element_ty), inside)
    if KEEP:
        tl.store(places + at, place.to(tl.uint8), inside)


@triton.jit
def spread_block(
    error, places, x, channels,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, OUT_HEIGHT: tl.constexpr, OUT_WIDTH: tl.constexpr,
    TALL: tl.constexpr, WIDE: tl.constexpr, STRIDE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Compute the error of a part of a row of x: the sum over the windows of which a pixel is the maximum."""
    rows: tl.constexpr = (TALL + STRIDE - 1) // STRIDE  # windows of a pixel, one above the other
    columns: tl.constexpr = (WIDE + STRIDE - 1) // STRIDE
    sample, row, column, channel = _find_row(WIDTH, channels, HEIGHT, BLOCK)
    total = tl.full((BLOCK,), 0.0, tl.float32)
    for a in tl.static_range(rows):
        up = row // STRIDE + (a + 1 - rows)
        for b in tl.static_range(columns):
            along = column // STRIDE + (b + 1 - columns)
            i, j = row - up * STRIDE, column - along * STRIDE
            there = (up >= 0) & (up < OUT_HEIGHT) & (i < TALL)
            there = there & (along >= 0) & (along < OUT_WIDTH) & (j < WIDE) & (column < WIDTH)
            at = (sample * OUT_HEIGHT + up) * OUT_WIDTH * channels + along * channels + channel
            place = tl.load(places + at, there, other=255).to(tl.int32)
            is_maximum = there & (place == i * WIDE + j)
            total += tl.load(error + at, is_maximum, other=0.0).to(tl.float32)
    at = (sample * HEIGHT + row) * WIDTH * channels + column * channels + channel
    tl.store(x + at, total.to(x.dtype.element_ty), column < WIDTH)


class _MaxPool(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: Pool) -> Tensor:
        x = order_channels_last(x)
        before = {"HEIGHT": x.shape[2], "WIDTH": x.shape[3]}
        height, width, _ = layer.output((x.shape[2], x.shape[3], x.shape[1]))
        y = make_image(x, x.shape[1], (height, width))
        places = make_image(x, x.shape[1], (height, width), torch.uint8) if ctx.needs_input_grad[0] else y
        ctx.save_for_backward(places)
        ctx.sizes = before | {"OUT_HEIGHT": height, "OUT_WIDTH": width} | _sizes(layer)
        pool_block[_count(y)](x, y, places, x.shape[1], KEEP=places is not y, **ctx.sizes, BLOCK=_BLOCK, **_HOW)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        (places,) = ctx.saved_tensors
        error = order_channels_last(error)
        x = make_image(error, error.shape[1], (ctx.sizes["HEIGHT"], ctx.sizes["WIDTH"]))
        spread_block[_count(x)](error, places, x, x.shape[1], **ctx.sizes, BLOCK=_BLOCK, **_HOW)
        return x, None


def max_pool(x: Tensor, layer: Pool) -> Tensor:
    """Return `training.pooling.pool` of an image x, of a max pooling."""
    y: Tensor = _MaxPool.apply(x, layer)
    return y


def _sizes(layer: Pool) -> dict[str, int]:
    return {"TALL": layer.size[0], "WIDE": layer.size[1], "STRIDE": layer.stride}


def _count(image: Tensor) -> tuple[int]:
    """Return how many programs write an image."""
    samples, channels, height, width = image.shape
    return (samples * height * triton.cdiv(width * channels, _BLOCK),)

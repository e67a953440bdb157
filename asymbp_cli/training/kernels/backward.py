"""What goes back in a layer of a whole stack, as Triton kernels: the error of its input, and its gradients."""

import triton
import triton.language as tl

from asymbp_cli.training.kernels.tiles import (
    find_member,
    find_origin,
    find_pixels,
    find_pixels_by_rows,
    read_patches,
)


@triton.jit
def _find_reach(begin, end, SIZE: tl.constexpr, TALL: tl.constexpr, DILATION: tl.constexpr):
    """Return which rows i of a field, from the first to before the last, are in an image for rows begin to end.

    Row i of the field of a row r lies at r - i * DILATION; the image has rows 0 to SIZE - 1.
    """
    first = (tl.maximum(begin - SIZE + 1, 0) + DILATION - 1) // DILATION
    return first, tl.minimum(tl.maximum(end, 0) // DILATION + 1, TALL)


@triton.jit
def pass_back_tile(
    error, v, x, samples, positions, replicas, v_replica,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, IN_HEIGHT: tl.constexpr, IN_WIDTH: tl.constexpr,
    TALL: tl.constexpr, WIDE: tl.constexpr, STRIDE: tl.constexpr, PADDING: tl.constexpr, DILATION: tl.constexpr,
    GROUPS: tl.constexpr, INPUTS: tl.constexpr, OUTPUTS: tl.constexpr, V_GROUP: tl.constexpr,
    V_TAP: tl.constexpr, V_INPUT: tl.constexpr, V_OUTPUT: tl.constexpr, PRECISION: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr, LARGE: tl.constexpr,
):  # fmt: skip
    """Compute a tile of the error of `positions` x `INPUTS` of one group of one replica.

    Taps are taken one after the other, DEPTH features of the output at a time. Tap (i, j) of pixel (r, c) reads
    the error at ((r, c) + PADDING - (i, j) * DILATION) / STRIDE. Pixels are in the order of rows, so that rows of
    the field that are outside the image for a whole tile are left out.
    """
    tiles: tl.constexpr = (INPUTS + COLUMNS - 1) // COLUMNS
    chunks: tl.constexpr = (OUTPUTS + DEPTH - 1) // DEPTH
    replica, group, tile = find_member((positions + ROWS - 1) // ROWS * tiles, GROUPS)
    m = tile // tiles * ROWS + tl.arange(0, ROWS)
    n = tile % tiles * COLUMNS + tl.arange(0, COLUMNS)
    k = tl.arange(0, DEPTH)
    error, row_size, column_size = find_origin(
        error, replica, group, replicas, WIDTH, GROUPS * OUTPUTS, OUTPUTS, False
    )
    v += replica * v_replica + group * V_GROUP
    sample, row, column = find_pixels_by_rows(m, samples, IN_WIDTH, LARGE)
    start, top, left = sample * (HEIGHT * row_size), row + PADDING, column + PADDING
    if STRIDE == 1:
        start += top * row_size + left * column_size
    low, high = _find_reach(
        tile // tiles * ROWS // (samples * IN_WIDTH) + PADDING,
        (tl.minimum((tile // tiles + 1) * ROWS, positions) - 1) // (samples * IN_WIDTH) + PADDING,
        HEIGHT * STRIDE, TALL, DILATION,
    )  # fmt: skip
    total = tl.full((ROWS, COLUMNS), 0.0, tl.float32)
    for number in range(0, (high - low) * (WIDE * chunks)):
        tap, first = low * WIDE + number // chunks, number % chunks * DEPTH
        i, j = tap // WIDE * DILATION, tap % WIDE * DILATION
        up, along = top - i, left - j
        inside = (up.to(tl.uint32) < HEIGHT * STRIDE) & (along.to(tl.uint32) < WIDTH * STRIDE) & (m < positions)
        if STRIDE == 1:
            at = start + (first - i * row_size - j * column_size)
        else:
            inside &= (up % STRIDE == 0) & (along % STRIDE == 0)
            at = start + up // STRIDE * row_size + along // STRIDE * column_size + first
        is_feature = k < OUTPUTS - first
        arrived = tl.load(error + at[:, None] + k[None, :], inside[:, None] & is_feature[None, :], other=0.0)
        weight = tl.load(
            v + tap * V_TAP + first * V_OUTPUT + ((k * V_OUTPUT)[:, None] + (n * V_INPUT)[None, :]),
            is_feature[:, None] & (n < INPUTS)[None, :],
            other=0.0,
        )
        total = tl.dot(arrived, weight, total, input_precision=PRECISION)
    m_in_x = (sample * IN_HEIGHT + row) * IN_WIDTH + column
    at = (m_in_x.to(tl.int64) * replicas + replica)[:, None] * (GROUPS * INPUTS) + (group * INPUTS + n)[None, :]
    tl.store(x + at, total.to(x.dtype.element_ty), (m < positions)[:, None] & (n < INPUTS)[None, :])


@triton.jit
def _add(a, b):
    return a + b


@triton.jit
def _split(x):
    """Return float32 numbers as sums of two of bf16, whose products tensor cores take in any order of storage."""
    bits = x.to(tl.int32, bitcast=True)
    high = (bits & -0x10000).to(tl.float32, bitcast=True)
    return (bits >> 16).to(tl.int16).to(tl.bfloat16, bitcast=True), (x - high).to(tl.bfloat16)


@triton.jit
def correlate_tile(
    x, error, weights, biases, positions, replicas,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, OUT_HEIGHT: tl.constexpr, OUT_WIDTH: tl.constexpr,
    FIELD: tl.constexpr, FIELD_WIDTH: tl.constexpr, STRIDE: tl.constexpr, PADDING: tl.constexpr,
    DILATION: tl.constexpr, GROUPS: tl.constexpr, INPUTS: tl.constexpr, OUTPUTS: tl.constexpr,
    SHARED: tl.constexpr, BIASED: tl.constexpr, PRECISION: tl.constexpr, SPLIT: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, PATCH: tl.constexpr, CHUNK: tl.constexpr, LARGE: tl.constexpr,
):  # fmt: skip
    """Sum a tile of the gradients [OUTPUTS, field * INPUTS] of one group of one replica over CHUNK positions.

    If `SPLIT`, a float32 product is that of sums of two bf16 numbers, without the product of the small ones.
    """
    tiles: tl.constexpr = (OUTPUTS + COLUMNS - 1) // COLUMNS
    depth: tl.constexpr = FIELD * INPUTS
    replica, group, tile = find_member((depth + PATCH - 1) // PATCH * tiles, GROUPS)
    part = tl.program_id(1)
    k = tile // tiles * PATCH + tl.arange(0, PATCH)
    n = tile % tiles * COLUMNS + tl.arange(0, COLUMNS)
    x, row_size, column_size = find_origin(x, replica, group, replicas, WIDTH, GROUPS * INPUTS, INPUTS, SHARED)
    error += replica * (GROUPS * OUTPUTS) + group * OUTPUTS
    total = tl.full((COLUMNS, PATCH), 0.0, tl.float32)
    if BIASED:
        sums = tl.full((ROWS, COLUMNS), 0.0, tl.float32)
    for first in range(part * CHUNK, tl.minimum((part + 1) * CHUNK, positions), ROWS):
        m = first + tl.arange(0, ROWS)
        sample, row, column = find_pixels(m, OUT_HEIGHT, OUT_WIDTH, LARGE)
        patch = read_patches(
            x, sample * (HEIGHT * row_size), row * STRIDE - PADDING, column * STRIDE - PADDING, k,
            (m < positions)[:, None] & (k < depth)[None, :], row_size, column_size,
            HEIGHT, WIDTH, FIELD_WIDTH, INPUTS, DILATION, PADDING > 0,
        )  # fmt: skip
        at = m.to(tl.int64 if LARGE else tl.int32) * (replicas * (GROUPS * OUTPUTS))
        arrived = tl.load(
            error + at[:, None] + n[None, :], (m < positions)[:, None] & (n < OUTPUTS)[None, :], other=0.0
        )
        if SPLIT:
            high, low = _split(arrived)
            patch_high, patch_low = _split(patch)
            total = tl.dot(tl.trans(low), patch_high, total)
            total = tl.dot(tl.trans(high), patch_low, total)
            total = tl.dot(tl.trans(high), patch_high, total)
        else:
            total = tl.dot(tl.trans(arrived), patch, total, input_precision=PRECISION)
        if BIASED:
            sums += arrived.to(tl.float32)
    output = (part * replicas + replica) * (GROUPS * OUTPUTS) + group * OUTPUTS + n
    at = (output * depth)[:, None] + k[None, :]
    tl.store(weights + at, total, (n < OUTPUTS)[:, None] & (k < depth)[None, :])
    if BIASED:
        tl.store(biases + output, tl.reduce(sums, 0, _add), (n < OUTPUTS) & (tile // tiles == 0))

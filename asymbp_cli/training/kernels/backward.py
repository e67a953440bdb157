"""What goes back in a layer of a whole stack, as Triton kernels: the error of its input, and its gradients."""

import triton
import triton.language as tl

from asymbp_cli.training.kernels.tiles import (
    find_member,
    find_origin,
    find_pixels,
    find_pixels_by_rows,
    read_patches,
    write_tile,
)


@triton.jit
def _find_reach(first, last, WIDTH, SIZE: tl.constexpr, TALL: tl.constexpr, PADDING: tl.constexpr,
                DILATION: tl.constexpr):  # fmt: skip
    """Return the rows of a field, from the lowest to before the highest, that pixels `first` to `last` reach.

    The pixels are in the order of rows, of WIDTH each. Row i of the field of row r is r + PADDING - i * DILATION,
    and the image has rows 0 to SIZE - 1.
    """
    begin, end = first // WIDTH + PADDING, last // WIDTH + PADDING
    low = (tl.maximum(begin - SIZE + 1, 0) + DILATION - 1) // DILATION
    return low, tl.minimum(end // DILATION + 1, TALL)


@triton.jit
def _find_places(start, up, along, row_size, column_size, HEIGHT: tl.constexpr, WIDTH: tl.constexpr,
                 STRIDE: tl.constexpr):  # fmt: skip
    """Return the places of (up, along) / STRIDE in an image, and whether they are there."""
    inside = (up.to(tl.uint32) < HEIGHT * STRIDE) & (along.to(tl.uint32) < WIDTH * STRIDE)
    if STRIDE == 1:
        return start + up * row_size + along * column_size, inside
    inside = inside & (up % STRIDE == 0) & (along % STRIDE == 0)
    return start + up // STRIDE * row_size + along // STRIDE * column_size, inside


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
    last = tl.minimum((tile // tiles + 1) * ROWS, positions) - 1
    low, high = _find_reach(
        tile // tiles * ROWS, last, samples * IN_WIDTH, HEIGHT * STRIDE, TALL, PADDING, DILATION
    )
    total = tl.full((ROWS, COLUMNS), 0.0, tl.float32)
    for number in range(0, (high - low) * (WIDE * chunks)):
        tap, first = low * WIDE + number // chunks, number % chunks * DEPTH
        up, along = row + (PADDING - tap // WIDE * DILATION), column + (PADDING - tap % WIDE * DILATION)
        at, inside = _find_places(
            sample * (HEIGHT * row_size), up, along, row_size, column_size, HEIGHT, WIDTH, STRIDE
        )
        inside, is_feature = inside & (m < positions), k < OUTPUTS - first
        arrived = tl.load(
            error + (at + first)[:, None] + k[None, :], inside[:, None] & is_feature[None, :], other=0.0
        )
        weight = tl.load(
            v + tap * V_TAP + first * V_OUTPUT + ((k * V_OUTPUT)[:, None] + (n * V_INPUT)[None, :]),
            is_feature[:, None] & (n < INPUTS)[None, :],
            other=0.0,
        )
        total = tl.dot(arrived, weight, total, input_precision=PRECISION)
    m_in_x = (sample * IN_HEIGHT + row) * IN_WIDTH + column
    write_tile(x, total, m_in_x, m < positions, replica, group, replicas, n, GROUPS, INPUTS)


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
def _add_products(total, error, patch, SPLIT: tl.constexpr, PRECISION: tl.constexpr):
    """Return total plus error^T patch. If `SPLIT`, numbers are sums of two; the small ones are not multiplied."""
    if SPLIT:
        high, low = _split(error)
        patch_high, patch_low = _split(patch)
        total = tl.dot(tl.trans(low), patch_high, total)
        total = tl.dot(tl.trans(high), patch_low, total)
        return tl.dot(tl.trans(high), patch_high, total)
    return tl.dot(tl.trans(error), patch, total, input_precision=PRECISION)


@triton.jit
def correlate_tile(
    x, error, weights, biases, positions, replicas,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, OUT_HEIGHT: tl.constexpr, OUT_WIDTH: tl.constexpr,
    FIELD: tl.constexpr, FIELD_WIDTH: tl.constexpr, STRIDE: tl.constexpr, PADDING: tl.constexpr,
    DILATION: tl.constexpr, GROUPS: tl.constexpr, INPUTS: tl.constexpr, OUTPUTS: tl.constexpr,
    SHARED: tl.constexpr, BIASED: tl.constexpr, PRECISION: tl.constexpr, SPLIT: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, PATCH: tl.constexpr, CHUNK: tl.constexpr, LARGE: tl.constexpr,
):  # fmt: skip
    """Sum a tile of the gradients [OUTPUTS, field * INPUTS] of one group of one replica over CHUNK positions."""
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
        total = _add_products(total, arrived, patch, SPLIT, PRECISION)
        if BIASED:
            sums += arrived.to(tl.float32)
    output = (part * replicas + replica) * (GROUPS * OUTPUTS) + group * OUTPUTS + n
    at = (output * depth)[:, None] + k[None, :]
    tl.store(weights + at, total, (n < OUTPUTS)[:, None] & (k < depth)[None, :])
    if BIASED:
        tl.store(biases + output, tl.reduce(sums, 0, _add), (n < OUTPUTS) & (tile // tiles == 0))

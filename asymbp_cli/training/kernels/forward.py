"""The forward product of a layer of a whole stack, as a Triton kernel."""

import triton
import triton.language as tl

from asymbp_cli.training.kernels.tiles import find_member, find_origin, find_pixels, read_patches, write_tile


@triton.jit
def multiply_tile(
    x, w, bias, y, positions, replicas, w_replica, bias_replica,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, OUT_HEIGHT: tl.constexpr, OUT_WIDTH: tl.constexpr,
    FIELD: tl.constexpr, FIELD_WIDTH: tl.constexpr, STRIDE: tl.constexpr, PADDING: tl.constexpr,
    DILATION: tl.constexpr, GROUPS: tl.constexpr, INPUTS: tl.constexpr, OUTPUTS: tl.constexpr,
    SHARED: tl.constexpr, BIASED: tl.constexpr, PRECISION: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr, UNROLLED: tl.constexpr,
):  # fmt: skip
    """Compute a tile of `positions` x `OUTPUTS` of one group of one replica, DEPTH numbers of patches at a time.

    Tap (i, j) of output (r, c) reads the input at (r, c) * STRIDE - PADDING + (i, j) * DILATION.
    """
    tiles: tl.constexpr = (OUTPUTS + COLUMNS - 1) // COLUMNS
    depth: tl.constexpr = FIELD * INPUTS
    replica, group, tile = find_member((positions + ROWS - 1) // ROWS * tiles, GROUPS)
    m = tile // tiles * ROWS + tl.arange(0, ROWS)
    n = tile % tiles * COLUMNS + tl.arange(0, COLUMNS)
    x, row_size, column_size = find_origin(x, replica, group, replicas, WIDTH, GROUPS * INPUTS, INPUTS, SHARED)
    sample, row, column = find_pixels(m, OUT_HEIGHT, OUT_WIDTH, True)  # which takes fewer instructions here
    start, top, left = sample * (HEIGHT * row_size), row * STRIDE - PADDING, column * STRIDE - PADDING
    w += replica * w_replica + group * (OUTPUTS * depth)
    total = tl.full((ROWS, COLUMNS), 0.0, tl.float32)
    for first in tl.range(0, depth, DEPTH, loop_unroll_factor=UNROLLED):
        k = first + tl.arange(0, DEPTH)
        patch = read_patches(
            x, start, top, left, k, (m < positions)[:, None] & (k < depth)[None, :], row_size, column_size,
            HEIGHT, WIDTH, FIELD_WIDTH, INPUTS, DILATION, PADDING > 0,
        )  # fmt: skip
        weight = tl.load(
            w + (k[:, None] + (n * depth)[None, :]), (k < depth)[:, None] & (n < OUTPUTS)[None, :], other=0.0
        )
        total = tl.dot(patch, weight, total, input_precision=PRECISION)
    if BIASED:
        total += tl.load(bias + replica * bias_replica + group * OUTPUTS + n, n < OUTPUTS, other=0.0)[None, :]
    write_tile(y, total, m, m < positions, replica, group, replicas, n, GROUPS, OUTPUTS)

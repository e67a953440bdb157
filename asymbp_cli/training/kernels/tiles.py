"""Where the programs of a kernel find their replica, and numbers of images [B, height, width, R * features].

Sizes of layers are constants of a kernel. Places are 32-bit numbers unless an image is `LARGE`.
"""

import triton
import triton.language as tl


@triton.jit
def find_member(tiles, GROUPS: tl.constexpr):
    """Return the replica and the group that a program works for, and which of their `tiles` it computes."""
    member = tl.program_id(0) // tiles
    return (member // GROUPS).to(tl.int64), member % GROUPS, tl.program_id(0) % tiles


@triton.jit
def find_origin(x, replica, group, replicas, WIDTH: tl.constexpr, FEATURES: tl.constexpr, INPUTS: tl.constexpr,
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
def find_pixels(m, HEIGHT: tl.constexpr, WIDTH: tl.constexpr, LARGE: tl.constexpr):
    """Return sample, row and column of the pixels m of images, which are in the order of samples."""
    sample, place = m // (HEIGHT * WIDTH), m % (HEIGHT * WIDTH)
    return sample.to(tl.int64 if LARGE else tl.int32), place // WIDTH, place % WIDTH


@triton.jit
def find_pixels_by_rows(m, samples, WIDTH: tl.constexpr, LARGE: tl.constexpr):
    """Return sample, row and column of pixels m: those of the first rows of all samples come first."""
    row, place = m // (samples * WIDTH), m % (samples * WIDTH)
    return (place // WIDTH).to(tl.int64 if LARGE else tl.int32), row, place % WIDTH


@triton.jit
def read_patches(x, start, top, left, k, inside, row_size, column_size, HEIGHT: tl.constexpr, WIDTH: tl.constexpr,
                 FIELD_WIDTH: tl.constexpr, INPUTS: tl.constexpr, SPREAD: tl.constexpr,
                 BORDER: tl.constexpr):  # fmt: skip
    """Return the numbers k (of a patch in the order of a bank's rows) of the patches at (top, left)."""
    tap, feature = k // INPUTS, k % INPUTS
    i, j = tap // FIELD_WIDTH * SPREAD, tap % FIELD_WIDTH * SPREAD
    if BORDER:
        row, column = top[:, None] + i[None, :], left[:, None] + j[None, :]
        inside &= (row.to(tl.uint32) < HEIGHT) & (column.to(tl.uint32) < WIDTH)  # what is below 0 is more than all
    at = (start + top * row_size + left * column_size)[:, None]
    return tl.load(x + (at + (i * row_size + j * column_size + feature)[None, :]), inside, other=0.0)


@triton.jit
def write_tile(y, tile, m, within, replica, group, replicas, n, GROUPS: tl.constexpr, FEATURES: tl.constexpr):
    """Write features n of a group of a replica at the pixels m of images y that are `within` them."""
    at = (m.to(tl.int64) * replicas + replica)[:, None] * (GROUPS * FEATURES) + (group * FEATURES + n)[None, :]
    tl.store(y + at, tile.to(y.dtype.element_ty), within[:, None] & (n < FEATURES)[None, :])

"""Matrix products of the sizes that layers have, on one thread and without a library.

A BLAS is made for large matrices: at a batch of 32 to 128 and layers of 32 to 128 units it takes
1.2 to 4 times as long, as it copies both factors first; one that does not know a processor takes
half its vectors. ``numpy.dot`` moreover neither adds to its result nor takes columns of a wider
array. Here only a transposed right factor is copied, some columns at a time. No threads, and the
sums are always taken in the same order.
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from neuro_aws.backends.rate.compiled.tiles import ROWS, VECTOR, tile
from neuro_aws.functional.compiled.kernel import LOOSE, part

_tall_double, _tall_single = tile(ROWS, 2), tile(ROWS, 1)
_flat_double, _flat_single = tile(1, 2), tile(1, 1)
_one = tile(1, 1, 0)


def product(a: Any, a_turned: bool, b: Any, b_turned: bool, c: Any, alpha: Any, beta: Any) -> None:
    """c = alpha op(a) op(b) + beta c, where op turns (transposes) or does not.

    Rows of a, b, c may lie apart (columns of a wider array); within a row numbers are neighbours.
    """


@overload(product, inline="never", jit_options={"fastmath": LOOSE})
def _product(a: Any, a_turned: Any, b: Any, b_turned: Any, c: Any, alpha: Any, beta: Any) -> Any:
    size = 4 if c.dtype is types.float32 else 8
    real, width = (np.float32 if size == 4 else np.float64), 2 * VECTOR // size

    def call(a: Any, a_turned: Any, b: Any, b_turned: Any, c: Any, alpha: Any, beta: Any) -> Any:
        rows, columns = c.shape
        inner, a_row, a_step = a.shape[1], a.strides[0], size
        if a_turned:
            inner, a_row, a_step = a.shape[0], size, a.strides[0]
        at_a, at_c = a.ctypes.data, c.ctypes.data
        factor, keep = real(alpha), real(beta)
        if not b_turned:
            multiply(
                at_a, b.ctypes.data, at_c, a_row, a_step, b.strides[0], c.strides[0],
                rows, columns, inner, size, factor, keep,
            )  # fmt: skip
            return
        panel = np.empty((inner, width), real)
        for first in range(0, columns, width):
            count = min(width, columns - first)
            turn(b[first : first + count], panel)
            multiply(
                at_a, panel.ctypes.data, at_c + first * size, a_row, a_step, width * size,
                c.strides[0], rows, count, inner, size, factor, keep,
            )  # fmt: skip

    return call


@part
def turn(rows: Any, panel: Any) -> None:
    """Copy some rows (no more than the panel has columns) as its first columns."""
    count, length, n = rows.shape[0], rows.shape[1], 0
    while n + 8 <= count:  # so that what is written next lies next to it
        r0, r1, r2, r3 = rows[n], rows[n + 1], rows[n + 2], rows[n + 3]
        r4, r5, r6, r7 = rows[n + 4], rows[n + 5], rows[n + 6], rows[n + 7]
        for k in range(length):
            to = panel[k]
            to[n], to[n + 1], to[n + 2], to[n + 3] = r0[k], r1[k], r2[k], r3[k]
            to[n + 4], to[n + 5], to[n + 6], to[n + 7] = r4[k], r5[k], r6[k], r7[k]
        n += 8
    for left in range(n, count):
        for k in range(length):
            panel[k, left] = rows[left, k]


@part
def multiply(
    a: int, b: int, c: int, a_row: int, a_step: int, b_step: int, c_row: int,
    rows: int, columns: int, inner: int, size: int, alpha: Any, beta: Any,
) -> None:  # fmt: skip
    """Compute tile after tile: of two vectors, of one, and what is left number by number."""
    lanes, j = VECTOR // size, 0
    while j + 2 * lanes <= columns:
        right, out, i = b + j * size, c + j * size, 0
        while i + ROWS <= rows:
            _tall_double(
                a + i * a_row, right, out + i * c_row, a_row, a_step, b_step, c_row, inner,
                alpha, beta,
            )  # fmt: skip
            i += ROWS
        for left in range(i, rows):
            _flat_double(
                a + left * a_row, right, out + left * c_row, a_row, a_step, b_step, c_row, inner,
                alpha, beta,
            )  # fmt: skip
        j += 2 * lanes
    while j + lanes <= columns:
        right, out, i = b + j * size, c + j * size, 0
        while i + ROWS <= rows:
            _tall_single(
                a + i * a_row, right, out + i * c_row, a_row, a_step, b_step, c_row, inner,
                alpha, beta,
            )  # fmt: skip
            i += ROWS
        for left in range(i, rows):
            _flat_single(
                a + left * a_row, right, out + left * c_row, a_row, a_step, b_step, c_row, inner,
                alpha, beta,
            )  # fmt: skip
        j += lanes
    for last in range(j, columns):
        for i in range(rows):
            _one(
                a + i * a_row, b + last * size, c + i * c_row + last * size, a_row, a_step, b_step,
                c_row, inner, alpha, beta,
            )  # fmt: skip

"""Matrix products by the BLAS that scipy brings.

``numpy.dot`` inside a kernel neither adds to its result nor takes columns of a wider array, so it
would copy: 15 % of the whole step. The routine under it does both. It is called by the name that
numba registers it under (``numba_xxgemm``), which is no public one; ``constraints.txt`` pins numba.
"""

from typing import Any

import numpy as np
import scipy.linalg.cython_blas  # noqa: F401  so that its BLAS is there for its threads to be set
from numba import types
from numba.extending import overload

from neuro_aws.functional.compiled.kernel import LOOSE

_KINDS: dict[Any, tuple[int, int]] = {types.float32: (ord("s"), 4), types.float64: (ord("d"), 8)}


def _routine(real: Any) -> Any:
    pointer = types.CPointer(real)  # type: ignore[no-untyped-call]
    signature = types.intc(
        types.char, types.char, types.char, types.intp, types.intp, types.intp, pointer,
        pointer, types.intp, pointer, types.intp, pointer, pointer, types.intp,
    )  # fmt: skip
    return types.ExternalFunction("numba_xxgemm", signature)


def product(a: Any, a_turned: bool, b: Any, b_turned: bool, c: Any, alpha: Any, beta: Any) -> None:
    """c = alpha op(a) op(b) + beta c, where op turns (transposes) or does not.

    Rows of a, b, c may lie apart (columns of a wider array); within a row numbers are neighbours.
    """


@overload(product, inline="never", jit_options={"fastmath": LOOSE})
def _product(a: Any, a_turned: Any, b: Any, b_turned: Any, c: Any, alpha: Any, beta: Any) -> Any:
    kind, size = _KINDS[c.dtype]
    gemm, real = _routine(c.dtype), np.float32 if size == 4 else np.float64
    turned, straight = ord("t"), ord("n")

    def call(a: Any, a_turned: Any, b: Any, b_turned: Any, c: Any, alpha: Any, beta: Any) -> Any:
        factors = np.empty(2, real)
        factors[0], factors[1] = alpha, beta
        inner = a.shape[0] if a_turned else a.shape[1]
        # The routine counts by columns, so it is asked for the transpose: op(b)' op(a)'.
        gemm(
            kind, turned if b_turned else straight, turned if a_turned else straight,
            c.shape[1], c.shape[0], inner, factors.ctypes,
            b.ctypes, b.strides[0] // size, a.ctypes, a.strides[0] // size,
            factors[1:].ctypes, c.ctypes, c.strides[0] // size,
        )  # fmt: skip

    return call

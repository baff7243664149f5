"""What the second derivative of a batch's normalisation needs, of maps as rows of channels."""

from typing import Any

import numpy as np

from neuro_aws.functional.compiled.kernel import kernel

AT_ONCE = 128
"""Rows summed by themselves before their sum joins the whole: keeps the rounding small."""


@kernel
def sums(g: Any, d: Any, v: Any, total: Any) -> None:
    """Return sums over the rows, channel by channel: g, d, g v, d v, g d."""
    channels = g.shape[1]
    total[:] = 0
    of_g, of_d = np.empty(channels, g.dtype), np.empty(channels, g.dtype)
    of_gv, of_dv = np.empty(channels, g.dtype), np.empty(channels, g.dtype)
    of_gd = np.empty(channels, g.dtype)
    for first in range(0, g.shape[0], AT_ONCE):
        for part_of in (of_g, of_d, of_gv, of_dv, of_gd):
            part_of[:] = 0
        for s in range(first, min(first + AT_ONCE, g.shape[0])):
            a, b, c = g[s], d[s], v[s]
            for k in range(channels):
                of_g[k] += a[k]
                of_d[k] += b[k]
                of_gv[k] += a[k] * c[k]
                of_dv[k] += b[k] * c[k]
                of_gd[k] += a[k] * b[k]
        for k in range(channels):
            total[0, k] += of_g[k]
            total[1, k] += of_d[k]
            total[2, k] += of_gv[k]
            total[3, k] += of_dv[k]
            total[4, k] += of_gd[k]


@kernel
def combine(g: Any, d: Any, v: Any, by: Any, one: Any, other: Any) -> None:
    """one = by_0 g + by_1 v + by_2;  other = by_3 g + by_4 v + by_5 d + by_6, by channel."""
    for s in range(g.shape[0]):
        a, b, c, first, second = g[s], d[s], v[s], one[s], other[s]
        for k in range(a.size):
            first[k] = by[0, k] * a[k] + by[1, k] * c[k] + by[2, k]
        for k in range(a.size):
            second[k] = by[3, k] * a[k] + by[4, k] * c[k] + by[5, k] * b[k] + by[6, k]

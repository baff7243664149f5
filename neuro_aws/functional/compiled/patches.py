"""Patches under the units of a convolution, laid out for one matrix product, and back again.

    patches[b, p, q, i, j, c] = maps[b, s p + i - r, s q + j - r, c], 0 outside

s is the stride, r the padding. Maps come as (batch, height, width, channels), patches as (batch, p,
q, i, j, channels), or with the channels before i and j in memory: ``by_unit``.
"""

from typing import Any

import numpy as np

from neuro_aws.functional.compiled.kernel import kernel, part


@part
def inside(q: int, s: int, r: int, k: int, size: int) -> tuple[int, int]:
    """Return which j of a patch lie inside of maps of that size: from, to."""
    start = s * q - r
    return max(0, -start), min(k, size - start)


@kernel
def gather(maps: Any, patches: Any, s: int, r: int) -> None:
    """Lay out patches, channels last; numbers are moved whatever they are."""
    batch, high, wide, k, _, channels = patches.shape
    nothing = patches.dtype.type(0)
    rows = maps.reshape(batch, maps.shape[1], maps.shape[2] * channels)
    into = patches.reshape(batch, high, wide, k, k * channels)
    for b in range(batch):
        for p in range(high):
            for q in range(wide):
                least, most = inside(q, s, r, k, maps.shape[2])
                first, after = least * channels, most * channels
                shift = (s * q - r) * channels
                for i in range(k):
                    y = s * p + i - r
                    if y < 0 or y >= maps.shape[1]:
                        for c in range(k * channels):
                            into[b, p, q, i, c] = nothing
                        continue
                    if after - first == 4 and first == 0:  # a picture: no loop of four
                        at = into[b, p, q, i]
                        at[0], at[1] = rows[b, y, shift], rows[b, y, shift + 1]
                        at[2], at[3] = rows[b, y, shift + 2], rows[b, y, shift + 3]
                        continue
                    at = into[b, p, q, i]
                    for c in range(first):
                        at[c] = nothing
                    found, room = rows[b, y, shift + first : shift + after], at[first:after]
                    for c in range(found.size):  # by slices: counted from 0, whole vectors move
                        room[c] = found[c]
                    for c in range(after, k * channels):
                        at[c] = nothing


@kernel
def gather_by_unit(maps: Any, patches: Any, s: int, r: int) -> None:
    """Lay out patches whose memory has the channels before i and j."""
    batch, high, wide, k, _, channels = patches.shape
    nothing = patches.dtype.type(0)
    for b in range(batch):
        for p in range(high):
            for q in range(wide):
                for i in range(k):
                    y = s * p + i - r
                    for j in range(k):
                        x = s * q + j - r
                        into = patches[b, p, q, i, j]
                        if 0 <= y < maps.shape[1] and 0 <= x < maps.shape[2]:
                            found = maps[b, y, x]
                            for c in range(channels):
                                into[c] = found[c]
                        else:
                            for c in range(channels):
                                into[c] = nothing


@kernel
def overlay(patches: Any, bias: Any, maps: Any, s: int, r: int) -> None:
    """Add up overlapping patches, channels last, on a bias."""
    batch, high, wide, k, _, channels = patches.shape
    rows = maps.reshape(batch, maps.shape[1], maps.shape[2] * channels)
    found = patches.reshape(batch, high, wide, k, k * channels)
    for b in range(batch):
        _start(maps[b], bias)
        for p in range(high):
            for q in range(wide):
                least, most = inside(q, s, r, k, maps.shape[2])
                shift = (s * q - r) * channels
                first, after = least * channels, most * channels
                for i in range(k):
                    y = s * p + i - r
                    if y < 0 or y >= maps.shape[1]:
                        continue
                    if after - first == 4 and first == 0:
                        rows[b, y, shift] += found[b, p, q, i, 0]
                        rows[b, y, shift + 1] += found[b, p, q, i, 1]
                        rows[b, y, shift + 2] += found[b, p, q, i, 2]
                        rows[b, y, shift + 3] += found[b, p, q, i, 3]
                        continue
                    total = rows[b, y, shift + first : shift + after]
                    some = found[b, p, q, i, first:after]
                    for c in range(total.size):
                        total[c] += some[c]


@part
def _whole(low: Any) -> Any:
    """Return a number in bfloat16, the upper 16 bits of a float32, as that."""
    return np.uint32(np.uint32(low) << np.uint32(16)).view(np.float32)


@kernel
def overlay_low(patches: Any, bias: Any, maps: Any, s: int, r: int) -> None:
    """As ``overlay``, patches in bfloat16."""
    batch, high, wide, k, _, channels = patches.shape
    rows = maps.reshape(batch, maps.shape[1], maps.shape[2] * channels)
    found = patches.reshape(batch, high, wide, k, k * channels)
    for b in range(batch):
        _start(maps[b], bias)
        for p in range(high):
            for q in range(wide):
                least, most = inside(q, s, r, k, maps.shape[2])
                shift = (s * q - r) * channels
                first, after = least * channels, most * channels
                for i in range(k):
                    y = s * p + i - r
                    if y < 0 or y >= maps.shape[1]:
                        continue
                    if after - first == 4 and first == 0:
                        rows[b, y, shift] += _whole(found[b, p, q, i, 0])
                        rows[b, y, shift + 1] += _whole(found[b, p, q, i, 1])
                        rows[b, y, shift + 2] += _whole(found[b, p, q, i, 2])
                        rows[b, y, shift + 3] += _whole(found[b, p, q, i, 3])
                        continue
                    total = rows[b, y, shift + first : shift + after]
                    some = found[b, p, q, i, first:after]
                    for c in range(total.size):
                        total[c] += _whole(some[c])


@kernel
def overlay_by_unit(patches: Any, bias: Any, maps: Any, s: int, r: int) -> None:
    """As ``overlay``, patches whose memory has the channels before i and j."""
    batch, high, wide, k, _, channels = patches.shape
    for b in range(batch):
        _start(maps[b], bias)
        for p in range(high):
            for q in range(wide):
                for i in range(k):
                    y = s * p + i - r
                    for j in range(k):
                        x = s * q + j - r
                        if 0 <= y < maps.shape[1] and 0 <= x < maps.shape[2]:
                            total, found = maps[b, y, x], patches[b, p, q, i, j]
                            for c in range(channels):
                                total[c] += found[c]


@part
def _start(maps: Any, bias: Any) -> None:
    for y in range(maps.shape[0]):
        for x in range(maps.shape[1]):
            for c in range(bias.size):
                maps[y, x, c] = bias[c]

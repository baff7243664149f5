"""The numbers that torch's CPU generator draws in float32, many at a time.

torch draws one word after the other from a Mersenne Twister, and takes a number from each. Here
words are made in blocks of 624, as the twister makes them, and the same numbers follow from them in
loops that a processor takes several steps of at once: uniform ones to the bit, normal ones to
rounding. The generator's state is torch's own (``functional/noise.py`` hands it over), and stands
afterwards where torch would have left it.
"""

from typing import Any

import numpy as np

from neuro_aws.functional.compiled.kernel import kernel, part

WORDS, SHIFT = 624, 397
BLOCK = 16
"""Numbers that torch makes normal together: eight radii, then eight angles."""

PART = 39
"""Blocks at a time: 624 words, so that all room is in the first cache."""

_ONE, _UPPER, _LOWER = np.uint32(1), np.uint32(0x80000000), np.uint32(0x7FFFFFFF)
_TWIST, _MASK_B, _MASK_C = np.uint32(0x9908B0DF), np.uint32(0x9D2C5680), np.uint32(0xEFC60000)
_S7, _S11, _S15, _S18 = np.uint32(7), np.uint32(11), np.uint32(15), np.uint32(18)
_S30, _SPREAD = np.uint32(30), np.uint32(1812433253)
_BITS = np.uint32(0xFFFFFF)
_STEP = np.float32(2.0**-24)


@part
def _twisted(here: Any, after: Any) -> Any:
    mixed = (here & _UPPER) | (after & _LOWER)
    return np.uint32(np.uint32(mixed >> _ONE) ^ (np.uint32(np.uint32(0) - (after & _ONE)) & _TWIST))


@part
def _renew(words: Any) -> None:
    """Take all words on to the next state."""
    for k in range(WORDS - SHIFT):
        words[k] = words[k + SHIFT] ^ _twisted(words[k], words[k + 1])
    for k in range(WORDS - SHIFT, WORDS - 1):
        words[k] = words[k + SHIFT - WORDS] ^ _twisted(words[k], words[k + 1])
    words[WORDS - 1] = words[SHIFT - 1] ^ _twisted(words[WORDS - 1], words[0])


@part
def _seed(words: Any, seed: int) -> None:
    """Make the words what the lower 32 bits of a seed make of them; all of them are used."""
    word = np.uint32(seed & 0xFFFFFFFF)
    words[0] = word
    for k in range(1, WORDS):
        word = np.uint32(np.uint32(word ^ (word >> _S30)) * _SPREAD + np.uint32(k))
        words[k] = word


@part
def _draw(words: Any, used: int, out: Any) -> int:
    """Fill ``out`` with words from where ``used`` of them are; return how many are used then."""
    filled = 0
    while filled < out.size:
        if used == WORDS:
            _renew(words)
            used = 0
        count = min(WORDS - used, out.size - filled)
        given, taken = words[used : used + count], out[filled : filled + count]
        for k in range(count):
            y = given[k]
            y = np.uint32(y ^ (y >> _S11))
            y = np.uint32(y ^ (np.uint32(y << _S7) & _MASK_B))
            y = np.uint32(y ^ (np.uint32(y << _S15) & _MASK_C))
            taken[k] = np.uint32(y ^ (y >> _S18))
        used += count
        filled += count
    return used


@part
def log(u: Any) -> Any:
    """Return the natural logarithm of a float32 > 0 (and not denormal), to 1e-7 of it.

    u = 2^e (1 + f), f from sqrt(1/2) - 1 to sqrt(2) - 1: log u = f - f^2 / 2 + f^3 P(f) + e log 2,
    with the coefficients of Cephes' ``logf``.
    """
    bits = np.float32(u).view(np.int32)
    e = np.int32(np.int32(bits - np.int32(0x3F3504F3)) >> np.int32(23))
    f = np.int32(bits - np.int32(e << np.int32(23))).view(np.float32) - np.float32(1)
    p = np.float32(7.0376836292e-2)
    p = p * f + np.float32(-1.1514610310e-1)
    p = p * f + np.float32(1.1676998740e-1)
    p = p * f + np.float32(-1.2420140846e-1)
    p = p * f + np.float32(1.4249322787e-1)
    p = p * f + np.float32(-1.6668057665e-1)
    p = p * f + np.float32(2.0000714765e-1)
    p = p * f + np.float32(-2.4999993993e-1)
    p = p * f + np.float32(3.3333331174e-1)
    square = f * f
    return f + square * (f * p - np.float32(0.5)) + np.float32(e) * np.float32(np.log(2.0))


@part
def _circle(word: Any) -> tuple[Any, Any]:
    """Return cosine and sine of a share of 2 pi: the lower 24 bits of a word, as a fraction.

    The angle is the nearest of the four quarters q and what is left, |x| <= pi / 4, of which the
    series of cosine and sine are taken (coefficients of Cephes' ``sinf`` and ``cosf``).
    """
    share = np.int32(word & _BITS)
    quarter = np.int32(np.int32(share + np.int32(1 << 21)) >> np.int32(22))
    left = np.int32(share - np.int32(quarter << np.int32(22)))
    x = np.float32(left) * np.float32(2 * np.pi * 2.0**-24)
    z = x * x
    sine = np.float32(-1.9515295891e-4) * z + np.float32(8.3321608736e-3)
    sine = x + x * z * (sine * z + np.float32(-1.6666654611e-1))
    cosine = np.float32(2.443315711809948e-5) * z + np.float32(-1.388731625493765e-3)
    cosine = cosine * z + np.float32(4.166664568298827e-2)
    cosine = z * z * cosine - np.float32(0.5) * z + np.float32(1)
    odd = np.int32(quarter & np.int32(1)) != np.int32(0)
    c = sine if odd else cosine
    s = cosine if odd else sine
    turned = np.int32(np.int32(quarter + np.int32(1)) & np.int32(2)) != np.int32(0)
    below = np.int32(quarter & np.int32(2)) != np.int32(0)
    return (-c if turned else c), (-s if below else s)


@part
def _to_normal(words: Any, radii: Any, cosines: Any, sines: Any, out: Any) -> None:
    """Box and Muller: of a block's 16 words u and v, sqrt(-2 log u) cos(2 pi v), then by the sine.

    u is 1 - word k, v is word k + 8. Radii, cosines and sines are taken of all words, used or not:
    that is cheaper than to sort them. ``radii`` begin eight places late.
    """
    half = BLOCK // 2
    for k in range(words.size):
        u = np.float32(1) - np.float32(np.int32(words[k] & _BITS)) * _STEP
        radii[k + half] = np.sqrt(np.float32(-2) * log(u))
        cosines[k], sines[k] = _circle(words[k])
    for k in range(words.size):
        first, second = radii[k + half] * cosines[k + half], radii[k] * sines[k]
        out[k] = second if k & half else first


@part
def _normal(words: Any, used: int, out: Any) -> int:
    """Fill ``out``, 16 numbers or more, with N(0, 1); return how many words are used then.

    Of a size that 16 does not divide the last 16 numbers are drawn once more, as torch does.
    """
    drawn = np.empty(PART * BLOCK, np.uint32)
    room = PART * BLOCK + BLOCK // 2  # each by itself: rows of one array keep the loops scalar
    radii, cosines, sines = (
        np.zeros(room, np.float32),
        np.zeros(room, np.float32),
        np.zeros(room, np.float32),
    )
    for start in range(0, out.size, drawn.size):
        some = drawn[: min(drawn.size, out.size - start)]
        used = _draw(words, used, some)
        whole = some.size // BLOCK * BLOCK
        _to_normal(some[:whole], radii, cosines, sines, out[start : start + whole])
    if out.size % BLOCK:
        used = _draw(words, used, drawn[:BLOCK])
        _to_normal(drawn[:BLOCK], radii, cosines, sines, out[out.size - BLOCK :])
    return used


@part
def _uniform(words: Any, used: int, least: float, out: Any) -> int:
    """Fill ``out`` with U(0, 1), at least ``least``; return how many words are used then."""
    drawn, lowest = np.empty(WORDS, np.uint32), np.float32(least)
    for start in range(0, out.size, WORDS):
        some = drawn[: min(WORDS, out.size - start)]
        used = _draw(words, used, some)
        into = out[start : start + some.size]
        for k in range(some.size):
            u = np.float32(np.int32(some[k] & _BITS)) * _STEP
            into[k] = max(u, lowest)
    return used


@kernel
def normal(words: Any, used: int, out: Any) -> int:
    """Fill ``out`` with N(0, 1) from words of which so many are used; return how many are then."""
    return _normal(words, used, out)


@kernel
def uniform(words: Any, used: int, least: float, out: Any) -> int:
    """The same with U(0, 1), at least ``least``."""
    return _uniform(words, used, least, out)


@kernel
def of_seed(seed: int, sizes: Any, normals: Any, uniforms: Any, least: float) -> None:
    """Draw what torch draws after ``manual_seed``: normal numbers, so many at a time, then uniform.

    ``sizes``, 16 or more each, of the pieces of ``normals``, which lie end to end.
    """
    words = np.empty(WORDS, np.uint32)
    _seed(words, seed)
    used, start = WORDS, 0
    for size in sizes:
        used = _normal(words, used, normals[start : start + size])
        start += size
    if uniforms.size:
        _uniform(words, used, least, uniforms)

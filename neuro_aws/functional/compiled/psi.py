"""psi, from potential to rate and back, of maps: every row holds the channels of one position.

    transfer first     a' = a + sigma xi;  v = phi(a');  y = N(v)
    normalised first   u = N(a);  v = phi(u + sigma xi);  y = v

N(v) = v / r, r = sqrt(sum_k v_k^2 / c + 1e-8); c the number of channels (rms), 1 (l2), or 0 for no
normalisation. phi is a ReLU or a leaky one: ``leak`` is its slope below zero.
"""

from typing import Any

import numpy as np

from neuro_aws.functional.compartments import POOL_EPSILON
from neuro_aws.functional.compiled.draws import log
from neuro_aws.functional.compiled.kernel import kernel, part

GIVEN, DIFFERENCE, SIGN = range(3)


@part
def pool_of(v: Any, c: int, epsilon: float) -> Any:
    """Return r of one row."""
    real = v.dtype.type
    total = real(0)
    for k in range(v.size):
        total += v[k] * v[k]
    return np.sqrt(total / real(c) + real(epsilon))


@kernel
def fire(
    leak: float, c: int, a: Any, xi: Any, sigma: float, potential: Any, v: Any, y: Any, r: Any
) -> None:
    """Transfer first. ``xi`` may have no rows, and so may y and r where c = 0."""
    real = a.dtype.type
    zero, below, scale = real(0), real(leak), real(sigma)
    for s in range(a.shape[0]):
        value = v[s]
        if xi.shape[0]:
            noisy, given, drawn = potential[s], a[s], xi[s]
            for k in range(value.size):
                noisy[k] = given[k] + scale * drawn[k]
        else:
            noisy = a[s]
        for k in range(value.size):
            value[k] = noisy[k] if noisy[k] > zero else below * noisy[k]
        if c:
            pool = pool_of(value, c, POOL_EPSILON)
            r[s] = pool
            rate, share = y[s], real(1) / pool
            for k in range(value.size):
                rate[k] = value[k] * share


@kernel
def fire_normalised_first(
    leak: float, c: int, a: Any, xi: Any, sigma: float, v: Any, r: Any
) -> None:
    """Normalised first. ``xi`` may have no rows."""
    real = a.dtype.type
    zero, below, scale = real(0), real(leak), real(sigma)
    for s in range(a.shape[0]):
        given, value = a[s], v[s]
        pool = pool_of(given, c, POOL_EPSILON)
        r[s] = pool
        share = real(1) / pool
        for k in range(value.size):
            value[k] = given[k] * share
        if xi.shape[0]:
            drawn = xi[s]
            for k in range(value.size):
                value[k] += scale * drawn[k]
        for k in range(value.size):
            value[k] = value[k] if value[k] > zero else below * value[k]


@kernel
def pull_back(
    leak: float, c: int, first: bool, how: int, teach: Any, a: Any, y: Any, r: Any, out: Any
) -> None:
    """Return a signal at the potentials, given the one at the rates.

        out = phi'(a) (t - y <t y>) / r                    transfer first
        out = (t' - u <t' u>) / r,  t' = phi'(u) t,  u = a / r    normalised first

    < > is the sum over the channels / c. t is ``teach`` as given, or ``teach`` - y, or its sign.
    """
    real = a.dtype.type
    zero, below, one = real(0), real(leak), real(1)
    row = np.empty(a.shape[1], a.dtype)
    for s in range(a.shape[0]):
        t, potential, rate, found = teach[s], a[s], y[s], out[s]
        if how == GIVEN:
            for k in range(row.size):
                row[k] = t[k]
        elif how == DIFFERENCE:
            for k in range(row.size):
                row[k] = t[k] - rate[k]
        else:
            for k in range(row.size):
                d = t[k] - rate[k]
                row[k] = real(d > zero) - real(d < zero)
        if first or not c:
            for k in range(row.size):
                row[k] *= one if potential[k] > zero else below
        if not c:
            for k in range(row.size):
                found[k] = row[k]
            continue
        share = one / r[s]
        shared = zero
        if first:
            for k in range(row.size):
                shared += row[k] * (potential[k] * share)
            shared /= real(c)
            for k in range(row.size):
                found[k] = (row[k] - potential[k] * share * shared) * share
        else:
            for k in range(row.size):
                shared += row[k] * rate[k]
            shared /= real(c)
            for k in range(row.size):
                through = (row[k] - rate[k] * shared) * share
                found[k] = through if potential[k] > zero else below * through


@kernel
def choose(rate: Any, below: Any, scale: float, out: Any) -> None:
    """out = rate where it is above 0, else scale below: an inverse ReLU."""
    zero, factor = rate.dtype.type(0), rate.dtype.type(scale)
    for s in range(rate.shape[0]):
        for k in range(rate.shape[1]):
            out[s, k] = rate[s, k] if rate[s, k] > zero else factor * below[s, k]


@kernel
def choose_below(rate: Any, uniform: Any, scale: float, out: Any) -> None:
    """out = rate where it is above 0, else scale log(uniform), in float32; ``uniform`` is > 0."""
    zero, factor = np.float32(0), np.float32(scale)
    for s in range(rate.shape[0]):
        given, drawn, into = rate[s], uniform[s], out[s]
        for k in range(into.size):
            below = factor * log(drawn[k])
            into[k] = given[k] if given[k] > zero else below


@kernel
def pooled(c: int, epsilon: float, values: Any, y: Any, r: Any) -> None:
    """y = N(v), r its pool."""
    for s in range(values.shape[0]):
        given, rate = values[s], y[s]
        pool = pool_of(given, c, epsilon)
        r[s, 0] = pool
        share = rate.dtype.type(1) / pool
        for k in range(rate.size):
            rate[k] = given[k] * share


@kernel
def pooled_back(c: int, at: Any, y: Any, r: Any, out: Any, shared: Any) -> None:
    """out = (t - y <t y>) / r, and <t y> of every row; t is ``at``."""
    real = y.dtype.type
    for s in range(y.shape[0]):
        t, rate, found = at[s], y[s], out[s]
        total = real(0)
        for k in range(rate.size):
            total += t[k] * rate[k]
        total /= real(c)
        shared[s, 0] = total
        share = real(1) / r[s, 0]
        for k in range(rate.size):
            found[k] = (t[k] - rate[k] * total) * share


@kernel
def pooled_back_twice(
    c: int, arriving: Any, at: Any, y: Any, r: Any, shared: Any, at_at: Any, at_values: Any
) -> None:
    """Return the second derivative's way back, G = ``arriving`` at (t - y <t y>) / r.

    at t   (G - y <G y>) / r
    at v   (y (3 <G y> <t y> - <G t>) - G <t y> - t <G y>) / r^2
    """
    real = y.dtype.type
    for s in range(y.shape[0]):
        g, t, rate, known = arriving[s], at[s], y[s], shared[s, 0]
        other, both = real(0), real(0)
        for k in range(rate.size):
            other += g[k] * rate[k]
            both += g[k] * t[k]
        other /= real(c)
        both /= real(c)
        bent = real(3) * other * known - both
        share = real(1) / r[s, 0]
        for k in range(rate.size):
            at_at[s, k] = (g[k] - rate[k] * other) * share
            at_values[s, k] = (rate[k] * bent - g[k] * known - t[k] * other) * (share * share)

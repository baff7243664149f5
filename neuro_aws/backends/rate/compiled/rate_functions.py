"""psi, from a potential to a rate and back, sample by sample.

    a = slope v + offset + sigma xi        v: the raw drive; slope, offset: its set point, its bias
    y = N(gain phi(a))                     N: rms, l2 or none; gain only where it acts before N

The equations are those of ``functional/compartments.py`` and ``functional/activations.py``.
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from neuro_aws.functional.activations import LEAK, SURROGATE_SHARPNESS
from neuro_aws.functional.compartments import POOL_EPSILON
from neuro_aws.functional.compiled.kernel import LOOSE, part

RELU, LEAKY, SOFTPLUS, TANH, SIGMOID, LINEAR = range(6)
RMS, L2, BARE = range(3)
TRANSFER_CODES = {
    "relu": RELU,
    "leaky_relu": LEAKY,
    "softplus": SOFTPLUS,
    "tanh": TANH,
    "sigmoid": SIGMOID,
    "linear": LINEAR,
}
NORMALISATION_CODES = {"rms": RMS, "l2": L2, "none": BARE}

_SATURATED = 7.90531110763549805
_UP = (
    -2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08,
    1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03,
)  # fmt: skip
_DOWN = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)
"""Eigen's rational tanh of float32: within 3 units of the last place, and without a branch."""


def tanh_into(a: Any, v: Any) -> None:
    """v = tanh(a). In float32 by a quotient of polynomials, which becomes vector instructions."""


@overload(tanh_into, jit_options={"fastmath": LOOSE})
def _tanh_into(a: Any, v: Any) -> Any:
    if a.dtype is not types.float32:

        def exact(a: Any, v: Any) -> None:
            for k in range(a.size):
                v[k] = np.tanh(a[k])

        return exact

    def quick(a: Any, v: Any) -> None:
        real = np.float32
        for k in range(a.size):
            x = min(max(a[k], real(-_SATURATED)), real(_SATURATED))
            q = x * x
            p = real(_UP[0])
            p = p * q + real(_UP[1])
            p = p * q + real(_UP[2])
            p = p * q + real(_UP[3])
            p = p * q + real(_UP[4])
            p = p * q + real(_UP[5])
            p = p * q + real(_UP[6])
            d = real(_DOWN[0])
            d = d * q + real(_DOWN[1])
            d = d * q + real(_DOWN[2])
            d = d * q + real(_DOWN[3])
            v[k] = x * p / d

    return quick


@part
def transfer(kind: int, a: Any, v: Any) -> None:
    """v = phi(a) of one sample."""
    real = v.dtype.type
    zero, one, leak, steep = real(0), real(1), real(LEAK), real(20)
    if kind == RELU:
        for k in range(a.size):
            v[k] = a[k] if a[k] > zero else zero
    elif kind == LEAKY:
        for k in range(a.size):
            v[k] = a[k] if a[k] > zero else leak * a[k]
    elif kind == SOFTPLUS:
        for k in range(a.size):
            v[k] = a[k] if a[k] > steep else np.log1p(np.exp(a[k]))
    elif kind == TANH:
        tanh_into(a, v)
    elif kind == SIGMOID:
        for k in range(a.size):
            v[k] = one / (one + np.exp(-a[k]))
    else:
        for k in range(a.size):
            v[k] = a[k]


@part
def times_slope(kind: int, surrogate: bool, t: Any, a: Any, v: Any) -> None:
    """t = t phi'(a), or t times the surrogate slope; v is phi(a)."""
    real = t.dtype.type
    zero, one, leak, sharp = real(0), real(1), real(LEAK), real(SURROGATE_SHARPNESS)
    if surrogate and kind == RELU:
        for k in range(a.size):
            t[k] *= one / (one + np.exp(-sharp * a[k]))
    elif surrogate and kind == LEAKY:
        for k in range(a.size):
            t[k] *= leak + (one - leak) / (one + np.exp(-sharp * a[k]))
    elif kind == RELU:
        for k in range(a.size):
            t[k] = t[k] if a[k] > zero else zero
    elif kind == LEAKY:
        for k in range(a.size):
            t[k] = t[k] if a[k] > zero else leak * t[k]
    elif kind == SOFTPLUS:
        for k in range(a.size):
            t[k] *= one / (one + np.exp(-a[k]))
    elif kind == TANH:
        for k in range(a.size):
            t[k] *= one - v[k] * v[k]
    elif kind == SIGMOID:
        for k in range(a.size):
            t[k] *= v[k] * (one - v[k])


@part
def normalise(norm: int, v: Any, y: Any) -> Any:
    """y = N(v) of one sample; return the pool that v was divided by (1 without one)."""
    real = v.dtype.type
    if norm == BARE:
        for k in range(v.size):
            y[k] = v[k]
        return real(1)
    total = real(0)
    for k in range(v.size):
        total += v[k] * v[k]
    if norm == RMS:
        total /= real(v.size)
    pool = np.sqrt(total + real(POOL_EPSILON))
    share = real(1) / pool
    for k in range(v.size):
        y[k] = v[k] * share
    return pool


@part
def fire(
    kind: int, norm: int, raw: Any, slope: Any, offset: Any, xi: Any, sigma: float, gain: Any,
    a: Any, v: Any, y: Any, pool: Any,
) -> None:  # fmt: skip
    """a = slope raw + offset + sigma xi, v = phi(a), y = N(gain v); arrays are (batch, units).

    ``gain`` is empty where none acts before the normalisation.
    """
    noise = a.dtype.type(sigma)
    for s in range(a.shape[0]):
        at, bare, value, rate = a[s], raw[s], v[s], y[s]
        if sigma != 0:
            drawn = xi[s]
            for k in range(at.size):
                at[k] = bare[k] * slope[k] + offset[k] + noise * drawn[k]
        else:
            for k in range(at.size):
                at[k] = bare[k] * slope[k] + offset[k]
        transfer(kind, at, value)
        if gain.size:
            for k in range(at.size):
                rate[k] = value[k] * gain[k]
            pool[s] = normalise(norm, rate, rate)
        else:
            pool[s] = normalise(norm, value, rate)


@part
def pull_back(
    kind: int, norm: int, surrogate: bool, t: Any, gain: Any, a: Any, v: Any, y: Any, pool: Any,
    scale: float,
) -> None:  # fmt: skip
    """t = scale t psi'(a), in place: t a signal at the rates (batch, units)."""
    real = t.dtype.type
    for s in range(t.shape[0]):
        signal, rate = t[s], y[s]
        factor = real(scale)
        if norm == BARE:
            for k in range(signal.size):
                signal[k] *= factor
        else:
            shared = real(0)
            for k in range(signal.size):
                shared += signal[k] * rate[k]
            if norm == RMS:
                shared /= real(signal.size)
            factor /= pool[s]
            for k in range(signal.size):
                signal[k] = (signal[k] - rate[k] * shared) * factor
        if gain.size:
            for k in range(signal.size):
                signal[k] *= gain[k]
        times_slope(kind, surrogate, signal, a[s], v[s])

"""psi: from the potential of the compartment that drives a soma to its firing rate, and back.

    psi(a) = N(phi(a))      N divides by the pool of the layer's units (channels):
    rms    N(v) = v / sqrt(mean_k v_k^2 + 1e-8)
    l2     N(v) = v / sqrt(sum_k v_k^2 + 1e-8)
    none   N(v) = v

`normalise_first` gives psi(a) = phi(N(a)), and phi(N(a) + noise) where there is noise: the order in
which the published code dreams.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from neuro_aws.functional import fused
from neuro_aws.functional.activations import LEAK, LEAK_OF_GANS, Transfer
from neuro_aws.functional.batch_norm import Normed
from neuro_aws.functional.double_backward import Pooled

POOL_EPSILON = 1e-8
"""Keeps the pool of a silent layer from dividing by zero (squared rate)."""

Normalisation = Literal["rms", "l2", "none"]

Error = Literal["given", "difference", "sign"]
"""What is sent back: a signal, how far a target is from the rate, or in which direction."""

_LEAKS = {"relu": 0.0, "leaky_relu": LEAK, "leaky_relu_0.2": LEAK_OF_GANS}


@dataclass(frozen=True, slots=True)
class Psi:
    """How a compartment's potential becomes a rate.

    ``surrogate`` replaces phi' by a slope that is never zero wherever a rule reads it.
    ``axis`` is the axis of the units that share a pool: -1 in dense layers. ``binary`` units fire 1
    with probability phi(a), else 0; without random numbers they give the probability.
    """

    transfer: Transfer
    normalisation: Normalisation = "none"
    normalise_first: bool = False
    surrogate: bool = False
    axis: int = -1
    binary: bool = False

    def back(self, signal: Tensor, potential: Tensor, value: Tensor) -> Tensor:
        """Return signal * phi'(a), or with the surrogate in place of phi'; ``value`` is phi(a)."""
        if self.surrogate:
            return signal * self.transfer.surrogate(potential)
        return self.transfer.back(signal, potential, value)


class Fired(NamedTuple):
    """A compartment that has fired: its rate, its potential a, phi(a), the layer's pool (or None).

    ``gain`` is a factor that was put on the rate before normalisation (an optogenetic one), if any.
    Where normalisation comes first, ``value`` is phi of the normalised potential. ``normed`` is how
    the batch normalised the drive, where it did.
    """

    rate: Tensor
    potential: Tensor
    value: Tensor
    pool: Tensor | None = None
    gain: Tensor | None = None
    normed: Normed | None = None


def pool_of(values: Tensor, normalisation: Normalisation, axis: int) -> Tensor:
    """Return the divisor of the normalisation: shape of ``values`` with ``axis`` of size 1."""
    total: Tensor = torch.linalg.vector_norm(values, dim=axis, keepdim=True).square_()
    if normalisation == "rms":
        units = values.shape[axis]
        return total.add_(POOL_EPSILON * units).sqrt_().mul_(units**-0.5)
    return total.add_(POOL_EPSILON).sqrt_()


def _pooled(values: Tensor, psi: Psi) -> tuple[Tensor, Tensor]:
    """Return N(v) and the pool it was divided by."""
    if torch.is_grad_enabled() and values.requires_grad:
        c = values.shape[psi.axis] if psi.normalisation == "rms" else 1
        found = Pooled.apply(values, psi.axis, c, POOL_EPSILON)  # type: ignore[no-untyped-call]
        return found[0], found[1]
    pool = pool_of(values, psi.normalisation, psi.axis)
    return values / pool, pool


def fire(
    psi: Psi,
    potential: Tensor,
    gain: Tensor | None = None,
    noise: Tensor | None = None,
    sigma: float = 1.0,
) -> Fired:
    """Return psi(a) for potentials a of shape (..., batch, units).

    ``gain`` scales the rates before the normalisation (shape broadcastable to the potential);
    ``sigma`` times ``noise`` is added just before the transfer function, and is part of the
    potential returned unless normalisation comes first.
    """
    if gain is None and (noise is not None or psi.normalisation != "none"):
        compiled = _compiled(psi, potential, noise)
        if compiled is not None:
            return _fire_rows(compiled, psi, potential, noise, sigma)
    if psi.normalise_first:
        pool, scaled = None, potential
        if psi.normalisation != "none":
            scaled, pool = _pooled(potential, psi)
        value = psi.transfer.value(scaled if noise is None else scaled.add(noise, alpha=sigma))
        return Fired(value if gain is None else value * gain, potential, value, pool, gain)
    if noise is not None:
        potential = potential.add(noise, alpha=sigma)
    value = psi.transfer.value(potential)
    rate = value if gain is None else value * gain
    if psi.normalisation == "none":
        return Fired(rate, potential, value, None, gain)
    normal, pool = _pooled(rate, psi)
    return Fired(normal, potential, value, pool, gain)


def pull_back(psi: Psi, teach: Tensor, fired: Fired, error: Error = "given") -> Tensor:
    """Return teach * psi'(a): the gradient at the potential, given the gradient at the rate.

    With ``error`` the signal is teach - y or its sign, y the rate: teach is a target.

    Where normalisation comes first, of a compartment that fired without noise (a prediction).

    With y = v / r and r the pool of n units, dy/dv = (I - y y^T / n) / r (``rms``; no 1/n for
    ``l2``): besides its own signal a unit reads one scalar of its layer's pool, mean_k teach_k y_k.
    """
    if fired.gain is None and not psi.surrogate:
        compiled = _compiled(psi, teach, fired.potential, fired.rate)
        if compiled is not None:
            return _pull_back_rows(compiled, psi, teach, fired, error)
    if error != "given":
        teach = teach - fired.rate
        if error == "sign":
            teach = torch.sign(teach)
    if psi.normalise_first:
        scaled = teach if fired.gain is None else teach * fired.gain
        if fired.pool is None:
            return psi.back(scaled, fired.potential, fired.value)
        unit = fired.potential / fired.pool
        return _through_pool(psi, psi.back(scaled, unit, fired.value), unit, fired.pool)
    at_rate = teach if fired.pool is None else _through_pool(psi, teach, fired.rate, fired.pool)
    if fired.gain is not None:
        at_rate = at_rate * fired.gain
    return psi.back(at_rate, fired.potential, fired.value)


def _through_pool(psi: Psi, teach: Tensor, normalised: Tensor, pool: Tensor) -> Tensor:
    product = teach * normalised
    shared = (
        product.mean(psi.axis, keepdim=True)
        if psi.normalisation == "rms"
        else product.sum(psi.axis, keepdim=True)
    )
    return torch.addcmul(teach, normalised, shared, value=-1).div_(pool)


def _compiled(psi: Psi, *tensors: Tensor | None) -> Any:
    """Return the kernels that take these maps row by row, if they know this psi."""
    maps = tensors[0] is not None and tensors[0].dim() == 4 and psi.axis == 1
    if not maps or psi.transfer.name not in _LEAKS:
        return None
    return fused.kernels("psi", *tensors)


def _per_pool(psi: Psi, maps: Tensor) -> int:
    """Return what the sum of squares is divided by; 0 without normalisation."""
    return {"rms": maps.shape[1], "l2": 1, "none": 0}[psi.normalisation]


def _fire_rows(compiled: Any, psi: Psi, given: Tensor, noise: Tensor | None, sigma: float) -> Fired:
    c, leak = _per_pool(psi, given), _LEAKS[psi.transfer.name]
    batch, _, high, wide = given.shape
    value = torch.empty_like(given)
    pool = given.new_empty(batch, 1, high, wide) if c else None
    pools = fused.array(given.new_empty(0) if pool is None else pool.view(-1))
    a, v = fused.rows_of(given), fused.rows_of(value)
    xi = a[:0] if noise is None else fused.rows_of(noise)
    if psi.normalise_first and c:
        compiled.fire_normalised_first(leak, c, a, xi, sigma, v, pools)
        return Fired(value, given, value, pool)
    potential = given if noise is None else torch.empty_like(given)
    rate = torch.empty_like(given) if c else value
    p, y = fused.rows_of(potential), fused.rows_of(rate)
    compiled.fire(leak, c, a, xi, sigma, p, v, y, pools)
    return Fired(rate, given if psi.normalise_first else potential, value, pool)


def _pull_back_rows(compiled: Any, psi: Psi, teach: Tensor, fired: Fired, error: Error) -> Tensor:
    c = 0 if fired.pool is None else _per_pool(psi, teach)
    pool = teach.new_empty(0) if fired.pool is None else fired.pool.reshape(-1)
    found = torch.empty_like(teach)
    how = {"given": compiled.GIVEN, "difference": compiled.DIFFERENCE, "sign": compiled.SIGN}
    rows = [fused.rows_of(maps) for maps in (teach, fired.potential, fired.rate)]
    compiled.pull_back(
        _LEAKS[psi.transfer.name], c, psi.normalise_first, how[error], *rows, fused.array(pool),
        fused.rows_of(found),
    )  # fmt: skip
    return found

"""psi: from the potential of the compartment that drives a soma to its firing rate, and back.

    psi(a) = N(phi(a))      N divides by the pool of the layer's units (channels):
    rms    N(v) = v / sqrt(mean_k v_k^2 + 1e-8)
    l2     N(v) = v / sqrt(sum_k v_k^2 + 1e-8)
    none   N(v) = v

`normalise_first` gives psi(a) = phi(N(a)), and phi(N(a) + noise) where there is noise: the order in
which the published code dreams.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from neuro_aws.functional.activations import Transfer
from neuro_aws.functional.batch_norm import Normed
from neuro_aws.functional.double_backward import Pooled

POOL_EPSILON = 1e-8
"""Keeps the pool of a silent layer from dividing by zero (squared rate)."""

Normalisation = Literal["rms", "l2", "none"]


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


def pull_back(psi: Psi, teach: Tensor, fired: Fired) -> Tensor:
    """Return teach * psi'(a): the gradient at the potential, given the gradient at the rate.

    Where normalisation comes first, of a compartment that fired without noise (a prediction).

    With y = v / r and r the pool of n units, dy/dv = (I - y y^T / n) / r (``rms``; no 1/n for
    ``l2``): besides its own signal a unit reads one scalar of its layer's pool, mean_k teach_k y_k.
    """
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

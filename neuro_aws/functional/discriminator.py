"""The wake/sleep discriminator, with its own gradient written out.

    D(h) = sum_i D_i(h_i, h_{i+1})          D_i = r_i . LeakyReLU(W_i [h_i; h_{i+1}] + b_i)

Eq. 3: D ascends V = E_wake[D] - E_REM[D] under the penalty lambda * mean (||g||_2 - 1)^2, where
g = dD/d(all states together) of one sample. States are (..., batch, units); side by side, as one
tensor (..., batch, n_0 + ... + n_N), the input of each D_i is a slice of neighbouring columns.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

SLOPE = 0.1
"""Slope of the hidden units' LeakyReLU below zero."""

NORM_EPSILON = 1e-12
"""Keeps the gradient's direction defined where the gradient vanishes."""


class Weights(NamedTuple):
    """The weights of all sub-discriminators, with H_i hidden units each.

    joint W_i (..., H_i, n_i + n_{i+1}), one for each pair; bias b and readout r (..., sum H_i),
    those of all pairs side by side.
    """

    joint: list[Tensor]
    bias: Tensor
    readout: Tensor


class Reading(NamedTuple):
    """D of each sample (..., batch); states, hidden potentials and rates side by side.

    ``columns`` are the states that each pair reads, ``units`` its hidden units.
    """

    level: Tensor
    states: Tensor
    potential: Tensor
    rate: Tensor
    columns: list[slice]
    units: list[slice]


def _columns(sizes: Sequence[int]) -> list[slice]:
    starts = [0, *itertools.accumulate(sizes)]
    return [slice(starts[i], starts[i + 2]) for i in range(len(sizes) - 1)]


def _units(weights: Weights) -> list[slice]:
    stops = list(itertools.accumulate(w.shape[-2] for w in weights.joint))
    return [slice(a, b) for a, b in itertools.pairwise([0, *stops])]


def times_slope(signal: Tensor, potential: Tensor) -> Tensor:
    """Return signal * LeakyReLU'(potential)."""
    result: Tensor = torch.ops.aten.leaky_relu_backward(signal, potential, SLOPE, False)
    return result


def read(weights: Weights, states: Sequence[Tensor]) -> Reading:
    """Return D(h) and what its gradients need. ``states`` are h_0 ... h_N."""
    beside = torch.cat(list(states), -1)
    columns = _columns([h.shape[-1] for h in states])
    parts = [beside[..., c] @ w.mT for w, c in zip(weights.joint, columns, strict=True)]
    potential = torch.cat(parts, -1).add_(weights.bias.unsqueeze(-2))
    rate = leaky_relu(potential, SLOPE)
    level = (rate @ weights.readout.unsqueeze(-1)).squeeze(-1)
    return Reading(level, beside, potential, rate, columns, _units(weights))


def sent_back(weights: Weights, reading: Reading) -> Tensor:
    """Return c = r LeakyReLU'(u), dD/du of the hidden units: (..., batch, sum H_i)."""
    readout = weights.readout.unsqueeze(-2).expand_as(reading.potential)
    return times_slope(readout, reading.potential)


def state_gradient(weights: Weights, reading: Reading, sent: Tensor) -> Tensor:
    """Return dD/dh, all layers side by side, each sample by itself; ``sent`` is c.

    dD/d[h_i; h_{i+1}] = W_i^T c_i, summed where pairs overlap: unit k of a layer is read by the
    two sub-discriminators beside it and by no other.
    """
    gradient = torch.zeros_like(reading.states)
    for w, c, u in zip(weights.joint, reading.columns, reading.units, strict=True):
        gradient[..., c] += sent[..., u] @ w
    return gradient


def by_layer(beside: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    """Return the columns of each layer."""
    return list(torch.split(beside, list(sizes), -1))


def gradient_norm(gradient: Tensor) -> Tensor:
    """Return ||g||_2 of each sample, over all states together: (..., batch, 1)."""
    return torch.sqrt((gradient * gradient).sum(-1, keepdim=True) + NORM_EPSILON)


def penalty(gradient: Tensor, weight: float) -> Tensor:
    """Return lambda * mean over samples of (||g||_2 - 1)^2; lambda = ``weight``."""
    return weight * (gradient_norm(gradient) - 1).square().mean((-2, -1))


def discriminator_plasticity(
    weights: Weights,
    reading: Reading,
    sent: Tensor,
    gradient: Tensor,
    sign: float,
    penalty_weight: float,
) -> Weights:
    """Return the ascent direction of  sign * mean D - penalty  (Eq. 3; rate left to the optimiser).

        dW_i = sign < c_i (x_i - sign q_i)^T >       db = sign < c >
        dr   = sign < z - sign s (W_i q_i, side by side) >

    with < > the batch mean, sign = +1 in wake and -1 in REM, x_i = [h_i; h_{i+1}], z the hidden
    rates and s their slope, c = r s (``sent``), and q = dpenalty/dg = 2 lambda (||g|| - 1) g /
    ||g||, a sample's share of it; q_i are its columns for the pair.
    """
    norm = gradient_norm(gradient)
    share = gradient * (2 * penalty_weight - (2 * penalty_weight) / norm)
    each = sign / reading.states.shape[-2]
    mean = sent * each
    reached = torch.add(reading.states, share, alpha=-sign)
    triples = list(zip(weights.joint, reading.columns, reading.units, strict=True))
    through = times_slope(
        torch.cat([share[..., c] @ w.mT for w, c, _ in triples], -1), reading.potential
    )
    return Weights(
        [mean[..., u].mT @ reached[..., c] for _, c, u in triples],
        mean.sum(-2),
        torch.add(reading.rate, through, alpha=-sign).sum(-2).mul_(each),
    )

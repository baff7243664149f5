"""The wake/sleep discriminator, with its own gradient written out.

    D(h) = sum_i D_i(h_i, h_{i+1})          D_i = r_i . LeakyReLU(L_i h_i + U_i h_{i+1} + b_i)

Eq. 3: D ascends V = E_wake[D] - E_REM[D] under the penalty lambda * mean (||g||_2 - 1)^2, where
g = dD/d(all states together) of one sample. States are (..., batch, units).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

SLOPE = 0.1
"""Slope of the hidden units' LeakyReLU below zero."""

NORM_EPSILON = 1e-12
"""Keeps the gradient's direction defined where the gradient vanishes."""


class Pair(NamedTuple):
    """Weights of one sub-discriminator D_i, with H hidden units.

    lower L_i (..., H, n_i), upper U_i (..., H, n_{i+1}), bias b_i (..., H), readout r_i (..., H).
    """

    lower: Tensor
    upper: Tensor
    bias: Tensor
    readout: Tensor


class Reading(NamedTuple):
    """D of each sample (..., batch), and per pair the hidden rates and dD/d(hidden potential)."""

    level: Tensor
    hidden: list[Tensor]
    slope: list[Tensor]


def read(pairs: Sequence[Pair], states: Sequence[Tensor]) -> Reading:
    """Return D(h) and what its gradients need. ``states`` are h_0 ... h_N."""
    level: Tensor | None = None
    hidden, slopes = [], []
    for pair, below, above in zip(pairs, states, states[1:], strict=False):
        potential = below @ pair.lower.mT + above @ pair.upper.mT + pair.bias.unsqueeze(-2)
        rate = leaky_relu(potential, SLOPE)
        part = (rate @ pair.readout.unsqueeze(-1)).squeeze(-1)
        level = part if level is None else level + part
        hidden.append(rate)
        slopes.append(SLOPE + (1 - SLOPE) * (potential > 0).to(rate.dtype))
    assert level is not None
    return Reading(level, hidden, slopes)


def state_gradients(pairs: Sequence[Pair], slopes: Sequence[Tensor]) -> list[Tensor]:
    """Return dD/dh_j for every layer j = 0 ... N, each sample by itself: (..., batch, n_j).

    dD/dh_j = L_j^T (r_j s_j) + U_{j-1}^T (r_{j-1} s_{j-1}),  s = LeakyReLU' of the hidden units.
    Unit k of layer j is read by the two sub-discriminators beside it and by no other.
    """
    gradients: list[Tensor] = []
    carried: Tensor | None = None
    for pair, slope in zip(pairs, slopes, strict=True):
        sent = slope * pair.readout.unsqueeze(-2)
        down = sent @ pair.lower
        gradients.append(down if carried is None else carried + down)
        carried = sent @ pair.upper
    assert carried is not None
    gradients.append(carried)
    return gradients


def penalty(gradients: Sequence[Tensor], weight: float) -> Tensor:
    """Return lambda * mean over samples of (||g||_2 - 1)^2; lambda = ``weight``."""
    return weight * (gradient_norm(gradients) - 1).square().mean(-1)


def gradient_norm(gradients: Sequence[Tensor]) -> Tensor:
    """Return ||g||_2 of each sample, over all states together: (..., batch)."""
    squares = sum((g.square().sum(-1) for g in gradients[1:]), gradients[0].square().sum(-1))
    return torch.sqrt(squares + NORM_EPSILON)


def discriminator_plasticity(
    pairs: Sequence[Pair],
    states: Sequence[Tensor],
    reading: Reading,
    gradients: Sequence[Tensor],
    sign: float,
    penalty_weight: float,
) -> list[Pair]:
    """Return the ascent direction of  sign * mean D - penalty  (Eq. 3; rate left to the optimiser).

        dL_i = < c_i (sign h_i - q_i)^T >         dU_i = < c_i (sign h_{i+1} - q_{i+1})^T >
        db_i = sign < c_i >                       dr_i = < sign z_i - s_i (L_i q_i + U_i q_{i+1}) >

    with < > the batch mean, sign = +1 in wake and -1 in REM, z_i the hidden rates, s_i their slope,
    c_i = r_i s_i, and q = dpenalty/dg = 2 lambda (||g|| - 1) g / ||g||, a sample's share.
    """
    norm = gradient_norm(gradients).unsqueeze(-1)
    factor = (2 * penalty_weight) * (norm - 1) / norm
    shares = [factor * g for g in gradients]
    reached = [sign * h - q for h, q in zip(states, shares, strict=True)]
    batch = states[0].shape[-2]
    deltas = []
    for i, pair in enumerate(pairs):
        slope = reading.slope[i]
        sent = (slope * pair.readout.unsqueeze(-2)).mT / batch
        through = shares[i] @ pair.lower.mT + shares[i + 1] @ pair.upper.mT
        deltas.append(
            Pair(
                lower=sent @ reached[i],
                upper=sent @ reached[i + 1],
                bias=sign * sent.sum(-1),
                readout=(sign * reading.hidden[i] - slope * through).mean(-2),
            )
        )
    return deltas

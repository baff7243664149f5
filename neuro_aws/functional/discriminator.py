"""The wake/sleep discriminator, with its own gradient written out.

    D(h) = sum_i D_i(h_i, h_{i+1})          D_i = r_i . LeakyReLU(W_i [h_i; h_{i+1}] + b_i)

Eq. 3: D ascends V = E_wake[D] - E_REM[D] under the penalty lambda * mean (||g||_2 - 1)^2, where
g = dD/d(all states together) of one sample. States are (..., batch, units); side by side, as one
tensor (..., batch, n_0 + ... + n_N), the input of each D_i is a slice of neighbouring columns.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

from neuro_aws.functional.linear import affine

SLOPE = 0.1
"""Slope of the hidden units' LeakyReLU below zero."""

NORM_EPSILON = 1e-12
"""Keeps the gradient's direction defined where the gradient vanishes."""


class Pair(NamedTuple):
    """Weights of one sub-discriminator D_i, with H hidden units.

    weight W_i (..., H, n_i + n_{i+1}), bias b_i (..., H), readout r_i (..., H).
    """

    weight: Tensor
    bias: Tensor
    readout: Tensor


class Reading(NamedTuple):
    """D of each sample (..., batch), the states side by side, and the hidden units of each pair."""

    level: Tensor
    states: Tensor
    spans: list[slice]
    hidden: list[Tensor]
    rates: list[Tensor]


def spans_of(sizes: Sequence[int]) -> list[slice]:
    """Return, for each pair of neighbours, its columns in the states side by side."""
    starts = [0]
    for size in sizes:
        starts.append(starts[-1] + size)
    return [slice(starts[i], starts[i + 2]) for i in range(len(sizes) - 1)]


def times_slope(signal: Tensor, potential: Tensor) -> Tensor:
    """Return signal * LeakyReLU'(potential)."""
    result: Tensor = torch.ops.aten.leaky_relu_backward(signal, potential, SLOPE, False)
    return result


def read(pairs: Sequence[Pair], states: Sequence[Tensor]) -> Reading:
    """Return D(h) and what its gradients need. ``states`` are h_0 ... h_N."""
    beside = torch.cat(list(states), -1)
    spans = spans_of([h.shape[-1] for h in states])
    hidden = [
        affine(beside[..., span], pair.weight, pair.bias)
        for pair, span in zip(pairs, spans, strict=True)
    ]
    rates = [leaky_relu(u, SLOPE) for u in hidden]
    level = rates[0] @ pairs[0].readout.unsqueeze(-1)
    for rate, pair in zip(rates[1:], pairs[1:], strict=True):
        level = level + rate @ pair.readout.unsqueeze(-1)
    return Reading(level.squeeze(-1), beside, spans, hidden, rates)


def sent_back(pairs: Sequence[Pair], reading: Reading) -> list[Tensor]:
    """Return c_i = r_i LeakyReLU'(u_i), dD/du of each pair's hidden units: (..., batch, H)."""
    return [
        times_slope(pair.readout.unsqueeze(-2).expand_as(u), u)
        for pair, u in zip(pairs, reading.hidden, strict=True)
    ]


def state_gradients(pairs: Sequence[Pair], reading: Reading) -> Tensor:
    """Return dD/dh, all layers side by side, each sample by itself.

    dD/d[h_i; h_{i+1}] = W_i^T c_i, summed where slices overlap: unit k of a layer is read by the
    two sub-discriminators beside it and by no other.
    """
    gradient = torch.zeros_like(reading.states)
    for pair, sent, span in zip(pairs, sent_back(pairs, reading), reading.spans, strict=True):
        gradient[..., span] += sent @ pair.weight
    return gradient


def by_layer(beside: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    """Return the columns of each layer."""
    return list(torch.split(beside, list(sizes), -1))


def gradient_norm(gradient: Tensor) -> Tensor:
    """Return ||g||_2 of each sample, over all states together: (..., batch, 1)."""
    return torch.sqrt(gradient.square().sum(-1, keepdim=True) + NORM_EPSILON)


def penalty(gradient: Tensor, weight: float) -> Tensor:
    """Return lambda * mean over samples of (||g||_2 - 1)^2; lambda = ``weight``."""
    return weight * (gradient_norm(gradient) - 1).square().mean((-2, -1))


def discriminator_plasticity(
    pairs: Sequence[Pair],
    reading: Reading,
    gradient: Tensor,
    sign: float,
    penalty_weight: float,
) -> list[Pair]:
    """Return the ascent direction of  sign * mean D - penalty  (Eq. 3; rate left to the optimiser).

        dW_i = < c_i (sign x_i - q_i)^T >       db_i = sign < c_i >
        dr_i = < sign z_i - s_i (W_i q_i) >

    with < > the batch mean, sign = +1 in wake and -1 in REM, x_i = [h_i; h_{i+1}], z_i the hidden
    rates and s_i their slope, c_i = r_i s_i, and q = dpenalty/dg = 2 lambda (||g|| - 1) g / ||g||,
    a sample's share of it; q_i are its columns for the pair.
    """
    norm = gradient_norm(gradient)
    share = gradient * (2 * penalty_weight - (2 * penalty_weight) / norm)
    reached = reading.states - share if sign > 0 else torch.add(reading.states, share).neg_()
    batch = reading.states.shape[-2]
    deltas = []
    for i, (pair, sent, span) in enumerate(
        zip(pairs, sent_back(pairs, reading), reading.spans, strict=True)
    ):
        sent = sent / batch
        through = times_slope(share[..., span] @ pair.weight.mT, reading.hidden[i])
        rate = reading.rates[i]
        change = rate - through if sign > 0 else (rate + through).neg_()
        deltas.append(
            Pair(
                weight=sent.mT @ reached[..., span],
                bias=sent.sum(-2) if sign > 0 else sent.sum(-2).neg_(),
                readout=change.mean(-2),
            )
        )
    return deltas

"""The wake/sleep discriminator, with its own gradient written out.

    D(h) = sum_i D_i(h_i, h_{i+1})          D_i = r_i . LeakyReLU(W_i [h_i; h_{i+1}] + b_i)

Eq. 3: D ascends V = E_wake[D] - E_REM[D] under a penalty on g = dD/d(all states together) of one
sample (``functional/discriminator_plasticity``). The published form (``Form``) adds to each
state's input its spread over the batch, noise to
the hidden potentials, and divides the hidden rates of all pairs by one pool.

Unit k of layer j is read by the pairs (j - 1, j) and (j, j + 1), so weights are kept by state: V_j
holds the columns for h_j of both W_{j-1} and W_j, and u = sum_j V_j h_j + b, pairs side by side.
States are flat, (..., batch, n_j).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

from neuro_aws.functional import fused
from neuro_aws.functional.low import as_low
from neuro_aws.functional.matmul import add_product, product

EPSILON = 1e-8
"""Keeps the spread's slope and the pool's inverse finite (squared rate)."""

PenaltyForm = Literal["l2", "l1", "l1_signed"]


@dataclass(frozen=True, slots=True)
class Form:
    """What kind of discriminator this is.

    slope     of the hidden LeakyReLU below zero
    pooled    hidden rates of all pairs are divided by their root mean square
    spread    each state's mean standard deviation over the batch is one more input
    sigma     standard deviation of the noise on the hidden potentials
    penalty   lambda of the gradient penalty: l2 mean (||g||_2 - 1)^2, l1 mean | ||g||_1 - 1 |,
              l1_signed mean(||g||_1 - 1), which has no target: so the published experiment was run
    scope     all: g = dD/d(all states together); pair: each D_i's own gradient is penalised, and
              the penalties are summed, so that every pair keeps a critic of its own (not pooled)
    low       matrix products in bfloat16, sums in full precision
    """

    slope: float = 0.1
    pooled: bool = False
    spread: bool = False
    sigma: float = 0.0
    penalty: float = 0.3
    penalty_form: PenaltyForm = "l2"
    scope: Literal["all", "pair"] = "all"
    low: bool = False


class Weights(NamedTuple):
    """The weights of all sub-discriminators, by state.

    reading V_j (..., U_j, n_j), U_j the hidden units of the one or two pairs that read h_j; bias b
    and readout r (..., U), all pairs side by side; spread (..., U_j), empty without that input;
    offset, empty or one number added to D.
    """

    reading: list[Tensor]
    bias: Tensor
    readout: Tensor
    spread: list[Tensor]
    offset: list[Tensor]

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor by its name."""
        found = {f"discriminator_from{j}": v for j, v in enumerate(self.reading)}
        found |= {"discriminator_bias": self.bias, "discriminator_readout": self.readout}
        found |= {f"discriminator_from{j}_spread": w for j, w in enumerate(self.spread)}
        if self.offset:
            found["discriminator_offset"] = self.offset[0]
        return found

    def like(self, tensors: Mapping[str, Tensor]) -> "Weights":
        """Return the same structure filled with other tensors, by name."""
        states = range(len(self.reading))
        return Weights(
            [tensors[f"discriminator_from{j}"] for j in states],
            tensors["discriminator_bias"],
            tensors["discriminator_readout"],
            [tensors[f"discriminator_from{j}_spread"] for j in states] if self.spread else [],
            [tensors["discriminator_offset"]] if self.offset else [],
        )

    @property
    def hidden(self) -> int:
        """Return the number of hidden units of one pair."""
        return self.bias.shape[-1] // (len(self.reading) - 1)

    @property
    def pairs(self) -> list[slice]:
        """Return the hidden units of each pair."""
        return [slice(i * self.hidden, (i + 1) * self.hidden) for i in range(len(self.reading) - 1)]

    def rows_of(self, pair: int, state: int) -> slice:
        """Return which of the units that read a state are a pair's; the lower pair comes first."""
        second = state == pair and state > 0
        return slice(self.hidden, None) if second else slice(0, self.hidden)

    def columns(self, pair: int, state: int) -> Tensor:
        """Return the part of W_pair that reads one of its two states."""
        return self.reading[state][..., self.rows_of(pair, state), :]

    @property
    def units(self) -> list[slice]:
        """Return which hidden units read each state."""
        pairs, hidden = len(self.reading) - 1, self.hidden
        return [slice(max(j - 1, 0) * hidden, min(j + 1, pairs) * hidden) for j in range(pairs + 1)]


class Spread(NamedTuple):
    """s = mean_k sqrt(var_k + 1e-8) of one state, with ds/dh = deviation * slope."""

    value: Tensor
    deviation: Tensor
    slope: Tensor


class Potential(NamedTuple):
    """The hidden potentials without noise (..., batch, U), and what they were computed from."""

    value: Tensor
    states: list[Tensor]
    spreads: list[Spread]


class Reading(NamedTuple):
    """D of each sample (..., batch); hidden potentials, rates and their pool; c = dD/du.

    ``rate`` is what the readout sees: divided by the pool where there is one.
    """

    level: Tensor
    potential: Tensor
    rate: Tensor
    pool: Tensor | None
    sent: Tensor


def spread_of(state: Tensor) -> Spread:
    """Return the mean standard deviation over the batch (unbiased) of a state's units."""
    batch, units = state.shape[-2:]
    compiled = fused.kernels("columns", state) if state.dim() == 2 else None
    if compiled is None:
        deviation = state - state.mean(-2, keepdim=True)
        squares = (deviation * deviation).sum(-2)
    else:
        deviation, mean = torch.empty_like(state), state.new_empty(units)
        squares = torch.empty_like(mean)
        compiled.spread(*map(fused.array, (state, mean, deviation, squares)))
    root = squares.div_(batch - 1).add_(EPSILON).sqrt_()
    return Spread(root.mean(-1), deviation, root.mul((batch - 1) * units).reciprocal())


def potential(weights: Weights, form: Form, states: Sequence[Tensor]) -> Potential:
    """Return u = sum_j V_j h_j (+ spread) + b. ``states`` are h_0 ... h_N, flat."""
    spreads = [spread_of(h) for h in states] if form.spread else []
    inputs = [h.bfloat16() for h in states] if form.low else list(states)
    value = weights.bias.unsqueeze(-2)
    value = value.expand(*value.shape[:-2], *states[0].shape[-2:-1], value.shape[-1]).clone()
    add_read(value, weights, inputs)
    for s, w, u in zip(spreads, weights.spread, weights.units, strict=False):
        value[..., u] += s.value[..., None, None] * w.unsqueeze(-2)
    return Potential(value, inputs, spreads)


def read(weights: Weights, form: Form, at: Potential, xi: Tensor | None = None) -> Reading:
    """Return D(h) and c = dD/du, noise ``xi`` (unit variance) put on the hidden potentials.

    c = (r - y (r . y) / U) / pool * LeakyReLU'(u), y the pooled rates; without a pool r LeakyReLU'.
    """
    u = at.value if xi is None else at.value + form.sigma * xi
    rate = leaky_relu(u, form.slope)
    readout, pool = weights.readout.unsqueeze(-2), None
    if form.pooled:
        pool = (rate * rate).mean(-1, keepdim=True).add_(EPSILON).sqrt_()
        rate = rate / pool
    level = (rate @ readout.mT).squeeze(-1)
    if pool is None:
        back = readout.expand_as(u)
    else:
        back = torch.addcmul(readout, rate, level.unsqueeze(-1), value=-1 / u.shape[-1]) / pool
    if weights.offset:
        level = level + weights.offset[0]
    return Reading(level, u, rate, pool, times_slope(back, u, form))


def times_slope(signal: Tensor, potential: Tensor, form: Form) -> Tensor:
    """Return signal * LeakyReLU'(potential)."""
    result: Tensor = torch.ops.aten.leaky_relu_backward(signal, potential, form.slope, False)
    return result


def state_gradient(weights: Weights, at: Potential, sent: Tensor) -> list[Tensor]:
    """Return dD/dh of every state, D summed over the batch; ``sent`` is c.

    g_j = V_j^T c, each sample by itself, plus what h_j does to every sample through its spread.
    """
    low = at.states[0].dtype
    carried = sent.to(low)
    found = []
    for j, (v, u) in enumerate(zip(weights.reading, weights.units, strict=True)):
        g = product(carried[..., u], as_low(v, low)).to(sent.dtype)
        if at.spreads:
            s = at.spreads[j]
            felt = (sent[..., u].sum(-2) * weights.spread[j]).sum(-1)
            g.addcmul_(s.deviation, (felt[..., None] * s.slope).unsqueeze(-2))
        found.append(g)
    return found


def pair_gradient(weights: Weights, at: Potential, sent: Tensor) -> list[list[Tensor]]:
    """Return dD_i/d[h_i, h_{i+1}] of every pair: the two parts of g that each pair adds."""
    low, carried = at.states[0].dtype, sent.to(at.states[0].dtype)
    found = []
    for i, u in enumerate(weights.pairs):
        sides = [weights.columns(i, j).to(low) for j in (i, i + 1)]
        parts = [product(carried[..., u], side).to(sent.dtype) for side in sides]
        for k, j in enumerate((i, i + 1) if at.spreads else ()):
            s, w = at.spreads[j], weights.spread[j][..., weights.rows_of(i, j)]
            felt = (sent[..., u].sum(-2) * w).sum(-1)
            slope = (felt[..., None] * s.slope).unsqueeze(-2)
            parts[k] = torch.addcmul(parts[k], s.deviation, slope)
        found.append(parts)
    return found


def add_read(total: Tensor, weights: Weights, inputs: Sequence[Tensor]) -> None:
    """Add sum_j V_j h_j to hidden potentials, in place."""
    for h, v, u in zip(inputs, weights.reading, weights.units, strict=True):
        add_product(total[..., u], h, as_low(v, h.dtype).mT)

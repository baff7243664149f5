"""Distributed distributional codes: expectations of many fixed functions, and what reads them.

A code k of a layer is (..., batch, units + functions + 1): the expectations of what its units fire,
of fixed random functions of that, and of 1. Of a single sample expectations are the functions
themselves. All activity is (..., batch, units), dimensionless rates. No autograd.

    k(h) = [h; T(h); 1],   T_i(h) = tanh(s w_i . h + v_i)     w_i ~ N(0, 1 / units), v_i ~ N(0, 1)

Source: Vertes & Sahani 2018; equation numbers are theirs.
"""

import math

import torch
from torch import Tensor

from neuro_aws.functional.plasticity import batch_of

RIDGE = 1e-3
"""Added to the variances of a code before it is decorrelated, as a share of their mean."""


def code_of(rates: Tensor, functions: Tensor, gain: float) -> Tensor:
    """Return k(h) of samples: rates (batch, n), functions (K, n + 1) as they were drawn.

    ``functions`` are N(0, 1 / (n + 1)), the last column that of v, which is scaled to N(0, 1).
    """
    units = rates.shape[-1]
    offset = math.sqrt(units + 1) * functions[:, units]
    expanded = torch.tanh(gain * (rates @ functions[:, :units].mT) + offset)
    return coded(torch.cat([rates, expanded], -1))


def coded(expectations: Tensor) -> Tensor:
    """Return expectations with the constant function beside them."""
    return torch.cat([expectations, torch.ones_like(expectations[..., :1])], -1)


def code_plasticity(target: Tensor, predicted: Tensor, presynaptic: Tensor) -> Tensor:
    """Learn an expectation by the delta rule, from samples of what is expected (Eqs. 8, 18 - 22).

        dW = + eta < (f - W k) k'^T >

    < > is the batch mean. Symbols, in order: f = ``target``, samples (batch, m); W k =
    ``predicted`` (batch, m); k' = ``presynaptic`` (batch, n), the code k itself, or decorrelated.
    Returns (m, n). Local to the synapse where k' = k.
    """
    return (target - predicted).mT @ presynaptic / batch_of(target)


def followed(covariance: Tensor | None, code: Tensor, weight: Tensor | float) -> Tensor:
    """Return C + weight (< k k^T > - C): the running second moments of a code (n, n)."""
    found = code.mT @ code / batch_of(code)
    return found if covariance is None else torch.lerp(covariance, found, weight)


def decorrelated(code: Tensor, covariance: Tensor) -> Tensor:
    """Return (C + ridge I)^-1 k of each sample, ridge a share of C's mean variance.

    It is what turns the delta rule into recursive least squares, if both have a rate of 1 / t:
    the fixed point is the same, but functions that vary little are learnt as fast as others.
    Not local to the synapse: the code's units have to inhibit one another laterally.
    """
    size = len(covariance)
    ridge = RIDGE * covariance.diagonal().mean()
    root, _ = torch.linalg.cholesky_ex(  # whose errors the host would have to ask for
        covariance + ridge * torch.eye(size, dtype=code.dtype, device=code.device)
    )
    return torch.cholesky_solve(code.mT, root).mT


def pairs(rates: Tensor) -> Tensor:
    """Return h_j h_k, j >= k, of each sample: (batch, n (n + 1) / 2)."""
    row, column = _triangle(rates)
    return rates[..., row] * rates[..., column]


def square(found: Tensor, like: Tensor) -> Tensor:
    """Return such numbers (..., n (n + 1) / 2) as symmetric matrices; ``like`` (..., n)."""
    units = like.shape[-1]
    row, column = _triangle(like)
    full = found.new_zeros(*found.shape[:-1], units, units)
    full[..., row, column] = found
    full[..., column, row] = found
    return full


def _triangle(rates: Tensor) -> Tensor:
    units = rates.shape[-1]
    return torch.tril_indices(units, units, device=rates.device)


def joint(statistic: Tensor, above: Tensor) -> Tensor:
    """Return S [h; 1]^T of each sample as rows: (batch, m (n + 1))."""
    return (statistic.unsqueeze(-1) * coded(above).unsqueeze(-2)).flatten(-2)


def gaussian_feedback_plasticity(
    statistic: Tensor, squares: Tensor, mean: Tensor, weight: Tensor, bias: Tensor
) -> list[Tensor]:
    """Climb E_q log p(z | h) of a Gaussian z with mean G h + c, variance sigma^2 (Eq. 23).

        d[G, c] = + eta ( E[z [h; 1]^T] - [G, c] E[[h; 1] [h; 1]^T] )

    E is over q and the batch, the factor 1 / sigma^2 part of the rate. Symbols, in order:
    E[z [h; 1]^T] = ``statistic`` (m, n + 1), in the notation of the source alpha r; G = ``weight``
    (m, n), c = ``bias`` (m); E[h h^T] = ``squares`` (n, n) and E[h] = ``mean`` (n): the second term
    is beta r, in which theta stands linearly, so that what is learnt in sleep does not know theta.
    Returns dG and dc.
    """
    change = statistic[:, :-1] - weight @ squares - bias[:, None] * mean
    return [change, statistic[:, -1] - weight @ mean - bias]


def bernoulli_feedback_plasticity(statistic: Tensor, predicted: Tensor) -> list[Tensor]:
    """Climb E_q log p(z | h) of units z that fire 1 with probability mu = sigmoid(G h + c) (23).

        d[G, c] = + eta ( E[z [h; 1]^T] - E[mu [h; 1]^T] )

    E is over q and the batch. Symbols, in order: the first term = ``statistic`` (m, n + 1), alpha
    r; the second = ``predicted`` (m, n + 1), beta r. Returns dG and dc.
    """
    change = statistic - predicted
    return [change[:, :-1], change[:, -1]]


def laplacian_of(normal: Tensor) -> Tensor:
    """Return draws of N(0, 1) as draws of the Laplace density of mean 0 and variance 1.

    By the quantiles of both: sign(z) (-log erfc(|z| / sqrt 2)) / sqrt 2.
    """
    tail = torch.special.erfc(normal.abs() / math.sqrt(2))
    size: Tensor = -tail.clamp(min=torch.finfo(normal.dtype).tiny).log() / math.sqrt(2)
    return normal.sign() * size

"""Associative memory: Hopfield networks of binary, dense and continuous form.

    binary      E = - 1/2 sum_ij w_ij s_i s_j + sum_i theta_i s_i
                w_ij = 1/n sum_mu x_i x_j,   w_ii = 0
                s_i <- sign( sum_j w_ij s_j - theta_i )
    dense       E = - sum_mu F(x . s),   F(a) = (a / n)^k
                s_i <- sign( sum_mu [ F(x_i + a) - F(-x_i + a) ] ),   a = sum_{j != i} x_j s_j
    continuous  E = - lse(beta, X^T s) + 1/2 s.s + 1/beta log N + 1/2 M^2
                s <- X softmax(beta X^T s)
    by distance E = - lse(beta, - |x - s|^2 / 2) + 1/beta log N
                s <- X softmax( beta (X^T s - |x|^2 / 2) )

x = x^mu is a stored pattern, mu = 1 ... N; n units; M the length of the longest pattern;
lse(beta, a) = 1/beta log sum exp(beta a). The factor 1/n of F scales E by n^-k and no update.
Patterns are rows (N, n), of -1 and 1 but in the continuous form; states are rows (batch, n). A row
of zeros among the patterns of sign nets stores nothing. Where a sum is 0 a unit stays as it is.

Hopfield 1982; Krotov & Hopfield 2016 (dense); Ramsauer et al. 2020 (continuous); Millidge et al.
2022 (by distance). The product favours long patterns; where all are as long, both are one update.
"""

import math

import torch
from torch import Tensor


def weights(patterns: Tensor) -> Tensor:
    """Return w (n, n): the Hebbian sum over patterns, no unit onto itself."""
    n = patterns.shape[1]
    return (patterns.T @ patterns / n).fill_diagonal_(0)


def binary_energy(w: Tensor, s: Tensor, theta: Tensor | float = 0.0) -> Tensor:
    """Return E of each state."""
    return -0.5 * ((s @ w) * s).sum(-1) + (theta * s).sum(-1)


def binary_update(w: Tensor, s: Tensor, theta: Tensor | float = 0.0) -> Tensor:
    """Return the states after all units changed together; E may rise, and cycles of two occur."""
    return _turned(s @ w - theta, s)


def binary_sweep(w: Tensor, s: Tensor, theta: Tensor | float = 0.0) -> Tensor:
    """Return the states after each unit changed, one after the other: E never rises."""
    s = s.clone()
    for i in range(s.shape[1]):
        threshold = theta[i] if isinstance(theta, Tensor) else theta
        s[:, i] = _turned(s @ w[:, i] - threshold, s[:, i])
    return s


def dense_energy(patterns: Tensor, s: Tensor, order: int) -> Tensor:
    """Return E of each state."""
    return -_power(s @ patterns.T, patterns.shape[1], order).sum(-1)


def dense_update(patterns: Tensor, s: Tensor, order: int) -> Tensor:
    """Return the states after all units changed together."""
    overlap = s @ patterns.T
    fields = [_dense_field(patterns, overlap, s, i, order) for i in range(s.shape[1])]
    return _turned(torch.stack(fields, 1), s)


def dense_sweep(patterns: Tensor, s: Tensor, order: int) -> Tensor:
    """Return the states after each unit changed, one after the other: E never rises."""
    s, overlap = s.clone(), s @ patterns.T
    for i in range(s.shape[1]):
        new = _turned(_dense_field(patterns, overlap, s, i, order), s[:, i])
        overlap = overlap + (new - s[:, i])[:, None] * patterns[:, i]
        s[:, i] = new
    return s


def _dense_field(patterns: Tensor, overlap: Tensor, s: Tensor, i: int, order: int) -> Tensor:
    """Return sum_mu [ F(x_i + a) - F(-x_i + a) ], a = sum_{j != i} x_j s_j; overlap = sum_j."""
    n, x = patterns.shape[1], patterns[:, i]
    a = overlap - s[:, i : i + 1] * x
    return (_power(x + a, n, order) - _power(a - x, n, order)).sum(-1)


def _power(a: Tensor, n: int, order: int) -> Tensor:
    return (a / n) ** order


def _turned(field: Tensor, s: Tensor) -> Tensor:
    return torch.where(field == 0, s, field.sign())


def continuous_energy(
    patterns: Tensor, s: Tensor, beta: float, by_distance: bool = False
) -> Tensor:
    """Return E of each state; it is never below 0."""
    lse = torch.logsumexp(_scores(patterns, s, beta, by_distance), -1) / beta
    longest = 0.0 if by_distance else patterns.square().sum(1).max()
    return -lse + 0.5 * s.square().sum(-1) + math.log(len(patterns)) / beta + 0.5 * longest


def continuous_update(
    patterns: Tensor,
    s: Tensor,
    beta: float,
    stored: Tensor | None = None,
    by_distance: bool = False,
) -> Tensor:
    """Return X softmax(beta X^T s): attention, the state its query, patterns its keys and values.

    ``stored`` (N) says which rows hold a pattern; None: all.
    """
    scores = _scores(patterns, s, beta, by_distance)
    if stored is not None:
        scores = scores.masked_fill(~stored, -torch.inf)
    return torch.softmax(scores, -1) @ patterns


def _scores(patterns: Tensor, s: Tensor, beta: float, by_distance: bool) -> Tensor:
    scores = s @ patterns.T
    if by_distance:
        scores = scores - 0.5 * patterns.square().sum(1)
    return beta * scores


def separation(patterns: Tensor) -> Tensor:
    """Return Delta_i = x_i.x_i - max_{j != i} x_i.x_j of each pattern."""
    overlaps = patterns @ patterns.T
    own = overlaps.diagonal().clone()
    return own - overlaps.fill_diagonal_(-torch.inf).max(1).values


def retrieval_bound(
    patterns: Tensor, s: Tensor, index: Tensor, fixed: Tensor, beta: float
) -> Tensor:
    """Return what the error || f(s) - x_i || of one continuous update does not exceed.

    2 (N - 1) M exp( -beta ( Delta_i - 2 M max(|| s - x_i ||, || x_i* - x_i ||) ) )

    i = ``index`` of the pattern that each state is near to, x_i* = ``fixed``, the fixed point next
    to it (Ramsauer et al. 2020, theorem 5).
    """
    x, longest = patterns[index], patterns.norm(dim=1).max()
    away = torch.maximum((s - x).norm(dim=1), (fixed - x).norm(dim=1))
    exponent = -beta * (separation(patterns)[index] - 2 * longest * away)
    bound: Tensor = 2 * (len(patterns) - 1) * longest * exponent.exp()
    return bound

"""The learnt prior: a mixture of Gaussians, all components at the same time (``model/prior.py``).

Roots L_k of the covariances and their inverses are kept with the component as the last index, so
that the loops of a Cholesky decomposition run over components next to each other in memory, and
so that whitening all samples by all components is one matrix product.
"""

from typing import Any, NamedTuple

import numpy as np

from neuro_aws.backends.rate.compiled.products import product
from neuro_aws.functional.compiled.kernel import kernel, part
from neuro_aws.model.prior import IDLE, RATE, RIDGE, SHARED


class Mixture(NamedTuple):
    """The prior's running statistics, and what is computed from them.

    weight (K,), first (K, n), second (K, n, n)   the network's own
    means (K, n), root (n, n, K) [i, j, k], inverse (n, n, K) [j, i, k], L_k^-1 [i, j];
    turned (K, n, n) [k, j, i], L_k [i, j]; volume (K,), sum_i log L_k [i, i]
    white (batch, n, K), share (batch, K), weighted (batch, K, n)    scratch
    """

    weight: Any
    first: Any
    second: Any
    means: Any
    root: Any
    inverse: Any
    turned: Any
    volume: Any
    white: Any
    share: Any
    weighted: Any


@kernel
def decompose(p: Mixture) -> None:
    """Bring means, roots and their inverses up to date with the statistics."""
    n, components = p.root.shape[0], p.weight.size
    real = p.weight.dtype.type
    one, ridge = real(1), real(RIDGE)
    own, pool = one - real(SHARED), real(SHARED)
    diagonal = np.empty((n, components), p.weight.dtype)
    inverted, total = np.empty_like(p.weight), real(0)
    for k in range(components):
        inverted[k] = one / max(p.weight[k], real(1e-6))
        total += p.weight[k]
        for i in range(n):
            p.means[k, i] = p.first[k, i] * inverted[k]
    for i in range(n):
        for j in range(i + 1):
            row, pooled = p.root[i, j], real(0)
            for k in range(components):
                row[k] = p.second[k, i, j] * inverted[k] - p.means[k, i] * p.means[k, j]
            if components > 1:
                for k in range(components):
                    pooled += row[k] * p.weight[k]
                pooled *= pool / total
                for k in range(components):
                    row[k] = own * row[k] + pooled
            if i == j:
                for k in range(components):
                    diagonal[i, k] = row[k]
                    row[k] += ridge
    failed = cholesky(p.root)
    for k in range(components):
        if failed[k]:
            for i in range(n):
                for j in range(i):
                    p.root[i, j, k] = 0
                p.root[i, i, k] = np.sqrt(max(diagonal[i, k], ridge))
    invert(p.root, p.inverse)
    p.volume[:] = 0
    for i in range(n):
        for k in range(components):
            p.volume[k] += np.log(p.root[i, i, k])
    for k in range(components):
        for j in range(n):
            for i in range(j, n):
                p.turned[k, j, i] = p.root[i, j, k]


@part
def cholesky(root: Any) -> Any:
    """Decompose the lower triangles in place; return which were not positive definite."""
    n, _, components = root.shape
    one = root.dtype.type(1)
    failed = np.zeros(components, np.uint8)
    for i in range(n):
        for j in range(i):
            row, across = root[i, j], root[j, j]
            for m in range(j):
                left, right = root[i, m], root[j, m]
                for k in range(components):
                    row[k] -= left[k] * right[k]
            for k in range(components):
                row[k] /= across[k]
        pivot = root[i, i]
        for m in range(i):
            left = root[i, m]
            for k in range(components):
                pivot[k] -= left[k] * left[k]
        for k in range(components):
            if not pivot[k] > 0:
                failed[k] = 1
                pivot[k] = one
            pivot[k] = np.sqrt(pivot[k])
    return failed


@part
def invert(root: Any, inverse: Any) -> None:
    """inverse [j, i, k] = L_k^-1 [i, j]; the upper triangle is 0."""
    n, _, components = root.shape
    one = root.dtype.type(1)
    inverse[:] = 0
    for j in range(n):
        for i in range(j, n):
            found, pivot = inverse[j, i], root[i, i]
            if i == j:
                for k in range(components):
                    found[k] = one
            for m in range(j, i):
                left, above = root[i, m], inverse[j, m]
                for k in range(components):
                    found[k] -= left[k] * above[k]
            for k in range(components):
                found[k] /= pivot[k]


@kernel
def sample(p: Mixture, z: Any, uniform: Any, out: Any) -> None:
    """out = m_k + L_k z, component k drawn with probability w_k by a uniform number."""
    batch, n = z.shape
    components = p.weight.size
    edges, total = np.empty(components, np.float64), 0.0
    for k in range(components):
        total += p.weight[k]
        edges[k] = total
    for s in range(batch):
        chosen = 0
        if components > 1:
            while chosen < components - 1 and edges[chosen] / total < uniform[s]:
                chosen += 1
        at, mean = out[s], p.means[chosen]
        for i in range(n):
            at[i] = mean[i]
        for j in range(n):
            drawn, column = z[s, j], p.turned[chosen, j]
            for i in range(j, n):
                at[i] += drawn * column[i]


@part
def responsibilities(p: Mixture, top: Any) -> None:
    """r_k ~ w_k N(h; m_k, C_k), of each sample: into ``share``."""
    batch, n = top.shape
    components = p.weight.size
    real = top.dtype.type
    half = real(0.5)
    offset = np.zeros((n, components), top.dtype)
    for j in range(n):
        for i in range(j, n):
            for k in range(components):
                offset[i, k] += p.inverse[j, i, k] * p.means[k, j]
    flat = p.white.reshape(p.white.shape[0], n * components)[:batch]
    product(top, False, p.inverse.reshape(n, n * components), False, flat, 1.0, 0.0)
    for s in range(batch):
        score = p.share[s]
        for k in range(components):
            score[k] = np.log(p.weight[k]) - p.volume[k]
        for i in range(n):
            white = p.white[s, i]
            for k in range(components):
                apart = white[k] - offset[i, k]
                score[k] -= half * apart * apart
        highest = score[0]
        for k in range(components):
            highest = max(highest, score[k])
        total = real(0)
        for k in range(components):
            score[k] = np.exp(score[k] - highest)
            total += score[k]
        for k in range(components):
            score[k] /= total


@kernel
def track(p: Mixture, top: Any) -> bool:
    """Move the statistics toward the waking states; say whether a component stands idle."""
    batch, n = top.shape
    components = p.weight.size
    real = top.dtype.type
    one, rate = real(1), real(RATE)
    if components > 1:
        responsibilities(p, top)
    else:
        p.share[:] = one
    mean = np.zeros_like(p.weight)
    for s in range(batch):
        state, share = top[s], p.share[s]
        for k in range(components):
            mean[k] += share[k]
            for i in range(n):
                p.weighted[s, k, i] = share[k] * state[i]
    for k in range(components):
        p.weight[k] += rate * (mean[k] / real(batch) - p.weight[k])
    keep, new = 1.0 - RATE, RATE / batch
    product(p.share[:batch], True, top, False, p.first, new, keep)
    weighted = p.weighted[:batch].reshape(batch, components * n)
    product(weighted, True, top, False, p.second.reshape(components * n, n), new, keep)
    if components == 1:
        return False
    fair = 1.0 / components
    return bool(p.weight.min() <= IDLE * fair and p.weight.max() >= 2 * fair)

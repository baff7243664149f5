"""Frechet distance between two sets of features, as Gaussians."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def frechet(a: Array, b: Array) -> float:
    """Return |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)); rows are samples.

    The trace of the root is the sum of the square roots of the eigenvalues of C_a C_b, which are
    those of R C_b R with R the symmetric root of C_a: real, and 0 at least but for rounding.
    """
    import scipy.linalg

    mean_a, mean_b = a.mean(0), b.mean(0)
    cov_a, cov_b = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    values, vectors = scipy.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    between = scipy.linalg.eigvalsh(root @ cov_b @ root)
    cross = float(np.sqrt(np.clip(between, 0, None)).sum())
    gap = mean_a - mean_b
    return float(gap @ gap + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)

"""Which of two samples is nearer to a third? Maximum mean discrepancy and the three-sample test.

Source: Gretton et al. 2012; Bounliphone et al. 2016 (the relative test, "three-sample").
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Relative(NamedTuple):
    """MMD^2 of the reference to two samples, their difference in standard deviations, and p.

    ``p``: chance of so large a difference first - second where the first is no farther.
    """

    first: float
    second: float
    z: float
    p: float


def median_distance(samples: Tensor) -> float:
    """Return the median distance of two different samples (n, units): a kernel's usual width."""
    return float(torch.pdist(samples).median())


def kernel(a: Tensor, b: Tensor, width: float) -> Tensor:
    """Return exp(-|a_i - b_j|^2 / (2 width^2)) of every pair, (m, n)."""
    return torch.exp(-torch.cdist(a, b).square() / (2 * width**2))


def _apart(reference: Tensor, sample: Tensor, width: float) -> Tensor:
    """Return h_ij = k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(x_j, y_i), 0 where i = j."""
    cross = kernel(reference, sample, width)
    found = kernel(reference, reference, width) + kernel(sample, sample, width)
    found = found - cross - cross.mT
    return found.fill_diagonal_(0.0)


def mmd(reference: Tensor, sample: Tensor, width: float) -> float:
    """Return the unbiased MMD^2 of two samples (n, units) of the same number; may be below 0."""
    n = len(reference)
    return float(_apart(reference, sample, width).sum() / (n * (n - 1)))


def relative(reference: Tensor, first: Tensor, second: Tensor, width: float) -> Relative:
    """Test whether the first sample is farther from the reference than the second.

        z = ( MMD^2(X, Y) - MMD^2(X, Z) ) / sigma,   sigma^2 = 4 (n - 2) / (n (n - 1)) zeta_1

    Symbols: X = ``reference``, Y = ``first``, Z = ``second``, each (n, units); zeta_1 the variance
    over i of the mean over j of the difference's kernel h_ij(X, Y) - h_ij(X, Z), whose U-statistic
    the difference is. z is N(0, 1) in the limit where both are as far, and not equal to X.
    """
    from scipy import stats

    n = len(reference)
    if not n == len(first) == len(second):
        raise ValueError(f"{n}, {len(first)} and {len(second)} samples; give as many of each")
    one, two = (_apart(reference, sample, width) for sample in (first, second))
    means = (one - two).sum(1) / (n - 1)
    spread = math.sqrt(4 * (n - 2) / (n * (n - 1)) * float(means.var()))
    pairs = n * (n - 1)
    near, far = float(one.sum() / pairs), float(two.sum() / pairs)
    z = (near - far) / spread if spread > 0 else 0.0
    return Relative(near, far, z, float(stats.norm.sf(z)))

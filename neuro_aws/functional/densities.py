"""Noise densities, their scores, and the divergence of the top layer from its prior."""

import math

import torch
from torch import Tensor

from neuro_aws.functional.plasticity import Density

LOG_EPSILON = 1e-12
"""Keeps log(var) finite for a unit that never varies (squared rate)."""


def score(xi: Tensor, sigma: float, density: Density) -> Tensor:
    """Return d log p(a) / d mean(a) for a = mean + sigma * xi, xi of unit variance.

    gaussian: xi / sigma.   laplacian: sign(xi) / b with b = sigma / sqrt(2).
    """
    if density == "laplacian":
        return torch.sign(xi) * (math.sqrt(2.0) / sigma)
    return xi / sigma


def log_density(deviation: Tensor, sigma: float, density: Density) -> Tensor:
    """Return log p(deviation), mean 0 and standard deviation sigma, entry by entry (nats).

    gaussian: -(u / sigma)^2 / 2 - log(sigma sqrt(2 pi)).   laplacian: -|u| / b - log(2 b) with
    b = sigma / sqrt(2).
    """
    if density == "laplacian":
        b = sigma / math.sqrt(2.0)
        return -deviation.abs() / b - math.log(2 * b)
    return -(deviation / sigma).square() / 2 - math.log(sigma * math.sqrt(2 * math.pi))


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(N(mean, var) || N(0, I)) of each sample: 1/2 sum (var - log var - 1 + mean^2)."""
    return 0.5 * (log_variance.exp() - log_variance - 1 + mean.square()).sum(-1)


def kl_to_standard_normal(top: Tensor) -> Tensor:
    """Return KL = 1/2 sum_k (var_k + mean_k^2 - 1 - log(var_k + 1e-12)) over the top units.

    Mean and variance are each unit's own over the batch (unbiased); ``top`` is (..., batch, units).
    """
    variance, mean = torch.var_mean(top, dim=-2)
    return 0.5 * (variance + mean.square() - 1 - torch.log(variance + LOG_EPSILON)).sum(-1)


def kl_teaching(top: Tensor) -> Tensor:
    """Return the teaching signal of the KL: batch * dKL/dh, so that its batch mean is the gradient.

    teach = mean_k + (1 - 1 / (var_k + 1e-12)) (h_k - mean_k) B / (B - 1), from a unit's own mean
    and variance over the batch; shape of ``top``, (..., batch, units).
    """
    batch = top.shape[-2]
    variance, mean = torch.var_mean(top, dim=-2, keepdim=True)
    pull = 1 - 1 / (variance + LOG_EPSILON)
    return mean + pull * (top - mean) * (batch / (batch - 1))

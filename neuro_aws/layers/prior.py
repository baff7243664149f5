"""The prior of the top layer, learnt in wake."""

import torch
from torch import Tensor

RATE = 0.01
"""Weight of one wake step in the running mean and covariance."""

RIDGE = 1e-4
"""Added to the variances, so that the root exists (squared rate)."""


class LearntPrior:
    """h_N ~ N(m, C): the generative model's own account of its top layer, as G's is of the others.

        wake   dm = + rate (< h_N > - m)      dC = + rate (< (h_N - m)(h_N - m)^T > - C)
        REM    h_N = m + L z,   z ~ N(0, I),  L L^T = C

    < > is the batch mean. C is what lateral connections among the top units would hold; it is born
    as I, so that the first dreams come from N(0, I). Without it the top units are drawn one by one,
    and
    their correlations in wake, which the KL of single units does not see, are missing in dreams.
    """

    def __init__(self, units: int, dtype: torch.dtype, device: torch.device) -> None:
        self.mean = torch.zeros(units, dtype=dtype, device=device)
        self.covariance = torch.eye(units, dtype=dtype, device=device)

    def __call__(self, z: Tensor) -> Tensor:
        """Return m + L z, rows of units."""
        ridge = RIDGE * torch.eye(len(self.mean), dtype=z.dtype, device=z.device)
        root = torch.linalg.cholesky(self.covariance + ridge)
        return torch.addmm(self.mean, z, root.T)

    def track(self, top: Tensor) -> None:
        """Move m and C toward the waking states ``top`` (batch, units), in place."""
        centred = top - self.mean
        self.covariance.lerp_(centred.T @ centred / len(top), RATE)
        self.mean.lerp_(top.mean(0), RATE)

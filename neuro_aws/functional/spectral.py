"""Spectral normalisation: W / s, s the largest singular value of W as a matrix (m, the rest)."""

import torch
from torch import Tensor
from torch.nn.functional import normalize


def leading(weight: Tensor, left: Tensor) -> Tensor:
    """Return u after one power iteration: u <- W W^T u / ||.||, the left singular direction."""
    matrix = weight.flatten(1)
    return normalize(matrix @ normalize(matrix.T @ left, dim=0), dim=0)


def _sides(weight: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
    """Return s = u^T W v and v = W^T u / ||.||."""
    matrix = weight.flatten(1)
    right = normalize(matrix.T @ left, dim=0)
    return left @ (matrix @ right), right


def shrink(weight: Tensor, left: Tensor) -> Tensor:
    """Return W / s."""
    return weight / _sides(weight, left)[0]


def shrink_back(change: Tensor, weight: Tensor, left: Tensor) -> Tensor:
    """Return the gradient at W from the one at W / s: (C - <C, W / s> u v^T) / s; u, v held."""
    value, right = _sides(weight, left)
    along = (change * weight).sum() / value
    return (change - (along * torch.outer(left, right)).view_as(weight)) / value

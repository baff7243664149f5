"""x W^T + b, in one kernel where it can be."""

import torch
from torch import Tensor
from torch.nn.functional import linear


def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return x W^T + b: x (..., batch, pre), W (..., post, pre), b (..., post).

    Leading dimensions, if the weights have any, are separate networks.
    """
    if weight.dim() == 2:
        return linear(x, weight, bias)
    return torch.matmul(x, weight.mT) + bias.unsqueeze(-2)

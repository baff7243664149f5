"""Weights in bfloat16, for products in low precision."""

from typing import Any

import torch
from torch import Tensor


def lowered(weight: Tensor) -> Tensor:
    """Return a weight in bfloat16; the copy is kept with it for as long as it stays as it is."""
    if weight.is_inference():  # torch does not count the changes of such a tensor
        return weight.bfloat16()
    kept: Any = getattr(weight, "_lowered", None)
    if kept is None or kept[0] != weight._version:
        kept = (weight._version, weight.detach().bfloat16())
        weight._lowered = kept  # type: ignore[attr-defined]
    found: Tensor = kept[1]
    return found


def as_low(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a weight in the precision that its product is taken in."""
    return lowered(weight) if dtype is torch.bfloat16 else weight.to(dtype)

"""Large matrix products by whichever library is faster here."""

import torch
from torch import Tensor

LARGE = 20_000_000
"""Multiplications from which a product is handed to oneDNN (float32 on a CPU)."""

NARROW = 256
"""Below so many columns of the result it is not, where the first factor is transposed: oneDNN lays
that out anew, which then costs as much as the product."""


def _onednn() -> bool:
    """Say whether torch offers oneDNN's linear map (an operator of its compiler)."""
    there = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    return there and hasattr(torch.ops.mkldnn, "_linear_pointwise")


ONEDNN = _onednn()


def add_product(total: Tensor, a: Tensor, b: Tensor) -> None:
    """Add a @ b to ``total`` in place: in one kernel where the product is small."""
    if total.dim() == 2 and a.dtype is total.dtype and not _to_onednn(a, b):
        total.addmm_(a, b)
    else:
        total += product(a, b)


def product(a: Tensor, b: Tensor) -> Tensor:
    """Return a @ b.

    torch gives float32 products to MKL, which on some processors runs at 70 to 90 % of what oneDNN
    does on the shapes of the discriminator (benchmarks/dcgan_step.py); same sums, other rounding.
    """
    if not _to_onednn(a, b):
        return a @ b
    found: Tensor = torch.ops.mkldnn._linear_pointwise(a, b.mT, None, "none", [], "")
    return found


def _to_onednn(a: Tensor, b: Tensor) -> bool:
    plain = ONEDNN and a.dim() == 2 and a.dtype is torch.float32 and a.device.type == "cpu"
    if not plain or a.shape[0] * a.shape[1] * b.shape[-1] < LARGE:
        return False
    if a.stride(0) == 1 and b.shape[-1] < NARROW:
        return False
    return not (torch.is_grad_enabled() and (a.requires_grad or b.requires_grad))

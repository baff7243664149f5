"""Draws from torch's CPU generator by compiled kernels (``compiled/draws.py``), in float32.

A kernel takes the Mersenne Twister's words from the generator's state and leaves in it what torch
would have left: whoever draws next, by kernels or by torch, draws the same numbers as ever. Or it
makes them of a seed from which nothing has been drawn (``of_seed``), and no generator is there.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor

from neuro_aws.functional import fused

_BYTES = 5056
"""Of a state, as torch lays it out: seed, words left, next word, the words, what is kept of normal
numbers (aten/src/ATen/CPUGeneratorImpl.cpp)."""
_LEFT, _NEXT, _WORDS = slice(8, 12), slice(16, 24), slice(24, 24 + 8 * 624)

LEAST = 16
"""Of fewer numbers torch makes normal ones in another way."""


def filled(
    kind: Literal["normal", "uniform"], shape: torch.Size, generator: torch.Generator, least: float
) -> Tensor | None:
    """Return draws from N(0, 1) or from U(0, 1), the latter at least ``least``.

    None where no kernel can take torch's place.
    """
    compiled = fused.kernels("draws")
    if compiled is None or generator.device.type != "cpu" or shape.numel() < LEAST:
        return None
    if not _known():
        return None
    out = torch.empty(shape, dtype=torch.float32)
    _fill(compiled, kind, generator, least, out)
    return out


def _fill(compiled: Any, kind: str, generator: torch.Generator, least: float, out: Tensor) -> None:
    state = generator.get_state()
    held = state.numpy()
    kept = held[_WORDS].view("uint64")
    words = kept.astype("uint32")
    used = 625 - int(held[_LEFT].view("int32")[0])  # torch counts down from 625 and renews at 1
    flat = out.view(-1).numpy()
    if kind == "normal":
        used = compiled.normal(words, used, flat)
    else:
        used = compiled.uniform(words, used, least, flat)
    kept[:] = words
    held[_LEFT].view("int32")[0] = 625 - used
    held[_NEXT].view("uint64")[0] = used
    generator.set_state(state)


def of_seed(dtype: torch.dtype, sizes: Sequence[int]) -> Any:
    """Return the kernel that draws what torch draws first after a seed, in pieces of these sizes.

    None where no kernel can take torch's place.
    """
    if dtype is not torch.float32 or min(sizes, default=0) < LEAST or not _known():
        return None
    with fused.compiled():
        return fused.kernels("draws").of_seed


@cache
def _known() -> bool:
    """Say whether this torch keeps its state, and draws from it, as the kernels expect."""
    generator = torch.Generator().manual_seed(0)
    if generator.get_state().numel() != _BYTES:
        return False
    with fused.compiled():
        compiled = fused.kernels("draws")
    found = torch.empty(1000)
    _fill(compiled, "uniform", generator, 0.0, found)
    wanted = torch.Generator().manual_seed(0)
    same = torch.equal(found, torch.rand(1000, generator=wanted))
    same = same and torch.equal(generator.get_state(), wanted.get_state())
    normals, sizes = torch.empty(LEAST), torch.tensor([LEAST])
    compiled.of_seed(0, sizes.numpy(), normals.numpy(), found.numpy(), 0.0)
    torch.randn(LEAST, generator=wanted.manual_seed(0))
    return same and torch.equal(found, torch.rand(1000, generator=wanted))

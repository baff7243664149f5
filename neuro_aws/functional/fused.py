"""Where a compiled kernel stands in for a chain of torch operations: on a CPU, without a graph.

The torch form stays the specification. Kernels are taken only inside ``compiled()``, which the step
of a convolutional network enters if its run takes the compiled form; and there not on a GPU, in
other precisions than float32 and float64, or where a graph is recorded.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

_REAL = (torch.float32, torch.float64)
_loaded: dict[str, Any] = {}
_on: ContextVar[bool] = ContextVar("fused", default=False)


@contextmanager
def compiled(on: bool = True) -> Iterator[None]:
    """Take compiled kernels where they can be taken, or not."""
    before = _on.set(on)
    try:
        yield
    finally:
        _on.reset(before)


def kernels(name: str, *tensors: Tensor | None) -> Any:
    """Return the module of compiled kernels of that name if it can take the tensors, else None.

    Tensors are of one precision; maps have their channels last in memory, all else is contiguous.
    """
    given = [tensor for tensor in tensors if tensor is not None]
    if not _on.get() or (given and given[0].dtype not in _REAL):
        return None
    graph = torch.is_grad_enabled()
    for tensor in given:
        fits = tensor.device.type == "cpu" and tensor.dtype is given[0].dtype
        if not fits or not _in_order(tensor) or (graph and tensor.requires_grad):
            return None
    if name not in _loaded:  # imported here: numba is an extra
        _loaded[name] = import_module(f"neuro_aws.functional.compiled.{name}")
    return _loaded[name]


def _in_order(tensor: Tensor) -> bool:
    if tensor.dim() == 4:
        return tensor.is_contiguous(memory_format=torch.channels_last)
    return tensor.is_contiguous()


def array(tensor: Tensor) -> Any:
    """Return a tensor as an array that shares its memory: maps with their channels last.

    Numbers in bfloat16 come as their 16 bits.
    """
    tensor = tensor.detach()
    if tensor.dtype is torch.bfloat16:
        tensor = tensor.view(torch.uint16)
    return (tensor.permute(0, 2, 3, 1) if tensor.dim() == 4 else tensor).numpy()


def rows_of(maps: Tensor) -> Any:
    """Return maps as an array of rows, the channels of one position each."""
    return array(maps).reshape(-1, maps.shape[1])

"""Counts what would make a step wait for a GPU, on a machine that has none.

On a GPU the host runs ahead of the device. It has to wait wherever it asks for a number that the
device computes, or for a shape that depends on one, and wherever memory of its own is copied. On a
CPU all of this goes unnoticed. ``Watch`` notices it in two places:

    dispatch    the operations themselves, those that torch's own code calls included
    Python      what leaves no operation behind on a CPU: lists that become tensors, arrays that
                share a tensor's memory, moves to the device where a tensor is already

Nothing is allowed. Random numbers and stimuli need no copy: generators draw on the network's
device, and the dataset lies there as a whole.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

WAITING = {
    "_local_scalar_dense": "a number of a tensor was asked for",
    "equal": "tensors were compared by the host",
    "nonzero": "a shape depends on values",
    "allclose": "tensors were compared by the host",
    "masked_select": "a shape depends on values",
    "_unique": "a shape depends on values",
    "_unique2": "a shape depends on values",
    "unique_dim": "a shape depends on values",
    "unique_consecutive": "a shape depends on values",
    "repeat_interleave": "a shape depends on values",
    "bincount": "a shape depends on values",
    "isin": "sorts and takes unique values, unless few are looked for",
    "_linalg_check_errors": "errors of a decomposition were asked for",
    "_linalg_eigh": "a decomposition that looks for its errors",
    "_linalg_eigvals": "a decomposition that looks for its errors",
    "linalg_eig": "a decomposition that looks for its errors",
    "_linalg_svd": "a decomposition that looks for its errors",
    "_linalg_det": "a decomposition that looks for its errors",
    "linalg_lstsq": "a decomposition that looks for its errors",
    "linalg_matrix_exp": "chooses its degree by the values",
}
"""The operations that wait, by name, and why."""

MOVES = ("_to_copy", "copy_")
INDEXING = ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index")

FACTORIES = ("tensor", "as_tensor", "asarray", "frombuffer")
"""Functions of torch that make a tensor of what the host has."""

METHODS = ("cpu", "cuda", "numpy", "__array__", "new_tensor", "tolist", "pin_memory")
"""Methods of a tensor that bring numbers from one side to the other."""


class Watch(TorchDispatchMode):
    """Notes in ``found`` everything that would wait, while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        if name in WAITING and not _no_values(name, func):
            self.found.append(f"{name}: {WAITING[name]}")
        elif name in INDEXING and any(_is_mask(index) for index in args[1]):
            self.found.append(f"{name}: a mask is an index, so a shape depends on values")
        elif name in MOVES and len(_devices(args, kwargs)) > 1:
            self.found.append(f"{name}: from one device to another")
        if torch.is_inference_mode_enabled() and func._can_decompose():
            with self:  # without a graph torch hands over compound operations as they are
                return func.decompose(*args, **kwargs)
        return func(*args, **kwargs)


def _no_values(name: str, func: Any) -> bool:
    """Say whether this form of an operation takes its shape from a number given by the host."""
    return name == "repeat_interleave" and "self_int" in func._overloadname


def _is_mask(index: Any) -> bool:
    return isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8)


def _devices(args: tuple[Any, ...], kwargs: dict[str, Any]) -> set[torch.device]:
    given = [a.device for a in args if isinstance(a, Tensor)]
    wanted = kwargs.get("device")
    return {*given, *([] if wanted is None else [torch.device(wanted)])}


class Calls(TorchFunctionMode):
    """Notes what is called in Python that copies on a GPU and leaves no operation on a CPU."""

    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if _copies(name, args, kwargs):
            self.found.append(f"{name}: between the host's memory and the device's")
        return func(*args, **kwargs)


def _copies(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    if name in (*FACTORIES, *METHODS):
        return True
    if name == "to":  # to the device of another tensor is no move
        return any(isinstance(a, str | torch.device) for a in (*args[1:], *kwargs.values()))
    if name in ("__getitem__", "__setitem__"):
        keys = args[1] if isinstance(args[1], tuple) else (args[1],)
        return any(isinstance(key, list | range | np.ndarray) for key in (*keys, *args[2:]))
    return False


@contextmanager
def watched() -> Iterator[list[str]]:
    """Yield the list of what would wait within the block."""
    watch = Watch()
    from_numpy = torch.from_numpy

    def noted(values: Any) -> Tensor:  # it passes by both modes
        watch.found.append("from_numpy: between the host's memory and the device's")
        return from_numpy(values)

    with pytest.MonkeyPatch.context() as patch, Calls(watch.found), watch:
        patch.setattr(torch, "from_numpy", noted)
        yield watch.found

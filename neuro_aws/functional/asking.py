"""Whether the host may ask for a number that a step has computed.

On a CPU it costs nothing, and a branch saves what need not be computed. On a GPU the host would
stop until the device is done, so a step there computes both sides and chooses on the device.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

_never: ContextVar[bool] = ContextVar("never", default=False)


def may_ask(tensor: Tensor) -> bool:
    """Say whether reading numbers of a tensor costs nothing."""
    return tensor.device.type == "cpu" and not _never.get()


@contextmanager
def never() -> Iterator[None]:
    """Take on a CPU too what a GPU takes."""
    before = _never.set(True)
    try:
        yield
    finally:
        _never.reset(before)

"""Arrays, numbers and text from a pickle, of which nothing is run: not even numpy's own code."""

import io
import pickle
import pickletools
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray


class StoredBytes:
    """Stands for an array of bytes while a pickle is read; ``array`` is what was stored."""

    def __init__(self, *_: object) -> None:
        self._state: object = None

    def __setstate__(self, state: object) -> None:
        self._state = state

    def array(self) -> NDArray[np.uint8]:
        """Return the array; ValueError if what was stored is none of unsigned bytes."""
        state = self._state
        if not isinstance(state, tuple) or len(state) != 5:
            raise ValueError("an array without its content")
        _, shape, kind, by_column, stored = state
        if not (isinstance(kind, _Kind) and kind.is_byte and isinstance(stored, bytes)):
            raise ValueError("an array of something else than bytes")
        if not (isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)):
            raise ValueError("an array without a shape")
        values = np.frombuffer(stored, np.uint8)
        return values.reshape(shape, order="F" if by_column else "C")


class _Kind:
    """Stands for numpy.dtype."""

    def __init__(self, name: object = None, *_: object) -> None:
        self.is_byte = name in ("u1", b"u1")

    def __setstate__(self, state: object) -> None:
        """Byte order and the like: bytes have none."""


class _Class:
    """Stands for numpy.ndarray, which is only ever named."""

    def __setstate__(self, state: object) -> None:
        """Nothing is kept of it."""


class _Encoded:
    """Stands for _codecs.encode: bytes that Python 3 wrote as text for Python 2."""

    def __new__(cls, text: str = "", _: object = None) -> bytes:  # type: ignore[misc]
        return text.encode("latin-1")


class _Inert(pickle.Unpickler):
    """Finds stand-ins for the few names that a pickle of arrays needs, and nothing else."""

    KNOWN: ClassVar[dict[tuple[str, str], type]] = {
        ("numpy.core.multiarray", "_reconstruct"): StoredBytes,
        ("numpy._core.multiarray", "_reconstruct"): StoredBytes,
        ("numpy", "ndarray"): _Class,
        ("numpy", "dtype"): _Kind,
        ("_codecs", "encode"): _Encoded,
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.KNOWN:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return self.KNOWN[module, name]


def unpickled(content: bytes) -> Any:
    """Return what a pickle holds; arrays are ``StoredBytes``. Raises anything if it is broken."""
    _refuse_places(content)
    return _Inert(io.BytesIO(content), encoding="bytes").load()


def _refuse_places(content: bytes) -> None:
    """Refuse a pickle that is cut, or that makes room for more things than it can name."""
    for opcode, place, _ in pickletools.genops(content):
        if opcode.name.endswith("PUT") and isinstance(place, int) and place > len(content):
            raise pickle.UnpicklingError(f"it keeps a thing in place {place}")

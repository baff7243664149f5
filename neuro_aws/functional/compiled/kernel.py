"""How a function is compiled: once for each precision, and kept for the next start."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba

import neuro_aws

Function = TypeVar("Function", bound=Callable[..., Any])

LOOSE = {"contract", "reassoc", "nsz", "arcp"}
"""What the compiler may do to sums and products. Infinities and NaN stay what they are, so that a
step that is no longer finite is found; denormal numbers are left alone."""
OPTIONS: dict[str, Any] = {"fastmath": LOOSE, "nogil": True, "error_model": "numpy"}

_UNWRAPPED: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


@cache
def _fingerprint(folder: Path) -> str:
    """Return a hash of the sources in a folder, and of those whose constants are part of kernels.

    numba looks at the file of a kernel, not at its callees'; without the hash a kernel kept from
    before one of them changed would be used as it was.
    """
    digest = hashlib.blake2b(numba.__version__.encode(), digest_size=6)
    package = Path(neuro_aws.__file__).parent
    functional = package / "functional"
    places = {folder, functional, functional / "compiled"}
    for path in sorted(
        [*(p for at in places for p in at.glob("*.py")), package / "model/prior.py"]
    ):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def kernel(function: Function) -> Function:
    """Compile a function when it is first called, and keep it beside its source.

    Where that folder cannot be written, numba keeps it in the user's cache (``NUMBA_CACHE_DIR``).
    """
    mark = _fingerprint(Path(function.__code__.co_filename).parent)
    function.__qualname__ = f"{function.__qualname__}_{mark}"  # names the file it is kept in
    made: Function = numba.njit(cache=True, **OPTIONS)(function)
    return made


def part(function: Function) -> Function:
    """Compile a function that only kernels call, as a part of each; half the time of a kernel."""
    made: Function = numba.njit(**OPTIONS, **_UNWRAPPED)(function)
    return made


def kept(function: Any) -> bool:
    """Say whether a kernel was compiled before, by the same sources."""
    folder = Path(function.stats.cache_path)
    mark = _fingerprint(Path(function.py_func.__code__.co_filename).parent)
    return any(folder.glob(f"*{mark}*.nbc"))

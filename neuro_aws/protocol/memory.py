"""How much memory there is, and what of it a process may take. No torch here."""

import os
import resource

GIB = 2**30


def installed() -> int:
    """Return the bytes of memory that the machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def available() -> int:
    """Return the bytes that one process may take: all there are, or its limit if that is lower."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return installed() if limit == resource.RLIM_INFINITY else min(installed(), limit)


def size(count: float) -> str:
    """Return a number of bytes in words."""
    return f"{count / GIB:,.1f} GiB" if count >= GIB / 10 else f"{count / 2**20:,.1f} MiB"

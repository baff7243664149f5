"""How much memory there is, and what takes too much of it. No torch here."""

import os
import resource

GIB = 2**30


def available() -> int:
    """Return the bytes that this process may take: what the machine has, or its limit if lower."""
    has = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return has if limit == resource.RLIM_INFINITY else min(has, limit)


def size(count: float) -> str:
    """Return a number of bytes in words."""
    return f"{count / GIB:,.1f} GiB" if count >= GIB / 10 else f"{count / 2**20:,.1f} MiB"

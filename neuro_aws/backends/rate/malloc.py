"""Memory that is used again in every step stays with the process (Linux, glibc)."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGE = 2**31 - 1


def keep_memory() -> bool:
    """Ask malloc to keep freed blocks instead of giving them back; say whether it will.

    Activity of convolutional layers comes in blocks of megabytes. By default glibc returns each to
    the system when it is freed, and the next step pays for fresh, zeroed pages: about a tenth of
    its time. Nothing is computed differently.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        library = ctypes.CDLL("libc.so.6")
        return bool(
            library.mallopt(M_MMAP_THRESHOLD, LARGE) and library.mallopt(M_TRIM_THRESHOLD, LARGE)
        )
    except (OSError, AttributeError):
        return False

"""Is there room for what is to be written? Asked before, for HDF5 cannot close a file half written.

Room ends with the disk, with a quota, and with a limit on the size of one file (``ulimit -f``).
"""

import os
import resource
import shutil
import tempfile
from pathlib import Path

from neuro_aws.errors import NeuroAWSError

MARGIN_BYTES = 32_000_000
"""Room that is left on a disk, for others write to it as well."""

OVERHEAD_BYTES = 1_000_000
"""What HDF5 may add to rows of its own."""


class Full(NeuroAWSError):
    """There is no room for the recording."""


def refuse_full(folder: Path, size: int, file_size: int = 0) -> None:
    """Refuse to write what does not fit, before it is written.

    ``size``: bytes to be added; ``file_size``: those that the file has already.
    """
    needed = size + OVERHEAD_BYTES
    if shutil.disk_usage(folder).free < size + MARGIN_BYTES:
        raise _full(folder, "the disk is full")
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit != resource.RLIM_INFINITY and file_size + needed > limit:
        raise _full(folder, f"files may have {limit:,} bytes at most (ulimit -f)")
    if not hasattr(os, "posix_fallocate"):  # macOS
        return
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            os.posix_fallocate(probe.fileno(), 0, needed)
    except OSError as error:  # a quota shows only when something is written
        raise _full(folder, error.strerror or str(error)) from error


def _full(folder: Path, why: str) -> Full:
    return Full(f"no room left for the recording ({why})", where=str(folder), next_step="Make some")

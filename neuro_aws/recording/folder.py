"""A run's folder may be anybody's: nothing in it may lead out of it, or keep a reader waiting."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from neuro_aws.errors import NeuroAWSError


def refuse_what_leads_out(folder: Path) -> None:
    """Refuse a run folder with links to other places, or with pipes, sockets and devices."""
    home = folder.resolve()
    for here, folders, files in os.walk(home):
        for name in (*folders, *files):
            path = Path(here, name)
            try:
                mode = path.lstat().st_mode
            except FileNotFoundError:  # a run under way renames and removes
                continue
            if stat.S_ISLNK(mode):
                target = Path(os.path.realpath(path))
                if not target.is_relative_to(home):
                    raise NeuroAWSError(
                        f"is a link that leads out of the run's folder, to {target}",
                        where=str(folder / path.relative_to(home)),
                        next_step="Put the file itself there",
                    )
            elif not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise NeuroAWSError(
                    "is neither a file nor a folder",
                    where=str(folder / path.relative_to(home)),
                    next_step="Remove it, or restore the run from a copy",
                )


def size(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    total = 0
    for here, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # a run under way renames and removes
                total += Path(here, name).lstat().st_size
    return total

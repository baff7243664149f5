"""Data files of the user's: regular files only, and one line for whatever is wrong with one."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.memory import available

MOST_SAID = 200
"""Characters that are quoted of what a decoder says."""

MOST_NAMED = 500
"""Characters that are shown of a path, its end."""

WHERE_FROM = "Give a path relative to where you start the run, or an absolute one"
PUT_A_FILE = "Put a regular file there that you may read, or name another"

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def shown(path: str | Path) -> str:
    """Return a path as it can stand in one line, whatever bytes are in it."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(path))
    return text if len(text) <= MOST_NAMED else "..." + text[-MOST_NAMED:]


def reason(error: BaseException) -> str:
    """Return in a few words, without line breaks, what an error says."""
    if isinstance(error, MemoryError):
        return "it would take more memory than there is"
    told = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(shown(" ".join(str(told).split())).split())[:MOST_SAID]


def user_path(named: str | Path) -> Path:
    """Return the path that somebody wrote, with ~ for a home."""
    try:
        return Path(named).expanduser()
    except RuntimeError as error:
        raise NeuroAWSError(
            f"is no path ({reason(error)})", where=shown(named), next_step=WHERE_FROM
        ) from error


def is_folder(path: Path, where: str = "") -> bool:
    """Say whether there is a folder; refuse one that cannot be looked at."""
    mode = _mode(path, where or shown(path))
    return mode is not None and stat.S_ISDIR(mode)


def is_there(path: Path, where: str = "") -> bool:
    """Say whether there is something of this name, be it a link to nothing."""
    return _mode(path, where or shown(path)) is not None or path.is_symlink()


def inside(folder: Path, where: str = "") -> list[Path]:
    """Return what lies in a folder, in alphabetical order."""
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise _unreadable(error, where or shown(folder)) from error


def refuse_irregular(path: Path, where: str = "", next_step: str = PUT_A_FILE) -> None:
    """Refuse what is not a regular file that may be read: to open a pipe is to wait for ever."""
    where = where or shown(path)
    mode = _mode(path, where)
    if mode is None:
        what = "is a link to nothing" if path.is_symlink() else "no such file"
        raise NeuroAWSError(what, where=where, next_step=next_step)
    if not stat.S_ISREG(mode):
        kind = next((name for test, name in _KINDS if test(mode)), "something else")
        raise NeuroAWSError(f"is {kind}, not a regular file", where=where, next_step=next_step)
    if not os.access(path, os.R_OK):
        raise NeuroAWSError("cannot be read (Permission denied)", where=where, next_step=next_step)


@contextmanager
def opened(path: Path, where: str = "") -> Iterator[BinaryIO]:
    """Open a regular file for reading."""
    refuse_irregular(path, where)
    try:
        handle = path.open("rb")
    except OSError as error:
        raise _unreadable(error, where or shown(path)) from error
    with handle:
        yield handle


def content(path: Path, where: str = "") -> bytes:
    """Return all that is in a regular file."""
    with opened(path, where) as handle:
        try:
            if os.fstat(handle.fileno()).st_size > available():
                raise MemoryError
            return handle.read()
        except (OSError, MemoryError) as error:
            raise _unreadable(error, where or shown(path)) from error


@contextmanager
def decoding(where: str, what: str, next_step: str) -> Iterator[None]:
    """Turn whatever a decoder raises over a damaged file into one line that names the file."""
    try:
        yield
    except NeuroAWSError:
        raise
    except Exception as error:  # over damaged bytes a decoder may raise anything
        raise NeuroAWSError(
            f"{what} ({reason(error)})", where=where, next_step=next_step
        ) from error


def _mode(path: Path, where: str) -> int | None:
    """Return what kind of file it is, following links; None: there is nothing."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise _unreadable(error, where) from error


def _unreadable(error: Exception, where: str) -> NeuroAWSError:
    return NeuroAWSError(f"cannot be read ({reason(error)})", where=where, next_step=PUT_A_FILE)

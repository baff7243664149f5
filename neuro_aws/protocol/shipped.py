"""The protocols that come with the package, by name: `run critical_period` needs no checkout."""

import difflib
import os
from pathlib import Path

import neuro_aws
from neuro_aws.errors import clipped

MOST_NAMED = 3
"""Names that are proposed for a wrong one."""


def folder() -> Path:
    """Return where they lie: in the installed package; in a checkout in its folder protocols/."""
    package = Path(neuro_aws.__file__).parent
    installed = package / "protocols"
    return installed if installed.is_dir() else package.parent / "protocols"


def shipped() -> dict[str, Path]:
    """Return the file of every shipped protocol and matrix by its name."""
    return {path.stem: path for path in sorted(folder().glob("*.yaml"))}


def file_of(named: str | Path) -> Path:
    """Return the file that somebody means: the one at this path, else the shipped one so named.

    A folder of that name is in nobody's way.
    """
    if os.path.lexists(named) and not os.path.isdir(named):
        return Path(named)
    return shipped().get(str(named).removesuffix(".yaml"), Path(named))


def proposed(named: str | Path) -> str:
    """Return what ends a sentence about a protocol that is not there."""
    name, names = clipped(Path(named).stem), shipped()
    close = [name] if name in names else difflib.get_close_matches(name, names, n=MOST_NAMED)
    close = close or [other for other in names if name and name in other][:MOST_NAMED]
    hint = f"Did you mean {', '.join(close)}? " if close else ""
    return f"{hint}`neuro-aws list protocols` names those at hand"

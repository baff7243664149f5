"""provenance.json: what made a run, and how it ended."""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.run_facts import fault
from neuro_aws.recording.folder import refuse_what_leads_out
from neuro_aws.recording.parts import replace_file

MOST_BYTES = 4_000_000
LIBRARIES = (
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "h5py",
    "pydantic",
    "matplotlib",
    "brian2",
    "numba",
)


def version() -> str:
    """Return the version of neuro-aws that is running."""
    try:
        return metadata.version("neuro-aws")
    except metadata.PackageNotFoundError:
        return "not installed"


def now() -> str:
    """Return the time as ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git() -> dict[str, Any]:
    """Return commit and cleanness of the checkout this package lies in, if it lies in one."""
    here = Path(__file__).resolve().parents[2]

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(here), *arguments], capture_output=True, text=True, timeout=10
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    if not (here / ".git").exists():
        return {"commit": None, "dirty": None}
    status = git("status", "--porcelain", "--untracked-files=no")
    return {"commit": git("rev-parse", "HEAD"), "dirty": None if status is None else bool(status)}


def _library(name: str) -> str | None:
    """Return a library's version. One that is loaded says which build it is, such as +cu130."""
    loaded = getattr(sys.modules.get(name), "__version__", None)
    if isinstance(loaded, str):
        return str(loaded)
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def provenance(settings: dict[str, Any]) -> dict[str, Any]:
    """Return everything about a run that is about to start."""
    return {
        "neuro_aws": version(),
        "git": _git(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: _library(name) for name in LIBRARIES},
        "command": sys.argv,
        "threads": 1,
        "started": now(),
        "outcome": "running",
        **settings,
    }


def write(folder: Path, data: dict[str, Any]) -> None:
    """Write provenance.json in one step."""
    temporary = folder / "provenance.tmp"
    temporary.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    replace_file(temporary, folder / "provenance.json")


def read(folder: Path) -> dict[str, Any]:
    """Read provenance.json of a run folder, in which nothing may lead out of it."""
    path = folder / "provenance.json"
    if not os.path.lexists(path):
        raise NeuroAWSError(
            "is not a run folder (no provenance.json)",
            where=str(folder),
            next_step="Give runs/<name>/<timestamp>-s<seed>",
        )
    refuse_what_leads_out(folder)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError("too large")
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise NeuroAWSError("cannot be read", where=str(path)) from error
    damage = fault(data)
    if damage is not None:
        raise NeuroAWSError(
            f"is damaged ({damage})", where=str(path), next_step="Restore it from a copy"
        )
    return data

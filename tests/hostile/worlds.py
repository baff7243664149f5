"""The folder in which one case plays: what lies around the run must stay as it is."""

import hashlib
import os
import stat
from pathlib import Path

BOOM = "from pathlib import Path\nPath('touched').write_text('imported')\n"
"""A module that nobody consented to."""

NAMES = ("hostile", "numpy", "torch", "yaml", "json", "click", "dataclasses", "neuro_aws_plugin")
"""Names that such modules have: a protocol's code, and libraries that everybody imports."""


class World:
    """``here`` is the current folder, ``here/run`` the run, ``here/made`` where users write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.here, self.outside = folder / "here", folder / "outside"
        self.run, self.made = self.here / "run", self.here / "made"
        for each in (self.made, self.outside / "deep"):
            each.mkdir(parents=True)
        (self.outside / "canary.txt").write_text("untouched\n")
        (self.outside / "deep" / "canary.csv").write_text("a,b\n1,2\n")
        for name in NAMES:
            (self.here / f"{name}.py").write_text(BOOM)

    def snapshot(self, *, also_run: bool) -> dict[str, str]:
        """Return what is there, but for what commands may write."""
        free = [self.made] if also_run else [self.made, self.run]
        found: dict[str, str] = {}
        for root, folders, files in os.walk(self.folder):
            folders[:] = [f for f in folders if Path(root, f) not in free]
            for name in (*folders, *files):
                path = Path(root, name)
                if path not in free:
                    found[str(path.relative_to(self.folder))] = _state(path)
        return found


def changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return the names of what came, went or was altered."""
    names = sorted(before.keys() | after.keys())
    return [name for name in names if before.get(name) != after.get(name)]


def _state(path: Path) -> str:
    """Return kind, size, time and content of a file."""
    facts = path.lstat()
    if stat.S_ISLNK(facts.st_mode):
        return f"link to {os.readlink(path)}"
    if stat.S_ISDIR(facts.st_mode):
        return "folder"
    if not stat.S_ISREG(facts.st_mode):
        return "special"
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{facts.st_size} {facts.st_mtime_ns} {content}"

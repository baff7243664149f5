"""Consent to run code that a protocol or a matrix names: what would run, what was allowed before.

Allowed is one protocol or matrix, with its overrides, together with every .py file in its folder:
when a letter of them changes, the user is asked again. It is remembered in the user's
configuration.
"""

import hashlib
import importlib.util
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.load import Protocol
from neuro_aws.protocol.matrix import Matrix
from neuro_aws.protocol.own_code import beside

CONFIG_VARIABLE = "NEURO_AWS_CONFIG"
"""Environment variable: the folder of the user's configuration."""

REMEMBERED = "allowed_code.json"
MOST_FILES, MOST_BYTES, MOST_ENTRIES = 1000, 20_000_000, 50_000
"""Of .py files in a protocol's folder, and of files in all; where there are more, consent holds
for one command."""

MOST_REMEMBERED = 50
"""Protocols of one folder, the latest."""


@dataclass(frozen=True)
class Request:
    """The code that a protocol or a matrix would run."""

    written: Protocol | Matrix
    names: tuple[str, ...]
    """The code, as module:attribute."""
    folder: Path
    """Where the file lies that it was begun from; its code is looked for there first."""

    @classmethod
    def of(cls, protocol: Protocol, source: str) -> "Request":
        """Return what a protocol would run; ``source`` is its file, there or not."""
        return cls(protocol, tuple(protocol.own_code), Path(source).resolve().parent)

    @classmethod
    def of_matrix(cls, matrix: Matrix, names: Iterable[str]) -> "Request":
        """Return what a matrix would run that names this code."""
        return cls(matrix, tuple(names), Path(matrix.origin).resolve().parent)

    def lines(self) -> Iterator[str]:
        """Yield one line for each name: what it is and where it would be imported from."""
        for reference in self.names:
            yield f"{reference}: {_origin(reference.split(':')[0], self.folder)}"

    @property
    def allowed(self) -> bool:
        """Say whether exactly this was allowed before."""
        known = _remembered().get(str(self.folder), [])
        return bool(known) and self.digest() in known

    def remember(self) -> bool:
        """Note that this is allowed; say whether it could be noted."""
        digest = self.digest()
        if digest is None:
            return False
        try:
            known = _remembered()
            others = [one for one in known.get(str(self.folder), []) if one != digest]
            known[str(self.folder)] = [*others, digest][-MOST_REMEMBERED:]
            path = _file()
            temporary = path.with_suffix(f".{os.getpid()}.tmp")
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
            os.replace(temporary, path)
        except (OSError, NeuroAWSError):
            return False
        return True

    def digest(self) -> str | None:
        """Return the hash of what was written, overrides and code.

        None where there is too much code, or some that cannot be read.
        """
        told = [self.written.text, *self.written.overrides, str(self.written.short)]
        found = hashlib.sha256(json.dumps(told).encode())
        size = 0
        try:
            for path in _code_in(self.folder):
                size += path.stat().st_size
                if size > MOST_BYTES:
                    return None
                name = str(path.relative_to(self.folder)).encode("utf-8", "surrogateescape")
                for piece in (name, path.read_bytes()):
                    found.update(len(piece).to_bytes(8, "big") + piece)
        except (OSError, TooMuch):
            return None
        return found.hexdigest()


class TooMuch(Exception):
    """There is more in a folder than is looked through."""


def _code_in(folder: Path) -> Iterator[Path]:
    """Yield every .py file in a folder and below it, links followed, in the same order always."""
    seen, files, entries = set[str](), 0, 0
    for here, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(f for f in folders if f != "__pycache__")
        entries += len(folders) + len(names)
        if os.path.realpath(here) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(here))
        for path in (Path(here, name) for name in sorted(names) if name.endswith(".py")):
            if path.is_file():
                files += 1
                yield path
        if files > MOST_FILES or entries > MOST_ENTRIES:
            raise TooMuch


def _origin(module: str, folder: Path) -> str:
    """Return where a module would be imported from; nothing is imported to say so."""
    spec = beside(module, folder)
    if spec is None:
        try:
            spec = importlib.util.find_spec(module.split(".")[0])
        except (ImportError, ValueError):
            spec = None
        if spec is None:
            return f"not found: no {module}.py in {folder}, and no installed module of that name"
        return f"of the installed {spec.origin or module}"
    return str(spec.origin or folder / module)


def _file() -> Path:
    named, base = os.environ.get(CONFIG_VARIABLE), os.environ.get("XDG_CONFIG_HOME")
    if named:
        return Path(named) / REMEMBERED
    return Path(base or os.path.expanduser("~/.config"), "neuro-aws", REMEMBERED)


def _remembered() -> dict[str, list[str]]:
    """Return what was allowed before, by folder."""
    path = _file()
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path) from error
    if not isinstance(found, dict) or not all(isinstance(one, list) for one in found.values()):
        raise _unreadable(path)
    return found


def _unreadable(path: Path) -> NeuroAWSError:
    return NeuroAWSError(
        "is damaged: what code was allowed cannot be read",
        where=str(path),
        next_step="Delete it; you will be asked again",
    )

"""The files on this machine that stimuli are read from, and one hash of what is in them."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from neuro_aws.protocol.data import FOLDERS, data_set_files
from neuro_aws.protocol.files import opened, refuse_irregular, user_path
from neuro_aws.protocol.image_folders import image_files, image_groups

BLOCK = 2**20


def data_digest(sections: Iterable[Any]) -> str:
    """Return the hash of all files that stimulus sections name; empty where they name none.

    The same files in another place have the same hash: it is of their names in the folder that a
    protocol names, and of their content. What code of the user's own reads is not known.
    """
    found = sorted({fact for section in sections for fact in _facts(section)})
    return hashlib.sha256(json.dumps(found).encode()).hexdigest() if found else ""


def _facts(section: Any) -> Iterator[tuple[str, str, str]]:
    """Yield the source, the name and the hash of every file that a section names."""
    for name, path in _files(section):
        refuse_irregular(path)
        known = path.stat()
        digest = _sha256(str(path.absolute()), known.st_mtime_ns, known.st_size)
        yield section.source, name, digest


def _files(section: Any) -> Iterator[tuple[str, Path]]:
    """Yield every file that a section names, with its name below the folder that is named."""
    if section.source in FOLDERS:
        yield from ((path.name, path) for path in data_set_files(section))
    elif getattr(section, "file", None) is not None:
        path = user_path(section.file)
        yield path.suffix, path
    elif getattr(section, "folder", None) is not None:
        folder = user_path(section.folder)
        classed = section.source == "images"
        groups = image_groups(section) if classed else [image_files(section.folder)]
        for path in (path for group in groups for path in group):
            yield (path.suffix if path == folder else str(path.relative_to(folder))), path


@lru_cache(maxsize=100_000)
def _sha256(path: str, changed: int, length: int) -> str:
    found = hashlib.sha256()
    with opened(Path(path)) as handle:
        while piece := handle.read(BLOCK):
            found.update(piece)
    return found.hexdigest()

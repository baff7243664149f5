"""Reading recording.h5: a file that may be damaged, or anybody's.

Nothing outside the run's folder is opened through it (links, virtual and external datasets),
nothing is read that is larger than the folder, and what HDF5 or numpy say is said of the file.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
from numpy.typing import NDArray

from neuro_aws.errors import NeuroAWSError, in_a_line
from neuro_aws.recording.folder import size

DAMAGE = (
    OSError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    RuntimeError,
    ArithmeticError,
    MemoryError,
)
"""What h5py, numpy, pandas and xarray raise over a file that is not as we write it."""

KINDS = "biufS"
PART = re.compile(r"part_\d{5}\.h5")


@contextmanager
def opened(path: Path, next_step: str) -> Iterator[h5py.File]:
    """Open a file of HDF5 to read; whatever goes wrong inside is said of the file."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except NeuroAWSError:
        raise
    except DAMAGE as error:
        missing = isinstance(error, FileNotFoundError)
        said = "it is missing" if missing else in_a_line(error)
        raise NeuroAWSError(
            f"cannot be read ({said})", where=str(path), next_step=next_step
        ) from error


@contextmanager
def reading(folder: Path) -> Iterator["Recording"]:
    """Open the recording of a run folder."""
    advice = f"neuro-aws inspect --verify {folder} lists all that is damaged"
    with opened(folder / "recording.h5", advice) as file:
        yield Recording(file, folder)


@contextmanager
def opened_part(path: Path, next_step: str) -> Iterator[h5py.File]:
    """Open a part of a recording, which holds all its rows itself."""
    with opened(path, next_step) as file:
        refuse_foreign_part(path)
        yield file


def refuse_foreign_part(path: Path) -> None:
    """Refuse a part that takes rows from elsewhere; looked at once as long as it stays the same."""
    if path.exists():
        status = path.stat()
        _refuse_foreign_part(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=100_000)
def _refuse_foreign_part(path: Path, changed: int, size: int) -> None:
    links: list[object] = []
    foreign: list[str] = []

    def look(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
            foreign.append(name)

    with h5py.File(path, "r") as file:
        file.visititems_links(lambda name, link: links.append(link))
        file.visititems(look)
    if foreign or not all(isinstance(link, h5py.HardLink) for link in links):
        raise ValueError(f"{path.name} takes rows from another file")


class Recording:
    """An open recording.h5; datasets are named by their whole path (s0/control/metrics/value)."""

    def __init__(self, file: h5py.File, folder: Path) -> None:
        self.file, self.folder = file, folder
        self._most = 0

    def has(self, name: str) -> bool:
        """Say whether there is such a group or dataset."""
        return self._at(name) is not None

    def rows(self, name: str) -> NDArray[Any]:
        """Return all rows of a dataset."""
        found = self._at(name)
        if not isinstance(found, h5py.Dataset):
            raise ValueError(f"{name} is no dataset")
        self._refuse_foreign(found)
        try:
            rows: NDArray[Any] = found[...]
        except OSError as error:
            raise ValueError(f"{name} is damaged") from error
        return rows

    def datasets(self, name: str) -> dict[str, h5py.Dataset]:
        """Return the datasets below a group by their path in it; none where there is no group."""
        found: dict[str, h5py.Dataset] = {}
        group = self._at(name)
        if group is None:
            return found
        if not isinstance(group, h5py.Group):
            raise ValueError(f"{name} is no group")
        paths: list[str] = []
        group.visit(lambda path: paths.append(path))
        for path in paths:
            item = group[path]
            if isinstance(item, h5py.Dataset):
                self._refuse_foreign(item)
                found[path] = item
        return found

    def branches(self) -> list[str]:
        """Return the names of all branches of all animals (s0/control), begun or not."""
        animals = {name: self._at(name) for name in self.file}
        groups = {name: group for name, group in animals.items() if isinstance(group, h5py.Group)}
        return [f"{name}/{branch}" for name, group in groups.items() for branch in group]

    def _at(self, name: str) -> Any:
        """Return what is at a path, all of it in the run's folder; None: nothing is."""
        here: Any = self.file
        for part in filter(None, name.split("/")):
            if not isinstance(here, h5py.Group):
                raise ValueError(f"{here.name} is no group")
            link = here.get(part, getlink=True)
            if link is None:
                return None
            if isinstance(link, h5py.SoftLink):
                raise ValueError(f"{name} is a link")
            if isinstance(link, h5py.ExternalLink) and not self._begun(link.filename):
                return None
            here = here[part]
        return here

    def _begun(self, name: str) -> bool:
        """Say whether the file that a link names is there; refuse one outside the run's folder."""
        home = self.folder.resolve()
        target = Path(os.path.realpath(home / name))
        if not target.is_relative_to(home):
            raise ValueError(f"links to {name}, outside the run's folder")
        return target.exists()

    def _refuse_foreign(self, dataset: h5py.Dataset) -> None:
        if dataset.dtype.kind not in KINDS:
            raise ValueError(f"{dataset.name} is of an unknown kind")
        if dataset.external:
            raise ValueError(f"{dataset.name} takes its rows from another file")
        for source in dataset.virtual_sources() if dataset.is_virtual else ():
            if not PART.fullmatch(source.file_name):
                raise ValueError(f"{dataset.name} takes its rows from elsewhere")
            refuse_foreign_part(Path(dataset.file.filename).parent / source.file_name)
        if dataset.nbytes > self._most:
            self._most = size(self.folder)  # anew: a run under way grows
        if dataset.nbytes > self._most:
            raise ValueError(f"{dataset.name} claims to be larger than the run's folder")


def described(dataset: h5py.Dataset) -> tuple[str, str]:
    """Return unit and description of a dataset."""
    units, description = (str(dataset.attrs[key]) for key in ("units", "description"))
    return units, description


def texts(rows: NDArray[Any]) -> list[str]:
    """Return rows of text."""
    found = [row.decode() for row in rows.tolist()]
    if not all(text.isprintable() for text in found):
        raise ValueError("a text with control characters")
    return found

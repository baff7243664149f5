"""Where stimuli lie on this machine, and what is missing. No torch here."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.arrays import LEAST, check_arrays, read_arrays
from neuro_aws.protocol.files import is_folder, is_there, reason, refuse_irregular, shown, user_path
from neuro_aws.protocol.idx_files import IDX_FILES, idx_file, refuse_headers
from neuro_aws.protocol.image_folders import image_files, image_groups
from neuro_aws.protocol.sequences import refuse_sequences

if TYPE_CHECKING:
    from neuro_aws.protocol.stimuli_from_files import Cifar10, FashionMnist, Mnist
    from neuro_aws.protocol.stimulus import Stimulus

DATA_VARIABLE = "NEURO_AWS_DATA"
"""Environment variable: the folder that holds data sets, where ``--data`` does not say it."""

FOLDERS = {"mnist": "mnist", "fashion_mnist": "fashion-mnist", "cifar10": "cifar-10-batches-py"}
"""The folder of every data set that is not embedded, by its source."""

UNPACK = (
    "Unpack cifar-10-python.tar.gz there; or name what there is: stimulus.batches: [1], "
    "stimulus.test_file"
)

_root: ContextVar[Path | None] = ContextVar("data_root", default=None)


@contextmanager
def using_data(folder: str | Path | None) -> Iterator[None]:
    """Look for data sets in this folder for a while; None: where one looked before."""
    if folder is None:
        yield
        return
    token = _root.set(_absolute(folder))
    try:
        yield
    finally:
        _root.reset(token)


def data_root() -> Path | None:
    """Return the folder that holds data sets: that of ``using_data``, or $NEURO_AWS_DATA."""
    named = os.environ.get(DATA_VARIABLE)
    return _root.get() or (_absolute(named) if named else None)


def _absolute(folder: str | Path) -> Path:
    try:
        return user_path(folder).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links that go in circles
        raise NeuroAWSError(
            f"is no folder of data sets ({reason(error)})",
            where=shown(folder),
            next_step=f"Give --data, or ${DATA_VARIABLE}, the folder that holds them",
        ) from error


def required_root(sections: "Iterable[Stimulus]") -> str | None:
    """Refuse missing stimuli; return the folder of data sets if one is needed, to write it down."""
    root = None
    for section in sections:
        refuse_missing(section)
        if section.source in FOLDERS and getattr(section, "folder", None) is None:
            root = str(data_root())
    return root


def data_folder(named: str | None, default: str) -> Path:
    """Return the folder the protocol names, or ``default`` in the folder of data sets."""
    if named is not None:
        return user_path(named)
    root = data_root()
    if root is not None:
        return root / default
    raise NeuroAWSError(
        "no folder of data sets is known",
        where=f"stimulus: {default}",
        next_step=f"Give --data, or set stimulus.folder, or ${DATA_VARIABLE} to the folder of "
        f"{default}/",
    )


def missing(section: "Stimulus") -> str | None:
    """Return in one line what a stimulus section lacks on this machine; None: it can be shown."""
    try:
        refuse_missing(section)
    except NeuroAWSError as error:
        return str(error)
    return None


def refuse_missing(section: Any) -> None:
    """Refuse, before a run starts, stimuli that are not there or that do not serve."""
    if section.source in FOLDERS:
        _data_set(section)
    elif section.source == "sequences":
        refuse_sequences(section)
    elif section.source == "array":
        where = f"stimulus.file: {shown(section.file)}"
        check_arrays(read_arrays(section.file), section.held_out, section.scale, where)
    elif section.source == "images":
        files = [f for group in image_groups(section) for f in group]
        if len(files) < section.held_out + LEAST:
            raise NeuroAWSError(
                f"{len(files)} images, but {section.held_out} are to be held out",
                where=f"stimulus.folder: {shown(section.folder)}",
                next_step="Add images or lower stimulus.held_out",
            )
    elif section.source == "patches" and section.folder is not None:
        image_files(section.folder)


def data_set_files(section: "Mnist | FashionMnist | Cifar10") -> list[Path]:
    """Return the files that a data set is read from, whether they are there or not."""
    folder = data_folder(section.folder, FOLDERS[section.source])
    if section.source == "cifar10":
        names = [f"data_batch_{k}" for k in section.batches or range(1, 6)]
        return [folder / name for name in [*names, section.test_file or "test_batch"]]
    return [idx_file(folder, name) for name in IDX_FILES]


def _data_set(section: "Mnist | FashionMnist | Cifar10") -> None:
    folder = data_folder(section.folder, FOLDERS[section.source])
    if not is_folder(folder):
        raise NeuroAWSError(
            "no such folder",
            where=f"stimulus: {section.source}: {shown(folder)}",
            next_step=f"Give --data FOLDER, the one that holds {FOLDERS[section.source]}/",
        )
    paths = data_set_files(section)
    absent = [path for path in paths if not is_there(path)]
    if absent:
        cifar = section.source == "cifar10"
        names = [path.name if cifar else f"{path.stem}(.gz)" for path in absent]
        raise NeuroAWSError(
            f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} missing",
            where=shown(folder),
            next_step=UNPACK
            if cifar
            else "Put the four original files there: " + ", ".join(IDX_FILES),
        )
    for path in paths:
        refuse_irregular(path)
    if section.source != "cifar10":
        refuse_headers(folder, section.least_images)

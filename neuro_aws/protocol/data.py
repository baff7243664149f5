"""Where stimuli lie on this machine, and what is missing. No torch here."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.arrays import check_arrays, read_arrays

if TYPE_CHECKING:
    from neuro_aws.protocol.stimulus import Cifar10, FashionMnist, Images, Mnist, Stimulus

DATA_VARIABLE = "NEURO_AWS_DATA"
"""Environment variable: the folder that holds data sets, where ``--data`` does not say it."""

FOLDERS = {"mnist": "mnist", "fashion_mnist": "fashion-mnist", "cifar10": "cifar-10-batches-py"}
"""The folder of every data set that is not embedded, by its source."""

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
"""Of MNIST and of Fashion-MNIST; each may end in .gz."""

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".gif"}
ARRAY_SUFFIXES = {".npy", ".npz"}
DATA_SUFFIXES = ARRAY_SUFFIXES | {
    ".mat", ".h5", ".hdf5", ".pt", ".pth", ".pkl", ".pickle",
}  # fmt: skip
"""Files that may hold stimuli but are no images: refused in a folder of images."""

_root: ContextVar[Path | None] = ContextVar("data_root", default=None)


@contextmanager
def using_data(folder: str | Path | None) -> Iterator[None]:
    """Look for data sets in this folder for a while; None: where one looked before."""
    if folder is None:
        yield
        return
    token = _root.set(Path(folder).expanduser().resolve())
    try:
        yield
    finally:
        _root.reset(token)


def data_root() -> Path | None:
    """Return the folder that holds data sets: that of ``using_data``, or $NEURO_AWS_DATA."""
    named = os.environ.get(DATA_VARIABLE)
    return _root.get() or (Path(named).expanduser().resolve() if named else None)


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
        return Path(named).expanduser()
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
    if section.source in ("mnist", "fashion_mnist", "cifar10"):
        _data_set(section)
    elif section.source == "array":
        where = f"stimulus.file: {section.file}"
        check_arrays(read_arrays(section.file), section.held_out, section.scale, where)
    elif section.source == "images":
        files = [f for group in image_groups(section) for f in group]
        if len(files) < section.held_out + 2:
            raise NeuroAWSError(
                f"{len(files)} images, but {section.held_out} are to be held out",
                where=f"stimulus.folder: {section.folder}",
                next_step="Add images or lower stimulus.held_out",
            )
    elif section.source == "patches" and section.folder is not None:
        image_files(section.folder)


def _data_set(section: "Mnist | FashionMnist | Cifar10") -> None:
    folder = data_folder(section.folder, FOLDERS[section.source])
    if not folder.is_dir():
        raise NeuroAWSError(
            "no such folder",
            where=f"stimulus: {section.source}: {folder}",
            next_step=f"Give --data FOLDER, the one that holds {FOLDERS[section.source]}/",
        )
    if section.source == "cifar10":
        names = [f"data_batch_{k}" for k in section.batches or range(1, 6)]
        absent = [
            n for n in [*names, section.test_file or "test_batch"] if not (folder / n).is_file()
        ]
        next_step = (
            "Unpack cifar-10-python.tar.gz there; or name what there is: "
            "stimulus.batches: [1], stimulus.test_file"
        )
    else:
        absent = [
            f"{n}(.gz)"
            for n in IDX_FILES
            if not any((folder / f"{n}{end}").is_file() for end in ("", ".gz"))
        ]
        next_step = "Put the four original files there: " + ", ".join(IDX_FILES)
    if absent:
        verb = "is" if len(absent) == 1 else "are"
        raise NeuroAWSError(
            f"{', '.join(absent)} {verb} missing", where=str(folder), next_step=next_step
        )


def image_files(folder: str) -> list[Path]:
    """Return the image files of a folder, or the one file named, in alphabetical order."""
    path = Path(folder).expanduser()
    if path.is_file():
        _refuse_data(path, folder)
        return [path]
    if not path.is_dir():
        raise NeuroAWSError(
            "no such image or folder",
            where=f"stimulus.folder: {folder}",
            next_step="Give a path relative to where you start the run, or an absolute one",
        )
    return _images_in(path, folder)


def image_groups(section: "Images") -> list[list[Path]]:
    """Return the images of every class, in the order of their labels; one group: no classes."""
    if not section.class_folders:
        return [image_files(section.folder)]
    return [_images_in(path, section.folder) for path in class_folders(section.folder)]


def class_folders(folder: str) -> list[Path]:
    """Return the sub-folders that are classes, in alphabetical order; hidden ones do not count."""
    path, where = Path(folder).expanduser(), f"stimulus.folder: {folder}"
    if not path.is_dir():
        raise NeuroAWSError(
            "no such folder",
            where=where,
            next_step="Give a path relative to where you start the run, or an absolute one",
        )
    inside = sorted(p for p in path.iterdir() if not p.name.startswith("."))
    found = [p for p in inside if p.is_dir()]
    if not found:
        raise NeuroAWSError(
            "has no sub-folders to be classes",
            where=where,
            next_step="Make one for each class, or drop class_folders",
        )
    for file in inside:
        _refuse_data(file, folder)
        if file.is_file() and file.suffix.lower() in IMAGE_SUFFIXES:
            raise NeuroAWSError(
                f"{file.name} lies beside the sub-folders and has no class",
                where=where,
                next_step="Move it into one of them",
            )
    return found


def _images_in(path: Path, folder: str) -> list[Path]:
    files = []
    for file in sorted(path.rglob("*")):
        if any(part.startswith(".") for part in file.relative_to(path).parts):
            continue
        _refuse_data(file, folder)
        if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file():
            files.append(file)
    if not files:
        inside = "" if path == Path(folder).expanduser() else f"sub-folder {path.name} "
        raise NeuroAWSError(
            f"{inside}holds no images",
            where=f"stimulus.folder: {folder}",
            next_step="Known suffixes: " + " ".join(sorted(IMAGE_SUFFIXES)),
        )
    return files


def _refuse_data(file: Path, folder: str) -> None:
    suffix = file.suffix.lower()
    if suffix not in DATA_SUFFIXES or file.is_dir():
        return
    if suffix in ARRAY_SUFFIXES:
        next_step = f"For arrays say source: array, file: {file}"
    else:
        next_step = "Move it out of the folder, or save its arrays as .npz for source: array"
    raise NeuroAWSError(
        f"{file.name} is no image", where=f"stimulus.folder: {folder}", next_step=next_step
    )

"""Folders of images: what counts as an image, sub-folders as classes, what does not belong."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.files import (
    WHERE_FROM,
    inside,
    is_folder,
    is_there,
    reason,
    refuse_irregular,
    shown,
    user_path,
)

if TYPE_CHECKING:
    from neuro_aws.protocol.stimuli_from_files import Images

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".gif"}
ARRAY_SUFFIXES = {".npy", ".npz"}
DATA_SUFFIXES = ARRAY_SUFFIXES | {
    ".mat", ".h5", ".hdf5", ".pt", ".pth", ".pkl", ".pickle",
}  # fmt: skip
"""Files that may hold stimuli but are no images: refused in a folder of images."""

REPAIR = "Repair it or move it out of the folder"


def image_files(folder: str) -> list[Path]:
    """Return the image files of a folder, or the one file named, in alphabetical order."""
    path, where = user_path(folder), _where(folder)
    if is_folder(path, where):
        return _images_in(path, folder)
    if not is_there(path, where):
        raise NeuroAWSError("no such image or folder", where=where, next_step=WHERE_FROM)
    _refuse_data(path, folder)
    refuse_irregular(path, where)
    return [path]


def image_groups(section: "Images") -> list[list[Path]]:
    """Return the images of every class, in the order of their labels; one group: no classes."""
    if not section.class_folders:
        return [image_files(section.folder)]
    return [_images_in(path, section.folder) for path in class_folders(section.folder)]


def class_folders(folder: str) -> list[Path]:
    """Return the sub-folders that are classes, in alphabetical order; hidden ones do not count."""
    path, where = user_path(folder), _where(folder)
    if not is_folder(path, where):
        raise NeuroAWSError("no such folder", where=where, next_step=WHERE_FROM)
    visible = [p for p in inside(path, where) if not p.name.startswith(".")]
    files = [p for p in visible if not is_folder(p)]
    if len(files) == len(visible):
        raise NeuroAWSError(
            "has no sub-folders to be classes",
            where=where,
            next_step="Make one for each class, or drop class_folders",
        )
    for file in files:
        _refuse_data(file, folder)
        if file.suffix.lower() in IMAGE_SUFFIXES:
            raise NeuroAWSError(
                f"{shown(file.name)} lies beside the sub-folders and has no class",
                where=where,
                next_step="Move it into one of them",
            )
    return [p for p in visible if p not in files]


def _where(folder: str) -> str:
    return f"stimulus.folder: {shown(folder)}"


def _images_in(path: Path, folder: str) -> list[Path]:
    files = []
    for file in _below(path):
        _refuse_data(file, folder)
        if file.suffix.lower() in IMAGE_SUFFIXES:
            refuse_irregular(file, next_step=REPAIR)
            files.append(file)
    if not files:
        place = "" if path == user_path(folder) else f"sub-folder {shown(path.name)} "
        raise NeuroAWSError(
            f"{place}holds no images",
            where=_where(folder),
            next_step="Known suffixes: " + " ".join(sorted(IMAGE_SUFFIXES)),
        )
    return files


def _below(path: Path) -> list[Path]:
    """Return all files below a folder in alphabetical order, but for hidden ones.

    A folder that cannot be read, or that a link leads to, is refused: its images would be lost.
    """
    found = []
    for place, folders, names in os.walk(path, onerror=_refuse_folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in folders:
            if (linked := Path(place, name)).is_symlink():
                raise NeuroAWSError(
                    "is a link to a folder, which is not followed",
                    where=shown(linked),
                    next_step="Put the folder itself there, or move the link away",
                )
        found += [Path(place, name) for name in names if not name.startswith(".")]
    return sorted(found)


def _refuse_folder(error: OSError) -> None:
    raise NeuroAWSError(
        f"cannot be read ({reason(error)})",
        where=shown(error.filename),
        next_step="Make it readable, or move it out of the folder",
    ) from error


def _refuse_data(file: Path, folder: str) -> None:
    suffix = file.suffix.lower()
    if suffix not in DATA_SUFFIXES:
        return
    if suffix in ARRAY_SUFFIXES:
        next_step = f"For arrays say source: array, file: {shown(file)}"
    else:
        next_step = "Move it out of the folder, or save its arrays as .npz for source: array"
    raise NeuroAWSError(
        f"{shown(file.name)} is no image", where=_where(folder), next_step=next_step
    )

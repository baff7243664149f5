"""Stimuli in a .npy or .npz file: what is in it, and why it does not serve. No torch here."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.files import WHERE_FROM, decoding, refuse_irregular, shown, user_path
from neuro_aws.protocol.memory import available, size

KEYS = ("images", "labels", "held_out_images", "held_out_labels")
"""Arrays that a .npz file may hold."""

HELD_OUT_SHARE = 0.2
"""Share of the images that is held out where nobody says how many."""

LEAST = 2
"""Training stimuli, and held-out ones, that are needed at least."""

MAX_LABELS = 10_000

SHOWN_NAMES = 6
"""Names of an archive's arrays that a refusal shows."""

WRITE_IT = (
    "Write it with np.save(file, images) or np.savez(file, images=..., labels=...), arrays of "
    "numbers"
)
Scale = tuple[float, float]


class StimulusArrays(NamedTuple):
    """Images (n, pixels), (n, height, width) or (n, height, width, channels), and their labels."""

    images: NDArray[Any]
    labels: NDArray[Any] | None = None
    held_out_images: NDArray[Any] | None = None
    held_out_labels: NDArray[Any] | None = None


class ArrayFacts(NamedTuple):
    """What a protocol has to know of an array file."""

    pixels: int
    picture: tuple[int, int, int] | None
    """Height, width, channels; None for rows of pixels without a shape."""
    labels: int
    """Largest label + 1; 0: there are none."""
    distinct: int
    """How many different labels there are."""
    images: int
    held_out_images: int
    """0: they are drawn from the images."""


def read_arrays(file: str) -> StimulusArrays:
    """Read a file as it is, checking nothing but its keys; .npy is mapped, not loaded."""
    path, where = user_path(file), f"stimulus.file: {shown(file)}"
    refuse_irregular(path, where, WHERE_FROM)
    with decoding(where, "is no readable .npy or .npz", WRITE_IT):
        try:
            found = np.load(path, mmap_mode="r", allow_pickle=False)
            if isinstance(found, np.ndarray):
                return StimulusArrays(found)
            with found:
                return _of_archive(found, where)
        except ValueError as error:
            if any(said in str(error) for said in ("Object arrays", "Python objects")):
                raise NeuroAWSError(
                    "holds Python objects, not numbers", where=where, next_step=WRITE_IT
                ) from error
            raise


def _of_archive(archive: Any, where: str) -> StimulusArrays:
    unpacked = sum(member.file_size for member in archive.zip.infolist())
    if unpacked > available():
        raise NeuroAWSError(
            f"unpacks to {size(unpacked)}, and there are {size(available())} of memory",
            where=where,
            next_step="Save fewer images, or one .npy file, which is not unpacked",
        )
    names = list(archive.files)
    if "images" not in names and len(names) == 1:
        return StimulusArrays(_member(archive, names[0], where))
    unknown = [name for name in names if name not in KEYS]
    if unknown or "images" not in names:
        held = ", ".join(map(shown, names[:SHOWN_NAMES])) or "nothing"
        more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
        wrong = f"{shown(unknown[0])!r} is unknown" if unknown else "images are missing"
        raise NeuroAWSError(
            f"holds {held}{more}; {wrong}",
            where=where,
            next_step="Keys: " + ", ".join(KEYS) + "; or a single array, the images",
        )
    return StimulusArrays(**{name: _member(archive, name, where) for name in names})


def _member(archive: Any, name: str, where: str) -> NDArray[Any]:
    """Return one array of an archive, in which there may be anything."""
    found = archive[name]
    if not isinstance(found, np.ndarray):
        raise NeuroAWSError(f"{shown(name)} is no array", where=where, next_step=WRITE_IT)
    return found


def check_arrays(
    arrays: StimulusArrays, held_out: int | None, scale: Scale | None, where: str
) -> ArrayFacts:
    """Return what the arrays hold; refuse what cannot be shown to a network as it is."""
    facts = check_form(arrays, where)
    check_values(arrays.images, "images", scale, where)
    if arrays.held_out_images is not None:
        check_values(arrays.held_out_images, "held_out_images", scale, where)
        if held_out is not None:
            raise NeuroAWSError(
                "brings held_out_images of its own",
                where=where,
                next_step="Drop held_out, or held_out_images",
            )
        sizes = (len(arrays.images), len(arrays.held_out_images))
    else:
        kept = held_out_count(len(arrays.images), held_out)
        sizes = (len(arrays.images) - kept, kept)
    if min(sizes) < LEAST:
        raise NeuroAWSError(
            f"holds {len(arrays.images)} images, which leaves {max(sizes[0], 0)} to train on and "
            f"{sizes[1]} held out",
            where=where,
            next_step=f"Each must be {LEAST} at least: change held_out, or add images",
        )
    return facts


def check_form(arrays: StimulusArrays, where: str) -> ArrayFacts:
    """Return what the arrays hold by their shapes and labels; refuse what does not fit together."""
    images, held_out = arrays.images, arrays.held_out_images
    if images is None:
        raise NeuroAWSError("images are missing", where=where, next_step="Give an array of them")
    for name, array in (("images", images), ("held_out_images", held_out)):
        if array is None:
            continue
        if array.ndim not in (2, 3, 4) or 0 in array.shape:
            raise NeuroAWSError(
                f"{name} have shape {array.shape}",
                where=where,
                next_step="Allowed: (n, pixels), (n, height, width), (n, height, width, channels)",
            )
        if array.shape[1:] != images.shape[1:]:
            raise NeuroAWSError(
                f"{name} are {array.shape[1:]}, but images {images.shape[1:]}", where=where
            )
    if held_out is None and arrays.held_out_labels is not None:
        raise NeuroAWSError("held_out_labels have no held_out_images", where=where)
    if held_out is not None and (arrays.labels is None) != (arrays.held_out_labels is None):
        lacking = "labels" if arrays.labels is None else "held_out_labels"
        raise NeuroAWSError(f"{lacking} are missing", where=where, next_step="Give both, or none")
    counts = [_label_count(arrays.labels, len(images), "labels", where)]
    if held_out is not None:
        of_held_out = arrays.held_out_labels
        counts.append(_label_count(of_held_out, len(held_out), "held_out_labels", where))
    shape = images.shape[1:]
    pixels = int(np.prod(shape))
    picture = None if len(shape) == 1 else (shape[0], shape[1], (*shape, 1)[2])
    kept = 0 if held_out is None else len(held_out)
    told = [part for part in (arrays.labels, arrays.held_out_labels) if part is not None]
    distinct = len(np.unique(np.concatenate(told))) if told else 0
    return ArrayFacts(pixels, picture, max(counts), distinct, len(images), kept)


def _label_count(labels: NDArray[Any] | None, images: int, name: str, where: str) -> int:
    if labels is None:
        return 0
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise NeuroAWSError(
            f"{name} are {labels.dtype} of shape {labels.shape}",
            where=where,
            next_step="Give one whole number for each image: 0, 1, ...",
        )
    if len(labels) != images:
        raise NeuroAWSError(f"{len(labels)} {name} for {images} images", where=where)
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= MAX_LABELS:
        raise NeuroAWSError(
            f"{name} run from {low} to {high}",
            where=where,
            next_step=f"Labels are 0, 1, ..., {MAX_LABELS - 1} at most",
        )
    return high + 1


def check_values(images: NDArray[Any], name: str, scale: Scale | None, where: str) -> None:
    """Refuse images whose numbers are not finite, or not in the range that is -1 ... 1."""
    kind = images.dtype.kind
    if kind not in "biuf":
        raise NeuroAWSError(f"{name} are {images.dtype}, not real numbers", where=where)
    if kind in "biu" and images.dtype != np.uint8 and scale is None:
        raise NeuroAWSError(
            f"{name} are {images.dtype}; only uint8 and floats have a scale of their own",
            where=where,
            next_step="Set scale: [LOW, HIGH], the values that become -1 and 1",
        )
    low, high = float(images.min()), float(images.max())  # nan and inf pass through both
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = "nan" if np.isnan(low) else "inf"
        raise NeuroAWSError(f"{name} hold {bad}", where=where, next_step="Mend or remove them")
    least, most = scale or ((0.0, 255.0) if kind == "u" else (-1.0, 1.0))
    if low < least or high > most:
        allowed = f"scale is [{least:g}, {most:g}]" if scale else "floats must lie in [-1, 1]"
        raise NeuroAWSError(
            f"{name} run from {low:g} to {high:g}, but {allowed}",
            where=where,
            next_step="Set scale: [LOW, HIGH], the values that become -1 and 1",
        )


def held_out_count(images: int, held_out: int | None) -> int:
    """Return how many images are held out: as many as somebody says, or a fifth."""
    return max(LEAST, round(HELD_OUT_SHARE * images)) if held_out is None else held_out


def array_facts(file: str) -> ArrayFacts | None:
    """Return what an array file holds; None where it cannot be read or does not fit together.

    A protocol stays readable without its data: what is wrong with a file is said before a run.
    """
    try:
        path = user_path(file)
        refuse_irregular(path)
        stat = path.stat()
        return _facts(str(path.absolute()), stat.st_mtime_ns, stat.st_size)
    except (OSError, NeuroAWSError):
        return None


@lru_cache(maxsize=8)
def _facts(file: str, changed: int, length: int) -> ArrayFacts:
    return check_form(read_arrays(file), file)

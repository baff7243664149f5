"""The idx files of MNIST and Fashion-MNIST: what their headers promise. No torch here."""

import gzip
import math
import struct
from pathlib import Path
from typing import BinaryIO

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.files import decoding, is_there, opened, shown
from neuro_aws.protocol.memory import available

SIDE = 28
"""Height and width of an image, pixels."""

PARTS = ("train", "t10k")
IDX_FILES = tuple(f"{p}-{kind}-ubyte" for p in PARTS for kind in ("images-idx3", "labels-idx1"))
"""Of MNIST and of Fashion-MNIST; each may end in .gz."""

MOST_DEFLATED = 1032
"""Bytes that one byte of a gzip file can become."""

DIMENSIONS = (1, 2, 3)
"""That a file of labels or images may have."""

FETCH = "Fetch the file again"
_MAGIC = b"\x00\x00\x08"


def idx_file(folder: Path, name: str) -> Path:
    """Return the file of this name: the unpacked one, or else the one that ends in .gz."""
    unpacked = folder / name
    return unpacked if is_there(unpacked) else folder / f"{name}.gz"


def read_shape(stream: BinaryIO, where: str) -> tuple[int, ...]:
    """Read the header of an idx file of bytes and return the lengths of its dimensions."""
    start = stream.read(4)
    dimensions = start[3] if len(start) == 4 else 0
    sizes = stream.read(4 * dimensions)
    if start[:3] != _MAGIC or dimensions not in DIMENSIONS or len(sizes) != 4 * dimensions:
        raise NeuroAWSError("is not an idx file of bytes", where=where, next_step=FETCH)
    return struct.unpack(f">{dimensions}I", sizes)


def shape_of(path: Path) -> tuple[int, ...]:
    """Return what the header of a file promises; refuse more than the file can hold."""
    with opened(path) as handle, decoding(shown(path), "cannot be read", FETCH):
        size = handle.seek(0, 2)
        handle.seek(0)
        packed = path.suffix == ".gz"
        with gzip.GzipFile(fileobj=handle) if packed else handle as stream:
            shape = read_shape(stream, shown(path))  # type: ignore[arg-type]
        refuse_promise(shape, size * MOST_DEFLATED if packed else size, shown(path))
    return shape


def refuse_promise(shape: tuple[int, ...], most: int, where: str) -> None:
    """Refuse a header that promises more bytes than there can be, before room is made for them."""
    if math.prod(shape) > min(most, available()):
        raise NeuroAWSError(
            f"promises {' x '.join(map(str, shape))} values, more than it or the memory can hold",
            where=where,
            next_step=FETCH,
        )


def refuse_headers(folder: Path, needed: tuple[int, int]) -> None:
    """Refuse four files whose headers do not promise n x 28 x 28 images with n labels.

    ``needed`` are the images that the training and the test file have to hold.
    """
    for part, least in zip(PARTS, needed, strict=True):
        named = [idx_file(folder, name) for name in IDX_FILES if name.startswith(part)]
        refuse_shapes(shape_of(named[0]), shape_of(named[1]), named[0], least)


def refuse_shapes(images: tuple[int, ...], labels: tuple[int, ...], path: Path, least: int) -> None:
    """Refuse shapes of images and labels that do not fit, or of fewer images than are needed."""
    if len(images) != 3 or images[1:] != (SIDE, SIDE) or labels != images[:1]:
        raise NeuroAWSError(
            f"holds {images} images and {labels} labels, not n x {SIDE} x {SIDE} and n",
            where=shown(path),
            next_step="Put images and labels of the same original set there",
        )
    if images[0] < least:
        raise NeuroAWSError(
            f"holds {images[0]} images, but {least} are needed",
            where=shown(path),
            next_step="Lower stimulus.held_out, or fetch the whole file",
        )

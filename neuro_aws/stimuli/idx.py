"""Data sets of 28 x 28 images in idx files: MNIST and Fashion-MNIST, gzip or not."""

import gzip
import hashlib
import io
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.data import FOLDERS, data_folder
from neuro_aws.protocol.files import content, decoding, is_there, shown
from neuro_aws.protocol.idx_files import (
    FETCH,
    IDX_FILES,
    MOST_DEFLATED,
    PARTS,
    idx_file,
    read_shape,
    refuse_promise,
    refuse_shapes,
)
from neuro_aws.protocol.stimuli_from_files import FashionMnist, Mnist
from neuro_aws.stimuli.dataset import Dataset, binarised
from neuro_aws.stimuli.resize import cached

LABELS = 10

MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""md5 of the four original files, uncompressed."""

FASHION_MD5 = {
    "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
}
"""md5 of the four original files, gzip; unpacked ones are checked by shape."""


def mnist(section: Mnist, animal: int, dtype: torch.dtype) -> Dataset:
    """Return the training images and, for measuring, the first test images."""
    folder = data_folder(section.folder, FOLDERS["mnist"])
    return _dataset(section, folder, dtype, plain=MNIST_MD5)


def fashion_mnist(section: FashionMnist, animal: int, dtype: torch.dtype) -> Dataset:
    """Return the training images and, for measuring, the first test images."""
    folder = data_folder(section.folder, FOLDERS["fashion_mnist"])
    return _dataset(section, folder, dtype, packed=FASHION_MD5)


def _dataset(
    section: Mnist | FashionMnist, folder: Path, dtype: torch.dtype, **md5: Mapping[str, str]
) -> Dataset:
    parts = []
    for part, least in zip(PARTS, section.least_images, strict=True):
        names = [name for name in IDX_FILES if name.startswith(part)]
        images, labels = (_verified(folder, name, **md5) for name in names)
        path = idx_file(folder, names[1])
        refuse_shapes(images.shape, labels.shape, idx_file(folder, names[0]), least)
        if labels.max() >= LABELS:
            raise NeuroAWSError(
                f"holds a label {labels.max()}, not 0 to {LABELS - 1}",
                where=shown(path),
                next_step=FETCH,
            )
        pixels = cached(images[:, None], section.side)
        parts.append((binarised(pixels) if section.binarised else pixels, labels))
    (train, labels), (test, test_labels) = parts
    n = section.held_out
    if section.validation:
        train, test = train[:-n], train[-n:]
        labels, test_labels = labels[:-n], labels[-n:]
    return Dataset(
        train.flatten(1).to(dtype),
        torch.from_numpy(labels.astype(np.int64)),
        test[:n].flatten(1).to(dtype),
        torch.from_numpy(test_labels[:n].astype(np.int64)),
        (section.side, section.side),
    )


def read_idx(stored: bytes, name: str) -> NDArray[np.uint8]:
    """Return the array of an idx file of unsigned bytes; refuse a truncated or foreign one."""
    stream = io.BytesIO(stored)
    shape = read_shape(stream, name)
    values = np.frombuffer(stored, np.uint8, offset=stream.tell())
    if values.size != math.prod(shape):
        raise NeuroAWSError(
            f"holds {values.size} values where its header says {shape}",
            where=name,
            next_step="The download broke off; fetch it again",
        )
    return values.reshape(shape)


def _verified(
    folder: Path,
    name: str,
    plain: Mapping[str, str] | None = None,
    packed: Mapping[str, str] | None = None,
) -> NDArray[np.uint8]:
    """Return what a file holds; its md5 is checked in the state it is known in."""
    path = idx_file(folder, name)
    if not is_there(path):
        raise NeuroAWSError(
            f"{name}(.gz) is missing",
            where=shown(folder),
            next_step="Put the four original files there: " + ", ".join(IDX_FILES),
        )
    raw = content(path)
    unpacked = _unpacked(raw, shown(path)) if path.suffix == ".gz" else raw
    known = plain or (packed if unpacked is not raw else None)
    tested = unpacked if plain else raw
    if known and hashlib.md5(tested, usedforsecurity=False).hexdigest() != known[name]:
        state = "Uncompressed it" if plain else "It"
        raise NeuroAWSError(
            "is not the original file (md5 differs)",
            where=shown(path),
            next_step=f"{state} must have md5 {known[name]}",
        )
    return read_idx(unpacked, shown(path))


def _unpacked(raw: bytes, name: str) -> bytes:
    """Return what a gzip file holds: as much as its idx header promises, and what is beyond."""
    with decoding(name, "cannot be read", FETCH), gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
        shape = read_shape(stream, name)  # type: ignore[arg-type]
        values = math.prod(shape)
        refuse_promise(shape, len(raw) * MOST_DEFLATED, name)
        stream.seek(0)
        return stream.read(4 + 4 * len(shape) + values + 1)

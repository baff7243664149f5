"""Data sets of 28 x 28 images in idx files: MNIST and Fashion-MNIST, gzip or not."""

import gzip
import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.data import FOLDERS, data_folder
from neuro_aws.protocol.stimulus import FashionMnist, Mnist
from neuro_aws.stimuli.dataset import Dataset, binarised
from neuro_aws.stimuli.resize import cached

SIDE, LABELS = 28, 10

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
    contents = {name: _verified(folder, name, plain=MNIST_MD5) for name in MNIST_MD5}
    return _dataset(section, contents, dtype)


def fashion_mnist(section: FashionMnist, animal: int, dtype: torch.dtype) -> Dataset:
    """Return the training images and, for measuring, the first test images."""
    folder = data_folder(section.folder, FOLDERS["fashion_mnist"])
    contents = {name: _verified(folder, name, packed=FASHION_MD5) for name in FASHION_MD5}
    return _dataset(section, contents, dtype)


def _dataset(
    section: Mnist | FashionMnist, contents: dict[str, bytes], dtype: torch.dtype
) -> Dataset:
    parts = []
    for part in ("train", "t10k"):
        name = f"{part}-images-idx3-ubyte"
        images = read_idx(contents[name], name)
        labels = read_idx(contents[f"{part}-labels-idx1-ubyte"], f"{part}-labels-idx1-ubyte")
        if images.ndim != 3 or images.shape[1:] != (SIDE, SIDE) or len(labels) != len(images):
            raise NeuroAWSError(
                f"holds {images.shape} images and {labels.shape} labels, not n x 28 x 28 and n",
                where=name,
            )
        if labels.max(initial=0) >= LABELS:
            raise NeuroAWSError(f"holds a label {labels.max()}, not 0 to 9", where=name)
        pixels = cached(images[:, None], section.side)
        parts.append((binarised(pixels) if section.binarised else pixels, labels))
    (train, labels), (test, test_labels) = parts
    n = section.held_out
    return Dataset(
        train.flatten(1).to(dtype),
        torch.from_numpy(labels.astype(np.int64)),
        test[:n].flatten(1).to(dtype),
        torch.from_numpy(test_labels[:n].astype(np.int64)),
        (section.side, section.side),
    )


def read_idx(content: bytes, name: str) -> NDArray[np.uint8]:
    """Return the array of an idx file of unsigned bytes; refuse a truncated or foreign one."""
    dimensions = content[3] if len(content) >= 4 else 0
    header = 4 + 4 * dimensions
    if content[:3] != b"\x00\x00\x08" or len(content) < header:
        raise NeuroAWSError("is not an idx file of bytes", where=name)
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    values = np.frombuffer(content, np.uint8, offset=header)
    if values.size != int(np.prod(shape)):
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
) -> bytes:
    """Return a file's content, unpacked; its md5 is checked in the state it is known in."""
    unpacked = folder / name
    path = unpacked if unpacked.exists() else folder / f"{name}.gz"
    try:
        raw = path.read_bytes()
        content = raw if path is unpacked else gzip.decompress(raw)
    except FileNotFoundError as error:
        raise NeuroAWSError(
            f"{name}(.gz) is missing",
            where=str(folder),
            next_step="Put the four original files there: " + ", ".join(MNIST_MD5),
        ) from error
    except (OSError, EOFError) as error:
        raise NeuroAWSError(
            f"cannot be read ({error})", where=str(path), next_step="Fetch the file again"
        ) from error
    known = plain or (packed if path is not unpacked else None)
    tested = content if plain else raw
    if known and hashlib.md5(tested, usedforsecurity=False).hexdigest() != known[name]:
        state = "Uncompressed it" if plain else "It"
        raise NeuroAWSError(
            "is not the original file (md5 differs)",
            where=str(path),
            next_step=f"{state} must have md5 {known[name]}",
        )
    return content

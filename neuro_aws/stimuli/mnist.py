"""MNIST from its four idx files, gzip or not, checked by md5."""

import gzip
import hashlib
import os
import struct
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.stimulus import Mnist
from neuro_aws.stimuli.world import World

DATA_VARIABLE = "NEURO_AWS_DATA"
"""Environment variable: the folder that holds data sets."""

MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""md5 of the four original files, uncompressed."""

SIDE = 28


def mnist_folder(section: Mnist) -> Path:
    """Return the folder the protocol names, or $NEURO_AWS_DATA/mnist."""
    if section.folder is not None:
        return Path(section.folder).expanduser()
    if DATA_VARIABLE in os.environ:
        return Path(os.environ[DATA_VARIABLE]).expanduser() / "mnist"
    raise NeuroAWSError(
        "no folder given",
        where="stimulus: mnist",
        next_step=f"Set stimulus.folder, or ${DATA_VARIABLE} to the folder that holds mnist/",
    )


def mnist(section: Mnist, animal: int, dtype: torch.dtype) -> World:
    """Return the training images for life and the first test images for measuring."""
    folder = mnist_folder(section)
    contents = {name: _verified(folder, name) for name in MD5}
    train, test = (
        _pixels(contents[f"{part}-images-idx3-ubyte"], section.side) for part in ("train", "t10k")
    )
    labels, test_labels = (
        read_idx(contents[f"{part}-labels-idx1-ubyte"], part).astype(np.int64)
        for part in ("train", "t10k")
    )
    n = section.held_out
    return World(
        torch.from_numpy(train).to(dtype),
        torch.from_numpy(labels),
        torch.from_numpy(test[:n]).to(dtype),
        torch.from_numpy(test_labels[:n]),
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


def _verified(folder: Path, name: str) -> bytes:
    plain, packed = folder / name, folder / f"{name}.gz"
    path = plain if plain.exists() else packed
    try:
        content = path.read_bytes()
        if path is packed:
            content = gzip.decompress(content)
    except FileNotFoundError as error:
        raise NeuroAWSError(
            f"{name}(.gz) is missing",
            where=str(folder),
            next_step="Put the four original MNIST files there: " + ", ".join(MD5),
        ) from error
    except (OSError, EOFError) as error:
        raise NeuroAWSError(
            f"cannot be read ({error})", where=str(path), next_step="Fetch the file again"
        ) from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != MD5[name]:
        raise NeuroAWSError(
            "is not the original file (md5 differs)",
            where=str(path),
            next_step=f"Uncompressed it must have md5 {MD5[name]}",
        )
    return content


def _pixels(content: bytes, side: int) -> NDArray[np.float64]:
    images = read_idx(content, "MNIST images").astype(np.float64) / 127.5 - 1
    block = SIDE // side
    pooled = images.reshape(-1, side, block, side, block).mean((2, 4))
    rows: NDArray[np.float64] = pooled.reshape(len(pooled), -1)
    return rows

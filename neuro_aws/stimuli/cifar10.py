"""CIFAR-10 from its python batches, unpickled without running code from them."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.arrays import LEAST
from neuro_aws.protocol.data import FOLDERS, UNPACK, data_folder
from neuro_aws.protocol.files import content, decoding, is_there, shown
from neuro_aws.protocol.stimuli_from_files import Cifar10
from neuro_aws.stimuli.dataset import Dataset, binarised
from neuro_aws.stimuli.pickled import StoredBytes, unpickled
from neuro_aws.stimuli.resize import cached

SIDE, CHANNELS, LABELS = 32, 3, 10

MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
"""md5 of the original files."""

FETCH = "Fetch the file again"


def cifar10(section: Cifar10, animal: int, dtype: torch.dtype) -> Dataset:
    """Return the training batches and, for measuring, the first test images."""
    folder = data_folder(section.folder, FOLDERS["cifar10"])
    named = [f"data_batch_{k}" for k in section.batches or (1, 2, 3, 4, 5)]
    train = [
        _batch(folder / name, MD5[name] if section.batches is None else None) for name in named
    ]
    test_name = section.test_file or "test_batch"
    images, labels = _batch(
        folder / test_name, MD5["test_batch"] if not section.test_file else None
    )
    n = section.held_out
    if len(images) < n:
        raise NeuroAWSError(
            f"holds {len(images)} images, but {n} are to be held out",
            where=shown(folder / test_name),
            next_step=f"Set stimulus.held_out to {len(images)} at most",
        )

    def rows(pictures: NDArray[np.uint8]) -> torch.Tensor:
        pixels = cached(pictures, section.side)
        pixels = binarised(pixels) if section.binarised else pixels
        return pixels.permute(0, 2, 3, 1).flatten(1).to(dtype)

    return Dataset(
        rows(np.concatenate([pictures for pictures, _ in train])),
        torch.from_numpy(np.concatenate([y for _, y in train])),
        rows(images[:n]),
        torch.from_numpy(labels[:n]),
        (section.side, section.side),
        channels=CHANNELS,
    )


def _batch(path: Path, md5: str | None) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    if not is_there(path):
        raise NeuroAWSError(f"{path.name} is missing", where=shown(path.parent), next_step=UNPACK)
    stored = content(path)
    if md5 and hashlib.md5(stored, usedforsecurity=False).hexdigest() != md5:
        raise NeuroAWSError(
            "is not the original file (md5 differs)",
            where=shown(path),
            next_step="Fetch it again, or name a subset (stimulus.batches, stimulus.test_file), "
            "which is checked by shape and labels instead",
        )
    return read_batch(stored, shown(path))


def read_batch(stored: bytes, name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images (n, 3, 32, 32) and labels; refuse anything that is not a batch of CIFAR-10."""
    with decoding(name, "is not a batch of CIFAR-10", FETCH):
        data = unpickled(stored)
        held = data if isinstance(data, dict) else {}
        pixels, labels = held.get(b"data"), held.get(b"labels")
        images = pixels.array() if isinstance(pixels, StoredBytes) else None
    wide = CHANNELS * SIDE * SIDE
    if images is None or images.ndim != 2 or images.shape[1] != wide or type(labels) is not list:
        raise NeuroAWSError(
            f"holds no n x {wide} bytes with a list of labels", where=name, next_step=FETCH
        )
    whole = all(type(label) is int and 0 <= label < LABELS for label in labels)
    if not whole or len(labels) != len(images) or len(images) < LEAST:
        raise NeuroAWSError(
            f"its labels are not one of 0 to {LABELS - 1} for each image, of {LEAST} images at "
            "least",
            where=name,
            next_step=FETCH,
        )
    return images.reshape(-1, CHANNELS, SIDE, SIDE), np.asarray(labels, np.int64)

"""CIFAR-10 from its python batches, unpickled without running code from them."""

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.data import FOLDERS, data_folder
from neuro_aws.protocol.stimulus import Cifar10
from neuro_aws.stimuli.dataset import Dataset, binarised
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

ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}
"""All that a pickle of arrays, numbers and text needs."""


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


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
            where=str(folder / test_name),
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
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise NeuroAWSError(
            f"{path.name} is missing",
            where=str(path.parent),
            next_step="Unpack cifar-10-python.tar.gz there; or name what there is: "
            "stimulus.batches: [1], stimulus.test_file",
        ) from error
    except OSError as error:
        raise NeuroAWSError(f"cannot be read ({error.strerror})", where=str(path)) from error
    if md5 and hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise NeuroAWSError(
            "is not the original file (md5 differs)",
            where=str(path),
            next_step="Fetch it again, or name a subset (stimulus.batches, stimulus.test_file), "
            "which is checked by shape and labels instead",
        )
    return read_batch(content, str(path))


def read_batch(content: bytes, name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images (n, 3, 32, 32) and labels; refuse anything that is not a batch of CIFAR-10."""
    try:
        data = _Restricted(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a broken pickle may raise anything
        raise NeuroAWSError(
            f"is not a batch of CIFAR-10 ({error})", where=name, next_step="Fetch the file again"
        ) from error
    images = data.get(b"data") if isinstance(data, dict) else None
    labels = data.get(b"labels") if isinstance(data, dict) else None
    wide = CHANNELS * SIDE * SIDE
    if not (
        isinstance(images, np.ndarray)
        and images.dtype == np.uint8
        and images.ndim == 2
        and images.shape[1] == wide
        and isinstance(labels, list)
    ):
        raise NeuroAWSError(f"holds no n x {wide} bytes with a list of labels", where=name)
    y = np.asarray(labels, np.int64)
    if len(y) != len(images) or not len(y) or y.min() < 0 or y.max() >= LABELS:
        raise NeuroAWSError("its labels are not one of 0 to 9 for each image", where=name)
    return images.reshape(-1, CHANNELS, SIDE, SIDE), y

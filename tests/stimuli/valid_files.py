"""Small valid data files of every kind, for tests to read and to damage."""

import gzip
import io
import pickle
import struct
from pathlib import Path

import numpy as np
from PIL import Image

from neuro_aws.protocol.idx_files import IDX_FILES
from neuro_aws.protocol.stimuli_from_files import ArrayStimuli, Cifar10, FashionMnist, Images

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (60, 28, 28), dtype=np.uint8)
LABELS = np.arange(60, dtype=np.uint8) % 10
SMALL = RNG.integers(0, 256, (20, 4, 3), dtype=np.uint8)


def idx(array: np.ndarray) -> bytes:
    """Return an array of bytes as an idx file."""
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return b"\x00\x00\x08" + bytes([array.ndim]) + sizes + array.tobytes()


def batch(n: int, labels: list | None = None) -> dict:
    """Return what a batch of CIFAR-10 holds."""
    data = np.random.default_rng(0).integers(0, 255, (n, 3072), dtype=np.uint8)
    return {b"data": data, b"labels": labels or [i % 10 for i in range(n)], b"batch_label": b"x"}


def fashion(folder: Path, packed: bool = False) -> tuple[FashionMnist, list[Path]]:
    """Write four idx files; return their section and paths: images and labels of train, of t10k."""
    files = []
    for name in IDX_FILES:
        stored = idx(GREY if "images" in name else LABELS)
        files.append(folder / (name + ".gz" * packed))
        files[-1].write_bytes(gzip.compress(stored, mtime=0) if packed else stored)
    return FashionMnist(source="fashion_mnist", folder=str(folder), held_out=50), files


def cifar(folder: Path, train: object = None) -> tuple[Cifar10, Path]:
    """Write a training and a test batch; return the section and the path of the former."""
    (folder / "held").write_bytes(pickle.dumps(batch(50), protocol=2))
    file = folder / "data_batch_1"
    file.write_bytes(pickle.dumps(batch(12) if train is None else train, protocol=2))
    part = {"batches": (1,), "test_file": "held", "held_out": 50}
    return Cifar10(source="cifar10", folder=str(folder), **part), file


def arrays(folder: Path, kind: str) -> tuple[ArrayStimuli, Path]:
    """Write an array file: npy, npz, or packed (a deflated npz)."""
    file = folder / f"mine.{'npy' if kind == 'npy' else 'npz'}"
    if kind == "npy":
        np.save(file, SMALL)
    else:
        save = np.savez_compressed if kind == "packed" else np.savez
        save(file, images=SMALL, labels=np.arange(20) % 3)
    return ArrayStimuli(source="array", file=str(file), held_out=5), file


def picture(suffix: str) -> bytes:
    """Return an image file of this kind."""
    stored = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (9, 8), dtype=np.uint8)).save(
        stored, {"pgm": "PPM", "jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix)
    )
    return stored.getvalue()


def pictures(folder: Path, suffix: str) -> tuple[Images, Path]:
    """Write six images; return the section and the path of one."""
    for k in range(6):
        (folder / f"{k}.{suffix}").write_bytes(picture(suffix))
    return Images(source="images", folder=str(folder), side=4, held_out=2), folder / f"3.{suffix}"

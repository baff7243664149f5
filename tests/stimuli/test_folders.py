"""Folders of images and of data sets: what counts as an image, classes, what is missing."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.data import data_root, missing, using_data
from neuro_aws.protocol.image_folders import image_files
from neuro_aws.protocol.stimuli_built_in import Patches
from neuro_aws.protocol.stimuli_from_files import Cifar10, FashionMnist, Images, Mnist
from neuro_aws.stimuli.idx import FASHION_MD5, MNIST_MD5
from neuro_aws.stimuli.images import images
from tests.conftest import ROOT
from tests.stimuli.valid_files import idx

F64 = torch.float64


def paint(path: Path, grey: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8), grey, np.uint8)).save(path)


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Return a folder with a sub-folder per class; the class is written into the grey level."""
    folder = tmp_path / "things"
    for level, name in ((200, "cat"), (0, "ant"), (100, "bee")):
        for k in range(4):
            paint(folder / name / f"{k}.png", level + k)
    return folder


def section(folder: Path, **settings) -> Images:
    return Images(source="images", folder=str(folder), side=8, held_out=4, **settings)


def test_sub_folders_in_alphabetical_order_are_labels(classes):
    (classes / "notes.txt").write_text("who took them")
    (classes / ".DS_Store").write_bytes(b"x")
    paint(classes / ".cache" / "0.png", 7)
    asked = section(classes, class_folders=True)
    made = images(asked, 0, F64)
    assert (asked.labels, made.label_names) == (3, ("ant", "bee", "cat"))
    for rows, labels in ((made.train, made.train_labels), (made.held_out, made.held_out_labels)):
        level = ((rows[:, 0] + 1) * 127.5).round()
        assert torch.equal(labels, (level // 100).long())
    plain = images(section(classes), 0, F64)
    assert plain.train_labels is None  # as ever, without class_folders
    assert (len(plain.train), section(classes).labels) == (8, 0)


def test_class_folders_that_are_not_clear_are_refused(classes, tmp_path):
    asked = section(classes, class_folders=True)
    (classes / "dog").mkdir()
    assert "sub-folder dog holds no images" in missing(asked)
    (classes / "dog").rmdir()
    paint(classes / "stray.png", 1)
    assert "stray.png lies beside the sub-folders" in missing(asked)
    with pytest.raises(NeuroAWSError, match=r"stray\.png"):
        images(asked, 0, F64)
    assert "has no sub-folders" in missing(section(classes / "cat", class_folders=True))
    absent = section(tmp_path / "absent", class_folders=True)
    assert "no such folder" in missing(absent)
    assert absent.labels is None


@pytest.mark.parametrize("name", ["x.npy", "x.NPZ", "deep/x.npy", "x.mat", "x.h5", "x.pt", "x.pkl"])
def test_data_among_images_is_refused_not_passed_over(name, classes):
    file = classes / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"numbers")
    with pytest.raises(NeuroAWSError, match=r"is no image.*source: array"):
        image_files(str(classes))
    patches = Patches(source="patches", folder=str(classes))
    assert f"{file.name} is no image" in missing(patches)
    assert f"{file.name} is no image" in missing(section(classes))
    assert f"{file.name} is no image" in missing(section(file))  # nor is it opened as one


def test_text_and_hidden_files_are_passed_over(classes):
    for name in ("notes.txt", "Thumbs.db", ".DS_Store", ".hidden.npy", ".checkpoints/0.png"):
        (classes / name).parent.mkdir(exist_ok=True)
        (classes / name).write_bytes(b"x")
    assert len(image_files(str(classes))) == 12
    assert missing(section(classes)) is None
    assert "but 40 are to be held out" in missing(
        section(classes).model_copy(update={"held_out": 40})
    )


def test_files_that_data_sets_lack_are_named(tmp_path, monkeypatch):
    monkeypatch.delenv("NEURO_AWS_DATA", raising=False)
    mnist = Mnist(source="mnist", held_out=50)
    assert "Give --data" in missing(mnist)
    with using_data(tmp_path):
        assert f"mnist: {tmp_path}/mnist: no such folder" in missing(mnist)
        for kind, names in (("mnist", MNIST_MD5), ("fashion-mnist", FASHION_MD5)):
            (tmp_path / kind).mkdir()
            for k, name in enumerate(names):
                zeros = idx(np.zeros((50, 28, 28) if "images" in name else 50, np.uint8))
                file = tmp_path / kind / (name + ".gz" * (k % 2))
                file.write_bytes(gzip.compress(zeros) if k % 2 else zeros)
        assert missing(mnist) is None
        assert missing(FashionMnist(source="fashion_mnist", held_out=50)) is None
        (tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
        assert "t10k-labels-idx1-ubyte(.gz) is missing" in missing(mnist)
        folder = tmp_path / "cifar-10-batches-py"
        folder.mkdir()
        (folder / "data_batch_1").touch()
        assert "data_batch_2, data_batch_3" in missing(Cifar10(source="cifar10"))
        assert "test_batch is missing" in missing(Cifar10(source="cifar10", batches=(1,)))
        part = Cifar10(source="cifar10", batches=(1,), test_file="data_batch_1")
        assert missing(part) is None
    assert data_root() is None


def test_what_is_missing_is_known_without_torch(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((9, 4)))
    code = (
        "import sys; from neuro_aws.protocol.data import missing\n"
        "from neuro_aws.protocol.stimuli_from_files import ArrayStimuli\n"
        "s = ArrayStimuli(source='array', file='x.npy'); assert missing(s) is None\n"
        "assert s.pixels == 4; assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0

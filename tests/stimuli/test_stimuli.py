"""Stimuli: real, split without overlap, the animal's own; broken files are named."""

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from neuro_aws import Options, run
from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.stimuli_built_in import Digits, Patches
from neuro_aws.protocol.stimuli_from_files import Cifar10, FashionMnist, Images, Mnist
from neuro_aws.stimuli.cifar10 import cifar10, read_batch
from neuro_aws.stimuli.dataset import binarised
from neuro_aws.stimuli.digits import digits, rows
from neuro_aws.stimuli.idx import MNIST_MD5 as MD5
from neuro_aws.stimuli.idx import fashion_mnist, mnist, read_idx
from neuro_aws.stimuli.images import images
from neuro_aws.stimuli.patches import patches, whiten
from neuro_aws.stimuli.resize import cached
from tests.conftest import ROOT
from tests.stimuli.valid_files import batch, idx

DATA = ROOT.parent / "shared" / "data"
F64 = torch.float64


def test_digits_are_those_that_scikit_learn_loads():
    both = zip(rows(), load_digits(return_X_y=True), strict=True)
    assert all(np.array_equal(ours, theirs) for ours, theirs in both)


def test_digits_are_split_per_animal_without_overlap():
    a, b = (digits(Digits(source="digits"), s, F64) for s in (0, 1))
    assert a.train.shape == (1200, 64)
    assert a.held_out.shape == (597, 64)
    assert float(a.train.min()) == -1
    assert float(a.train.max()) == 1
    assert not torch.equal(a.train, b.train)
    rows = {tuple(r) for r in a.train.tolist()} & {tuple(r) for r in a.held_out.tolist()}
    assert len(rows) < 5  # the data set itself repeats a few images
    assert torch.equal(torch.unique(a.train_labels), torch.arange(10))


def test_labels_belong_to_their_images():
    """A one's mean image is darker at the sides than a zero's: labels follow the shuffle."""
    dataset = digits(Digits(source="digits"), 5, F64)
    means = [dataset.train[dataset.train_labels == c].mean(0).reshape(8, 8) for c in (0, 1)]
    assert float(means[0][3:5, 3:5].mean()) < float(means[1][3:5, 3:5].mean())


def test_whitening_flattens_the_spectrum():
    rng = np.random.default_rng(0)
    f = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.fftfreq(128)[None])
    f[0, 0] = 1
    scene = np.fft.ifft2(np.fft.fft2(rng.standard_normal((128, 128))) / f).real
    picture = np.exp((scene - scene.mean()) / scene.std() * 0.3)  # the filter takes the logarithm

    def slope(image):
        power = np.abs(np.fft.fft2(image - image.mean())) ** 2
        bands = [power[(f > a) & (f < 2 * a)].mean() for a in (0.02, 0.16)]
        return np.log(bands[1] / bands[0]) / np.log(8)

    assert slope(picture) < -1.5
    assert abs(slope(whiten(picture))) < 0.4
    assert np.abs(whiten(picture)).max() <= 1


def test_two_eyes_see_shifted_correlated_patches():
    same = patches(
        Patches(source="patches", eyes="binocular", disparity=0, correlation=1.0, count=500), 0, F64
    )
    assert torch.equal(same.train[:, :64], same.train[:, 64:])
    noisy = patches(
        Patches(source="patches", eyes="binocular", disparity=0, correlation=0.5, count=3000),
        0,
        F64,
    )
    both = torch.stack([noisy.train[:, :64].ravel(), noisy.train[:, 64:].ravel()])
    assert float(torch.corrcoef(both)[0, 1]) == pytest.approx(0.5, abs=0.08)
    apart = patches(
        Patches(source="patches", eyes="binocular", disparity=3, correlation=1.0, count=3000),
        0,
        F64,
    )
    both = torch.stack([apart.train[:, :64].ravel(), apart.train[:, 64:].ravel()])
    assert float(torch.corrcoef(both)[0, 1]) < 0.8
    assert (same.eyes, patches(Patches(source="patches"), 0, F64).eyes) == (2, 1)


def test_a_folder_of_images_and_one_image(tmp_path: Path):
    rng = np.random.default_rng(0)
    for i in range(12):
        Image.fromarray(rng.integers(0, 255, (40, 30), dtype=np.uint8)).save(tmp_path / f"{i}.png")
    dataset = images(Images(source="images", folder=str(tmp_path), side=8, held_out=4), 0, F64)
    assert (dataset.train.shape, dataset.held_out.shape) == ((8, 64), (4, 64))
    own = Patches(source="patches", folder=str(tmp_path / "0.png"), size=4, count=200, held_out=50)
    assert patches(own, 0, F64).train.shape == (200, 16)
    with pytest.raises(NeuroAWSError, match="smaller than"):
        patches(Patches(source="patches", folder=str(tmp_path), size=35), 0, F64)
    with pytest.raises(NeuroAWSError, match="held out"):
        images(Images(source="images", folder=str(tmp_path), held_out=40), 0, F64)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: None, "no such image or folder"),
        (lambda p: p.mkdir(), "no images"),
        (lambda p: (p.mkdir(), (p / "x.png").write_text("no image")), "not a readable image"),
    ],
)
def test_image_folders_that_do_not_serve_are_named(tmp_path, make, says):
    folder = tmp_path / "pictures"
    make(folder)
    with pytest.raises(NeuroAWSError, match=says):
        patches(Patches(source="patches", folder=str(folder)), 0, F64)


def test_idx_files_are_read_and_broken_ones_refused():
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    assert np.array_equal(read_idx(idx(array), "x"), array)
    for broken in (idx(array)[:-1], idx(array) + b"x", b"", b"\x00\x00\x0d\x01", b"PNG" * 9):
        with pytest.raises(NeuroAWSError):
            read_idx(broken, "x")


def test_mnist_says_which_file_is_missing_wrong_or_broken(tmp_path, monkeypatch):
    monkeypatch.delenv("NEURO_AWS_DATA", raising=False)
    with pytest.raises(NeuroAWSError, match="NEURO_AWS_DATA"):
        mnist(Mnist(source="mnist"), 0, F64)
    section = Mnist(source="mnist", folder=str(tmp_path))
    with pytest.raises(NeuroAWSError, match=r"train-images-idx3-ubyte\(.gz\) is missing"):
        mnist(section, 0, F64)
    name = next(iter(MD5))
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx(np.zeros((1, 28, 28), np.uint8))))
    with pytest.raises(NeuroAWSError, match="md5 differs"):
        mnist(section, 0, F64)
    (tmp_path / f"{name}.gz").write_bytes(b"\x1f\x8b broken")
    with pytest.raises(NeuroAWSError, match="cannot be read"):
        mnist(section, 0, F64)


@pytest.mark.skipif(not DATA.exists(), reason="the folder of real data is not beside the project")
def test_mnist_itself():
    dataset = mnist(
        Mnist(source="mnist", folder=str(DATA / "mnist"), side=14, held_out=1000), 0, F64
    )
    assert dataset.train.shape == (60000, 196)
    assert torch.bincount(dataset.train_labels).tolist()[:2] == [5923, 6742]
    assert dataset.held_out_labels[:5].tolist() == [7, 2, 1, 0, 4]


def test_cifar_batches_are_read_without_running_code():
    made = batch(12)
    images, labels = read_batch(pickle.dumps(made, protocol=2), "x")
    assert images.shape == (12, 3, 32, 32)
    assert np.array_equal(images[3].ravel(), made[b"data"][3])
    assert labels.tolist() == made[b"labels"]

    class Evil:
        def __reduce__(self):
            return (print, ("this must never be printed",))

    for broken in (
        pickle.dumps({b"data": Evil()}),
        pickle.dumps(made)[:-30],
        pickle.dumps(batch(3, [0, 1])),
        pickle.dumps(batch(2, [0, 10])),
        pickle.dumps([1, 2]),
        b"",
    ):
        with pytest.raises(NeuroAWSError):
            read_batch(broken, "x")


def test_nothing_in_a_pickle_is_executed(capfd):
    class Evil:
        def __reduce__(self):
            return (print, ("this must never be printed",))

    with pytest.raises(NeuroAWSError, match=r"builtins\.print|__builtin__"):
        read_batch(pickle.dumps(Evil()), "x")
    assert "never" not in capfd.readouterr().out


def test_cifar_subsets_are_explicit_and_missing_files_named(tmp_path):
    with pytest.raises(NeuroAWSError, match="data_batch_1 is missing"):
        cifar10(Cifar10(source="cifar10", folder=str(tmp_path)), 0, F64)
    for name, n in (("data_batch_1", 60), ("some_test", 50)):
        (tmp_path / name).write_bytes(pickle.dumps(batch(n), protocol=2))
    with pytest.raises(NeuroAWSError, match="md5 differs"):
        cifar10(Cifar10(source="cifar10", folder=str(tmp_path)), 0, F64)
    part = {"batches": (1,), "test_file": "some_test", "held_out": 50, "side": 16}
    dataset = cifar10(Cifar10(source="cifar10", folder=str(tmp_path), **part), 0, F64)
    assert (dataset.train.shape, dataset.held_out.shape) == ((60, 768), (50, 768))
    assert (dataset.shape, dataset.channels) == ((16, 16), 3)
    with pytest.raises(NeuroAWSError, match="held_out"):
        cifar10(Cifar10(source="cifar10", folder=str(tmp_path), **{**part, "held_out": 51}), 0, F64)


def test_fashion_mnist_comes_through_the_same_reader(tmp_path):
    rng = np.random.default_rng(0)
    for part, n in (("train", 70), ("t10k", 60)):
        images = rng.integers(0, 255, (n, 28, 28), dtype=np.uint8)
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
        labels = np.arange(n, dtype=np.uint8) % 10
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    section = FashionMnist(source="fashion_mnist", folder=str(tmp_path), side=32, held_out=50)
    dataset = fashion_mnist(section, 0, F64)
    assert (dataset.train.shape, dataset.held_out.shape) == ((70, 1024), (50, 1024))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(70, dtype=np.uint8)))
    with pytest.raises(NeuroAWSError, match="a label 69"):
        fashion_mnist(section, 0, F64)


def test_resizing_is_done_once_and_binarising_rounds(tmp_path, monkeypatch):
    monkeypatch.setenv("NEURO_AWS_CACHE", str(tmp_path))
    images = np.random.default_rng(0).integers(0, 255, (1300, 1, 28, 28), dtype=np.uint8)
    first = cached(images, 32)
    assert len(list(tmp_path.glob("*-32.npy"))) == 1
    monkeypatch.setattr("neuro_aws.stimuli.resize.resized", None)  # a second resizing would fail
    assert torch.equal(cached(images, 32), first)
    assert set(binarised(first).unique().tolist()) == {-1.0, 1.0}


@pytest.mark.skipif(not DATA.exists(), reason="no data folder beside the project")
def test_the_real_data_sets_are_read():
    section = Mnist(source="mnist", folder=str(DATA / "mnist"), side=32)
    dataset = mnist(section, 0, torch.float32)
    assert dataset.train.shape == (60_000, 1024)
    assert (float(dataset.train.min()), float(dataset.train.max())) == pytest.approx(
        (-1.0, 1.0), abs=1e-6
    )
    part = {"batches": (1,), "test_file": "test_batch_first1000_lossless", "held_out": 1000}
    folder = str(DATA / "cifar-10-batches-py")
    dataset = cifar10(Cifar10(source="cifar10", folder=folder, **part), 0, torch.float32)
    assert dataset.train.shape == (10_000, 3072)
    assert torch.equal(torch.unique(dataset.train_labels), torch.arange(10))


def test_a_run_without_its_data_is_refused_before_it_starts(tmp_path, monkeypatch):
    monkeypatch.delenv("NEURO_AWS_DATA", raising=False)
    path = ROOT / "protocols" / "mnist_aws.yaml"
    with pytest.raises(NeuroAWSError, match="no folder of data sets is known"):
        run(path, options=Options(out=str(tmp_path)))
    monkeypatch.setenv("NEURO_AWS_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(NeuroAWSError, match="no such folder"):
        run(path, options=Options(out=str(tmp_path)))
    assert not list(tmp_path.iterdir())

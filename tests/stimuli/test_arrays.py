"""Stimuli from arrays: the same as from anywhere else; what does not serve is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from neuro_aws import Options, run
from neuro_aws.errors import NeuroAWSError, ProtocolError
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.arrays import array_facts
from neuro_aws.protocol.data import missing
from neuro_aws.protocol.stimuli_built_in import DIGIT_COUNTS, Digits
from neuro_aws.protocol.stimuli_from_files import ArrayStimuli
from neuro_aws.stimuli import Dataset
from neuro_aws.stimuli.arrays import array
from neuro_aws.stimuli.digits import digits
from tests.conftest import TINY

F64 = torch.float64
RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (30, 4, 6, 3), dtype=np.uint8)
LABELS = np.arange(30) % 3


def section(file: Path, **settings) -> ArrayStimuli:
    return ArrayStimuli(source="array", file=str(file), **settings)


def same(a: Dataset, b: Dataset) -> bool:
    pairs = [(getattr(a, k), getattr(b, k)) for k in ("train", "held_out", "train_labels")]
    pairs.append((a.held_out_labels, b.held_out_labels))
    return all((x is None and y is None) or torch.equal(x, y) for x, y in pairs)


@pytest.fixture
def digits_file(tmp_path: Path) -> Path:
    images, labels = load_digits(return_X_y=True)
    np.savez(tmp_path / "digits.npz", images=images.reshape(-1, 8, 8), labels=labels)
    return tmp_path / "digits.npz"


def test_the_digits_as_an_array_are_the_digits(digits_file):
    for animal in (0, 3):
        mine = array(section(digits_file, held_out=597, scale=(0, 16)), animal, F64)
        assert same(mine, digits(Digits(source="digits"), animal, F64))
    assert (mine.shape, mine.channels) == ((8, 8), 1)


def test_a_run_on_the_array_is_the_run_on_the_digits(digits_file, tmp_path):
    text = TINY.replace("cycles: 6", "cycles: 2").replace("cycles: 4", "cycles: 1")
    array_text = text.replace(
        "source: digits", f"source: array, file: {digits_file}, held_out: 597, scale: [0, 16]"
    )
    options = Options(out=str(tmp_path / "runs"))
    a, b = (run(Protocol.from_text(t), options=options) for t in (text, array_text))
    for arm in a.arms:
        assert a.traces(0, arm).equals(b.traces(0, arm))
    assert a.metrics.equals(b.metrics)


def test_bytes_floats_and_scales_give_the_same_pixels(tmp_path):
    rows = BYTES.reshape(30, -1)
    made = [
        Dataset.from_arrays(BYTES, held_out=5, dtype=F64),
        Dataset.from_arrays(rows, held_out=5, dtype=F64),
        Dataset.from_arrays(BYTES / 127.5 - 1, held_out=5, dtype=F64),
        Dataset.from_arrays(BYTES.astype(np.int64), held_out=5, scale=(0, 255), dtype=F64),
    ]
    np.save(tmp_path / "x.npy", BYTES)
    made.append(array(section(tmp_path / "x.npy", held_out=5), 0, F64))
    for other in made[1:]:
        assert torch.allclose(made[0].train, other.train, atol=1e-15)
        assert torch.allclose(made[0].held_out, other.held_out, atol=1e-15)
    assert (made[0].train.shape, made[0].shape, made[0].channels) == ((25, 72), (4, 6), 3)
    assert (made[1].shape, made[1].channels) == ((1, 72), 1)
    every = torch.cat([made[0].train, made[0].held_out])  # nothing is lost, nothing comes twice
    assert sorted(every.tolist()) == sorted((rows / 127.5 - 1).tolist())


def test_labels_follow_their_images_and_animals_differ():
    images = np.repeat(LABELS[:, None] / 2.0, 4, axis=1)  # a label is written into its pixels
    a, b = (Dataset.from_arrays(images, LABELS, held_out=9, animal=k, dtype=F64) for k in (0, 1))
    for rows, labels in ((a.train, a.train_labels), (a.held_out, a.held_out_labels)):
        assert torch.equal(rows[:, 0] * 2, labels.double())
    assert not torch.equal(a.held_out, b.held_out)
    assert len(Dataset.from_arrays(images).held_out) == 6  # a fifth, where no number is given


def test_held_out_images_of_the_file_are_kept_apart(tmp_path):
    np.savez(
        tmp_path / "x.npz", images=BYTES[:20], labels=LABELS[:20], held_out_images=BYTES[20:],
        held_out_labels=LABELS[20:],
    )  # fmt: skip
    made = array(section(tmp_path / "x.npz"), 7, F64)
    assert torch.equal(made.train, torch.from_numpy(BYTES[:20].reshape(20, -1) / 127.5 - 1))
    assert torch.equal(made.held_out, torch.from_numpy(BYTES[20:].reshape(10, -1) / 127.5 - 1))
    assert made.held_out_labels.tolist() == LABELS[20:].tolist()
    with pytest.raises(NeuroAWSError, match=r"x\.npz: brings held_out_images"):
        array(section(tmp_path / "x.npz", held_out=5), 0, F64)


def holding(value: float) -> np.ndarray:
    images = np.zeros((30, 4))
    images[7, 2] = value
    return images


WRONG = {
    "nan": ({"images": holding(np.nan)}, {}, "images hold nan"),
    "infinite": ({"images": holding(np.inf)}, {"scale": (0, 1)}, "images hold inf"),
    "beyond one": ({"images": holding(1.01)}, {}, "from 0 to 1.01, but floats must lie"),
    "beyond the scale": ({"images": holding(17)}, {"scale": (0, 16)}, r"scale is \[0, 16\]"),
    "int64": ({"images": BYTES.astype(int)}, {}, "only uint8 and floats"),
    "complex": ({"images": holding(1) * 1j}, {}, "not real numbers"),
    "objects": ({"images": np.array([[1, None]])}, {}, "Python objects"),
    "one axis": ({"images": np.zeros(30)}, {}, r"shape \(30,\)"),
    "no images": ({"images": np.zeros((0, 4))}, {}, r"shape \(0, 4\)"),
    "too few": ({"images": BYTES}, {"held_out": 29}, "leaves 1 to train on and 29 held out"),
    "label counts": ({"images": BYTES, "labels": LABELS[:-1]}, {}, "29 labels for 30 images"),
    "float labels": ({"images": BYTES, "labels": LABELS / 1}, {}, "labels are float64"),
    "negative": ({"images": BYTES, "labels": LABELS - 1}, {}, "labels run from -1 to 1"),
    "huge labels": ({"images": BYTES, "labels": LABELS * 10**9}, {}, "to 2000000000"),
    "a typo": ({"images": BYTES, "label": LABELS}, {}, "'label' is unknown"),
    "no key": ({"x": BYTES, "labels": LABELS}, {}, "'x' is unknown"),
    "other shape": (
        {"images": BYTES, "held_out_images": BYTES[:, :3]}, {}, r"held_out_images are \(3, 6, 3\)"
    ),
    "half labelled": (
        {"images": BYTES, "labels": LABELS, "held_out_images": BYTES}, {}, "held_out_labels are miss"
    ),
    "labels alone": ({"images": BYTES, "held_out_labels": LABELS}, {}, "have no held_out_images"),
    "nan held out": (
        {"images": holding(0), "held_out_images": holding(np.nan)}, {}, "held_out_images hold nan"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_arrays_that_do_not_serve_are_refused_in_one_line(name, tmp_path):
    arrays, settings, says = WRONG[name]
    file = tmp_path / "mine.npz"
    np.savez(file, **arrays)
    with pytest.raises(NeuroAWSError, match=says) as refused:
        array(section(file, **settings), 0, F64)
    line = str(refused.value)
    assert "mine.npz" in line
    assert "\n" not in line
    assert missing(section(file, **settings)) == line  # known before a run, by the same words


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00", b"PK\x03\x04 broken"])
def test_files_that_are_no_arrays_are_refused(content, tmp_path):
    (tmp_path / "x.npy").write_bytes(content)
    assert "x.npy: is no readable .npy or .npz" in missing(section(tmp_path / "x.npy"))
    np.save(tmp_path / "cut.npy", BYTES)
    whole = (tmp_path / "cut.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-9])
    assert "cut.npy: is no readable" in missing(section(tmp_path / "cut.npy"))
    assert "no such file" in missing(section(tmp_path / "absent.npy"))
    assert "is a folder, not a regular file" in missing(section(tmp_path))


def test_nothing_in_an_object_array_is_executed(tmp_path, capfd):
    class Evil:
        def __reduce__(self):
            return (print, ("this must never be printed",))

    np.save(tmp_path / "x.npy", np.array([[Evil()]], dtype=object), allow_pickle=True)
    assert "Python objects" in missing(section(tmp_path / "x.npy"))
    assert "never" not in capfd.readouterr().out


def test_a_protocol_knows_what_an_array_holds(tmp_path):
    file = tmp_path / "x.npz"
    np.savez(file, images=BYTES, labels=LABELS + 4)
    text = TINY.replace("source: digits", f"source: array, file: {file}")
    with pytest.raises(
        ProtocolError, match=r"\.npz? as set up here has 72 pixels; write `network: {layers: \[72, "
    ):
        Protocol.from_text(text)
    fits = text.replace("layers: [64,", "layers: [72,")
    spec = Protocol.from_text(fits).spec
    assert (spec.stimulus.pixels, spec.stimulus.labels) == (72, 7)
    assert spec.stimulus.picture == (4, 6, 3)
    with pytest.raises(ProtocolError, match="scale"):
        Protocol.from_text(fits, overrides=["stimulus.scale=[1, 1]"])
    np.savez(file, images=BYTES)  # another file under the same name: looked at again
    assert Protocol.from_text(fits).spec.stimulus.labels == 0
    with pytest.raises(ProtocolError, match="linear_probe needs labelled stimuli"):
        Protocol.from_text(fits.replace("  - ach_gap", "  - linear_probe"))
    file.unlink()
    assert array_facts(str(file)) is None
    assert Protocol.from_text(fits).spec.stimulus.pixels is None  # a run stays readable without it
    with pytest.raises(NeuroAWSError, match="no such file"):
        run(Protocol.from_text(fits), options=Options(out=str(tmp_path / "runs")))
    assert not (tmp_path / "runs").exists()


def test_too_many_digits_held_out_are_refused_before_the_run():
    labels = load_digits().target
    assert tuple(np.bincount(labels)) == DIGIT_COUNTS
    fewer = "stimulus.classes=[0, 1, 2]"
    with pytest.raises(
        ProtocolError, match="597 are to be held out, but there are 537 images of 0"
    ):
        Protocol.from_text(TINY, overrides=[fewer])
    protocol = Protocol.from_text(TINY, overrides=[fewer, "stimulus.held_out=437"])
    assert len(digits(protocol.spec.stimulus, 0, F64).train) == 100

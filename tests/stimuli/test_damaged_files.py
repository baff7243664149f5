"""Damaged data files of every kind end in one line that names the file; nothing else gets in."""

import gzip
import os
import pickle
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol import files
from neuro_aws.protocol.arrays import array_facts
from neuro_aws.protocol.data import missing, using_data
from neuro_aws.protocol.stimuli_built_in import Patches
from neuro_aws.protocol.stimuli_from_files import ArrayStimuli, Images
from neuro_aws.protocol.stimulus import OwnStimulus
from neuro_aws.stimuli import Dataset, load
from neuro_aws.stimuli.image_file import refuse_broken_images
from neuro_aws.stimuli.resize import cached
from tests.calls import command as called
from tests.conftest import TINY
from tests.stimuli.valid_files import (
    GREY,
    LABELS,
    arrays,
    batch,
    cifar,
    fashion,
    idx,
    picture,
    pictures,
)


def one_line(error: NeuroAWSError | str, named: Path) -> str:
    line = str(error)
    assert "\n" not in line, line
    assert len(line) < 1000, line
    assert named.name in line, line
    return line


def refused(section: Any, named: Path) -> str:
    with pytest.raises(NeuroAWSError) as caught:
        load(section, 0, torch.float32)
    return one_line(caught.value, named)


@pytest.fixture
def unknown_md5(monkeypatch) -> None:
    """Let packed files of Fashion-MNIST be any: what they hold is looked at, not their md5."""
    monkeypatch.setattr("neuro_aws.stimuli.idx.FASHION_MD5", {})


def header(*shape: int, magic: bytes = b"\x00\x00\x08") -> bytes:
    return magic + bytes([len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


TRAIN, LABELLED = 0, 1
IDX: dict[str, tuple[int, bytes, str]] = {
    "labels without dimension": (LABELLED, header() + b"\x01", "is not an idx file"),
    "labels of two dimensions": (LABELLED, idx(LABELS.reshape(6, 10)), "(6, 10) labels"),
    "images of two dimensions": (TRAIN, idx(GREY.reshape(60, 784)), "(60, 784) images"),
    "header cut": (TRAIN, idx(GREY)[:13], "is not an idx file"),
    "empty": (TRAIN, b"", "is not an idx file"),
    "of floats": (TRAIN, header(60, 28, 28, magic=b"\x00\x00\x0d"), "is not an idx file"),
    "more than there is": (TRAIN, header(60, 28, 28) + GREY.tobytes()[:-1], "header says"),
    "less than there is": (TRAIN, header(60, 28, 28) + GREY.tobytes() + b"x", "header says"),
    "the world": (TRAIN, header(2**32 - 1, 28, 28) + GREY.tobytes(), "4294967295"),
    "many dimensions": (LABELLED, header(*[2**32 - 1] * 255), "is not an idx file"),
    "a label too few": (LABELLED, idx(LABELS[:-1]), "(59,) labels"),
    "a label beyond": (LABELLED, idx(LABELS + 1), "a label 10"),
    "no images": (TRAIN, idx(GREY[:0]), "(0, 28, 28) images"),
}
IN_CONTENT = {"more than there is", "less than there is", "a label beyond"}
"""What only reading the whole file can show."""


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", IDX)
@pytest.mark.usefixtures("unknown_md5")
def test_idx_files(name, packed, tmp_path):
    which, stored, says = IDX[name]
    section, made = fashion(tmp_path, packed)
    load(section, 0, torch.float32)
    assert missing(section) is None
    made[which].write_bytes(gzip.compress(stored) if packed else stored)
    line = refused(section, tmp_path)
    assert says in line or "promises" in line
    if name not in IN_CONTENT:
        one_line(missing(section), tmp_path)


@pytest.mark.usefixtures("unknown_md5")
def test_fewer_test_images_than_are_held_out(tmp_path):
    section, made = fashion(tmp_path)
    made[2].write_bytes(idx(GREY[:49]))
    made[3].write_bytes(idx(LABELS[:49]))
    assert "holds 49 images, but 50 are needed" in refused(section, made[2])
    assert "holds 49 images" in missing(section)


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b[:40] + b"\xff" * 99 + b[139:]])
@pytest.mark.usefixtures("unknown_md5")
def test_broken_deflate(damage, tmp_path):
    section, made = fashion(tmp_path, packed=True)
    made[0].write_bytes(damage(made[0].read_bytes()))
    assert "cannot be read" in refused(section, made[0])
    array, file = arrays(tmp_path, "packed")
    file.write_bytes(damage(file.read_bytes()))
    assert "is no readable .npy or .npz" in refused(array, file)


class Evil:
    def __reduce__(self):
        return (print, ("this must never be printed",))


def stored_as(array: np.ndarray, labels: Any = None) -> dict:
    return {**batch(12, labels), b"data": array}


CIFAR: dict[str, Any] = {
    "labels of text": batch(12, ["cat"] * 12),
    "labels of digits as text": batch(12, ["3"] * 12),
    "ragged labels": batch(12, [[1], [1, 2]] * 6),
    "labels between": batch(12, [0.5] * 12),
    "labels that are whole floats": batch(12, [1.0] * 12),
    "labels of truth": batch(12, [True] * 12),
    "huge labels": batch(12, [10**30] * 12),
    "negative labels": batch(12, [-1] * 12),
    "no labels": {**batch(12), b"labels": None},
    "labels in an array": {**batch(12), b"labels": np.arange(12) % 10},
    "an image without label": batch(12, [1] * 11),
    "one image": batch(1),
    "no images": stored_as(batch(12)[b"data"][:0]),
    "other width": stored_as(batch(12)[b"data"][:, :3071]),
    "four dimensions": stored_as(batch(12)[b"data"].reshape(12, 3, 32, 32)),
    "floats": stored_as(batch(12)[b"data"].astype(float)),
    "signed": stored_as(batch(12)[b"data"].astype(np.int8)),
    "objects": stored_as(batch(12)[b"data"].astype(object)),
    "no array": {**batch(12), b"data": b"bytes"},
    "a list": [1, 2],
    "code": {**batch(12), b"labels": [Evil()]},
    "code as image": {**batch(12), b"data": Evil()},
}


@pytest.mark.parametrize("name", CIFAR)
def test_cifar_batches(name, tmp_path, capfd):
    section, _ = cifar(tmp_path)
    load(section, 0, torch.float32)
    _, file = cifar(tmp_path, CIFAR[name])
    refused(section, file)
    assert "never" not in capfd.readouterr().out


def test_arrays_of_a_pickle_keep_their_order_in_memory(tmp_path):
    by_column = np.asfortranarray(batch(12)[b"data"])
    plain = load(cifar(tmp_path)[0], 0, torch.float32)
    again = load(cifar(tmp_path, stored_as(by_column))[0], 0, torch.float32)
    assert torch.equal(plain.train, again.train)


PICKLES = {
    "cut": pickle.dumps(batch(12))[:-30],
    "empty": b"",
    "an array without content": b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\n)Rs.",
    "a thing in place four milliards": b"\x80\x02]r\xff\xff\xff\xff.",
    "an array of a terabyte": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n"
    b"(cnumpy\nndarray\n\x8a\x06\x00\x00\x00\x00\x00\x01\x85U\x01btR.",
    "bytes of a terabyte": b"\x80\x05\x96\x00\x00\x00\x00\x00\x01\x00\x00.",
    "deeply nested": b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".",
    "a name of numpy's": b"\x80\x02cnumpy\nload\n(U\x04fileltR.",
    "a method of a stand-in": b"\x80\x02cnumpy\nndarray.__setstate__\n.",
}


@pytest.mark.parametrize("name", PICKLES)
def test_pickles(name, tmp_path):
    section, file = cifar(tmp_path)
    file.write_bytes(PICKLES[name])
    refused(section, file)


def npy(descr: str, shape: str, stored: bytes = b"") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + stored


NPY = {
    "more than there is": npy("'|u1'", "(20, 12)", b"x" * 239),
    "the world": npy("'|u1'", "(1099511627776, 1048576)", b"x"),
    "beyond numbers": npy("'|u1'", f"({10**30}, 4)", b"x"),
    "negative": npy("'|u1'", "(-20, -12)", b"x" * 240),
    "shape of text": npy("'|u1'", "'ab'", b"x" * 240),
    "shape of truth": npy("'|u1'", "(True, 240)", b"x" * 240),
    "no such type": npy("'|u7'", "(20, 12)", b"x" * 240),
    "a record": npy("[('a', '|u1'), ('b', '|u1')]", "(10, 12)", b"x" * 240),
    "text": npy("'<U3'", "(5, 4)", b"x" * 240),
    "times": npy("'<M8[s]'", "(5, 6)", b"x" * 240),
    "no header": b"\x93NUMPY\x01\x00\xff\xff{",
    "header of code": b"\x93NUMPY\x01\x00" + struct.pack("<H", 22) + b"__import__('os').abc()\n",
    "header of brackets": b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 9000,
}


@pytest.mark.parametrize("name", NPY)
def test_array_files(name, tmp_path):
    for kind in ("npy", "npz"):
        section, file = arrays(tmp_path, kind)
        if kind == "npy":
            file.write_bytes(NPY[name])
        else:
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr("images.npy", NPY[name])
        array_facts(section.file)
        assert refused(section, file).split("(")[0] == (missing(section) or "").split("(")[0]


def test_archives(tmp_path):
    section, file = arrays(tmp_path, "npz")

    def refused_with(**members: bytes) -> str:
        with zipfile.ZipFile(file, "w") as archive:
            for name, stored in members.items():
                archive.writestr(name, stored)
        return refused(section, file)

    assert "images is no array" in refused_with(images=b"text", labels=b"text")
    many = {f"a{k}" + "x" * 90: b"" for k in range(300)}
    assert "and 294 more" in refused_with(**many)
    assert "holds nothing" in refused_with()
    whole = arrays(tmp_path, "npz")[1].read_bytes()
    for flag, value in ((8, 99), (6, 1)):  # an unknown compression; encrypted
        broken = bytearray(whole)
        for mark, at in ((b"PK\x03\x04", flag), (b"PK\x01\x02", flag + 2)):
            place = broken.find(mark)
            while place >= 0:
                broken[place + at] = value
                place = broken.find(mark, place + 1)
        file.write_bytes(bytes(broken))
        assert "is no readable .npy or .npz" in refused(section, file)


def test_archives_that_unpack_beyond_the_memory_are_not_unpacked(tmp_path, monkeypatch):
    section, file = arrays(tmp_path, "packed")
    load(section, 0, torch.float32)
    monkeypatch.setattr("neuro_aws.protocol.arrays.available", lambda: 500)
    assert "unpacks to" in refused(section, file)


def png(wide: int, high: int, rest: bytes = b"") -> bytes:
    whole = bytearray(picture("png"))
    whole[16:24] = struct.pack(">II", wide, high)
    whole[29:33] = struct.pack(">I", zlib.crc32(whole[12:29]))
    return bytes(whole) + rest


def saved(mode: str, suffix: str, tmp_path: Path) -> bytes:
    file = tmp_path / f"other.{suffix}"
    kinds = {"I;16": np.uint16, "I": np.int32, "F": np.float32}
    Image.fromarray(np.full((9, 8), 1000, kinds[mode])).save(file)
    stored = file.read_bytes()
    file.unlink()
    return stored


IMAGES: dict[str, tuple[str, bytes | tuple[str, str], str, bool]] = {
    "empty": ("png", b"", "not a readable image", True),
    "text": ("png", b"no image", "not a readable image", True),
    "cut": ("png", picture("png")[:-30], "not a readable image", False),
    "cut in its header": ("png", picture("png")[:20], "not a readable image", True),
    "another checksum": ("png", picture("png")[:29] + b"abcd" + picture("png")[33:], "not a", True),
    "a gigantic size": ("png", png(60_000, 60_000), "promises more than", True),
    "a large size": ("png", png(10_000, 10_000), "promises more than", True),
    "no size": ("png", png(0, 9), "not a readable image", True),
    "a gigantic pgm": ("pgm", b"P5 90000 90000 255\nxx", "promises more than", True),
    "a pgm of text": ("pgm", b"P5 many more 255\nxx", "not a readable image", True),
    "a pgm of no grey": ("pgm", b"P5 8 9 0\n" + b"x" * 72, "not a readable image", True),
    "a pgm too short": ("pgm", b"P5 8 9 255\nxx", "not a readable image", False),
    "a plain pgm of text": ("pgm", b"P2 2 2 255\n1 2 x 4", "not a readable image", False),
    "a plain pgm beyond": ("pgm", b"P2 2 2 255\n1 2 3 999", "not a readable image", False),
    "a cut gif": ("gif", picture("gif")[:-20], "not a readable image", False),
    "a cut tif": ("tif", picture("tif")[:90], "not a readable image", False),
    "a cut webp": ("webp", picture("webp")[:-20], "not a readable image", False),
    "a cut bmp": ("bmp", picture("bmp")[:30], "not a readable image", True),
    "a drawing program": (
        "png",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n%%EOF\n",
        "not a readable image",
        True,
    ),
    "16 bits": ("png", ("I;16", "png"), "would be cut at 255", True),
    "16 bits in a pgm": ("pgm", b"P5 2 2 65535\n" + b"x" * 8, "would be cut at 255", True),
    "floats": ("tif", ("F", "tif"), "would be cut at 255", True),
}


@pytest.mark.parametrize("name", IMAGES)
def test_images(name, tmp_path):
    suffix, stored, says, in_header = IMAGES[name]
    section, file = pictures(tmp_path, suffix)
    file.write_bytes(stored if isinstance(stored, bytes) else saved(*stored, tmp_path))
    assert says in refused(section, file)
    patches = Patches(source="patches", folder=str(file), size=2)
    assert says in refused(patches, file)
    if in_header:
        for shown in (section, patches):
            with pytest.raises(NeuroAWSError, match=says):
                refuse_broken_images(shown)


def test_validate_and_run_refuse_a_broken_header_before_they_begin(tmp_path):
    _, file = pictures(tmp_path, "png")
    file.write_bytes(png(60_000, 60_000))
    protocol = tmp_path / "mine.yaml"
    shown = f"source: images, folder: {tmp_path}, side: 8, held_out: 2"
    protocol.write_text(TINY.replace("source: digits", shown))
    for command in (["validate"], ["run", "--out", str(tmp_path / "runs"), "--jobs", "1"]):
        done = called(*command, str(protocol))
        assert (done.returncode, ": valid" in done.stdout) == (1, False)
        assert "promises more than" in one_line(done.stderr.strip(), file)
    assert not (tmp_path / "runs").exists()


def test_images_too_small_for_patches_are_known_by_their_headers(tmp_path):
    pictures(tmp_path, "png")
    with pytest.raises(NeuroAWSError, match="6 of 6 images are smaller than 4 x 20 pixels"):
        refuse_broken_images(Patches(source="patches", folder=str(tmp_path), size=4))


def fifo(path: Path) -> None:
    os.mkfifo(path)


def bound_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket has to be short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)


INSTEAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "a named pipe": (fifo, "is a named pipe"),
    "a socket": (bound_socket, "is a socket"),
    "a device": (lambda p: p.symlink_to("/dev/zero"), "is a device"),
    "a link to itself": (lambda p: p.symlink_to(p.name), "symbolic links"),
    "a link to nothing": (lambda p: p.symlink_to("nowhere"), "is a link to nothing"),
    "a folder": (Path.mkdir, "is a folder"),
}


def every_kind(folder: Path) -> list[tuple[Any, Path]]:
    made = []
    for name, make in {
        "idx": lambda f: (fashion(f)[0], fashion(f)[1][1]),
        "gz": lambda f: (fashion(f, True)[0], fashion(f, True)[1][1]),
        "cifar": cifar,
        "npy": lambda f: arrays(f, "npy"),
        "npz": lambda f: arrays(f, "npz"),
        "png": lambda f: pictures(f, "png"),
        "patches": lambda f: (
            Patches(source="patches", folder=str(pictures(f, "png")[1])), f / "3.png"
        ),
    }.items():  # fmt: skip
        (folder / name).mkdir()
        made.append(make(folder / name))
    return made


@pytest.mark.parametrize("name", INSTEAD)
@pytest.mark.usefixtures("unknown_md5")
def test_what_is_no_regular_file_is_refused_and_not_waited_for(name, tmp_path):
    make, says = INSTEAD[name]
    for section, file in every_kind(tmp_path):
        file.unlink()
        make(file)
        if name == "a folder" and file.suffix == ".png":
            continue  # it may be called as it likes; what is in it counts
        assert says in one_line(missing(section), file)
        refused(section, file)


def test_files_that_may_not_be_read(tmp_path, monkeypatch):
    made = every_kind(tmp_path)
    monkeypatch.setattr(files.os, "access", lambda path, mode: False)
    for section, file in made:
        assert "cannot be read (Permission denied)" in one_line(missing(section), file.parent)


def test_folders_whose_images_would_be_lost(tmp_path, monkeypatch):
    section, _ = pictures(tmp_path, "png")
    deep = tmp_path / "deep"
    deep.mkdir()
    assert missing(section) is None
    (tmp_path / "round").symlink_to(tmp_path)
    assert "is a link to a folder" in one_line(missing(section), tmp_path / "round")
    (tmp_path / "round").unlink()
    scandir = os.scandir

    def denied(path: str) -> Any:
        if Path(path) == deep:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    assert "cannot be read (Permission denied)" in one_line(missing(section), deep)


@pytest.mark.parametrize("name", ["zero\0byte", "~nobody-of-this-name/x", "x" * 5000, "loop/x"])
def test_names_that_no_file_can_have(name, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    named = name if name.startswith("~") else str(tmp_path / name)
    for section in (
        ArrayStimuli(source="array", file=named),
        Images(source="images", folder=named),
        Images(source="images", folder=named, class_folders=True),
        Patches(source="patches", folder=named),
        fashion(tmp_path)[0].model_copy(update={"folder": named}),
        cifar(tmp_path)[0].model_copy(update={"folder": named}),
    ):
        line = missing(section)
        assert line and "\n" not in line and len(line) < 1000
        assert section.labels in (0, 10, None)
    with pytest.raises(NeuroAWSError) as caught, using_data(named):
        raise NeuroAWSError(missing(fashion(tmp_path)[0].model_copy(update={"folder": None})) or "")
    assert len(str(caught.value)) < 1000


def test_a_line_stays_one_line_whatever_a_file_is_called(tmp_path):
    section, _ = pictures(tmp_path, "png")
    (tmp_path / "a\nb\udcff.png").write_bytes(b"no image")
    line = refused(section, tmp_path)
    assert r"a\nb\udcff.png" in line
    line.encode()


def test_resized_images_that_were_kept_badly_are_made_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("NEURO_AWS_CACHE", str(tmp_path))
    images = np.repeat(GREY[:, None], 22, axis=0)
    right = cached(images, 32)
    (kept,) = tmp_path.glob("*-32.npy")
    whole = kept.read_bytes()
    for broken in (b"", whole[:-9], b"x" * 99, whole[:-4] + b"\xff\xff\xff\x7f"):
        kept.write_bytes(broken)
        assert torch.equal(cached(images, 32), right)
    kept.unlink()
    fifo(kept)
    assert torch.equal(cached(images, 32), right)


GIVEN: dict[str, Any] = {
    "ragged": [[1, 2], [3]],
    "text": [["a", "b"]] * 4,
    "complex": np.zeros((4, 64)) * 1j,
    "nothing": None,
    "objects": np.full((4, 64), None),
}


@pytest.mark.parametrize("name", GIVEN)
def test_arrays_of_ones_own(name):
    with pytest.raises(NeuroAWSError, match="mine") as caught:
        Dataset.from_arrays(GIVEN[name], where="mine")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [*GIVEN, "labels of text", "ragged labels", "labels between"])
def test_stimuli_of_ones_own(name):
    whole = np.zeros((4, 64))
    labels = {"labels of text": list("abcd"), "ragged labels": [[1], [1, 2], 3, 4]}
    images = GIVEN.get(name, whole) if name in GIVEN else whole
    section = OwnStimulus(source="mine:make", shape=(64,), labels=3)
    section.take(lambda rng: (images, whole, labels.get(name, [0.5] * 4), [0] * 4))
    with pytest.raises(NeuroAWSError, match="mine:make: returns") as caught:
        load(section, 0, torch.float32)
    assert "\n" not in str(caught.value)


def flips(whole: bytes, rng: np.random.Generator) -> bytes:
    """Return bytes that are damaged: some flipped, some zeroed, cut, or said twice."""
    broken = bytearray(whole)
    at = int(rng.integers(min(len(broken), 200 if rng.random() < 0.7 else len(broken))))
    kind = rng.integers(5)
    if kind == 0:
        broken[at] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        broken[at : at + 4] = rng.bytes(4)
    elif kind == 2:
        broken[at : at + int(rng.integers(1, 40))] = bytes(int(rng.integers(1, 40)))
    elif kind == 3:
        del broken[at:]
    else:
        broken[at:at] = broken[at : at + 16]
    return bytes(broken)


FUZZED = ["idx", "labels", "gz", "npy", "npz", "packed", "png", "pgm", "gif", "tif", "cifar"]


@pytest.mark.parametrize("kind", FUZZED)
@pytest.mark.usefixtures("unknown_md5")
def test_damage_at_random_loads_or_is_refused_in_a_line(kind, tmp_path):
    rng = np.random.default_rng(FUZZED.index(kind))
    if kind in ("idx", "labels", "gz"):
        section, made = fashion(tmp_path, kind == "gz")
        file = made[kind == "labels"]
    elif kind == "cifar":
        section, file = cifar(tmp_path)
    elif kind in ("npy", "npz", "packed"):
        section, file = arrays(tmp_path, kind)
    else:
        section, file = pictures(tmp_path, kind)
    whole, ends = file.read_bytes(), {True: 0, False: 0}
    for _ in range(60):
        file.write_bytes(flips(whole, rng))
        try:
            loaded = load(section, 0, torch.float32)
        except NeuroAWSError as error:
            one_line(error, file.parent)
            ends[False] += 1
        else:
            assert torch.isfinite(loaded.train).all() and loaded.train.abs().max() <= 1
            ends[True] += 1
    assert ends[False] > 5, ends

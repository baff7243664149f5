"""The hash of the files that stimuli are read from: by name and content, wherever they lie."""

import shutil
from pathlib import Path

import pytest

from neuro_aws.protocol.data_files import data_digest
from neuro_aws.protocol.sequences import Sequences
from neuro_aws.protocol.stimuli_built_in import Digits, Patches
from tests.stimuli import valid_files

MAKERS = {
    "array": lambda folder: valid_files.arrays(folder, "npy"),
    "fashion_mnist": lambda folder: (lambda made: (made[0], made[1][3]))(
        valid_files.fashion(folder)
    ),
    "cifar10": valid_files.cifar,
    "images": lambda folder: valid_files.pictures(folder, "png"),
    "patches": lambda folder: (lambda made: (
        Patches(source="patches", folder=str(folder)), made[1]))(valid_files.pictures(folder, "png")),
    "sequences": lambda folder: (lambda made: (
        Sequences(source="sequences", of="array", file=str(made[1])), made[1]))(
        valid_files.arrays(folder, "npy")),
}  # fmt: skip


def moved(section, old: Path, new: Path):
    return section.model_copy(
        update={
            key: value.replace(str(old), str(new))
            for key in ("file", "folder")
            if (value := getattr(section, key, None)) is not None
        }
    )


@pytest.mark.parametrize("source", MAKERS)
def test_other_data_have_another_hash_and_the_same_elsewhere_the_same(tmp_path, source):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    section, file = MAKERS[source](here)
    assert section.source == source
    shutil.copytree(here, there)
    before = data_digest([section])
    assert len(before) == 64
    assert data_digest([moved(section, here, there)]) == before
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert data_digest([section]) != before


def test_images_of_other_names_are_other_data(tmp_path):
    section, file = valid_files.pictures(tmp_path, "png")
    before = data_digest([section])
    file.rename(tmp_path / "first.png")  # labels and held-out images go by the order of names
    assert data_digest([section]) != before


def test_what_names_no_file_has_no_hash():
    assert data_digest([Digits(source="digits")]) == ""

"""Runs of one protocol, joined: the same as one run that had all of it."""

import shutil

import h5py
import numpy as np
import pytest

from neuro_aws import Options, Protocol, open_run, run
from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.compare import bits
from neuro_aws.experiment.merge import merge, notes
from neuro_aws.experiment.verify import verified
from tests.calls import command
from tests.conftest import TINY


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")

    def make(seed, *arms, seeds=1, text=TINY, sets=()):
        options = Options(
            out=str(out), seed=seed, seeds=seeds, jobs=1, arms=arms, step="written-out"
        )
        return run(Protocol.from_text(text, "tiny.yaml", sets), options=options)

    return make


@pytest.fixture(scope="module")
def whole(make):
    return make(0, seeds=2)


@pytest.fixture(scope="module")
def parts(make):
    """Return animal 0 in two runs, an arm each, and animal 1 in both arms."""
    return [make(1), make(0, "rem_silenced"), make(0, "control")]


@pytest.fixture(scope="module")
def merged(parts, tmp_path_factory):
    return merge([part.folder for part in parts], str(tmp_path_factory.mktemp("merged")))


def test_animals_and_arms_join_to_the_bits_of_one_run(merged, whole):
    assert merged.animals == [0, 1]
    assert merged.arms == whole.arms
    assert merged.provenance["outcome"] == "finished"
    lines = list(bits(whole, merged))
    assert len(lines) == 6
    assert all("identical" in line for line in lines), lines
    assert merged.metrics.equals(whole.metrics)
    for name in ("metrics.csv", "metrics.json", "protocol.yaml", "resolved.yaml"):
        assert (merged.folder / name).read_text() == (whole.folder / name).read_text(), name


def test_a_merged_run_is_a_run_like_any_other(merged, whole, parts):
    assert not [checked for checked in verified(merged) if checked.fault]
    states = {p.relative_to(merged.folder) for p in merged.folder.glob("checkpoints/*/*.npz")}
    assert states == {p.relative_to(whole.folder) for p in whole.folder.glob("checkpoints/*/*.npz")}
    table = command("evaluate", str(merged.folder), "--measure", "ach_gap", "--arm", "control")
    assert table.returncode == 0, table.stderr
    assert [made["animals"] for made in merged.provenance["merged"]] == [[1], [0], [0]]
    assert all(len(made["recording_sha256"]) == 64 for made in merged.provenance["merged"])
    assert command("inspect", str(merged.folder)).returncode == 0
    assert command("run", "--resume", str(merged.folder)).stderr.count("has finished") == 1
    assert not list(notes(parts))
    hidden = [p for p in merged.folder.parent.iterdir() if p.name.startswith(".")]
    assert hidden == []


def refused(folders, said, tmp_path):
    done = command("merge", *map(str, folders), "--out", str(tmp_path / "out"))
    assert done.returncode == 1
    assert said in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.glob("out/*/*"))


def test_what_does_not_belong_together_is_refused(parts, whole, make, tmp_path):
    one, silenced, control = (part.folder for part in parts)
    refused([one], "two runs or more", tmp_path)
    refused([one, tmp_path], "not a run folder", tmp_path)
    refused([one, whole.folder], "animal 1 in arm control is in both", tmp_path)
    refused([one, control], "animal 0 in arm rem_silenced", tmp_path)
    other = make(3, text=TINY.replace("cycles: 6", "cycles: 5"))
    refused([one, other.folder], "two protocols", tmp_path)
    noisier = make(3, sets=["network.noise.scale=0.3"])
    refused([one, noisier.folder], "--set changed", tmp_path)
    compiled = tmp_path / "compiled"
    shutil.copytree(control, compiled)
    facts = (compiled / "provenance.json").read_text()
    (compiled / "provenance.json").write_text(facts.replace("written-out (asked for)", "compiled"))
    refused([one, compiled], "form of the step: written-out, compiled", tmp_path)
    (compiled / "provenance.json").write_text(facts.replace('"finished"', '"stopped"'))
    refused([one, compiled], "is not finished", tmp_path)


def test_a_state_that_is_lost_or_altered_is_not_joined(parts, tmp_path):
    one, silenced, control = (part.folder for part in parts)
    damaged = tmp_path / "damaged"
    shutil.copytree(silenced, damaged)
    (state,) = damaged.glob("checkpoints/s0/rem_silenced.npz")
    state.write_bytes(state.read_bytes()[:-1])
    refused([one, control, damaged], "rem_silenced.npz: checkpoint cannot be read", tmp_path)
    state.unlink()
    refused([one, control, damaged], "rem_silenced.npz: is missing", tmp_path)


def test_arms_whose_shared_steps_differ_are_refused(parts, tmp_path):
    _, silenced, control = (part.folder for part in parts)
    altered = tmp_path / "altered"
    shutil.copytree(control, altered)
    with h5py.File(altered / "recording.h5", "r+") as file:
        ach = file["s0/common/neuromodulators/ach"]
        ach[3] = np.nextafter(ach[3], np.float32(9))
    with pytest.raises(NeuroAWSError, match="steps that their arms share"):
        merge([silenced, altered], str(tmp_path / "out"))


def test_the_number_of_animals_may_have_been_set(make, tmp_path):
    found = merge([make(5, sets=["seeds=2"]).folder, make(6).folder], str(tmp_path))
    assert found.animals == [5, 6]
    assert open_run(found.folder).provenance["overrides"] == ["seeds=2"]

"""Valid means that it starts: measures have what they need, and the memory is enough."""

import math
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from neuro_aws import Options, Session, resume, run
from neuro_aws.errors import NeuroAWSError, ProtocolError
from neuro_aws.protocol import Protocol, start
from neuro_aws.protocol.measures import MEASURES
from neuro_aws.protocol.memory import GIB, available, installed
from neuro_aws.protocol.rate_cost import network_bytes
from neuro_aws.protocol.start import refuse_memory, stimuli_bytes
from neuro_aws.protocol.stimuli_built_in import Digits, Patches
from neuro_aws.protocol.stimuli_from_files import Images, Mnist
from tests.calls import command
from tests.conftest import ROOT, TINY

BRIEF = TINY.replace("cycles: 6", "cycles: 1").replace("cycles: 4", "cycles: 1")
MEASURE = "  - {measure: target_cells, every: 2}\n  - ach_gap\n"


def measuring(name: str, *overrides: str) -> Protocol:
    text = BRIEF.replace(MEASURE, f"  - {name}\n")
    return Protocol.from_text(text, "tiny.yaml", overrides)


ONE = ("stimulus.classes=[3]", "stimulus.held_out=50")
TWO = ("stimulus.classes=[0, 1]", "stimulus.held_out=50")


@pytest.mark.parametrize(
    "name", ["linear_probe", "svm_10fold", "class_representation", "frechet_distance"]
)
def test_measures_of_classes_need_two(name):
    with pytest.raises(ProtocolError, match=f"{name} needs two classes; digits as set up here"):
        measuring(name, *ONE)
    with pytest.raises(ProtocolError, match="needs two classes"):
        measuring(name, "stimulus.classes=[3, 3]", "stimulus.held_out=50")
    measuring(name, *TWO)


def test_ten_folds_need_ten_held_out_stimuli_of_each_label(tmp_path):
    says = "100 of 10 labels, and 99 are held out; raise stimulus.held_out"
    with pytest.raises(ProtocolError, match=says):
        measuring("svm_10fold", "stimulus.held_out=99")
    finished = run(
        measuring("svm_10fold", "stimulus.held_out=100"), options=Options(out=str(tmp_path))
    )
    assert finished.metrics["value"].between(0, 1).all()


def of_arrays(file: Path, name: str, **arrays: np.ndarray) -> Protocol:
    np.savez(file, **arrays)
    text = BRIEF.replace(MEASURE, f"  - {name}\n").replace("layers: [64", "layers: [4")
    return Protocol.from_text(text.replace("source: digits", f"source: array, file: {file}"))


def test_labels_of_arrays_are_counted(tmp_path):
    file, images = tmp_path / "x.npz", np.zeros((40, 4))
    with pytest.raises(ProtocolError, match="linear_probe needs two classes"):
        of_arrays(file, "linear_probe", images=images, labels=np.full(40, 7))
    with pytest.raises(ProtocolError, match="40, and 32 are left to train on"):
        of_arrays(file, "linear_probe", images=images, labels=np.arange(40) % 4)
    of_arrays(file, "linear_probe", images=images, labels=np.arange(40) % 3)
    mine = {"images": images, "labels": np.arange(40) % 2, "held_out_images": images}
    with pytest.raises(ProtocolError, match="50 of 5 labels, and 40 are held out"):
        of_arrays(file, "svm_10fold", **mine, held_out_labels=np.arange(40) % 5)
    of_arrays(file, "svm_10fold", **mine, held_out_labels=np.arange(40) % 2)


ANY = [
    "target_cells",
    "dream_match",
    "ach_gap",
    "fresh_classifier",
    "reconstruction",
    "sliced_distance",
    "diversity",
    "collapse",
    "nearest_neighbours",
    "log_likelihood",
]
"""Measures that take whatever stimuli there are."""


def test_as_few_stimuli_as_can_be_are_measured(tmp_path):
    images = np.random.default_rng(0).random((4, 2, 2))
    text = BRIEF.replace(MEASURE, "".join(f"  - {name}\n" for name in ANY))
    np.savez(tmp_path / "x.npz", images=images)
    text = text.replace("layers: [64", "layers: [4").replace(
        "source: digits", f"source: array, held_out: 2, file: {tmp_path}/x.npz"
    )
    finished = run(Protocol.from_text(text), options=Options(out=str(tmp_path)))
    for name in ANY:
        assert {value.name for value in MEASURES[name].values} & set(finished.metrics["name"]), name


def test_a_batch_may_be_larger_than_what_is_there_to_train_on(tmp_path):
    protocol = measuring("ach_gap", *TWO, "stimulus.batch=1000")
    assert np.isfinite(run(protocol, options=Options(out=str(tmp_path))).metrics["value"]).all()


LARGE = ("network.layers=[64, 100000, 100000]",)


def test_a_network_without_room_is_refused_before_the_first_step(tmp_path):
    protocol = measuring("ach_gap", *LARGE)
    with pytest.raises(NeuroAWSError) as caught:
        run(protocol, options=Options(out=str(tmp_path)))
    line = str(caught.value)
    assert line.startswith("tiny.yaml: network.layers: [64, 100000, 100000] takes ")
    assert f"there are {installed() / GIB:,.1f} GiB" in line
    assert "\n" not in line and not list(tmp_path.iterdir())
    (tmp_path / "large.yaml").write_text(
        protocol.text.replace("layers: [64, 20, 6]", "layers: [64, 100000, 100000]")
    )
    done = command("validate", str(tmp_path / "large.yaml"))
    assert done.returncode == 1
    assert "network.layers: [64, 100000, 100000] takes" in done.stderr
    assert ": valid" not in done.stdout


def test_a_run_is_resumed_only_where_there_is_room(tmp_path, monkeypatch):
    finished = run(measuring("ach_gap"), options=Options(out=str(tmp_path)))
    facts = finished.folder / "provenance.json"
    facts.write_text(facts.read_text().replace('"finished"', '"stopped"'))
    monkeypatch.setattr(start, "available", lambda: 1000)
    with pytest.raises(NeuroAWSError, match="takes .* of memory"):
        resume(finished.folder)


def numbers_held(protocol: Protocol) -> int:
    """Return how many numbers a network and its optimisers hold when some steps are over."""
    session = Session(protocol)
    session.step(4)
    engine = session._simulator
    state, found = [engine.state_dict()], 0
    while state:
        part = state.pop()
        if isinstance(part, dict):
            state += part.values()
        elif isinstance(part, list | tuple):
            state += part
        elif isinstance(part, np.ndarray | torch.Tensor):
            found += math.prod(part.shape)
    return found


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("network.lateral=[1]",),
        ("algorithm.feedforward.betas=[0.5, 0.9]",),
        ("algorithm.feedforward.optimiser=sgd", "algorithm.feedback.optimiser=sgd"),
    ],
)
def test_the_memory_of_a_network_is_that_of_its_weights_moments_and_changes(overrides):
    protocol = measuring("ach_gap", "network.layers=[64, 200, 60]", *overrides)
    held = 4 * numbers_held(protocol)
    activity = 4 * 4 * 16 * sum(protocol.spec.network.layers)
    # beside what a checkpoint holds there is a change, which is no larger than the weights
    assert held < network_bytes(protocol.spec) - activity < 2 * held


def test_what_a_process_may_take_and_several_take_together(monkeypatch):
    spec = measuring("ach_gap").spec
    needed = network_bytes(spec) + stimuli_bytes(spec.stimulus)
    monkeypatch.setattr(start, "available", lambda: needed)
    monkeypatch.setattr(start, "installed", lambda: 3 * needed)
    refuse_memory([spec], 3, "x")
    with pytest.raises(NeuroAWSError, match=r"in each of 4 processes.*Give --jobs 3 at most"):
        refuse_memory([spec], 4, "x")
    monkeypatch.setattr(start, "available", lambda: needed - 1)
    with pytest.raises(NeuroAWSError, match="and there are"):
        refuse_memory([spec], 1, "x")


def test_a_limit_of_the_address_space_counts():
    code = (
        "import resource; from neuro_aws.protocol.memory import available, installed\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31)); assert available() == 2**31\n"
        "assert installed() != 2**31"
    )
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, check=True)
    if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        assert available() == installed()


def test_stimuli_that_take_too_much_are_refused_by_name(tmp_path, monkeypatch):
    assert stimuli_bytes(Mnist(source="mnist", side=512)) > 140e9
    assert stimuli_bytes(Patches(source="patches", size=64, count=1_000_000)) > 60e9
    (tmp_path / "a.png").touch()
    assert stimuli_bytes(Images(source="images", folder=str(tmp_path), side=8)) == 512
    assert math.isclose(stimuli_bytes(Digits(source="digits")), 0, abs_tol=2e6)
    spec = measuring("ach_gap").spec
    large = spec.model_copy(update={"stimulus": Mnist(source="mnist", side=512)})
    monkeypatch.setattr(start, "available", lambda: 2**30)
    with pytest.raises(NeuroAWSError, match="stimulus: mnist of 262144 pixels takes"):
        refuse_memory([large], 1, "x")

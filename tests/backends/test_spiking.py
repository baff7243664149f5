"""The spiking backend: runs, resumption, refusals, targets."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml

from neuro_aws import Options, resume, run
from neuro_aws.backends.spiking import brian2_compat
from neuro_aws.backends.spiking.cortex import Cortex
from neuro_aws.backends.spiking.neuron import LARGEST_WEIGHT
from neuro_aws.errors import NeuroAWSError, ProtocolError
from neuro_aws.experiment.branch import Branch
from neuro_aws.plots import style
from neuro_aws.protocol import Protocol
from neuro_aws.recording import checkpoint, room
from neuro_aws.recording.parts import gather
from tests.branches import branch, finish
from tests.calls import command, script
from tests.conftest import ROOT
from tests.spiking import TEXT, drive, protocol


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return run(protocol(), options=Options(out=str(tmp_path_factory.mktemp("spikes")), jobs=1))


def test_a_run_holds_what_the_cells_fired(finished):
    counts = finished.read(0, "silenced", "counts/layer1")
    phase = finished.read(0, "silenced", "neuromodulators/phase")
    step = finished.read(0, "silenced", "counts/step")
    assert np.array_equal(step, np.arange(63))
    late = (step >= 33) & (phase == 2)
    assert counts[late][:, [1, 4]].sum() == 0
    assert counts[late][:, [0, 2, 3]].sum() > 0
    assert counts[(step >= 33) & (phase == 0)][:, [1, 4]].sum() > 0
    time, neuron = (finished.read(0, "silenced", f"spikes/{k}") for k in ("time", "neuron"))
    assert np.all(np.diff(time) >= 0)
    assert time.max() < 6300
    whole = sum(finished.read(0, "silenced", f"counts/layer{i}").sum() for i in range(3))
    assert len(time) == len(neuron) == whole
    assert finished.read(0, "control", "potentials/soma").shape[1] == 2
    with h5py.File(finished.folder / "recording.h5") as file:
        assert file["s0/control/spikes/time"].attrs["units"] == "ms"


def test_the_commands_serve_a_spiking_run(finished, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(style, "save", lambda figure, path: drawn.append(figure))
    folder = str(finished.folder)
    done = command("plot", folder, "--arm", "silenced", "--csv", str(tmp_path / "t.csv"),
                   "--out", str(tmp_path / "f.png"))  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "release" in (tmp_path / "t.csv").read_text().splitlines()[0]
    (figure,) = drawn
    labels = " ".join(axes.get_ylabel() for axes in figure.axes)
    assert "ACh" in labels
    assert all(axes.has_data() for axes in figure.axes if axes.axison)
    measured = command("evaluate", folder)
    assert measured.returncode == 0, measured.stderr
    again = pd.read_csv(finished.folder / "evaluation.csv", keep_default_na=False)
    keys = ["animal", "arm", "step", "name", "layer", "group"]
    both = finished.metrics.merge(again, on=keys, suffixes=("", "_again"))
    assert {"target_rate_relative", "ach_auc", "wake_rate"} <= set(both["name"])
    assert np.array_equal(both["value"], both["value_again"].astype(float), equal_nan=True)
    assert command("inspect", folder).returncode == 0
    assert command("compare", folder, folder).returncode == 0


def test_the_benchmark_of_refractory_errors_reads_the_window_that_measures_read(finished):
    path = ROOT / "benchmarks" / "refractory_error.py"
    done = script(path, str(finished.folder))
    assert done.returncode == 0, done.stderr
    title, *lines = done.stdout.splitlines()
    assert "masked" in title
    found = {name: float(text.split()[0]) for _, name, text in (row.split(" | ") for row in lines)}
    last = finished.metrics.query("arm == 'control' and layer == 1 and step == step.max()")
    last = last.groupby("name")["value"].mean()
    assert found["rate in wake, Hz"] == pytest.approx(last["wake_rate"], rel=1e-3)
    assert found["rate in REM, Hz"] == pytest.approx(last["rem_rate"], rel=1e-3)
    assert found["mean of V* - U"] < found["rms of V* - U"] > 0
    assert found["count error, p* in free steps"] != found["count error, p* in all steps"] > 0
    assert script(path, "nowhere").returncode


def test_arms_are_one_run_up_to_the_branch_and_nrem_learns_nothing(finished):
    control, silenced = (finished.read(0, a, "counts/layer0") for a in ("control", "silenced"))
    assert np.array_equal(control[:38], silenced[:38])  # the branch, and the first wake after it
    gate = finished.read(0, "control", "neuromodulators/gate")
    phase = finished.read(0, "control", "neuromodulators/phase")
    assert set(gate[phase == 0]) == {1.0}
    assert set(gate[phase != 0]) == {0.0}
    clamped = finished.read(0, "clamped", "neuromodulators/release")
    assert not clamped[33:].any()
    release = finished.read(0, "control", "neuromodulators/release")
    assert not release[phase == 1].any()
    assert release[phase == 2].any()


def test_a_run_is_the_same_twice_and_on_resumption(finished, tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom neuro_aws import Options, run\n"
        "from neuro_aws.protocol import Protocol\n"
        "run(Protocol.from_text(Path(sys.argv[1]).read_text(), 'small'), "
        "options=Options(out=sys.argv[2], jobs=1, save_seconds=0.0, arms=('silenced',)))\n"
    )
    (tmp_path / "small.yaml").write_text(TEXT)
    words = [sys.executable, "-c", code, str(tmp_path / "small.yaml"), str(tmp_path / "out")]
    started = subprocess.Popen(words, cwd=ROOT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out").glob("*/*/parts/s0/*/part_00001.h5")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(started.pid, signal.SIGKILL)
    started.wait()
    (folder,) = (tmp_path / "out").glob("*/*")
    again = resume(folder)
    for arm in again.arms:
        for path in ("spikes/time", "spikes/neuron", "neuromodulators/ach", "weights/feedback_into0",
                     "weights/feedforward_into1", "metrics/value"):  # fmt: skip
            mine, theirs = finished.read(0, arm, path), again.read(0, arm, path)
            assert np.array_equal(mine, theirs, equal_nan=True), (arm, path)


@pytest.mark.parametrize(
    ("segment", "waited_for"),
    [
        pytest.param(1, "part_00000.h5", id="1s", marks=pytest.mark.slow),
        pytest.param(600, "part_00000.tmp", id="600s"),
    ],
)
def test_ctrl_c_stops_at_once_and_is_reported(tmp_path, segment, waited_for):
    """Between two segments, or inside a long one, which is then simulated again."""
    text = TEXT.replace("cycles: 3, branch", "cycles: 400, branch")
    (tmp_path / "small.yaml").write_text(text.replace("segment: 1,", f"segment: {segment},"))
    words = [sys.executable, "-m", "neuro_aws", "run", str(tmp_path / "small.yaml"), "--jobs", "1",
               "--out", str(tmp_path / "out"), "--arms", "control", "--save-every", "0.1"]  # fmt: skip
    started = subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out").glob(f"*/*/parts/s0/control/{waited_for}")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    started.send_signal(signal.SIGINT)
    said, _ = started.communicate(timeout=30)  # 400 s of biological time take minutes
    assert started.returncode == 1
    assert "everything simulated so far is saved" in said
    assert "Traceback" not in said
    (folder,) = (tmp_path / "out").glob("*/*")
    _, facts = checkpoint.load(folder / "checkpoints" / "s0" / "control.resume.npz")
    assert facts["step"] == 33 if segment == 600 else facts["step"] > 33


def test_the_numpy_target_needs_no_compiler(monkeypatch, caplog):
    monkeypatch.setattr(brian2_compat, "compiler_works", lambda: False)
    with caplog.at_level("WARNING", logger="neuro_aws"):
        assert brian2_compat.chosen_target("cython") == "numpy"
    assert "no working C compiler" in caplog.text
    with pytest.raises(NeuroAWSError, match=r"needs a C\+\+ compiler"):
        brian2_compat.chosen_target("cpp_standalone")


def test_an_unfit_numpy_is_named():
    with pytest.raises(NeuroAWSError, match="does not work with numpy 2.4"):
        brian2_compat.refuse_unfit((2, 9), (2, 4))
    brian2_compat.refuse_unfit((2, 9), (2, 3))
    brian2_compat.refuse_unfit((2, 10), (2, 4))


def test_brian2_leaves_ctrl_c_and_the_folder_alone(tmp_path):
    code = (
        "import signal, os\nmine = lambda *a: None\nsignal.signal(signal.SIGINT, mine)\n"
        "from neuro_aws.backends.spiking.brian2_compat import brian2\nb2 = brian2()\n"
        "assert signal.getsignal(signal.SIGINT) is mine\nassert os.listdir('.') == []\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert done.returncode == 0, done.stderr


class Written(Exception):
    """The program's source is there."""


def test_a_program_of_its_own_can_be_written(tmp_path):
    """cpp_standalone up to its source: values that only exist once it ran must not be asked for."""
    b2 = brian2_compat.brian2()

    def write() -> None:
        b2.device.build(directory=str(tmp_path), compile=False, run=False)
        raise Written

    spec = protocol("spiking.target=cpp_standalone", "spiking.prior=normal").spec
    brian2_compat.chosen_target("cpp_standalone")
    state = Cortex(spec, 0).state()
    b2.set_device("cpp_standalone", directory=str(tmp_path), build_on_run=False)
    try:
        cortex = Cortex(spec, 0)
        cortex.load(state)
        with pytest.raises(Written):
            cortex.simulate(drive(cortex, 5), 1, built=write)
    finally:
        b2.device.reinit()
        b2.set_device("runtime")
    written = {path.name for path in (tmp_path / "code_objects").glob("*.cpp")}
    assert (tmp_path / "main.cpp").exists()
    for each in ("feedforward", "feedback", "cortex"):
        assert any(name.startswith(each) for name in written), written


@pytest.mark.slow
def test_a_program_of_its_own_simulates_the_same_laws(tmp_path):
    """cpp_standalone, one period: other random numbers, the same laws."""
    brian2_compat.brian2()
    if not brian2_compat.compiler_works():
        pytest.skip("no C compiler")
    data = yaml.safe_load(TEXT)
    data["schedule"] = [{"name": "training", "cycles": 6, "phases": [{"wake": 5}, {"rem": 5}]}]
    data |= {"arms": {"control": {}}, "measure": ["spike_rates"]}
    done, known = (
        run(
            Protocol.from_text(
                yaml.safe_dump(data), "small", [f"spiking.target={target}", "spiking.prior=normal"]
            ),
            options=Options(out=str(tmp_path), jobs=1),
        )
        for target in ("cpp_standalone", "numpy")
    )
    for layer in range(3):
        a, b = (r.read(0, "control", f"counts/layer{layer}").mean() for r in (done, known))
        assert a == pytest.approx(b, rel=0.1)
    weights = done.read(0, "control", "weights/feedback_into0")
    assert not np.array_equal(weights[0], weights[-1])


UNUSUAL = ("spiking.spikes=false", "spiking.dt=0.5", "spiking.step=70", "spiking.tick=7",
           "spiking.segment=0.49", "record={weights: 1}")  # fmt: skip


def recorded(one: Branch) -> dict:
    """Return what a finished branch wrote, but for intervals: a part cuts them, the end joins them."""
    written = gather(one.place.parts, one.out.columns)
    return {path: rows for path, rows in written.items() if "intervals" not in path}


@pytest.fixture(scope="module", params=[(), UNUSUAL], ids=["usual", "unusual"])
def unbroken(request, tmp_path_factory):
    """Return settings, and what a branch with them records that is never stopped."""
    one = branch(protocol(*request.param), tmp_path_factory.mktemp("unbroken"))
    return request.param, recorded(finish(one))


@pytest.mark.parametrize(
    "patience", [3, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 1, 2, 5))]
)
def test_a_branch_stopped_at_any_moment_is_taken_up_to_the_same_bits(tmp_path, unbroken, patience):
    """Before it began, between two blocks or inside one: what a cut one recorded is gone."""
    overrides, whole = unbroken
    asked = itertools.count()
    one = branch(protocol(*overrides), tmp_path)
    assert not one.run(lambda: next(asked) >= patience, lambda *a: None)
    again = recorded(finish(branch(protocol(*overrides), tmp_path)))
    assert whole["counts/layer0"].any()
    assert set(again) == set(whole)
    for path, rows in whole.items():
        assert np.array_equal(rows, again[path]), path


def test_a_full_disk_is_reported_before_it_is_written_to(tmp_path, monkeypatch):
    """HDF5 loses rows silently, and cannot close its file, where a write did not fit."""
    usage = shutil.disk_usage(tmp_path)
    asked = itertools.count()
    monkeypatch.setattr(
        room.shutil, "disk_usage", lambda _: usage._replace(free=next(asked) < 9 and 10**9)
    )
    with pytest.raises(NeuroAWSError, match="no room left for the recording"):
        finish(branch(protocol(), tmp_path))


def test_weights_are_kept_as_they_are_at_the_step_they_are_labelled_with(finished, tmp_path):
    done = run(protocol("record={weights: 1}", "arms={control: {}}", "measure=[spike_rates]"),
               options=Options(out=str(tmp_path), jobs=1))  # fmt: skip
    step = done.read(0, "control", "weights/step")
    weights = done.read(0, "control", "weights/feedback_into0")
    assert sorted(set(step)) == [0, 11, 22, 33, 43, 53, 63]
    distinct = [not np.array_equal(a, b) for a, b in itertools.pairwise(weights)]
    assert sum(distinct) == 6
    for path in ("spikes/time", "neuromodulators/ach"):  # looking must not change what is seen
        assert np.array_equal(done.read(0, "control", path), finished.read(0, "control", path))
    ends = finished.read(0, "control", "weights/step")
    kept = finished.read(0, "control", "weights/feedback_into0")
    for when, found in zip(ends, kept, strict=True):
        assert np.array_equal(found, weights[step == when][0])


def test_a_fault_inside_brian2_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(Cortex, "simulate", lambda *a, **k: 1 / 0)
    with pytest.raises(NeuroAWSError, match="Brian2 could not go on after step 0"):
        run(protocol(), options=Options(out=str(tmp_path), jobs=1))


def test_an_inactivated_eye_is_silent(tmp_path):
    text = """
schema_version: 3
name: eyes
backend: spiking
stimulus: {source: patches, size: 4, eyes: binocular, count: 200, held_out: 50}
network: {layers: [32, 8, 4]}
algorithm: {name: adversarial_wake_sleep, credit: scalar}
spiking: {target: numpy, segment: 1, ach_units: 8}
schedule: [{name: training, cycles: 2, phases: [{wake: 5}, {rem: 5}]}]
arms: {control: {perturb: [{inactivate_eye: {eye: right}, in: training}]}}
measure: [ocular_dominance]
"""
    done = run(Protocol.from_text(text), options=Options(out=str(tmp_path), jobs=1))
    counts = done.read(0, "control", "counts/layer0")
    phase = done.read(0, "control", "neuromodulators/phase")
    assert counts[phase == 0][:, 16:].sum() == 0
    assert counts[phase == 0][:, :16].sum() > 0


def test_a_broken_state_is_named(tmp_path):
    checkpoint.save(tmp_path / "a.npz", {"w": np.arange(3)}, {"step": 4})
    arrays, facts = checkpoint.load(tmp_path / "a.npz")
    assert facts["step"] == 4
    assert np.array_equal(arrays["w"], np.arange(3))
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:40])
    with pytest.raises(NeuroAWSError, match="cannot be read"):
        checkpoint.load(tmp_path / "b.npz")


REFUSED = [
    ("network: {layers: [64, 12, 6]}", "network: {layers: [64, 12, 6], transfer: tanh}", "network.transfer"),
    ("credit: scalar", "credit: layer", "algorithm.credit"),
    ("{name: adversarial_wake_sleep, credit: scalar}", "{name: wake_sleep}", "algorithm.name"),
    ("held_out: 50}", "held_out: 50, batch: 32}", "stimulus.batch"),
    ("segment: 1,", "segment: 0.15,", "spiking"),
    ("segment: 1,", "dt: 0.3,", "spiking.dt"),
    ("target: numpy", "target: cpp_standalone", "spiking.prior"),
    ("segment: 1,", "tick: 7,", "spiking"),
    ("clamp: {neuromodulator: ach}", "clamp: {neuromodulator: ach, level: 1.0}", "clamp.level"),
    ("ids: [0, 3]", "ids: [0, 12]", "spiking.traces[0].ids"),
    ("layer: 1, ids: [0, 3]", "layer: 3, ids: [0]", "spiking.traces[0].layer"),
    ("clamp: {neuromodulator: ach}", "yoke: {teaching: shuffled}", "arms.clamped.perturb[0].yoke"),
    ("measure: [spike_targets", "measure: [linear_probe", "measure"),
    ("measure: [spike_targets", "measure: [single_neuron", "measure"),
    ("network: {layers: [64, 12, 6]}", "network: {layers: [64, 6000, 6]}", "network.layers"),
    ("measure:", "watch: {every: 1}\nmeasure:", "watch"),
    ("backend: spiking", "backend: rate", "spiking"),
    ("backend: spiking", "backend: spikes", "backend"),
    ("classes: [0, 1]", "classes: [0, 11]", "stimulus.digits.classes"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "where"), REFUSED)
def test_what_makes_no_sense_in_spikes_is_refused(old, new, where):
    assert old in TEXT
    with pytest.raises(ProtocolError) as refused:
        Protocol.from_text(TEXT.replace(old, new, 1), "small")
    assert any(where.split(".")[-1] in fault for fault in refused.value.faults), (
        refused.value.faults
    )


def test_a_resolved_protocol_is_a_protocol():
    spec = yaml.safe_load(protocol().resolved())
    assert Protocol.from_text(yaml.safe_dump(spec), "again").spec == protocol().spec


def test_a_single_neuron_keeps_its_weights_within_their_bounds(tmp_path):
    """What it learns is held by its protocol's expectations (tests/end_to_end/test_shipped.py)."""
    path = ROOT / "protocols" / "spiking_urbanczik_senn.yaml"
    fast = [
        "schedule.0.phases=[{wake: 1}]",
        "schedule.1.cycles=10",
        "schedule.2.phases=[{wake: 1}]",
        "spiking.learning.feedback=0.1",
        "spiking.target=numpy",
    ]
    done = run(Protocol.load(path, fast), options=Options(out=str(tmp_path), jobs=1, seeds=1))
    weights = done.read(0, "control", "weights/feedback_into0")
    assert weights.min() == 0
    assert 0.999 < weights.max() / LARGEST_WEIGHT < 1 + 1e-6
    looked = command("inspect", str(done.folder))
    steps = done.protocol.tree.arms["control"].schedule.steps
    assert f"s0/control: {steps} steps recorded" in looked.stdout, looked.stderr


@pytest.mark.slow
def test_rem_silencing_silences_waking_cells_by_way_of_ach(tmp_path):
    path = ROOT / "protocols" / "spiking_critical_period.yaml"
    arms = ("control", "rem_silenced", "rem_silenced_ach_clamped")
    done = run(path, options=Options(out=str(tmp_path), jobs=2, seeds=2, arms=arms))
    rows = done.metrics.query("name == 'target_rate_relative'")
    last = rows[rows.step == rows.step.max()].groupby("arm")["value"].mean()
    assert last["rem_silenced"] < 0.6
    assert last["rem_silenced_ach_clamped"] > 0.8
    assert last["control"] > 0.75

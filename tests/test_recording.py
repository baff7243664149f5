"""What is recorded, how it is laid out, and that a killed run leaves it readable and resumable."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from neuro_aws import Options, open_run, run
from neuro_aws.comparison import bits
from neuro_aws.errors import NeuroAWSError
from neuro_aws.life import Life, Place, lock
from neuro_aws.protocol import Protocol
from neuro_aws.recording.layout import layout
from neuro_aws.recording.parts import Rows, drop_after, gather, merge_intervals, parts
from neuro_aws.runner import Stopped, resume
from tests.conftest import TINY


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    protocol = Protocol.from_text(TINY, "tiny.yaml")
    return run(protocol, options=Options(out=str(tmp_path_factory.mktemp("runs")), jobs=1))


def test_the_folder_holds_what_the_design_says(finished):
    names = {str(p.relative_to(finished.folder)) for p in finished.folder.rglob("*") if p.is_file()}
    for name in (
        "protocol.yaml",
        "resolved.yaml",
        "provenance.json",
        "recording.h5",
        "metrics.json",
        "metrics.csv",
        "run.log",
        "figures/outcomes.png",
        "checkpoints/s0/control.pt",
    ):
        assert name in names
    assert not any(n.startswith("parts") or n.endswith((".tmp", ".resume.pt")) for n in names)
    data = finished.provenance
    assert data["outcome"] == "finished"
    assert data["libraries"]["torch"] == torch.__version__
    assert {"git", "device", "threads", "command", "platform", "started", "ended"} <= data.keys()
    assert (finished.folder / "protocol.yaml").read_text() == TINY


def test_every_dataset_is_described_and_time_is_axis_0(finished):
    with h5py.File(finished.folder / "recording.h5") as file:
        assert file.attrs["format_version"] == 1
        assert bool(file.attrs["complete"])
        found = []
        file["s0/control"].visititems(
            lambda n, d: found.append((n, d)) if isinstance(d, h5py.Dataset) else None
        )
        assert {n for n, _ in found} == {c.path for c in layout(finished.protocol.spec)}
        for _, dataset in found:
            assert dataset.attrs["units"]
            assert dataset.attrs["description"]
            assert dataset.maxshape[0] is None
        assert len(file["s0/control/neuromodulators/ach"]) == 28
        assert len(file["s0/common_life/neuromodulators/ach"]) == 42


def test_what_is_recorded_is_what_happened(finished, tmp_path):
    """Live the same steps by hand and compare signal by signal."""
    protocol = Protocol.from_text(TINY, "tiny.yaml")
    life = Life(protocol, Place(tmp_path, 0, "common_life"), torch.device("cpu"))
    traces = finished.traces(0, "control")
    for step in range(20):
        before = [t.clone() for t in life.animal.network.layers[0].feedforward]
        life.engine.observers = ()
        moment = life.engine.step(step)
        row = traces.sel(step=step)
        assert float(row.ach) == pytest.approx(float(moment.ach.level.mean()), rel=1e-5)
        assert float(row.gate) == float(moment.ach.gate)
        assert finished.phase_codes()[int(row.phase)] == moment.spec.phase
        moved = [
            a - b for a, b in zip(life.animal.network.layers[0].feedforward, before, strict=True)
        ]
        length = float(sum(m.square().sum() for m in moved)) ** 0.5
        assert float(row.layer1_feedforward_applied) == pytest.approx(length, rel=1e-3, abs=1e-7)
        teaching = float(moment.ach.teaching[1].square().sum(1).mean()) ** 0.5
        teaching *= moment.spec.phase == "wake"
        assert float(row.layer1_teaching) == pytest.approx(teaching, rel=1e-5)


def test_traces_are_labelled_arrays_over_the_whole_life(finished):
    traces = finished.traces(0, "rem_silenced")
    assert traces.step.values.tolist() == list(range(70))
    assert traces.ach.attrs["units"] == "D"
    assert finished.activity(0, "control", 1).soma.dims == ("step", "unit")
    weights = finished.weights(0, "control")
    assert weights.feedforward_into1.shape[1:] == (20, 64)
    assert weights.step.values.tolist() == [0, 42, 42, 70]
    metrics = finished.metrics
    assert set(metrics.columns) >= {"animal", "arm", "period", "step", "name", "value"}
    onset = metrics[(metrics.name == "target_activity_relative") & (metrics.step == 42)]
    assert onset.value.tolist() == [1.0, 1.0]
    with pytest.raises(NeuroAWSError, match="no arm"):
        finished.traces(0, "nobody")
    with pytest.raises(NeuroAWSError, match="no animal"):
        finished.traces(9, "control")


def test_phases_and_perturbations_are_intervals(finished):
    phases = finished.intervals(0, "rem_silenced", "phases")
    assert phases.start[0] == 0
    assert (phases.start[1:].to_numpy() == phases.stop[:-1].to_numpy()).all()
    assert phases.stop.iloc[-1] == 70
    assert set(phases.label) == {"wake", "nrem", "rem"}
    perturbed = finished.intervals(0, "rem_silenced", "perturbations")
    assert perturbed.values.tolist() == [[42, 70, "silence targets=cells in rem"]]
    assert len(finished.intervals(0, "control", "perturbations")) == 0


def test_intervals_cut_by_a_flush_are_joined():
    rows: Rows = {
        "t/start": np.array([0, 5, 7]),
        "t/stop": np.array([5, 7, 9]),
        "t/label": np.array([b"a", b"a", b"b"]),
    }
    merge_intervals(rows, "t")
    assert rows["t/start"].tolist() == [0, 7]
    assert rows["t/stop"].tolist() == [7, 9]


def test_two_perturbations_are_in_the_same_order_however_often_rows_were_flushed():
    whole: Rows = {
        "t/start": np.array([0, 0]),
        "t/stop": np.array([5, 9]),
        "t/label": np.array([b"z", b"a"]),
    }
    cut: Rows = {
        "t/start": np.array([0, 0, 3, 3]),
        "t/stop": np.array([3, 3, 5, 9]),
        "t/label": np.array([b"a", b"z", b"z", b"a"]),
    }
    merge_intervals(whole, "t")
    merge_intervals(cut, "t")
    for key in whole:
        assert whole[key].tolist() == cut[key].tolist()


def test_every_so_often_sees_every_phase(tmp_path):
    text = TINY.replace("record:\n", "record:\n  ach: {every: 2}\n  plasticity: {every: 4}\n")
    finished = run(
        Protocol.from_text(text), options=Options(out=str(tmp_path), jobs=1, arms=("control",))
    )
    phases = finished.read(0, "control", "neuromodulators/phase")
    assert set(phases.tolist()) == {0, 1, 2}
    assert len(phases) == 30 // 2 + 10 // 2 + 30 // 2
    assert set(finished.read(0, "control", "plasticity/phase").tolist()) == {0, 1, 2}
    assert {0, 2} <= set(finished.traces(0, "control").phase.values.tolist())


def test_overrides_stay_with_the_protocol(tmp_path):
    protocol = Protocol.from_text(TINY, "tiny.yaml", ["schedule.0.cycles=2"])
    options = Options(out=str(tmp_path), jobs=1, arms=("control",))
    finished = run(protocol, overrides=["network.noise.scale=0.1"], options=options)
    assert len(finished.read(0, "common_life", "neuromodulators/step")) == 14
    assert finished.protocol.spec.network.noise.scale == 0.1
    assert finished.provenance["overrides"] == ["schedule.0.cycles=2", "network.noise.scale=0.1"]


def test_an_arm_of_another_size_has_cells_of_its_own(tmp_path):
    text = TINY.replace(
        "  control: {}",
        "  control: {}\n  wide:\n    birth: {network.layers: [64, 40, 6]}\n"
        "    perturb: [{silence: {targets: cells}, during: rem, in: critical_period}]",
    )
    finished = run(
        Protocol.from_text(text), options=Options(out=str(tmp_path), jobs=1, arms=("wide",))
    )
    assert finished.activity(0, "wide", 1).soma.shape[1] == 40


def test_a_second_process_does_not_touch_a_run_that_has_just_finished(finished):
    before = (finished.folder / "recording.h5").read_bytes()
    with pytest.raises(NeuroAWSError, match="has finished"):
        resume(finished.folder)
    assert (finished.folder / "recording.h5").read_bytes() == before


def test_silenced_arm_differs_and_common_life_is_shared(finished):
    a, b = (finished.traces(0, arm).ach.values for arm in ("control", "rem_silenced"))
    assert np.array_equal(a[:42], b[:42])
    assert not np.array_equal(a[43:], b[43:])


def test_an_arm_is_the_same_alone_and_beside_the_others(finished, tmp_path):
    alone = run(finished.protocol, options=Options(out=str(tmp_path), arms=("control",), jobs=1))
    lines = list(bits(finished, alone))
    assert len(lines) == 2
    assert all("identical" in line for line in lines)
    other = run(finished.protocol, options=Options(out=str(tmp_path), seed=1, jobs=1))
    assert list(bits(finished, other)) == []


def test_in_one_process_or_in_two_the_same_bits(finished, tmp_path):
    spread = run(finished.protocol, options=Options(out=str(tmp_path), jobs=2))
    assert all("identical" in line for line in bits(finished, spread))
    assert len(list(bits(finished, spread))) == 3


@pytest.mark.parametrize("stop_at", [1, 7, 29, 41])
def test_a_segment_stopped_anywhere_goes_on_to_the_same_bits(tmp_path, tiny, stop_at):
    def segment(folder: Path) -> Life:
        return Life(tiny, Place(folder, 0, "common_life"), torch.device("cpu"), save_seconds=1e9)

    whole = segment(tmp_path / "whole")
    assert whole.run(lambda: False, lambda n, note: None)
    broken = segment(tmp_path / "broken")
    broken._take_up()
    while broken.step < stop_at:
        moment = broken.engine.step(broken.step)
        broken.step += 1
        if moment.spec.last:
            broken._cycle_lived(moment.spec)
    broken._save(broken.place.rolling)
    for _ in range(3):  # lived on, and lost: written after the checkpoint
        broken.engine.step(broken.step)
        broken.step += 1
    broken.recorder.flush()
    again = segment(tmp_path / "broken")
    assert again.run(lambda: False, lambda n, note: None)
    columns = layout(tiny.spec)
    a, b = (gather(life.place.parts, columns) for life in (whole, again))
    for table in ("phases", "perturbations"):
        merge_intervals(a, f"intervals/{table}")
        merge_intervals(b, f"intervals/{table}")
    for column in columns:
        assert a[column.path].tobytes() == b[column.path].tobytes(), column.path
    states = [life.animal.network.state_dict() for life in (whole, again)]
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])


def start(folder: Path, *more: str) -> subprocess.Popen:
    (folder / "p.yaml").write_text(
        TINY.replace("cycles: 6", "cycles: 150").replace("cycles: 4", "cycles: 150")
    )
    return subprocess.Popen(
        [sys.executable, "-m", "neuro_aws", "run", "p.yaml", "--save-every", "0.2", *more],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run_folder(folder: Path) -> Path:
    return next((folder / "runs" / "tiny").iterdir())


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    assert start(folder, "--jobs", "1").wait(300) == 0
    return open_run(run_folder(folder))


def kill_and_resume(folder: Path, jobs: str, delay: float) -> Path:
    process = start(folder, "--jobs", jobs)
    deadline = time.time() + 120
    while not list(folder.glob("runs/tiny/*/parts/*/*/part_00001.h5")):
        assert time.time() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    time.sleep(delay)
    os.kill(process.pid, signal.SIGKILL)  # the workers, if any, notice by themselves
    process.wait()
    found = run_folder(folder)
    with h5py.File(found / "recording.h5", "r") as file:
        assert len(file["s0/common_life/neuromodulators/ach"]) > 0
    if json.loads((found / "provenance.json").read_text())["outcome"] != "finished":
        resume(found, options=Options(jobs=int(jobs)))
    return found


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_run_killed_at_a_random_moment_resumes_to_the_same_bits(tmp_path, unbroken, jobs):
    found = kill_and_resume(tmp_path, jobs, random.random() * 1.0)
    lines = list(bits(unbroken, open_run(found)))
    assert len(lines) == 3
    assert all("identical" in line for line in lines), lines
    a, b = unbroken.metrics, open_run(found).metrics
    assert a.equals(b)


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(10))
def test_killed_again_and_again(tmp_path, unbroken, attempt):
    found = kill_and_resume(tmp_path, str(1 + attempt % 2), random.random() * 3.0)
    assert all("identical" in line for line in bits(unbroken, open_run(found)))


def test_ctrl_c_stops_cleanly_and_says_how_to_resume(tmp_path, unbroken):
    process = start(tmp_path, "--jobs", "2")
    while not list(tmp_path.glob("runs/tiny/*/parts/*/*/part_00000.h5")):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "neuro-aws run --resume" in errors
    assert "Traceback" not in errors
    found = run_folder(tmp_path)
    assert json.loads((found / "provenance.json").read_text())["outcome"] == "stopped"
    done = resume(found, options=Options(jobs=1))
    assert all("identical" in line for line in bits(unbroken, done))
    with pytest.raises(NeuroAWSError, match="has finished"):
        resume(found)


def test_from_python_stopping_raises_stopped(tmp_path, tiny):
    class StopAtOnce:
        def begin(self, run, expected, steps):
            os.kill(os.getpid(), signal.SIGINT)

        def update(self, task, steps, note): ...

        def end(self): ...

    long = Protocol.from_text(TINY.replace("cycles: 6", "cycles: 400"))
    with pytest.raises(Stopped, match="--resume"):
        run(long, options=Options(out=str(tmp_path), jobs=1), progress=StopAtOnce())


def test_two_processes_cannot_run_one_folder(tmp_path):
    with (
        lock(tmp_path / "x.lock", "this"),
        pytest.raises(NeuroAWSError, match="another process"),
        lock(tmp_path / "x.lock", "this", seconds=0.2),
    ):
        pass


def test_a_broken_checkpoint_is_named(tmp_path, tiny):
    place = Place(tmp_path, 0, "common_life")
    place.rolling.parent.mkdir(parents=True)
    place.rolling.write_bytes(b"not a checkpoint")
    life = Life(tiny, place, torch.device("cpu"))
    with pytest.raises(NeuroAWSError, match="checkpoint cannot be read"):
        life.run(lambda: False, lambda n, note: None)


def test_parts_after_the_checkpoint_are_dropped(tmp_path, tiny):
    life = Life(tiny, Place(tmp_path, 0, "common_life"), torch.device("cpu"))
    life._take_up()
    for _ in range(3):
        life.engine.step(life.step)
        life.step += 1
        life.recorder.flush()
    assert len(parts(life.place.parts)) == 3
    drop_after(life.place.parts, 1, life.recorder.columns)
    assert len(parts(life.place.parts)) == 1
    with h5py.File(life.place.parts / "master.h5") as file:
        assert file["neuromodulators/step"][...].tolist() == [0]


def test_diverging_weights_stop_the_run_with_a_reason(tmp_path):
    text = TINY.replace(
        "targets:\n", "algorithm: {feedback: {rate: 10, optimiser: sgd}}\ntargets:\n"
    )
    text = text.replace("[64, 20, 6],", "[64, 20, 6], normalisation: none, bottom: linear,")
    text = text.replace("- ach_gap", "- ach_gap\n  - linear_probe")
    with pytest.raises(NeuroAWSError, match="no longer finite"):
        run(Protocol.from_text(text), options=Options(out=str(tmp_path), jobs=1))

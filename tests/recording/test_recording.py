"""What is recorded, how it is laid out, and that a killed run leaves it readable and resumable."""

import sys
from importlib import metadata

import h5py
import numpy as np
import pytest
import torch

from neuro_aws import Options, run
from neuro_aws.backends.base import make
from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.compare import bits
from neuro_aws.experiment.run import resume
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.branches import TRUNK
from neuro_aws.protocol.columns import layout
from neuro_aws.recording.parts import Rows, gather, merge_intervals
from neuro_aws.recording.provenance import provenance
from tests.branches import OneStep, branch, finish, stop
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
        "checkpoints/s0/control.npz",
    ):
        assert name in names
    assert not any(n.startswith("parts") or n.endswith((".tmp", ".resume.npz")) for n in names)
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
        assert len(file["s0/common/neuromodulators/ach"]) == 42


def test_what_is_recorded_is_what_happened(finished, tmp_path):
    """Make the same steps by hand and compare signal by signal."""
    protocol = Protocol.from_text(TINY, "tiny.yaml")
    compiled = finished.provenance["step"] == "compiled"
    simulator = make(protocol, TRUNK, 0, compiled=compiled)
    traces = finished.traces(0, "control")
    for step in range(20):
        before = [t.clone() for t in simulator.animal.network.layers[0].feedforward]
        moment = simulator.engine.step(step)
        row = traces.sel(step=step)
        assert float(row.ach) == pytest.approx(float(moment.ach.level.mean()), rel=1e-5)
        assert float(row.gate) == float(moment.ach.gate)
        assert finished.phase_codes()[int(row.phase)] == moment.spec.phase
        moved = [
            a - b
            for a, b in zip(simulator.animal.network.layers[0].feedforward, before, strict=True)
        ]
        length = float(sum(m.square().sum() for m in moved)) ** 0.5
        assert float(row.layer1_feedforward_applied) == pytest.approx(length, rel=1e-3, abs=1e-7)
        teaching = float(moment.ach.teaching[1].square().sum(1).mean()) ** 0.5
        teaching *= moment.spec.phase == "wake"
        assert float(row.layer1_teaching) == pytest.approx(teaching, rel=1e-5)


def test_traces_are_labelled_arrays_over_the_whole_run(finished):
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
    assert len(finished.read(0, "common", "neuromodulators/step")) == 14
    assert finished.protocol.spec.network.noise.scale == 0.1
    assert finished.provenance["overrides"] == ["schedule.0.cycles=2", "network.noise.scale=0.1"]


def test_an_arm_of_another_size_has_cells_of_its_own(tmp_path):
    text = TINY.replace(
        "  control: {}",
        "  control: {}\n  wide:\n    initial: {network.layers: [64, 40, 6]}\n"
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


def test_silenced_arm_differs_and_the_steps_before_the_branch_are_shared(finished):
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


HELD = ("network.homeostasis={over: time, steps: 5}", "record.homeostasis.every=3")


@pytest.mark.parametrize(
    ("stop_at", "more"), [(0, ()), (1, ()), (7, ()), (29, ()), (41, ()), (8, HELD), (29, HELD)]
)
def test_a_branch_stopped_anywhere_goes_on_to_the_same_bits(tmp_path, tiny, stop_at, more):
    tiny = tiny.changed(more)
    whole = finish(branch(tiny, tmp_path / "whole"))
    broken = stop(branch(tiny, tmp_path / "broken", pace=OneStep(1e9)), stop_at)
    assert broken.step == stop_at
    for step in range(stop_at, stop_at + 1):  # simulated and lost: written after the checkpoint
        broken.simulator.advance(step, step + 1, broken.out, lambda: False)
    broken.out.flush(stop_at + 1)
    again = finish(branch(tiny, tmp_path / "broken"))
    columns = layout(tiny.spec)
    a, b = (gather(one.place.parts, columns) for one in (whole, again))
    for table in ("phases", "perturbations"):
        merge_intervals(a, f"intervals/{table}")
        merge_intervals(b, f"intervals/{table}")
    for column in columns:
        assert a[column.path].tobytes() == b[column.path].tobytes(), column.path
    states = [one.simulator.state_dict() for one in (whole, again)]
    assert states[0].keys() == states[1].keys()
    assert all(np.array_equal(states[0][k], states[1][k], equal_nan=True) for k in states[0])


def test_homeostasis_is_recorded_as_the_network_has_it(tiny, tmp_path):
    held = tiny.changed([*HELD, "record.homeostasis.every=1"])
    done = finish(branch(held, tmp_path))
    found = gather(done.place.parts, layout(held.spec))
    network, here = done.simulator.animal.network, "homeostasis"
    steps, phases = found[f"{here}/step"], found["neuromodulators/phase"]
    assert len(steps) > 3
    assert not phases[np.isin(found["neuromodulators/step"], steps)].any()  # wake is 0
    final = {
        "layer1/soma": network.layers[0].homeostats.soma,
        "layer1/dendrite": network.layers[1].homeostats.dendrite,
        "layer1/dream": network.layers[1].homeostats.dream,
        "layer2/soma": network.layers[1].homeostats.soma,
    }
    assert {p for p in found if p.startswith(here) and "_" in p} == {
        f"{here}/{name}_{moment}" for name in final for moment in ("mean", "variance")
    }
    for name, homeostat in final.items():
        for moment, now in zip(("mean", "variance"), homeostat.kept, strict=True):
            recorded = found[f"{here}/{name}_{moment}"]
            assert recorded.shape == (len(steps), len(now))
            assert len(np.unique(recorded, axis=0)) > len(steps) // 2  # rows are not views of one
            if not name.endswith("dream"):  # REM comes after the last wake step
                assert np.array_equal(recorded[-1], now.numpy())
    threshold = found[f"{here}/layer1/threshold"][-1]
    assert np.array_equal(threshold, network.layers[0].feedforward[1].numpy())


def test_a_loaded_library_names_its_build(monkeypatch):
    monkeypatch.setattr(sys.modules["h5py"], "__version__", "3.0+built")
    monkeypatch.delitem(sys.modules, "brian2", raising=False)
    libraries = provenance({})["libraries"]
    assert libraries["h5py"] == "3.0+built"
    assert libraries["brian2"] == metadata.version("brian2")

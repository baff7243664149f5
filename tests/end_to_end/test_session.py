"""A session in Python gives the numbers of the command's run, and looking changes nothing."""

import re

import numpy as np
import pytest

from neuro_aws import Options, Protocol, Session, run
from neuro_aws.errors import NeuroAWSError
from tests.conftest import ROOT, TINY
from tests.spiking import TEXT as SPIKING

NEURON = (ROOT / "protocols" / "spiking_urbanczik_senn.yaml").read_text()
NEURON_SHORT = ("schedule.0.cycles=1", "spiking.target=numpy", "spiking.segment=2", "expect=[]")


def tiny(arm: str = "control", **more) -> Session:
    return Session(Protocol.from_text(TINY, "tiny.yaml"), arm=arm, **more)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    protocol = Protocol.from_text(TINY, "tiny.yaml")
    return run(protocol, options=Options(out=str(tmp_path_factory.mktemp("run")), jobs=1))


@pytest.mark.parametrize("arm", ["control", "rem_silenced"])
def test_a_session_gives_the_numbers_of_a_run_step_by_step(finished, arm):
    s = tiny(arm)
    probes = {name: s.probe(name) for name in ("ach", "release", "gate")}
    soma, dendrite = s.probe("activity", layer=1, every=3), s.probe("dendrite", layer=1, every=3)
    assert s.step(50) == 50
    assert s.step(20) == s.steps == 70
    traces = finished.traces(0, arm)
    for name, probe in probes.items():
        assert probe.data.dims == ("step",)
        assert np.array_equal(probe.data.values.astype("f4"), traces[name].values.astype("f4"))
    recorded = finished.activity(0, arm, 1)
    shared = sorted(set(recorded.step.values) & set(soma.data.step.values))
    assert len(shared) > 5
    for name, probe in (("soma", soma), ("dendrite", dendrite)):
        a, b = recorded[name].sel(step=shared).values, probe.data.sel(step=shared).values
        assert np.array_equal(a, b.astype("f4"))
    kept = finished.weights(0, arm)
    for name in s.weights:
        assert np.array_equal(s.weights[name].values.astype("f4"), kept[name].values[-1]), name
    assert float(s.ach) == pytest.approx(float(traces.ach[-1]), rel=1e-6)
    assert s.ach.attrs["units"] == probes["ach"].data.attrs["units"] == "D"


def test_looking_consumes_nothing_and_changes_nothing():
    plain, looked = tiny(), tiny()
    for _ in range(4):
        plain.step(12)
        looked.step(12)
        looked.present(layer=2)
        looked.present(np.zeros((3, 8, 8)), layer=1, noise=True)
        looked.dream(5)
        looked.measure("ach_gap")
        copy = looked.weights["feedforward_into1"].values
        copy[:] = 7
    a, b = plain._simulator.state_dict(), looked._simulator.state_dict()
    assert a.keys() == b.keys()
    assert all(np.array_equal(a[k], b[k]) for k in a)


def test_callbacks_and_probes_can_come_and_go():
    s, seen = tiny(), []
    end = s.on_step(lambda session: seen.append((session.steps, session.phase)))
    s.step(3)
    end()
    s.step(3)
    assert [n for n, _ in seen] == [1, 2, 3]
    assert [str(p) for _, p in seen] == ["wake", "rem", "wake"]
    samples = s.probe("soma", layer=2, samples=True)
    s.step(2)
    assert samples.data.dims == ("step", "sample", "unit")
    assert samples.data.shape == (2, 16, 6)
    assert samples.data.step.values.tolist() == [6, 7]


def test_weights_write_through_and_are_read_as_copies():
    s = tiny()
    s.step(5)
    before = s.weights["feedforward_into1"].values
    s.weights["feedforward_into1"][[2, 4]] = 0
    after = s.weights["feedforward_into1"].values
    assert not after[[2, 4]].any()
    rest = [i for i in range(20) if i not in (2, 4)]
    assert np.array_equal(after[rest], before[rest])
    shown = s.present(layer=1)  # a bias alone drives the two cells: they tell stimuli no more
    assert float(shown[:, [2, 4]].std("sample").max()) < float(shown[:, rest].std("sample").mean())
    s.weights["feedforward_into1_bias"] = np.full(20, -50.0)
    assert not s.present(layer=1).any()
    assert s.weights["feedback_into0"].data.dims == ("post", "pre")


def test_silencing_acts_from_the_next_step_on_in_its_phase_until_it_ends():
    s = tiny()
    s.step(2)
    end = s.silence(layer=1, ids=[3, 5], during="rem")
    soma = s.probe("soma", layer=1, samples=True)
    s.step(4)
    end()
    s.step(2)
    fired = soma.data[:, :, [3, 5]].max(["sample", "unit"]).values
    phases = [str(s._plan.schedule(k).phase) for k in range(2, 8)]
    assert phases == ["wake", "rem", "wake", "rem", "nrem", "wake"]
    assert fired[1] == fired[3] == 0
    assert all(fired[k] > 0 for k in (0, 2, 4, 5))


def test_silencing_by_hand_is_the_arm_that_silences(finished):
    s = tiny()
    s.step(42)
    cells = s.protocol.targets(0)["cells"].ids
    s.silence(layer=1, ids=list(cells), during="rem")
    s.step(28)
    kept = finished.weights(0, "rem_silenced").feedforward_into1.values[-1]
    assert np.array_equal(s.weights["feedforward_into1"].values, kept)


@pytest.mark.parametrize("at", [7, 50])
def test_a_saved_session_goes_on_to_the_same_bits(tmp_path, at):
    whole = tiny()
    whole.step(at)
    whole.save(tmp_path / "state.pt")
    again = Session.load(tmp_path / "state.pt", whole.protocol)
    assert again.steps == at
    for s in (whole, again):
        s.step(70 - at)
    a, b = whole._simulator.state_dict(), again._simulator.state_dict()
    assert all(np.array_equal(a[k], b[k]) for k in a)


def test_a_session_starts_from_what_a_run_left(finished):
    s = Session.from_run(finished.folder, 0, "rem_silenced", state="branch")
    assert s.steps == 42
    s.step(28)
    end = Session.from_run(finished, 0, "rem_silenced")
    assert end.steps == 70
    for name in end.weights:
        assert np.array_equal(s.weights[name].values, end.weights[name].values)
    found = end.measure("target_cells").set_index(["name", "group"])["value"]
    recorded = finished.metrics.query("arm == 'rem_silenced' and step == 70 and group == 'cells'")
    for name, value in recorded.set_index("name")["value"].items():
        assert found[name, "cells"] == pytest.approx(value, abs=0, nan_ok=True)


def fault(act) -> str:
    with pytest.raises(NeuroAWSError) as caught:
        act()
    text = str(caught.value)
    assert "\n" not in text
    return text


FAULTS = [
    (lambda s: s.step(71), r"70 steps, 70 of them are left, not 71"),
    (lambda s: s.step(0), r"step\(0\)"),
    (lambda s: s.ach, "nothing has been simulated yet"),
    (lambda s: s.present(np.zeros((2, 63)), layer=1), "64 pixels"),
    (lambda s: s.present(np.full((2, 64), np.nan), layer=1), "64 pixels"),
    (lambda s: s.present(layer=9), "Layers: 0 to 2"),
    (lambda s: s.weights["feedforward"], "feedforward_into1"),
    (lambda s: s.weights["feedforward_into1"].__setitem__(99, 0), r"Shape: \(20, 64\)"),
    (lambda s: s.weights["feedforward_into1"].__setitem__(0, np.inf), "finite"),
    (lambda s: s.silence(layer=1, ids=[20]), "units 0 to 19, not 20"),
    (lambda s: s.silence(layer=7, ids=[1]), "no layer 7"),
    (lambda s: s.perturb({"silense": {"layer": 1}}), "silence"),
    (lambda s: s.probe("activity", layer=1, every=0), "every 0 steps"),
    (lambda s: (s.probe("voltage"), s.step()), "no signal 'voltage'"),
    (lambda s: Session(s.protocol, arm="nobody"), "Arms: control, rem_silenced"),
]


@pytest.mark.parametrize(("act", "words"), FAULTS, ids=[w for _, w in FAULTS])
def test_what_is_wrong_is_told_in_one_line(act, words):
    assert re.search(words, fault(lambda: act(tiny())))


def test_a_layer_that_is_not_there_is_refused_at_once_in_words_of_the_session():
    s = tiny()
    assert fault(lambda: s.probe("activity", layer=9)) == "probe: no layer 9. Layers: 0 to 2"
    said = fault(lambda: s.silence(layer=9, ids=[0]))
    assert "--set" not in said
    assert "no layer 9" in said


def test_a_spiking_session_goes_from_block_to_block(tmp_path):
    protocol = Protocol.from_text(SPIKING, "small")
    options = Options(out=str(tmp_path), jobs=1, arms=("silenced",))
    finished = run(protocol, options=options)
    s = Session(protocol, arm="silenced")
    ach, counts = s.probe("ach"), s.probe("soma", layer=1)
    words = fault(lambda: s.step(15))
    assert "a block of spikes ends at step 10 or 20, not at 15" in words
    s.step(10)
    assert "would disturb" in fault(lambda: s.present(layer=1))
    assert "would disturb" in fault(lambda: s.dream(3))
    s.step(s.protocol.tree.arms["silenced"].stop - 10)
    traces = finished.traces(0, "silenced")
    assert np.array_equal(ach.data.values, traces.ach.values)
    assert ach.data.attrs["units"] == "logit"
    assert np.array_equal(counts.data.values, finished.read(0, "silenced", "counts/layer1"))
    kept = finished.read(0, "silenced", "weights/feedback_into0")[-1]
    assert np.array_equal(s.weights["feedback_into0"].values.astype("f4"), kept)
    s.weights["feedforward_into1"][3] = 0.25
    assert (s.weights["feedforward_into1"].values[3] == 0.25).all()
    assert not (s.weights["feedforward_into1"].values[2] == 0.25).any()


def test_a_spiking_session_silences_and_is_saved(tmp_path):
    protocol = Protocol.from_text(SPIKING, "small")
    s = Session(protocol, arm="control")
    s.step(10)
    s.silence(layer=1, ids=[0, 5])
    s.save(tmp_path / "state.npz")
    again = Session.load(tmp_path / "state.npz", protocol)
    again.silence(layer=1, ids=[0, 5])
    probes = [session.probe("soma", layer=1) for session in (s, again)]
    for session in (s, again):
        session.step(10)
    assert np.array_equal(probes[0].data, probes[1].data)
    assert int(probes[0].data[:, [0, 5]].sum()) == 0
    assert int(probes[0].data.sum()) > 0


def test_a_single_neuron_has_potentials_and_weights():
    s = Session(Protocol.from_text(NEURON, "neuron", NEURON_SHORT))
    soma = s.probe("soma")
    s.step(10)
    assert soma.data.dims == ("step", "time")
    assert soma.data.shape[0] == 10
    assert soma.data.attrs["units"] == "15 mV"
    assert "no signal 'ach'" in fault(lambda: s.ach)
    s.weights["feedback_into0"][...] = 0.1
    assert (s.weights["feedback_into0"].values == 0.1).all()

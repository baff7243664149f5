"""What is recorded of single stimuli: off unless asked for, and then what happened."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from neuro_aws import Options, run
from neuro_aws.backends.base import make
from neuro_aws.backends.rate.distributed import Team
from neuro_aws.backends.rate.samples import put_samples
from neuro_aws.errors import NeuroAWSError, ProtocolError
from neuro_aws.experiment.compare import bits
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.branches import TRUNK
from neuro_aws.protocol.columns import layout
from neuro_aws.protocol.rate_cost import recording_bytes, wake_share
from neuro_aws.recording.parts import gather
from tests.branches import OneStep, branch, finish, stop
from tests.conftest import TINY
from tests.reference.team_run import Kept

EVERY = "record.samples={every: 4}"
TEACHING = ("layer1_teaching", "layer2_teaching")


def recorded(folder, *overrides: str):
    protocol = Protocol.from_text(TINY, "tiny.yaml", overrides)
    return run(protocol, options=Options(out=str(folder), jobs=1, arms=("control",)))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return recorded(tmp_path_factory.mktemp("samples"), EVERY)


def test_samples_are_those_of_every_so_many_wake_steps(finished):
    samples, traces = finished.samples(0, "control"), finished.traces(0, "control")
    wake = traces.step.values[traces.phase.values == 0]
    assert samples.step.values.tolist() == wake[::4].tolist()
    assert samples.ach.dims == ("step", "sample")
    assert samples.ach.shape == (8, 16)
    assert samples.ach.attrs["units"] == "D"
    there = traces.sel(step=samples.step)
    assert samples.ach.mean("sample").values == pytest.approx(there.ach.values, rel=1e-5)
    for name in TEACHING:  # root mean square of the lengths, as the trace has it
        lengths = np.sqrt(np.square(samples[name].values).mean(1))
        assert lengths == pytest.approx(there[name].values, rel=1e-5)
        assert (samples[name].std("sample").values > 0).all()


def test_each_sample_is_the_stimulus_that_it_says(finished):
    protocol = Protocol.from_text(TINY, "tiny.yaml")
    compiled = finished.provenance["step"] == "compiled"
    simulator = make(protocol, TRUNK, 0, compiled=compiled)
    samples = finished.samples(0, "control")
    data = simulator.animal.dataset
    for step in range(int(samples.step[1]) + 1):
        moment = simulator.engine.step(step)
    shown = moment.state.layers[0].soma
    which = [int((data.train == x).all(1).nonzero()[0, 0]) for x in shown]
    row = samples.sel(step=step)
    assert row.label.values.tolist() == data.train_labels[which].tolist()
    assert row.ach.values == pytest.approx(moment.ach.level.numpy(), rel=1e-6)
    of_layer = moment.ach.teaching[2].square().sum(1).sqrt()
    assert row.layer2_teaching.values == pytest.approx(of_layer.numpy(), rel=1e-5)


def test_what_is_not_asked_for_is_not_there_and_nothing_else_changes(finished, tmp_path):
    plain = recorded(tmp_path)
    assert not any(c.path.startswith("samples/") for c in layout(plain.protocol.spec))
    assert all("identical" in line for line in bits(plain, finished))
    with pytest.raises(NeuroAWSError, match="holds no samples/step"):
        plain.samples(0, "control")


def test_a_number_for_all_teaches_by_how_far_it_is_from_the_mean(tmp_path):
    found = recorded(tmp_path, EVERY, "algorithm.credit=scalar").samples(0, "control")
    away = np.abs(found.ach.values - found.ach.values.mean(1, keepdims=True))
    for name in TEACHING:
        assert found[name].values == pytest.approx(away, rel=1e-3, abs=1e-5)


def test_stimuli_without_labels_and_steps_without_teaching():
    kept, level = Kept(), torch.arange(3.0)
    moment = SimpleNamespace(
        labels=None,
        deltas={},
        spec=SimpleNamespace(step=7),
        level=level,
    )
    put_samples(kept, moment, 2, Team())
    assert kept.rows["samples/label"].tolist() == [-1, -1, -1]
    assert kept.rows["samples/ach"].tolist() == [0, 1, 2]
    assert kept.rows["samples/layer2/teaching"].tolist() == [0, 0, 0]


def test_samples_come_back_after_a_stop(tmp_path):
    protocol = Protocol.from_text(TINY, "tiny.yaml", [EVERY])
    whole = finish(branch(protocol, tmp_path / "whole"))
    stop(branch(protocol, tmp_path / "broken", pace=OneStep(1e9)), 7)
    again = finish(branch(protocol, tmp_path / "broken"))
    columns = [c for c in layout(protocol.spec) if c.path.startswith("samples/")]
    assert len(columns) == 5
    a, b = (gather(one.place.parts, columns) for one in (whole, again))
    for column in columns:
        assert len(a[column.path])
        assert a[column.path].tobytes() == b[column.path].tobytes()


def test_the_size_that_is_foretold_counts_wake_steps_only():
    plain, with_samples = (
        Protocol.from_text(TINY, "tiny.yaml", more).spec for more in ([], [EVERY])
    )
    assert wake_share(plain) == pytest.approx(3 / 7)
    more = recording_bytes(with_samples, 700, 1) - recording_bytes(plain, 700, 1)
    rows = 700 * 3 / 7 / 4
    assert more == pytest.approx(rows * (8 + 4 * 16 * 4), rel=0.01)  # step; label, ACh, two layers


def test_spikes_have_no_samples():
    text = "record: {samples: {every: 5}}\nbackend: spiking\n"
    body = TINY[: TINY.index("record:")].replace("batch: 16", "")
    with pytest.raises(ProtocolError, match=r"record\.samples: belongs to the rate backend"):
        Protocol.from_text(body + text, "spikes.yaml")

"""A step's scalars wait in a buffer: what is recorded is what each step gave, however many wait."""

import numpy as np
import pytest

from neuro_aws.backends.base import make
from neuro_aws.backends.rate import recorder
from neuro_aws.backends.rate.scalars import Columns, Scalars
from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.branches import TRUNK
from neuro_aws.protocol.columns import layout
from neuro_aws.recording.parts import gather, merge_intervals
from neuro_aws.recording.writer import Writer
from tests.backends.test_finite import GROWING, first_step, growing
from tests.branches import OneStep, branch, finish, stop
from tests.conftest import TINY

ALL = (
    "record.samples.every=3",
    "record.activity=[{layer: 1, every: 1}, {layer: 2, every: 2, ids: [3, 1]}]",
    "network.homeostasis={over: time, steps: 5}",
    "record.homeostasis.every=2",
)
SPARSE = ("record.ach.every=2", "record.plasticity.every=3")
STEPS = 42


def recorded(protocol: Protocol, folder, compiled: bool, block: int) -> dict[str, np.ndarray]:
    """Return the rows of the common run, simulated so many steps at a time."""
    simulator = make(protocol, TRUNK, 0, compiled=compiled)
    columns = layout(protocol.spec)
    out = Writer(folder, columns, [], 0)
    for start in range(0, STEPS, block):
        simulator.advance(start, min(start + block, STEPS), out, lambda: False)
    out.flush(STEPS)
    rows = gather(folder, columns)
    for table in ("phases", "perturbations"):
        merge_intervals(rows, f"intervals/{table}")
    return rows


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("more", [(), ALL, SPARSE])
def test_many_steps_at_once_are_recorded_like_one_by_one(tmp_path, monkeypatch, compiled, more):
    protocol = Protocol.from_text(TINY, "tiny", more)
    single = recorded(protocol, tmp_path / "single", compiled, 1)
    together = recorded(protocol, tmp_path / "together", compiled, STEPS)
    monkeypatch.setattr(recorder, "ROWS", 5)  # full in the middle
    full = recorded(protocol, tmp_path / "full", compiled, STEPS)
    every = protocol.spec.record.plasticity.every
    assert len(single["plasticity/step"]) == pytest.approx(STEPS / every, abs=3)
    for path, rows in single.items():
        assert rows.tobytes() == together[path].tobytes(), path
        assert rows.tobytes() == full[path].tobytes(), path


@pytest.mark.parametrize("compiled", [True, False])
def test_what_is_recorded_is_what_a_moment_says_when_it_is_asked(tmp_path, compiled):
    protocol = Protocol.from_text(TINY, "tiny")
    rows = recorded(protocol, tmp_path, compiled, STEPS)
    engine = make(protocol, TRUNK, 0, compiled=compiled).engine
    for step in range(STEPS):
        moment = engine.step(step)
        ach, found = moment.neuromodulators(), moment.lengths()
        for name, value in zip(("ach", "ach_spread", "release", "gate"), ach, strict=True):
            assert rows[f"neuromodulators/{name}"][step] == np.float32(value)
        for layer, length in enumerate(found.teaching, start=1):
            assert rows[f"plasticity/layer{layer}/teaching"][step] == np.float32(length)
        for what, lengths in (("raw", found.raw), ("applied", found.applied)):
            for kind, layers in lengths.items():
                for layer, length in layers.items():
                    recorded_one = rows[f"plasticity/layer{layer}/{kind}_{what}"][step]
                    assert recorded_one == np.float32(length) > 0


@pytest.mark.parametrize("more", [(), ALL])
def test_a_run_killed_in_the_middle_of_a_buffer_resumes_to_the_same_bits(tmp_path, more):
    protocol = Protocol.from_text(TINY, "tiny", more)
    whole = finish(branch(protocol, tmp_path / "whole"))
    broken = stop(branch(protocol, tmp_path / "broken", pace=OneStep(1e9)), 17)
    step = broken.simulator.engine.step
    for lost in range(17, 24):  # they wait in the buffer when the process ends
        step(lost)
    again = finish(branch(protocol, tmp_path / "broken"))
    columns = layout(protocol.spec)
    a, b = (gather(one.place.parts, columns) for one in (whole, again))
    for table in ("phases", "perturbations"):
        merge_intervals(a, f"intervals/{table}")
        merge_intervals(b, f"intervals/{table}")
    for path, rows in a.items():
        assert rows.tobytes() == b[path].tobytes(), path


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("every", [1, 7])
def test_a_change_that_is_not_finite_in_the_middle_is_named_and_nothing_after_it_kept(
    tmp_path, compiled, every
):
    protocol = growing("feedback", every).changed(("record.activity=[{layer: 1, every: 1}]",))
    first = first_step(protocol)
    simulator = make(protocol, TRUNK, 0, compiled=compiled)
    columns = layout(protocol.spec)
    out = Writer(tmp_path, columns, [], 0)
    with pytest.raises(NeuroAWSError, match=rf"no longer finite at step {first}; feedback \(lay"):
        simulator.advance(0, STEPS, out, lambda: False)
    out.flush(0)
    rows = gather(tmp_path, columns)
    assert 0 < first < STEPS - 5
    assert rows["neuromodulators/step"].tolist() == list(range(first + 1))
    assert rows["activity/layer1/step"].tolist() == list(range(first + 1))
    assert len(rows["activity/layer1/soma"]) == first + 1
    assert rows["plasticity/step"].max() <= first
    assert len(rows["plasticity/layer1/teaching"]) == len(rows["plasticity/step"])
    assert rows["intervals/phases/stop"].max() == first + 1


def test_an_error_in_a_later_step_does_not_hide_weights_that_were_no_numbers_before(monkeypatch):
    protocol = growing("feedback", 1)
    first = first_step(protocol)
    simulator = make(protocol, TRUNK, 0)
    step = simulator.engine.step

    def failing(at: int):
        if at == first + 2:
            raise ValueError("a matrix of NaN has no eigenvalues")
        return step(at)

    monkeypatch.setattr(simulator.engine, "step", failing)
    out = simulator._recorder._out
    with pytest.raises(NeuroAWSError, match=f"no longer finite at step {first};"):
        simulator.advance(0, STEPS, out, lambda: False)


def test_every_weight_belongs_to_one_column():
    for text in (TINY, GROWING):
        network = make(Protocol.from_text(text, "tiny"), TRUNK, 0).animal.network
        columns = Columns.of(network)
        names = [name for group in columns.names.values() for name in group]
        assert sorted(names) == sorted(n for k in network.kinds for n in network.parameters(k))
        places = [*range(4), *columns.teaching, *columns.raw.values(), *columns.applied.values()]
        assert sorted(places) == list(range(columns.count))
        one = Scalars(columns, network.acetylcholine.baseline.device, rows=1)
        assert one.host(1).shape == (1, columns.count)

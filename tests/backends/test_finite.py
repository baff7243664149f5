"""Weights that are no numbers any more: the very step, the projection that did it, what to lower."""

import re

import pytest
import torch

from neuro_aws import Options, open_run, run
from neuro_aws.backends.base import make
from neuro_aws.backends.rate.finite import FiniteCheck
from neuro_aws.backends.spiking.cortex import Cortex
from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol import Protocol
from tests.conftest import TINY
from tests.spiking import protocol

# a linear network without normalisation: nothing holds a rate that is too high
GROWING = TINY.replace("[64, 20, 6],", "[64, 20, 6], normalisation: none, bottom: linear,")


def growing(kind: str, every: int) -> Protocol:
    text = GROWING.replace(
        "targets:\n", f"algorithm: {{{kind}: {{rate: 10, optimiser: sgd}}}}\ntargets:\n"
    )
    text = text.replace("record:\n", f"record:\n  plasticity: {{every: {every}}}\n")
    return Protocol.from_text(text, "growing.yaml")


def first_step(of: Protocol) -> int:
    """Return the first step with a change whose length is no number, looking at all of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FiniteCheck, "__call__", lambda *_: None)
        engine = make(of, "common", 0).engine
        for step in range(42):
            moment = engine.step(step)
            for tensor in moment.changes.values():
                if not torch.isfinite(torch.linalg.vector_norm(tensor)):
                    return step
    raise AssertionError("all changes stay finite")


@pytest.mark.parametrize("kind", ["feedback", "feedforward", "discriminator"])
def test_the_step_and_the_projection_are_named(kind, tmp_path):
    with pytest.raises(NeuroAWSError) as caught:
        run(growing(kind, 1), options=Options(out=str(tmp_path), jobs=1))
    said = str(caught.value)
    assert f"Lower algorithm.{kind}.rate (now 10)" in said
    found = re.search(
        r"\(layer \d\) weights are no longer finite at step (\d+); (\w+) \(layer", said
    )
    assert found, said
    assert int(found[1]) == first_step(growing(kind, 1))
    assert found[2] == kind


def test_where_changes_are_not_recorded_at_every_step_the_step_is_named_all_the_same(tmp_path):
    with pytest.raises(NeuroAWSError) as caught:
        run(growing("feedback", 7), options=Options(out=str(tmp_path), jobs=1))
    said = str(caught.value)
    assert "Lower algorithm.feedback.rate (now 10)" in said
    step = int(re.search(r"\(layer \d\) weights are no longer finite at step (\d+)", said)[1])
    assert step == first_step(growing("feedback", 7))


def test_what_was_recorded_is_kept_up_to_the_step(tmp_path):
    with pytest.raises(NeuroAWSError):
        run(growing("feedback", 1), options=Options(out=str(tmp_path), jobs=1, save_seconds=0.0))
    (folder,) = (tmp_path / "tiny").iterdir()
    steps, _ = open_run(folder).held(0, "common")
    assert 0 < steps <= first_step(growing("feedback", 1)) + 1


def test_spikes_name_the_synapses_and_the_steps(monkeypatch, tmp_path):
    monkeypatch.setattr(Cortex, "finite", lambda self, name: name != "feedback")
    with pytest.raises(NeuroAWSError, match="within steps 0 to .*Lower spiking.learning.feedback"):
        run(protocol(), options=Options(out=str(tmp_path), jobs=1))

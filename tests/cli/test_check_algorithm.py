"""The laws hold for every theory, and each is broken by a class that breaks it."""

import pytest
from click.testing import CliRunner

from neuro_aws.cli.check_algorithm import command
from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.conformance import LAWS, PROTOCOL, maker, verdicts
from neuro_aws.protocol import Protocol, registry
from tests.theories import fitted

HEAD = """
import torch
from neuro_aws.algorithms.base import feedback_delta, propagate
from neuro_aws.model.state import Delta
from neuro_aws.phase import FEEDBACK, WAKE, NREM

class Good:
    def propagate(self, network, stimulus, phase, noise, gains):
        return propagate(network, stimulus, phase, noise, gains)
    def feedback(self, network, state):
        return feedback_delta(network, state, "gaussian")
    def deltas(self, network, state, ach, phase):
        return {FEEDBACK: Delta(self.feedback(network, state))} if phase is WAKE else {}
"""

FLAWED = {
    "Deltas have the names": """
class Flawed(Good):
    def feedback(self, network, state):
        return [t.mT if t.dim() == 2 else t for t in super().feedback(network, state)]
""",
    "a reset repeats": """
class Flawed(Good):
    def feedback(self, network, state):
        return [t + torch.rand(()) for t in super().feedback(network, state)]
""",
    "a factor of 0": """
class Flawed(Good):
    def deltas(self, network, state, ach, phase):
        network.parameters(FEEDBACK)[0].mul_(0.5)
        return super().deltas(network, state, ach, phase)
""",
    "asking for Deltas": """
class Flawed(Good):
    def feedback(self, network, state):
        network.parameters(FEEDBACK)[0].mul_(0.5)
        return super().feedback(network, state)
""",
    "nothing changes in a phase": """
class Flawed(Good):
    def deltas(self, network, state, ach, phase):
        tensors = [torch.ones_like(t) for t in network.parameters(FEEDBACK)]
        return {FEEDBACK: Delta(tensors)}
""",
}


@pytest.mark.parametrize("name", list(registry.THEORIES))
def test_every_theory_obeys_every_law(name):
    protocol = Protocol.from_text(PROTOCOL, "laws", fitted(name))
    assert [said for _, said in verdicts(maker(protocol)) if said is not None] == []


def test_there_is_a_class_that_breaks_each_law():
    assert len(FLAWED) == len(LAWS)


@pytest.mark.parametrize("law", list(FLAWED))
def test_a_class_that_breaks_a_law_is_told_so(tmp_path, monkeypatch, law):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.py").write_text(HEAD + FLAWED[law])
    good = CliRunner().invoke(command, ["rules:Good"])
    assert good.exit_code == 0, good.output
    assert good.output.count("holds") == len(LAWS)
    flawed = CliRunner().invoke(command, ["rules:Flawed"])
    assert isinstance(flawed.exception, NeuroAWSError)
    assert any(line.startswith(f"BROKEN  {law}") for line in flawed.output.split("\n")), (
        flawed.output
    )


def test_what_cannot_be_checked_is_said_in_a_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, says in (("rules", "module:Class"), ("nowhere_at_all:A", "nowhere_at_all.py")):
        found = CliRunner().invoke(command, [name])
        assert isinstance(found.exception, NeuroAWSError)
        assert says in str(found.exception)

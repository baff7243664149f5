"""An algorithm changes what it declares, with the names and shapes of the weights, or the run ends."""

import re

import pytest
import torch

from neuro_aws.algorithms.base import propagate
from neuro_aws.backends.rate.engine import Engine
from neuro_aws.errors import NeuroAWSError
from neuro_aws.model.state import Delta
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, LATERAL, READOUT, REM, WAKE
from neuro_aws.protocol.schema import Block
from tests.engines import engine_of

ME = "tests.algorithms.test_declaration"


class Rule:
    """F grows, in wake; the cases below spoil one thing each."""

    def __init__(self, **options) -> None:
        self.options = options

    def propagate(self, network, stimulus, phase, noise, gains):
        return propagate(network, stimulus, phase, noise, gains)

    def tensors(self, network, kind=FEEDFORWARD):
        return {name: torch.ones_like(t) for name, t in network.parameters(kind).items()}

    def deltas(self, network, state, ach, phase):
        return {FEEDFORWARD: Delta(self.tensors(network), ach.gate)} if phase is WAKE else {}


class Transposed(Rule):
    def tensors(self, network, kind=FEEDFORWARD):
        found = super().tensors(network, kind)
        return {**found, "feedforward_into2": found["feedforward_into2"].T}


class Missing(Rule):
    def tensors(self, network, kind=FEEDFORWARD):
        found = super().tensors(network, kind)
        found.pop("feedforward_into1_bias")
        return found


class Surplus(Rule):
    def tensors(self, network, kind=FEEDFORWARD):
        return {**super().tensors(network, kind), "feedforward_into9": torch.ones(2, 3)}


class Listed(Rule):
    def tensors(self, network, kind=FEEDFORWARD):
        return list(super().tensors(network, kind).values())


class Deviating(Rule):
    def deltas(self, network, state, ach, phase):
        found = self.tensors(network)
        wrong = {**found, "feedforward_into1": torch.ones(3)}
        return {FEEDFORWARD: Delta(found, 1.0, wrong)} if phase is WAKE else {}


class Dreaming(Rule):
    def deltas(self, network, state, ach, phase):
        return {FEEDFORWARD: Delta(self.tensors(network))} if phase is REM else {}


class DeclaredDreaming(Dreaming):
    changes = {REM: (FEEDFORWARD,)}


class GatedFeedback(Rule):
    def deltas(self, network, state, ach, phase):
        if phase is not WAKE:
            return {}
        return {FEEDBACK: Delta(self.tensors(network, FEEDBACK), 0.5)}


class GatedBySample(Rule):
    def deltas(self, network, state, ach, phase):
        gate = torch.ones_like(ach.level)
        return {FEEDFORWARD: Delta(self.tensors(network), gate)} if phase is WAKE else {}


class DeclaredGatedFeedback(GatedFeedback):
    gated = (FEEDFORWARD, FEEDBACK)


class NotThere(Rule):
    changes = {WAKE: (READOUT,)}

    def deltas(self, network, state, ach, phase):
        return {READOUT: Delta({"readout": torch.ones(3)})} if phase is WAKE else {}


class Misnamed(Rule):
    changes = {WAKE: ("feed-forward",)}


def engine(animal, rule: str, *settings: str) -> Engine:
    built = animal(f"algorithm.name={ME}:{rule}", *settings)
    return engine_of(built, (Block(wake=1), Block(rem=1)), 2)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("Transposed", ("feedforward_into2", "(20, 6)", "(6, 20)")),
        (
            "Missing",
            ("projection feedforward_into1", "no tensor 'feedforward_into1_bias'", "(20,)"),
        ),
        ("Surplus", ("'feedforward_into9'", "(2, 3)", "the network has not")),
        ("Listed", ("list", "not a mapping", "feedforward_into1_bias")),
        ("Deviating", ("Delta.deviation", "feedforward_into1", "(3,)", "(20, 64)")),
        ("NotThere", ("readout", "no such projection")),
        ("Dreaming", ("changes feedforward in rem", "does not declare", "`changes`")),
        ("GatedFeedback", ("gates feedback", "does not declare", "`gated`")),
        ("GatedBySample", ("Delta.gate of feedforward", "(16,)", "Delta.deviation")),
        ("Misnamed", ("feed-forward", "kinds are feedforward")),
    ],
)
def test_what_does_not_fit_ends_the_run_in_one_line(animal, rule, words):
    with pytest.raises(NeuroAWSError) as caught:
        engine(animal, rule).run(4)
    line = str(caught.value)
    assert "\n" not in line
    for word in (f"{ME}:{rule}", *words):
        assert re.search(re.escape(word), line), line


@pytest.mark.parametrize("rule", ["Rule", "DeclaredDreaming", "DeclaredGatedFeedback"])
def test_what_is_declared_is_done(animal, rule):
    one = engine(animal, rule)
    before = {kind: one.network.flat(kind).clone() for kind in one.network.kinds}
    one.run(4)
    moved = {kind for kind, kept in before.items() if not torch.equal(kept, one.network.flat(kind))}
    assert moved == {FEEDBACK if "Feedback" in rule else FEEDFORWARD}


def test_lateral_weights_are_not_changed_by_a_class_that_says_nothing(animal):
    with pytest.raises(NeuroAWSError, match="changes lateral in wake, which it does not declare"):
        engine(animal, "Lateral", "network.lateral=[1]").run(1)


class Lateral(Rule):
    def deltas(self, network, state, ach, phase):
        return {LATERAL: Delta(self.tensors(network, LATERAL))}


def test_the_theories_here_change_no_more_than_they_declare(animal):
    """The declaration is held to at every step: one that declares less than it does is caught."""
    built = animal()
    kind = type(built.algorithm)
    assert set(kind.changes[WAKE]) == {FEEDFORWARD, FEEDBACK, DISCRIMINATOR}
    narrow = type("Narrow", (kind,), {"changes": {WAKE: (FEEDFORWARD, FEEDBACK)}})
    built.algorithm.__class__ = narrow
    one = engine_of(built, (Block(wake=1),), 2)
    with pytest.raises(NeuroAWSError, match="changes discriminator in wake"):
        one.run(1)

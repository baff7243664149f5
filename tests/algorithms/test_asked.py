"""What an algorithm may say beside its two methods: how it is measured, and what it remembers."""

import numpy as np
import pytest
import torch

from neuro_aws.algorithms import asked
from neuro_aws.backends.rate.simulator import RateSimulator
from neuro_aws.metrics.objective import objective
from neuro_aws.model.state import Delta, NetworkState
from neuro_aws.phase import FEEDFORWARD, WAKE
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.theories import THEORIES
from neuro_aws.recording.writer import Discard
from tests.algorithms.test_conformance import Own
from tests.conftest import TINY
from tests.theories import NEEDS

HERE = "tests.algorithms.test_asked:"


class Remembering(Own):
    """Feedforward weights grow by the mean waking top of the step before, which it remembers."""

    def __init__(self) -> None:
        super().__init__(1.0)
        self.memory: dict[str, torch.Tensor] = {}

    def deltas(self, network, state, ach, phase):
        found = super().deltas(network, state, ach, phase)
        if not found or "top" not in self.memory:
            return found
        level = self.memory["top"].mean()
        return {FEEDFORWARD: Delta({n: t * level for n, t in found[FEEDFORWARD].tensors.items()})}

    def track(self, network, state):
        if state.phase is WAKE:
            self.memory["top"] = state.somas[-1].clone()

    def initialise(self, network):
        for layer in network.layers:
            layer.feedback[0].copy_(layer.feedforward[0].mT)

    def recognise(self, network, stimuli, noise, gains, running):
        state = network.recognise(stimuli, noise, gains, running)
        return state.map(lambda tensor: tensor + 1)

    def dream(self, network, count, noise, gains):
        return network.dream(torch.zeros(count, network.sizes[-1]), None, gains)

    def objective(self, network, stimuli, noise):
        return stimuli.new_tensor(len(stimuli))


def simulator(name: str, *overrides: str) -> RateSimulator:
    protocol = Protocol.from_text(
        TINY, "tiny.yaml", (f"algorithm.name={name}", *overrides), allow_code=True
    )
    return RateSimulator(protocol, next(iter(protocol.tree.trunks)), 0)


def never() -> bool:
    return False


def test_a_memory_is_saved_and_taken_up_again():
    unbroken, broken = simulator(f"{HERE}Remembering"), simulator(f"{HERE}Remembering")
    unbroken.advance(0, 12, Discard(), never)
    broken.advance(0, 5, Discard(), never)
    state = broken.state_dict()
    assert any(name.startswith("algorithm/") for name in state)
    again = simulator(f"{HERE}Remembering")
    again.load_state_dict(state)
    again.advance(5, 12, Discard(), never)
    forgetful = simulator(f"{HERE}Remembering")
    forgetful.load_state_dict({n: v for n, v in state.items() if not n.startswith("algorithm/")})
    forgetful.advance(5, 12, Discard(), never)
    assert same(again, unbroken)
    assert not same(forgetful, unbroken)


def same(one: RateSimulator, other: RateSimulator) -> bool:
    mine, its = one.state_dict(), other.state_dict()
    return mine.keys() == its.keys() and all(np.array_equal(mine[n], its[n]) for n in mine)


def test_measures_see_activity_and_dreams_as_the_theory_has_them():
    own, plain = simulator(f"{HERE}Remembering"), simulator(f"{HERE}Remembering")
    mine, network = own.subject(0), plain.animal.network
    passed = network.recognise(mine.dataset.held_out, None).somas[1]
    assert torch.equal(mine.waking()[1], passed + 1)
    assert torch.equal(mine.dreams(3)[-1], torch.zeros(3, 6))
    assert [v.value for v in objective(mine)] == [float(len(mine.dataset.held_out))]
    assert np.allclose(own.present(None, False)[1].values, passed + 1)


def test_initial_weights_may_be_changed():
    for layer in simulator(f"{HERE}Remembering").animal.network.layers:
        assert torch.equal(layer.feedback[0], layer.feedforward[0].mT)


def test_what_is_not_said_is_passed_through_the_layers():
    own = simulator("tests.algorithms.test_conformance:Own", "algorithm.options={gain: 1.0}")
    network, algorithm = own.animal.network, own.animal.algorithm
    x = own.animal.dataset.held_out
    state = asked.recognise(algorithm, network, x, None)
    assert isinstance(state, NetworkState)
    assert torch.equal(state.somas[-1], network.recognise(x, None).somas[-1])
    assert asked.memory_of(algorithm) == {}
    assert list(objective(own.subject(0))) == []


@pytest.mark.parametrize("name", list(THEORIES))
def test_every_theory_says_what_it_descends(name):
    found = list(objective(simulator(name, *NEEDS.get(name, ())).subject(0)))
    assert len(found) == 1
    assert np.isfinite(found[0].value)
    assert THEORIES[name].objective
    assert THEORIES[name].local

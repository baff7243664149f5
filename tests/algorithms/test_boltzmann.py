"""Contrastive divergence against enumeration of small machines, autograd, and itself resumed."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus

from neuro_aws.algorithms.boltzmann import Boltzmann, free_energy, pseudo_likelihood
from neuro_aws.backends.rate.build import build_network
from neuro_aws.backends.rate.simulator import RateSimulator
from neuro_aws.errors import ProtocolError
from neuro_aws.functional.noise import Draws, RecordedNoise
from neuro_aws.perturbations import Slots
from neuro_aws.phase import FEEDBACK, FEEDFORWARD, REM, WAKE
from neuro_aws.protocol import Protocol
from neuro_aws.protocol import theories as sections
from neuro_aws.protocol.model import Homeostasis, NetworkSection, Noise
from neuro_aws.protocol.schema import Block
from neuro_aws.recording.writer import Discard
from tests.algorithms.test_conformance import BINARY, CONV
from tests.conftest import TINY, TINY_CONV
from tests.engines import engine_of
from tests.reference.autograd import relative_error

NAME = "algorithm.name=boltzmann"
BATCH = 20_000
"""Chains at a time: expectations come out to about one part in a hundred."""

BASE = {
    "units": "binary",
    "transfer": "sigmoid",
    "bottom": "sigmoid",
    "top": "sigmoid",
    "normalisation": "none",
    "prior": "standard",
    "precision": "float64",
}


def machine(*layers: int, **settings):
    """Return a network of strong random weights and biases, and the theory on it."""
    network_section = NetworkSection(
        layers=layers, noise=Noise(scale=0), homeostasis=Homeostasis(over="none"), **BASE
    )
    section = sections.Boltzmann(name="boltzmann", **settings)
    network = build_network(network_section, section, 0, torch.device("cpu"))
    algorithm, normal = Boltzmann(section, network_section), draws(1).normal
    for layer in network.layers:
        for tensor in (layer.feedback[0], layer.feedback[1], layer.feedforward[1]):
            tensor.copy_(0.8 * normal(tensor.shape))
    algorithm.initialise(network)
    return network, algorithm


def draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed), torch.float64)


def states(n: int) -> torch.Tensor:
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=n)), dtype=torch.float64)


def joint(network) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return all v, all h and p(v, h) of the lowest machine, from its energy."""
    weight, b = network.layers[0].feedback
    c = network.layers[0].feedforward[1]
    v, h = states(len(b)), states(len(c))
    log = (v @ b)[:, None] + (h @ c)[None] + v @ weight @ h.T
    return v, h, torch.softmax(log.flatten(), 0).view_as(log)


PATTERNS = torch.tensor(
    [[1, 1, 0, 0, 1, 0], [0, 1, 1, 0, 0, 1], [0, 0, 0, 1, 1, 1], [1, 0, 1, 0, 0, 0]]
)


def data() -> torch.Tensor:
    """Return stimuli in [-1, 1]: each pattern a quarter of the batch."""
    return (2.0 * PATTERNS - 1).double().repeat(BATCH // 4, 1)


def deltas(network, algorithm, state, phase):
    signal = network.acetylcholine(state, RecordedNoise())
    found = algorithm.deltas(network, state, signal, phase)
    return found[FEEDBACK].tensors, found[FEEDFORWARD].tensors


def both_phases(network, algorithm):
    """Return dW, db, dc of a wake step and of a REM step after it."""
    found = []
    for phase, given in ((WAKE, data()), (REM, torch.zeros(BATCH, network.sizes[-1]))):
        state = algorithm.propagate(network, given, phase, draws(3), {})
        back, forward = deltas(network, algorithm, state, phase)
        assert torch.equal(back["feedback_into0"].mT, forward["feedforward_into1"])
        found.append((*back.values(), forward["feedforward_into1_bias"]))
        algorithm.track(network, state)
    return found


def exact(network, v: torch.Tensor) -> list[torch.Tensor]:
    """Return < v p(h|v)^T >, < v >, < p(h|v) > for weighted states v, by the definition."""
    weight, _ = network.layers[0].feedback
    p = torch.sigmoid(v @ weight + network.layers[0].feedforward[1])
    return [v.T @ p / len(v), v.mean(0), p.mean(0)]


def model(network) -> list[torch.Tensor]:
    """Return the same expectations of the model, by enumeration."""
    v, h, p = joint(network)
    return [v.T @ p @ h, v.T @ p.sum(1), h.T @ p.sum(0)]


def after_gibbs(network, steps: int) -> list[torch.Tensor]:
    """Return the same where chains from the data end after so many steps: by transition matrix."""
    v, _, p = joint(network)
    onward = (p / p.sum(1, keepdim=True)) @ (p / p.sum(0)).T
    start = torch.zeros(len(v), dtype=torch.float64)
    for pattern in PATTERNS:
        start[int("".join(map(str, pattern.tolist())), 2)] += 0.25
    for _ in range(steps):
        start = start @ onward
    weight, _ = network.layers[0].feedback
    up = torch.sigmoid(v @ weight + network.layers[0].feedforward[1])
    return [(v * start[:, None]).T @ up, v.T @ start, up.T @ start]


def flat(tensors) -> torch.Tensor:
    return torch.cat([t.flatten() for t in tensors])


@pytest.mark.parametrize("steps", [1, 10])
def test_each_phase_is_its_half_of_contrastive_divergence(steps):
    """Wake: < v p > of the data, exactly. REM: minus what chains from the data give after k steps."""
    network, algorithm = machine(6, 4, gibbs_steps=steps)
    wake, rem = both_phases(network, algorithm)
    for found, wanted in zip(wake, exact(network, PATTERNS.double()), strict=True):
        assert relative_error(found, wanted) < 1e-12
    for found, wanted in zip(rem, after_gibbs(network, steps), strict=True):
        assert relative_error(found, -wanted) < 0.02


def test_ten_steps_are_nearly_the_gradient_of_the_likelihood():
    network, algorithm = machine(6, 4, gibbs_steps=10)
    cosines = {}
    for steps in (1, 10):
        algorithm.gibbs_steps = steps
        found = flat(a + b for a, b in zip(*both_phases(network, algorithm), strict=True))
        wanted = flat(
            a - b for a, b in zip(exact(network, PATTERNS.double()), model(network), strict=True)
        )
        cosines[steps] = float(torch.cosine_similarity(found, wanted, dim=0))
    assert cosines[10] > 0.98
    assert cosines[1] < cosines[10]


def test_persistent_chains_come_to_the_model():
    network, algorithm = machine(6, 4, persistent=True, gibbs_steps=5)
    both_phases(network, algorithm)
    noise, top = draws(9), torch.zeros(BATCH, 4)
    for _ in range(10):
        state = algorithm.propagate(network, top, REM, noise, {})
        algorithm.track(network, state)
    back, forward = deltas(network, algorithm, state, REM)
    found = [*back.values(), forward["feedforward_into1_bias"]]
    for mine, its in zip(found, model(network), strict=True):
        assert relative_error(mine, -its) < 0.02


def test_dreams_come_from_the_model():
    network, algorithm = machine(6, 4, dream_steps=60)
    v, _, p = joint(network)
    dreamt = algorithm.dream(network, BATCH, draws(2)).somas[0]
    wanted = v.T @ (p.sum(1)[:, None] * v)
    assert relative_error(dreamt.T @ dreamt / BATCH, wanted) < 0.02


def test_free_energy_and_pseudo_likelihood_are_those_of_the_joint():
    network, _ = machine(6, 4)
    v, _, p = joint(network)
    log = p.sum(1).log()
    energy = free_energy(network, v)
    assert torch.allclose(energy - energy[0], log[0] - log, atol=1e-10)
    number = (v @ (2.0 ** torch.arange(5, -1, -1, dtype=torch.float64))).long()
    wanted = torch.zeros(64, dtype=torch.float64)
    for j in range(6):
        other = number ^ (1 << (5 - j))
        wanted += log - torch.logaddexp(log, log[other])
    assert torch.allclose(pseudo_likelihood(network, v, range(6)), wanted, atol=1e-10)


def test_the_exact_likelihood_rises_in_learning(animal):
    """Ten hidden units: the partition function is a sum over their 1,024 states."""
    small = ("network.layers=[64, 10]", "targets={}", "record.activity=[]", "measure=[]")
    rates = ("algorithm.feedforward.rate=0.3", "arms={control: {}}")
    built = animal(NAME, *BINARY, *small, *rates)
    v = built.network.admit(built.dataset.held_out)
    h = states(10)

    def likelihood() -> float:
        weight, b = built.network.layers[0].feedback
        c = built.network.layers[0].feedforward[1]
        partition = torch.logsumexp(h @ c + softplus(h @ weight.T + b).sum(1), 0)
        return float((v @ b + softplus(v @ weight + c).sum(1)).mean() - partition)

    before = likelihood()
    assert abs(before - -64 * math.log(2)) < 2
    engine_of(built, (Block(wake=1), Block(rem=1)), 100).run(200)
    assert likelihood() > before + 15


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("shape", [(), (CONV,)])
def test_both_directions_stay_the_same_weights_to_the_bit(animal, optimiser, shape):
    learning = (f"algorithm.feedforward.optimiser={optimiser}", "algorithm.feedforward.rate=0.1")
    one = simulator("algorithm.feedforward.decay={factor: 0.5, every: 3}", *learning, *shape)
    network = one.animal.network
    assert network.flat(FEEDBACK).dtype == torch.float32
    before = network.flat(FEEDBACK).clone()
    one.advance(0, 28, Discard(), lambda: False)
    assert not torch.equal(before, network.flat(FEEDBACK))
    for layer in network.layers:
        up, down = layer.feedforward[0], layer.feedback[0]
        assert torch.equal(up, down if shape else down.mT)


def test_kernels_change_by_the_gradient_of_the_energy(animal):
    """Wake, in a convolutional network: dW, db, dc of the lowest machine by autograd of - F(v)."""
    built = animal(NAME, *BINARY, CONV)
    network, x = built.network, built.dataset.train[:5]
    state = built.algorithm.propagate(network, x, WAKE, draws(), {})
    back, forward = deltas(network, built.algorithm, state, WAKE)
    layer, v = network.layers[0], network.admit(x)
    w, b, c = (t.clone().requires_grad_() for t in (*layer.feedback, layer.feedforward[1]))
    hidden = torch.nn.functional.conv2d(v, w, c, layer.geometry.stride, layer.geometry.padding)
    minus = (v * b.view(-1, 1, 1)).sum() + softplus(hidden).sum()
    wanted = [g / 5 for g in torch.autograd.grad(minus, (w, b, c))]
    names = ("feedback_into0", "feedback_into0_bias")
    assert relative_error(forward["feedforward_into1"], wanted[0]) < 1e-10
    assert relative_error(forward["feedforward_into1_bias"], wanted[2]) < 1e-10
    for name, gradient in zip(names, wanted, strict=False):
        assert relative_error(back[name], gradient) < 1e-10
    assert torch.allclose(free_energy(network, v).sum(), -minus.detach())


def test_a_silenced_cell_is_silent_at_every_gibbs_step():
    """As if it sent nothing, with the same random numbers; and its weights do not change in REM."""
    network, algorithm = machine(6, 5, 4, gibbs_steps=4)
    algorithm.track(network, algorithm.propagate(network, data(), WAKE, draws(), {}))
    gain = torch.ones(5, dtype=torch.float64)
    gain[2] = 0
    top = torch.zeros(BATCH, 4)
    silenced = algorithm.propagate(network, top, REM, draws(5), {1: gain})
    back, _ = deltas(network, algorithm, silenced, REM)
    assert bool((silenced.somas[1][:, 2] == 0).all())
    assert bool((silenced.passes[0].somas[1][:, 2] == 0).all())
    assert bool((back["feedback_into0"][:, 2] == 0).all())
    assert bool((back["feedback_into1"][2] == 0).all())
    assert bool((back["feedback_into0"][:, 1] != 0).all())
    network.layers[0].feedback[0][:, 2] = 0
    network.layers[1].feedforward[0][:, 2] = 0
    mute = algorithm.propagate(network, top, REM, draws(5), {})
    for i in (0, 2):
        assert torch.equal(silenced.somas[i], mute.somas[i])
    others = [0, 1, 3, 4]
    assert torch.equal(silenced.somas[1][:, others], mute.somas[1][:, others])


@pytest.mark.parametrize("phase", [WAKE, REM])
def test_silencing_acts_in_the_phase_it_is_meant_for(animal, phase):
    """Silent in wake, cells are only unlearnt in REM; silent in REM, only learnt in wake."""
    built = animal(NAME, *BINARY, "algorithm.feedforward.apply=step")
    gain = torch.ones(20, dtype=torch.float64)
    gain[:5] = 0
    engine = engine_of(built, (Block(wake=1), Block(rem=1)), 1)
    engine.slots = lambda spec: Slots(gains={1: gain}) if spec.phase is phase else Slots()
    for step, sign in ((0, 1), (1, -1)):
        moment = engine.step(step)
        change = moment.deltas[FEEDBACK].tensors["feedback_into0"] * sign
        silent = moment.spec.phase is phase
        assert bool((change[:, :5] == 0).all()) == silent
        assert bool((change >= 0).all())
        assert float(change[:, 5:].sum()) > 0
        assert bool((moment.state.somas[1][:, :5] == 0).all()) == silent


def simulator(*overrides: str) -> RateSimulator:
    text = TINY_CONV if CONV in overrides else TINY
    protocol = Protocol.from_text(text, "tiny.yaml", (NAME, *BINARY, *overrides))
    return RateSimulator(protocol, next(iter(protocol.tree.trunks)), 0)


@pytest.mark.parametrize("persistent", ["true", "false"])
def test_chains_are_saved_and_taken_up_again(persistent):
    setting = (f"algorithm.persistent={persistent}", "algorithm.feedforward.rate=0.1")
    unbroken, broken, again = (simulator(*setting) for _ in range(3))
    unbroken.advance(0, 12, Discard(), lambda: False)
    broken.advance(0, 5, Discard(), lambda: False)
    again.load_state_dict(broken.state_dict())
    again.advance(5, 12, Discard(), lambda: False)
    mine, its = again.state_dict(), unbroken.state_dict()
    assert mine.keys() == its.keys()
    assert any(name.endswith("/soma2") for name in mine)
    assert all(np.array_equal(mine[n], its[n]) for n in mine)


def test_chains_start_from_the_last_wake_or_go_on():
    for persistent in (False, True):
        network, algorithm = machine(6, 4, persistent=persistent)
        wake = algorithm.propagate(network, data(), WAKE, draws(), {})
        algorithm.track(network, wake)
        assert torch.equal(algorithm.memory["soma1"], wake.somas[1])
        state = algorithm.propagate(network, torch.zeros(BATCH, 4), REM, draws(1), {})
        assert torch.equal(algorithm.memory["soma1"], wake.somas[1])
        algorithm.track(network, state)
        ended = state.passes[0].somas[1] if persistent else wake.somas[1]
        assert torch.equal(algorithm.memory["soma1"], ended)
        algorithm.track(network, algorithm.propagate(network, data(), WAKE, draws(2), {}))
        assert torch.equal(algorithm.memory["soma1"], ended) == persistent


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("algorithm.feedback.rate=0.1", "feedback"),
        ("algorithm.feedforward.clip=1", "leave it out"),
        ("network.homeostasis.over=time", "use none"),
        ("network.lateral=[1]", "leave it out"),
        ("algorithm.density=laplacian", "use gaussian"),
    ],
)
def test_what_is_no_boltzmann_machine_is_refused(animal, override, said):
    with pytest.raises(ProtocolError, match=said):
        animal(NAME, *BINARY, override)
    with pytest.raises(ProtocolError, match="use binary"):
        animal(NAME)

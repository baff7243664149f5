"""Contrastive backpropagation against autograd of its energy, exact likelihoods, and itself resumed."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d

from neuro_aws.algorithms.contrastive_backprop import CONFABULATED, ContrastiveBackprop
from neuro_aws.backends.rate.build import build_network
from neuro_aws.backends.rate.simulator import RateSimulator
from neuro_aws.errors import ProtocolError
from neuro_aws.functional.noise import Draws, RecordedNoise
from neuro_aws.functional.shapes import rows
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, NREM, READOUT, REM, WAKE
from neuro_aws.protocol import Protocol
from neuro_aws.protocol import theories as sections
from neuro_aws.protocol.model import Homeostasis, NetworkSection, Noise
from neuro_aws.recording.writer import Discard
from tests.algorithms.test_conformance import BINARY, CONV
from tests.conftest import TINY, TINY_CONV
from tests.reference.autograd import psi, relative_error
from tests.reference.passes import Account, Logged, assert_same, rows_of

NAME = "algorithm.name=contrastive_backprop"
NOISY = (
    NAME,
    "network.noise.scale=0.3",
    "network.prior=standard",
    "algorithm.langevin_steps=3",
    "algorithm.variance=1",
)
WIDTH = 4.0
"""The plane that densities are summed over reaches so far each way."""


def moved(network, seed: int = 3):
    """Give w and c values that none of them has at initialisation."""
    generator = torch.Generator().manual_seed(seed)
    for tensor in network.parameters(READOUT).values():
        tensor.add_(0.3 * torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype))


def energy_of(weights, somata, variance: float = 1.0) -> torch.Tensor:
    x, *hidden = somata
    found = (x - weights["energy_centre"]).square().sum(1) / (2 * variance)
    for i, h in enumerate(hidden, start=1):
        found = found + (torch.log(1 + h**2) * weights[f"energy_of{i}"]).sum(1)
    return found


def quiet(weights, x, gains) -> list[torch.Tensor]:
    """Pass up without noise."""
    somata = [x]
    for i in (1, 2):
        a = somata[-1] @ weights[f"feedforward_into{i}"].T + weights[f"feedforward_into{i}_bias"]
        somata.append((a if i == 2 else psi("relu", "rms", a)) * gains.get(i, 1.0))
    return somata


def silencing() -> dict[int, torch.Tensor]:
    gains = {1: torch.ones(20).double()}
    gains[1][:6], gains[1][7] = 0, 2
    return gains


def stepped(built, phase, given, gains):
    """Return the state, the Deltas and the numbers drawn in one step."""
    noise = Logged(1)
    state = built.algorithm.propagate(built.network, given, phase, noise, gains)
    signal = built.network.acetylcholine(state)
    return state, built.algorithm.deltas(built.network, state, signal, phase), noise.drawn


@pytest.mark.parametrize("gains", [{}, silencing()], ids=["plain", "silenced"])
class TestBothPhases:
    def test_wake_lowers_the_energy_of_noisy_stimuli(self, animal, gains):
        built = animal(*NOISY)
        moved(built.network)
        x = built.dataset.train[:16]
        state, deltas, drawn = stepped(built, WAKE, x, gains)
        own = Account(built.network, drawn[1:])
        loss = energy_of(own.leaves[READOUT], own.up(x + 0.3 * drawn[0], gains)).mean()
        assert set(deltas) == {FEEDFORWARD, READOUT, FEEDBACK, DISCRIMINATOR}
        for kind in (FEEDFORWARD, READOUT):
            assert_same(deltas[kind], own.descent(loss, kind))
        assert bool((state.somas[1][:, :6] == 0).all()) == bool(gains)

    def test_rem_raises_it_where_stimuli_drift_to(self, animal, gains):
        built = animal(*NOISY)
        moved(built.network)
        built.algorithm.memory[CONFABULATED] = start = rows_of(5, 64)
        state, deltas, drawn = stepped(built, REM, rows_of(3, 6), gains)
        own, x = Account(built.network, drawn[3:]), start
        for xi in drawn[:3]:
            x = x.detach().requires_grad_()
            energy = energy_of(own.leaves[READOUT], quiet(own.leaves[FEEDFORWARD], x, gains))
            (slope,) = torch.autograd.grad(energy.sum(), x)
            x = x - 0.025 * slope + math.sqrt(0.05) * xi
        assert torch.allclose(state.somas[0], x.detach(), rtol=1e-12)
        loss = -energy_of(own.leaves[READOUT], own.up(x.detach(), gains)).mean()
        assert set(deltas) == {FEEDFORWARD, READOUT, DISCRIMINATOR}
        for kind in (FEEDFORWARD, READOUT):
            assert_same(deltas[kind], own.descent(loss, kind))
        if gains:
            silent = deltas[FEEDFORWARD].tensors["feedforward_into2"][:, :6]
            assert float(silent.abs().max()) == 0
            assert float(deltas[READOUT].tensors["energy_of1"][0, :6].abs().max()) == 0
            assert float(deltas[READOUT].tensors["energy_of1"][0, 6:].abs().min()) > 0


def test_nothing_is_learnt_in_nrem(animal):
    built = animal(*NOISY)
    assert stepped(built, NREM, rows_of(3, 6), {})[1] == {}


def small(shape: dict | None = None, **settings):
    """Return a network on two pixels (or of another shape), and the theory on it."""
    network_section = NetworkSection(
        **(shape or {"layers": (2, 8, 3)}),
        noise=Noise(scale=0),
        homeostasis=Homeostasis(over="none"),
        normalisation="none",
        prior="standard",
        precision="float64",
    )
    section = sections.ContrastiveBackprop(name="contrastive_backprop", **settings)
    network = build_network(network_section, section, 0, torch.device("cpu"))
    moved(network)
    return network, ContrastiveBackprop(section, network_section)


def plane() -> torch.Tensor:
    line = torch.linspace(-WIDTH, WIDTH, 161, dtype=torch.float64)
    return torch.cartesian_prod(line, line)


def ring(count: int, seed: int = 0) -> torch.Tensor:
    """Return points on a circle, a little off it."""
    normal = draws(seed).normal
    turn = 2 * math.pi * draws(seed + 1).uniform(torch.Size((count, 1)))
    return torch.cat([turn.cos(), turn.sin()], 1) + 0.1 * normal(torch.Size((count, 2)))


def draws(seed: int) -> Draws:
    return Draws(torch.Generator().manual_seed(seed), torch.float64)


def likelihood(network, x) -> tuple[float, dict[str, torch.Tensor]]:
    """Return the mean of log p(x), p summed over the plane, and its gradient."""
    w = {
        name: tensor.clone().requires_grad_()
        for kind in (FEEDFORWARD, READOUT)
        for name, tensor in network.parameters(kind).items()
    }

    def energy(points):
        a = torch.relu(points @ w["feedforward_into1"].T + w["feedforward_into1_bias"])
        top = a @ w["feedforward_into2"].T + w["feedforward_into2_bias"]
        return energy_of(w, [points, a, top])

    cell = math.log((2 * WIDTH / 160) ** 2)
    value = -energy(x).mean() - torch.logsumexp(-energy(plane()), 0) - cell
    found = torch.autograd.grad(value, list(w.values()))
    return float(value.detach()), dict(zip(w, found, strict=True))


def summed(network, algorithm, x, seed=0, phases=(WAKE, REM)) -> dict[str, torch.Tensor]:
    """Return the sum of such steps' Deltas of F, w and c."""
    total: dict[str, torch.Tensor] = {}
    noise = draws(seed)
    for phase in phases:
        given = x if phase is WAKE else torch.zeros(len(x), 3).double()
        state = algorithm.propagate(network, given, phase, noise, {})
        algorithm.track(network, state)
        found = algorithm.deltas(network, state, network.acetylcholine(state), phase)
        for kind in (FEEDFORWARD, READOUT):
            for name, tensor in found[kind].tensors.items():
                total[name] = total.get(name, 0.0) + tensor
    return total


def test_long_chains_give_the_gradient_of_the_likelihood():
    """Cosine with the gradient by a sum over the plane; a few steps have less of it."""
    x, cosines = ring(4000), {}
    for steps in (2, 600):
        network, algorithm = small(
            langevin_steps=steps, step_size=0.02, stimulus_noise=0, variance=1
        )
        found = summed(network, algorithm, x)
        _, wanted = likelihood(network, x)
        mine, its = (torch.cat([t[n].flatten() for n in wanted]) for t in (found, wanted))
        cosines[steps] = float(torch.cosine_similarity(mine, its, dim=0))
    assert cosines[600] > 0.98
    assert cosines[2] < cosines[600]


def learnt(network, algorithm, rem: bool) -> None:
    """Learn by plain steps, in both phases or in wake alone."""
    for step in range(120):
        phases = (WAKE, REM) if rem else (WAKE,)
        changes = summed(network, algorithm, ring(200, 10 + 2 * step), step, phases)
        for kind in (FEEDFORWARD, READOUT):
            for name, tensor in network.parameters(kind).items():
                tensor.add_(changes[name], alpha=0.1)


def test_the_exact_likelihood_rises_in_learning_and_falls_without_rem():
    held_out = ring(2000, 5000)
    rises = []
    for rem in (True, False):
        network, algorithm = small(langevin_steps=20, step_size=0.05, stimulus_noise=0, variance=1)
        before, _ = likelihood(network, held_out)
        learnt(network, algorithm, rem)
        rises.append(likelihood(network, held_out)[0] - before)
    assert rises[0] > 0.3
    assert rises[1] < 0


def test_without_hidden_units_confabulations_have_the_spread_of_the_gaussian():
    """Closed form: steps of size eps down |x - c|^2 / (2 v) are at rest with v / (1 - eps / 4v)."""
    network, algorithm = small(variance=0.5, step_size=0.4, dream_steps=40)
    for name, tensor in network.parameters(READOUT).items():
        tensor.fill_(0.7 if name == "energy_centre" else 0.0)
    x = algorithm.dream(network, 10_000, draws(0)).somas[0]
    assert torch.allclose(x.mean(0), torch.tensor([0.7, 0.7]).double(), atol=0.03)
    wanted = 0.5 / (1 - 0.4 / (4 * 0.5))
    assert float(x.var(0).mean()) == pytest.approx(wanted, rel=0.04)


def test_dreams_of_colour_start_around_the_centre_of_each_unit():
    """Maps are rows of units channel by channel at each position, and not the other way round."""
    colours = {
        "dcgan": {"filters": 2, "latents": 4, "side": 16, "channels": 3},
        "layers": (3, 2, 4, 8, 16, 4),
    }
    network, algorithm = small(colours, variance=1e-12, dream_steps=0)
    dreamt = algorithm.dream(network, 2, draws(0))
    centre = network.parameters(READOUT)["energy_centre"]
    assert torch.allclose(rows(dreamt.somas[0]), centre.expand(2, -1), atol=1e-5)
    own = algorithm.energy(network, dreamt, network.parameters(READOUT))
    hidden = sum(
        (torch.log(1 + h**2).sum((2, 3)) * network.parameters(READOUT)[f"energy_of{i}"]).sum(1)
        for i, h in enumerate(dreamt.somas[1:], start=1)
    )
    assert torch.allclose(own - hidden, torch.full_like(own, 64 * 3 * 2), rtol=0.2)


def test_the_objective_is_what_the_contrast_leaves(animal):
    built = animal(*NOISY)
    network, x = built.network, built.dataset.held_out[:50]
    drawn = [rows_of(s, 64).repeat(4, 1)[:50] for s in range(4)]
    found = float(built.algorithm.objective(network, x, RecordedNoise(drawn)))
    w = {n: t for kind in (FEEDFORWARD, READOUT) for n, t in network.parameters(kind).items()}
    start = x + 0.3 * drawn[0]
    at = start
    for xi in drawn[1:]:
        at = at.detach().requires_grad_()
        (slope,) = torch.autograd.grad(energy_of(w, quiet(w, at, {})).sum(), at)
        at = at - 0.025 * slope + math.sqrt(0.05) * xi
    wanted = (energy_of(w, quiet(w, start, {})) - energy_of(w, quiet(w, at, {}))).mean()
    assert found == pytest.approx(float(wanted.detach()), rel=1e-10)


def test_kernels_change_by_the_gradient_of_the_energy(animal):
    """On maps, all units of a map count alike."""
    built = animal(
        CONV, NAME, "algorithm.variance=1", "network.noise.scale=0", "network.normalisation=none"
    )
    moved(built.network)
    x = built.dataset.train[:16]
    _, deltas, drawn = stepped(built, WAKE, x, {})
    own = Account(built.network, ())
    shown = built.network.admit(x) + 0.3 * drawn[0]
    h, w = shown, own.leaves[FEEDFORWARD]
    energy = own.leaves[READOUT]
    loss = (shown.permute(0, 2, 3, 1).flatten(1) - energy["energy_centre"]).square().sum(1) / 2
    for i in range(1, 5):
        name = f"feedforward_into{i}"
        stride, pad = (2, 1) if i < 5 and h.shape[-1] > 1 else (1, 0)
        stride, pad = (1, 0) if h.shape[-1] == w[name].shape[-1] and i == 4 else (stride, pad)
        a = conv2d(h, w[name], w[f"{name}_bias"], stride=stride, padding=pad)
        h = a if i == 5 else torch.relu(a)
        loss = loss + (torch.log(1 + h**2).sum((2, 3)) * energy[f"energy_of{i}"]).sum(1)
    name = "feedforward_into5"
    a = conv2d(h, w[name], w[f"{name}_bias"])
    loss = loss + (torch.log(1 + a**2).sum((2, 3)) * energy["energy_of5"]).sum(1)
    wanted = own.descent(loss.mean(), FEEDFORWARD)
    for key, tensor in wanted.items():
        assert relative_error(deltas[FEEDFORWARD].tensors[key], tensor) < 1e-10, key


def simulator(*overrides: str) -> RateSimulator:
    protocol = Protocol.from_text(TINY, "tiny.yaml", (*NOISY, *overrides))
    return RateSimulator(protocol, next(iter(protocol.tree.trunks)), 0)


@pytest.mark.parametrize("persistent", ["true", "false"])
def test_chains_are_saved_and_taken_up_again(persistent):
    unbroken, broken, again = (simulator(f"algorithm.persistent={persistent}") for _ in range(3))
    unbroken.advance(0, 12, Discard(), lambda: False)
    broken.advance(0, 5, Discard(), lambda: False)
    again.load_state_dict(broken.state_dict())
    again.advance(5, 12, Discard(), lambda: False)
    mine, its = again.state_dict(), unbroken.state_dict()
    assert mine.keys() == its.keys()
    assert any(name.endswith(f"/{CONFABULATED}") for name in mine)
    assert all(np.array_equal(mine[n], its[n]) for n in mine)


def test_chains_start_from_the_last_wake_or_go_on(animal):
    for persistent in ("false", "true"):
        built = animal(*NOISY, f"algorithm.persistent={persistent}")
        network, algorithm = built.network, built.algorithm
        seen = []
        for phase in (WAKE, REM, WAKE):
            given = rows_of(3, 6) if phase is REM else built.dataset.train[:16]
            state, _, _ = stepped(built, phase, given, {})
            algorithm.track(network, state)
            seen.append(state.somas[0])
            kept = algorithm.memory[CONFABULATED]
            wanted = seen[1] if persistent == "true" and len(seen) > 1 else seen[0]
            assert torch.equal(kept, wanted)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("network.homeostasis.over=time", "use none"),
        ("network.lateral=[1]", "leave it out"),
        ("network.memory={hopfield: continuous}", "dreams of no top states"),
        ("algorithm.step_size=0", "step_size"),
        ("algorithm.margin=3", "margin"),
    ],
)
def test_what_has_no_energy_of_its_own_is_refused(override, said):
    with pytest.raises(ProtocolError, match=said):
        Protocol.from_text(TINY, "tiny.yaml", (NAME, override))
    for more, text in ((BINARY, TINY), ((CONV, "network.batch_norm=affine"), TINY_CONV)):
        with pytest.raises(ProtocolError, match="use rate units|leave it out"):
            Protocol.from_text(text, "tiny.yaml", (NAME, *more))

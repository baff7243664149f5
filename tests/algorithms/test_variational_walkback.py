"""Variational walkback against torch's distributions, sums over all states, and closed forms."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Independent, Normal

from neuro_aws.algorithms.variational_walkback import MEAN, VARIANCE, VariationalWalkback
from neuro_aws.backends.rate.build import build_network
from neuro_aws.backends.rate.simulator import RateSimulator
from neuro_aws.errors import ProtocolError
from neuro_aws.functional.noise import Draws
from neuro_aws.functional.transitions import BernoulliTransition, GaussianTransition, levels
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, READOUT, REM, WAKE
from neuro_aws.protocol import Protocol
from neuro_aws.protocol import theories as sections
from neuro_aws.protocol.model import Homeostasis, NetworkSection, Noise
from neuro_aws.recording.writer import Discard
from tests.algorithms.test_conformance import BINARY, CONV, WALKING
from tests.conftest import TINY, TINY_CONV
from tests.reference.autograd import psi
from tests.reference.passes import Logged, assert_same, rows_of

F64 = torch.float64


def draws(seed: int) -> Draws:
    return Draws(torch.Generator().manual_seed(seed), F64)


def moved(network, seed: int = 3, by: float = 0.3) -> None:
    """Give all weights values that none of them has at initialisation."""
    generator = torch.Generator().manual_seed(seed)
    for kind in (FEEDFORWARD, FEEDBACK, READOUT):
        for tensor in network.parameters(kind).values():
            tensor.add_(by * torch.randn(tensor.shape, generator=generator, dtype=F64))


def small(layers=(3, 6, 4), **settings):
    """Return a network on a few units, and the theory on it."""
    network_section = NetworkSection(
        layers=layers,
        noise=Noise(scale=0),
        homeostasis=Homeostasis(over="none"),
        normalisation="none",
        bottom="linear",
        prior="standard",
        precision="float64",
    )
    section = sections.VariationalWalkback(name="variational_walkback", **settings)
    network = build_network(network_section, section, 0, torch.device("cpu"))
    algorithm = VariationalWalkback(section, network_section)
    algorithm.initialise(network)
    return network, algorithm


def silencing() -> dict[int, torch.Tensor]:
    gains = {1: torch.ones(20).double()}
    gains[1][:6], gains[1][7] = 0, 2
    return gains


def account(network, weights, s, level, gains, states="gaussian", spread="root"):
    """Return p_T(. | s) by torch's distributions, from weights by name; a third of the way."""

    def own(name, default):
        return weights[name][level] if name in weights else default

    h = s
    for i in (1, 2):
        a = h @ weights[f"feedforward_into{i}"].T + weights[f"feedforward_into{i}_bias"]
        a = (1 + own(f"temperature_scale{i}", 0)) * a + own(f"temperature_shift{i}", 0)
        h = (a if i == 2 else psi("relu", "rms", a)) * gains.get(i, 1.0)
    d = h @ weights["feedback_into1"].T + weights["feedback_into1_bias"]
    d = psi("relu", "rms", d) * gains.get(1, 1.0)
    a = d @ weights["feedback_into0"].T + weights["feedback_into0_bias"]
    temperature = 5.0**level
    if states == "bernoulli":
        return Independent(Bernoulli(logits=(2 * s + a) / 3 / temperature), 1)
    sigma = 0.01 + torch.log(1 + torch.exp(h @ weights["spread"].T + weights["spread_bias"]))
    grown = temperature if spread == "linear" else temperature**0.5
    return Independent(Normal((2 * s + torch.tanh(a)) / 3, grown * sigma), 1)


@pytest.mark.parametrize("gains", [{}, silencing()], ids=["plain", "silenced"])
@pytest.mark.parametrize(
    ("states", "spread"), [("gaussian", "root"), ("gaussian", "linear"), ("bernoulli", "root")]
)
def test_each_step_back_is_learnt_from_the_states_as_they_were_drawn(animal, gains, states, spread):
    built = animal(
        *WALKING,
        f"algorithm.states={states}",
        f"algorithm.spread={spread}",
        f"algorithm.share={1 / 3}",
        "algorithm.hottest=100",
        "algorithm.own_parameters=true",
    )
    network = built.network
    moved(network)
    noise = Logged(1)
    state = built.algorithm.propagate(network, built.dataset.train[:16], WAKE, noise, gains)
    found = built.algorithm.deltas(network, state, network.acetylcholine(state), WAKE)
    assert set(found) == {FEEDFORWARD, FEEDBACK, READOUT, DISCRIMINATOR}
    kinds = (FEEDFORWARD, FEEDBACK, READOUT)
    of = {kind: list(network.parameters(kind)) for kind in kinds}
    weights = {
        n: t.clone().requires_grad_() for k in kinds for n, t in network.parameters(k).items()
    }
    waits = torch.floor(4 * noise.drawn[0])  # N_1 - n
    walk = [0, 0, 0, 0, 1, 2]
    assert len(noise.drawn) == 1 + len(walk)
    s = built.dataset.train[:16]
    s = s if states == "gaussian" else torch.where(s > 0, 1.0, -1.0).double()
    total = 0.0
    for t, (level, xi) in enumerate(zip(walk, noise.drawn[1:], strict=True)):
        out = t >= waits  # has set out
        step = account(network, weights, s, level, gains, states, spread)
        with torch.no_grad():
            if states == "gaussian":
                after = step.mean + step.stddev * xi
            else:
                after = torch.where(xi < step.mean, 1.0, -1.0).double()
            after = torch.where(out[:, None], after, s)
        back = account(network, weights, after, level, gains, states, spread)
        each = back.log_prob(s if states == "gaussian" else (1 + s) / 2)
        total = total + each[out].sum() / 16
        s = after
    assert len(set(waits.tolist())) > 2
    assert torch.allclose(state.graph.reached, s, rtol=1e-10)
    assert float(state.graph.climbed.detach()) == pytest.approx(float(total.detach()), rel=1e-10)
    wanted = dict(
        zip(
            weights,
            torch.autograd.grad(total, list(weights.values()), allow_unused=True),
            strict=True,
        )
    )
    for kind in kinds:
        zero = {n: torch.zeros_like(weights[n]) for n in of[kind]}
        assert_same(found[kind], {n: zero[n] if wanted[n] is None else wanted[n] for n in of[kind]})
    if gains:
        assert float(found[FEEDFORWARD].tensors["feedforward_into2"][:, :6].abs().max()) == 0
        assert float(state.somas[1][:, :6].abs().max()) == 0


def test_densities_and_entropies_are_those_of_torch():
    mean, logit, x = rows_of(0, 5), rows_of(1, 5), rows_of(2, 5)
    deviation = rows_of(3, 5).exp()
    gaussian, bernoulli = GaussianTransition(mean, deviation), BernoulliTransition(logit)
    normal, coin = Independent(Normal(mean, deviation), 1), Independent(Bernoulli(logits=logit), 1)
    assert torch.allclose(gaussian.log_density(x), normal.log_prob(x), rtol=1e-12)
    assert torch.allclose(gaussian.entropy(), normal.entropy(), rtol=1e-12)
    assert torch.allclose(bernoulli.log_density(x.sign()), coin.log_prob((1 + x.sign()) / 2))
    assert torch.allclose(bernoulli.entropy(), coin.entropy(), rtol=1e-12)
    assert torch.allclose(bernoulli.expected(), 2 * coin.mean - 1, rtol=1e-12)
    many = BernoulliTransition(logit[:1].expand(20_000, 5)).drawn(draws(0))
    assert torch.allclose(many.mean(0), bernoulli.expected()[0], atol=0.03)


def test_the_first_steps_are_cold_and_each_later_one_hotter():
    assert levels(3, 2) == (0, 0, 0, 1, 2)
    assert levels(1, 0) == (0,)
    assert small(factor=2, hottest=32)[1].section.temperatures == 5
    assert small(factor=10, hottest=1000)[1].section.temperatures == 3
    assert small(factor=2, hottest=33)[1].section.temperatures == 6


def bounds(network, algorithm, x: torch.Tensor, heatings: int) -> torch.Tensor:
    """Return the bound of every heating of every stimulus, (heatings, stimuli)."""
    return algorithm.bound(network, x.repeat(heatings, 1), draws(0)).view(heatings, -1)


def every_state(units: int) -> torch.Tensor:
    return torch.tensor(list(itertools.product((-1.0, 1.0), repeat=units)), dtype=F64)


def test_the_bound_lies_below_the_likelihood_and_importance_sampling_finds_it():
    """Binary states of four units: log p(x) by products of matrices over all sixteen."""
    network, algorithm = small((4, 6, 3), states="bernoulli", factor=2, hottest=8, extra_steps=1)
    moved(network, by=0.5)
    algorithm.memory[MEAN] = torch.tensor([0.5, -0.3, 0.0, 0.1]).double()
    algorithm.memory[VARIANCE] = torch.ones(4).double()
    s = every_state(4)
    start = Independent(Bernoulli((1 + algorithm.memory[MEAN]) / 2), 1)
    p = start.log_prob((1 + s) / 2).exp()
    for level in reversed(algorithm.levels()):
        rows_at = [algorithm.apply(network, one.expand(16, 4), level)[1] for one in s]
        p = p @ torch.stack([step.log_density(s).exp() for step in rows_at])
    assert float(p.sum()) == pytest.approx(1, rel=1e-12)
    exact = p.log()
    found = bounds(network, algorithm, s, 10_000)
    mean, spread = found.mean(0), found.std(0) / 10_000**0.5
    assert bool((mean + 4 * spread < exact).all())
    sampled = found.logsumexp(0) - math.log(10_000)
    assert torch.allclose(sampled, exact, atol=0.1)
    assert float((sampled - exact).abs().mean()) < 0.1 * float((exact - mean).mean())


def linear(**settings):
    """Return an operator that pulls to 0: s' = (1 - a) s + sigma xi, at every temperature."""
    network, algorithm = small((2, 3, 3), share=0.4, spread_at_start=0.5, **settings)
    for kind in (FEEDFORWARD, FEEDBACK):
        for tensor in network.parameters(kind).values():
            tensor.zero_()
    return network, algorithm


RESTING = 0.5**2 / (1 - 0.6**2)
"""Variance of that chain at rest, at T = 1: sigma^2 / (1 - (1 - a)^2)."""


def test_the_bound_is_tight_where_the_chain_can_be_reversed():
    """Detailed balance: from the chain's own rest every heating gives log p(x) itself."""
    network, algorithm = linear(factor=2, hottest=2, extra_steps=4)
    algorithm.memory[MEAN] = torch.zeros(2).double()
    algorithm.memory[VARIANCE] = torch.full((2,), RESTING).double()
    x = rows_of(4, 2)
    wanted = Independent(Normal(torch.zeros(2).double(), RESTING**0.5), 1).log_prob(x)
    assert torch.allclose(algorithm.bound(network, x, draws(0)), wanted, rtol=1e-10)


@pytest.mark.parametrize("spread", ["root", "linear"])
def test_linear_steps_give_the_gaussian_that_their_variances_add_up_to(spread):
    network, algorithm = linear(factor=1.5, hottest=2, extra_steps=1, spread=spread)
    algorithm.memory[MEAN] = torch.tensor([0.3, -0.2]).double()
    algorithm.memory[VARIANCE] = torch.tensor([1.0, 0.7]).double()
    mean, variance = algorithm.memory[MEAN].clone(), algorithm.memory[VARIANCE].clone()
    for level in reversed(algorithm.levels()):
        hot = 1.5**level
        mean, variance = (
            0.6 * mean,
            0.36 * variance + 0.25 * (hot**2 if spread == "linear" else hot),
        )
    dreams = algorithm.dream(network, 20_000, draws(1)).somas[0]
    assert torch.allclose(dreams.mean(0), mean, atol=0.03)
    assert torch.allclose(dreams.var(0), variance, rtol=0.04)
    x = dreams[:8]
    exact = Independent(Normal(mean, variance.sqrt()), 1).log_prob(x)
    found = bounds(network, algorithm, x, 20_000)
    assert bool((found.mean(0) < exact - 0.05).all())
    assert torch.allclose(found.logsumexp(0) - math.log(20_000), exact, atol=0.1)
    objective = float(algorithm.objective(network, x, draws(1)))
    assert objective == -float(algorithm.bound(network, x, draws(1)).mean())


def test_a_cold_chain_comes_to_rest_and_held_units_stay():
    network, algorithm = linear(factor=2, hottest=2, extra_steps=0)
    start = torch.full((4000, 2), 5.0).double()
    ended = algorithm.cool(network, start, (0,) * 40, draws(0))
    assert torch.allclose(ended.var(0), torch.full((2,), RESTING).double(), rtol=0.08)
    known = (torch.tensor([True, False]), torch.tensor([0.7, 9.0], dtype=F64))
    held = algorithm.cool(network, start, (0,) * 40, draws(0), known=known)
    assert bool((held[:, 0] == 0.7).all())
    assert torch.equal(held[:, 1], ended[:, 1])


def test_the_last_step_of_a_dream_is_its_mean_without_noise_at_the_bottom(animal):
    noisy, still = (
        animal(*WALKING, f"network.noise.bottom={bottom}") for bottom in ("true", "false")
    )
    walk = (0, 0, 1)
    states = {}
    for name, built in (("noisy", noisy), ("still", still)):
        states[name] = built.algorithm.cool(built.network, rows_of(2, 64), walk, draws(0))
    before = noisy.algorithm.cool(noisy.network, rows_of(2, 64), walk[1:], draws(0))
    step = noisy.algorithm.apply(noisy.network, before, 0)[1]
    assert torch.allclose(states["still"], step.mean, rtol=1e-12)
    deviation = (states["noisy"] - states["still"]) / step.deviation
    assert float(deviation.std()) == pytest.approx(1, abs=0.08)


def test_rem_cools_from_where_heating_ended(animal):
    built = animal(*WALKING, "algorithm.start_steps=4")
    network, algorithm = built.network, built.algorithm
    mean = variance = None
    for seed in range(3):
        state = algorithm.propagate(network, built.dataset.train[:16], WAKE, draws(seed), {})
        algorithm.track(network, state)
        s = state.graph.reached
        if mean is None:
            mean, variance = s.mean(0), s.var(0, correction=0)
        else:
            mean = mean + (s.mean(0) - mean) / 4
            variance = variance + ((s - mean).square().mean(0) - variance) / 4
    assert torch.allclose(algorithm.memory[MEAN], mean)
    assert torch.allclose(algorithm.memory[VARIANCE], variance)
    kept = algorithm.memory[MEAN].clone()
    noise = Logged(5)
    state = algorithm.propagate(network, rows_of(0, 6), REM, noise, {})
    algorithm.track(network, state)
    assert torch.equal(algorithm.memory[MEAN], kept)
    s = mean + variance.sqrt() * noise.drawn[0]
    for level, xi in zip(reversed(algorithm.levels()), noise.drawn[1:], strict=True):
        step = algorithm.apply(network, s, level)[1]
        s = step.mean + step.deviation * xi
    assert torch.allclose(state.somas[0], s, rtol=1e-10)
    up = algorithm.recognise(network, state.somas[0], None, {}, False)
    assert torch.equal(state.somas[2], up.somas[2])


def simulator(*overrides: str) -> RateSimulator:
    protocol = Protocol.from_text(TINY, "tiny.yaml", (*WALKING, *overrides))
    return RateSimulator(protocol, next(iter(protocol.tree.trunks)), 0)


def test_where_dreams_start_is_saved_and_taken_up_again():
    unbroken, broken, again = (simulator("algorithm.own_parameters=true") for _ in range(3))
    unbroken.advance(0, 12, Discard(), lambda: False)
    broken.advance(0, 5, Discard(), lambda: False)
    again.load_state_dict(broken.state_dict())
    again.advance(5, 12, Discard(), lambda: False)
    mine, its = again.state_dict(), unbroken.state_dict()
    assert mine.keys() == its.keys()
    assert any(name.endswith(f"/{VARIANCE}") for name in mine)
    assert all(np.array_equal(mine[n], its[n]) for n in mine)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("network.homeostasis.over=time", "use none"),
        ("network.lateral=[1]", "leave it out"),
        ("network.noise.scale=0.2", "alone; use 0"),
        ("network.inverse_relu=0.2", "alone; use 0"),
        ("network.memory={hopfield: continuous, recall: exact}", "leave it out"),
        ("algorithm.density=laplacian", "no such choice"),
        ("algorithm.hottest=1.0e9", "give a larger one"),
        ("algorithm.least_spread=0.5", "below spread_at_start"),
        ("algorithm.hottest=1", "hottest"),
    ],
)
def test_what_has_no_density_of_its_own_is_refused(override, said):
    usual = dict(setting.split("=") for setting in (*WALKING, override))
    if "hottest=1.0e9" in override:
        usual["algorithm.factor"] = "1.01"
    with pytest.raises(ProtocolError, match=said):
        Protocol.from_text(TINY, "tiny.yaml", [f"{key}={value}" for key, value in usual.items()])


def test_settings_of_other_states_and_networks_are_refused():
    coins = (*WALKING, "algorithm.states=bernoulli", "algorithm.spread=linear")
    with pytest.raises(ProtocolError, match="belongs to states: gaussian"):
        Protocol.from_text(TINY, "tiny.yaml", coins)
    for more, text in ((BINARY, TINY), ((CONV, "network.batch_norm=affine"), TINY_CONV)):
        with pytest.raises(ProtocolError, match="use rate units|leave it out"):
            Protocol.from_text(text, "tiny.yaml", (WALKING[0], *more))


RING = """
schema_version: 3
name: ring
seeds: 1
stimulus: {source: toy, kind: circle, count: 1000}
network: {layers: [2, 32, 16], normalisation: none, homeostasis: {over: none}, prior: standard, noise: {scale: 0}, discriminator: {hidden: 4}}
algorithm: {name: variational_walkback, factor: 2, hottest: 32, feedforward: {rate: 3.0e-3}, feedback: {rate: 3.0e-3}, readout: {rate: 3.0e-3}}
schedule: [{name: training, cycles: 300, phases: [{wake: 1}]}]
arms: {control: {}}
"""


def test_the_bound_on_a_circle_rises_and_dreams_come_to_lie_on_it():
    """Two seeds: at least 0.7 nats; the mean distance to the circle falls below a third."""
    for seed in range(2):
        protocol = Protocol.from_text(RING, "ring.yaml")
        one = RateSimulator(protocol, "control", seed)
        network, algorithm, x = (
            one.animal.network,
            one.animal.algorithm,
            one.animal.dataset.held_out,
        )
        found = []
        for _ in range(2):
            with torch.no_grad():
                objective = float(
                    algorithm.objective(network, x, one.subject(0).draws("objective"))
                )
                dreams = algorithm.dream(network, 500, one.subject(0).draws("dreams")).somas[0]
            found.append((objective, float((dreams.norm(dim=1) - 0.8).abs().mean())))
            if len(found) == 1:
                one.advance(0, 300, Discard(), lambda: False)
        (before, far), (after, near) = found
        assert after < before - 0.7, found
        assert near < far / 3, found

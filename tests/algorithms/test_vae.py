"""The bound and its gradients against an own account of them, and against exact evidence."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.distributions import Laplace, MultivariateNormal, Normal, kl_divergence

from neuro_aws.algorithms import asked
from neuro_aws.errors import ProtocolError
from neuro_aws.functional.noise import RecordedNoise
from neuro_aws.model.network import NO_GAINS
from neuro_aws.model.state import NetworkState
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, NREM, REM, WAKE
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.schema import Block
from tests.conftest import TINY
from tests.engines import engine_of
from tests.reference.autograd import psi

VAE = "algorithm.name=vae"
LINEAR = (
    VAE,
    "network.bottom=linear",
    "network.transfer=linear",
    "network.normalisation=none",
    "algorithm.stimulus_noise=0.7",
)
S = 0.7  # s_x of LINEAR
V = "feedforward_log_variance"


def randomised(built):
    """Fill every weight, biases and log-variances too: none of them is 0 or tied."""
    generator = torch.Generator().manual_seed(5)
    for kind in (FEEDFORWARD, FEEDBACK):
        vector = built.network.flat(kind)
        drawn = torch.randn(vector.shape, generator=generator, dtype=vector.dtype)
        vector.add_(0.1 * drawn)
    return built


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def own_bound(w, x, draws, sizes, gains, beta, sigma, density) -> Tensor:
    """The bound of each sample from weights and draws alone: torch's own distributions."""
    kind, unit = (Normal, 1.0) if density == "gaussian" else (Laplace, 0.5**0.5)
    h, log_q, a = x, 0.0, {}
    rates = [x]
    for i in range(1, len(sizes) - 1):
        mean = h @ w[f"feedforward_into{i}"].T + w[f"feedforward_into{i}_bias"]
        a[i] = mean + sigma * draws[i]
        log_q = log_q + kind(mean, unit * sigma).log_prob(a[i]).sum(1)
        h = psi("relu", "rms", a[i]) * gains.get(i, 1.0)
        rates.append(h)
    top = len(sizes) - 1
    mean = h @ w[f"feedforward_into{top}"].T + w[f"feedforward_into{top}_bias"]
    spread = torch.exp(0.5 * (h @ w[V].T + w[f"{V}_bias"]))
    rates.append((mean + spread * draws[top]) * gains.get(top, 1.0))
    predicted = [
        above @ w[f"feedback_into{i}"].T + w[f"feedback_into{i}_bias"]
        for i, above in enumerate(rates[1:])
    ]
    log_p = kind(torch.tanh(predicted[0]), unit * 0.4).log_prob(x).sum(1)
    for i in range(1, top):
        log_p = log_p + kind(predicted[i], unit * sigma).log_prob(a[i]).sum(1)
    kl = kl_divergence(Normal(mean, spread), Normal(0.0, 1.0)).sum(1)
    return log_p - log_q - beta * kl


@pytest.mark.parametrize("density", ["gaussian", "laplacian"])
def test_bound_and_gradients_are_those_of_an_own_account_with_the_same_noise(animal, density):
    sizes = (64, 20, 10, 6)
    built = randomised(
        animal(
            VAE,
            f"network.layers={list(sizes)}",
            "algorithm.beta=0.6",
            "algorithm.stimulus_noise=0.4",
            "network.noise.scale=0.3",
            f"network.noise.density={density}",
            f"algorithm.density={density}",
        )
    )
    network, algorithm = built.network, built.algorithm
    x = built.dataset.held_out[:9]
    gains = {i: torch.linspace(0, 2, n, dtype=torch.float64) for i, n in enumerate(sizes) if i}
    shapes = [(9, n) for n in sizes[1:]]
    normals = [numbers(*shape, seed=i) for i, shape in enumerate([*shapes, shapes[-1]])]
    uniforms = [torch.rand(*s, generator=torch.Generator().manual_seed(i)).double()
                for i, s in enumerate(shapes)]  # fmt: skip
    if density == "laplacian":
        normals = normals[-1:]
    state = algorithm.propagate(network, x, WAKE, RecordedNoise(normals, uniforms), gains)
    draws = {i: state.layers[i].xi for i in range(1, 4)}
    if density == "gaussian":
        assert torch.equal(draws[1], normals[0])
        assert torch.equal(draws[3], normals[3])
    weights = {
        name: tensor.clone().requires_grad_()
        for kind in (FEEDFORWARD, FEEDBACK)
        for name, tensor in network.parameters(kind).items()
    }
    wanted = own_bound(weights, x, draws, sizes, gains, 0.6, 0.3, density)
    assert torch.allclose(state.graph.bound, wanted, rtol=1e-12, atol=0)
    signal = network.acetylcholine(state, RecordedNoise())
    deltas = algorithm.deltas(network, state, signal, WAKE)
    found = dict(deltas[FEEDFORWARD].tensors) | dict(deltas[FEEDBACK].tensors)
    gradients = torch.autograd.grad(wanted.mean(), list(weights.values()))
    for name, gradient in zip(weights, gradients, strict=True):
        assert torch.allclose(found[name], gradient, rtol=1e-9, atol=1e-12), name
    again = algorithm.objective(network, x, RecordedNoise(normals, uniforms))
    ungained = own_bound(weights, x, draws, sizes, {}, 0.6, 0.3, density)
    assert float(again) == pytest.approx(-float(ungained.detach().mean()), rel=1e-12)


def points(*latents: int) -> list[Tensor]:
    """Return draws whose mean is the expectation of any quadratic of all latents together."""
    n = sum(latents)
    both = math.sqrt(n) * torch.cat([torch.eye(n), -torch.eye(n)]).double()
    return list(both.split(latents, 1))


def expected_bound(built, x: Tensor) -> tuple[Tensor, NetworkState]:
    """Return the bound of each stimulus, its expectation over the draws taken exactly, and its step."""
    latents = built.network.sizes[1:]
    each = [draws.repeat(len(x), 1) for draws in points(*latents)]
    if len(latents) > 1:  # the pass to h_{N-1} draws the top's too
        each.insert(-1, each[-1])
    rows = x.repeat_interleave(2 * sum(latents), 0)
    state = built.algorithm.propagate(built.network, rows, WAKE, RecordedNoise(each), NO_GAINS)
    return state.graph.bound.view(len(x), -1).mean(1), state


def one_layer(animal, g: Tensor, c: Tensor):
    """Return a 6-unit top over 64 pixels with orthogonal columns G, and its exact posterior in F, V."""
    built = animal(*LINEAR, "network.layers=[64, 6]", "network.noise.scale=0")
    up, down = (built.network.parameters(kind) for kind in (FEEDFORWARD, FEEDBACK))
    precision = g.square().sum(0) / S**2 + 1
    down["feedback_into0"].copy_(g), down["feedback_into0_bias"].copy_(c)
    up["feedforward_into1"].copy_(g.T / (S**2 * precision[:, None]))
    up["feedforward_into1_bias"].copy_(-up["feedforward_into1"] @ c)
    up[V].zero_(), up[f"{V}_bias"].copy_(-precision.log())
    return built


def evidence(g: Tensor, c: Tensor, x: Tensor) -> Tensor:
    covariance = g @ g.T + S**2 * torch.eye(len(g), dtype=g.dtype)
    return MultivariateNormal(c, covariance).log_prob(x)


def orthogonal(seed: int = 1) -> Tensor:
    return torch.linalg.qr(numbers(64, 6, seed=seed)).Q * torch.linspace(0.5, 3, 6).double()


def test_with_the_exact_posterior_the_bound_is_the_evidence_and_so_is_its_gradient(animal):
    g, c = orthogonal(), 0.1 * numbers(64, seed=2)
    built = one_layer(animal, g, c)
    x = built.dataset.held_out[:20]
    bound, state = expected_bound(built, x)
    leaf, shift = g.clone().requires_grad_(), c.clone().requires_grad_()
    exact = evidence(leaf, shift, x)
    assert torch.allclose(bound, exact, rtol=1e-11)
    signal = built.network.acetylcholine(state, RecordedNoise())
    deltas = built.algorithm.deltas(built.network, state, signal, WAKE)
    at_g, at_c = torch.autograd.grad(exact.mean(), (leaf, shift))
    assert torch.allclose(deltas[FEEDBACK].tensors["feedback_into0"], at_g, atol=1e-10)
    assert torch.allclose(deltas[FEEDBACK].tensors["feedback_into0_bias"], at_c, atol=1e-10)
    for name, tensor in deltas[FEEDFORWARD].tensors.items():
        assert float(tensor.abs().max()) < 1e-10, name  # q can do no better


def test_with_another_posterior_the_bound_is_lower_by_its_divergence(animal):
    g, c = orthogonal(), 0.1 * numbers(64, seed=2)
    built = one_layer(animal, g, c)
    exact_f = built.network.parameters(FEEDFORWARD)["feedforward_into1"].clone()
    x = built.dataset.held_out[:20]
    randomised(built)
    down = built.network.parameters(FEEDBACK)  # the generative model stays as it was
    down["feedback_into0"].copy_(g), down["feedback_into0_bias"].copy_(c)
    up = built.network.parameters(FEEDFORWARD)
    q = Normal(
        x @ up["feedforward_into1"].T + up["feedforward_into1_bias"],
        torch.exp(0.5 * (x @ up[V].T + up[f"{V}_bias"])),
    )
    precision = g.square().sum(0) / S**2 + 1
    posterior = Normal((x - c) @ exact_f.T, precision.rsqrt())
    apart = kl_divergence(q, posterior).sum(1)
    assert float(apart.min()) > 0.1
    assert torch.allclose(expected_bound(built, x)[0], evidence(g, c, x) - apart, rtol=1e-11)


def test_probabilistic_principal_components_are_where_nothing_changes_any_more(animal):
    x = animal(*LINEAR, "network.layers=[64, 6]").dataset.held_out
    c = x.mean(0)
    values, vectors = torch.linalg.eigh((x - c).T @ (x - c) / len(x))
    g = vectors[:, -6:] * (values[-6:] - S**2).clamp(min=0).sqrt()
    built = one_layer(animal, g, c)
    bound, state = expected_bound(built, x)
    signal = built.network.acetylcholine(state, RecordedNoise())
    deltas = built.algorithm.deltas(built.network, state, signal, WAKE)
    for kind in (FEEDFORWARD, FEEDBACK):
        for name, tensor in deltas[kind].tensors.items():
            assert float(tensor.abs().max()) < 1e-9, name
    best = float(bound.detach().mean())
    down = built.network.parameters(FEEDBACK)["feedback_into0"]
    down.add_(0.02 * numbers(64, 6))
    assert float(expected_bound(built, x)[0].detach().mean()) < best - 0.01


def test_two_layers_miss_the_evidence_by_the_divergence_of_all_latents_together(animal):
    sigma, sizes = 0.5, (64, 8, 4)
    built = randomised(
        animal(*LINEAR, f"network.layers={list(sizes)}", f"network.noise.scale={sigma}")
    )
    up, down = (built.network.parameters(kind) for kind in (FEEDFORWARD, FEEDBACK))
    up[V].zero_()  # so that q is one Gaussian of all latents
    x = built.dataset.held_out[:6]
    f, e = ([up[f"feedforward_into{i}"], up[f"feedforward_into{i}_bias"]] for i in (1, 2))
    g0, g1 = ([down[f"feedback_into{i}"], down[f"feedback_into{i}_bias"]] for i in (0, 1))
    one, four = (torch.eye(n, dtype=x.dtype) for n in (8, 4))
    v = torch.diag(up[f"{V}_bias"].exp())
    mean = x @ f[0].T + f[1]
    q = MultivariateNormal(
        torch.cat([mean, mean @ e[0].T + e[1]], 1),
        sigma**2 * torch.cat([torch.cat([one, e[0].T], 1), torch.cat([e[0], e[0] @ e[0].T], 1)])
        + torch.block_diag(0 * one, v),
    )
    prior = torch.cat(
        [torch.cat([g1[0] @ g1[0].T + sigma**2 * one, g1[0]], 1), torch.cat([g1[0].T, four], 1)]
    )
    reads = torch.cat([g0[0], torch.zeros(64, 4, dtype=x.dtype)], 1)
    seen = reads @ prior @ reads.T + S**2 * torch.eye(64, dtype=x.dtype)
    center = torch.cat([g1[1], torch.zeros(4, dtype=x.dtype)])
    gain = prior @ reads.T @ torch.linalg.inv(seen)
    shown = reads @ center + g0[1]
    covariance = prior - gain @ reads @ prior
    posterior = MultivariateNormal(center + (x - shown) @ gain.T, (covariance + covariance.T) / 2)
    wanted = MultivariateNormal(shown, seen).log_prob(x) - kl_divergence(q, posterior)
    assert torch.allclose(expected_bound(built, x)[0], wanted, rtol=1e-10)


@pytest.mark.parametrize("layer", [1, 2])
def test_a_silenced_cell_is_silent_and_sends_nothing_either_way(animal, layer):
    built = animal(VAE)
    network, algorithm = built.network, built.algorithm
    gain = torch.ones(network.sizes[layer], dtype=torch.float64)
    gain[:3] = 0
    noise = RecordedNoise([numbers(16, n, seed=n) for n in (20, 6, 6)])
    state = algorithm.propagate(network, built.dataset.held_out[:16], WAKE, noise, {layer: gain})
    assert float(state.somas[layer][:, :3].abs().max()) == 0
    signal = network.acetylcholine(state, RecordedNoise())
    deltas = algorithm.deltas(network, state, signal, WAKE)
    sent = [deltas[FEEDBACK].tensors[f"feedback_into{layer - 1}"]]
    if layer == 1:
        sent += [deltas[FEEDFORWARD].tensors[name] for name in ("feedforward_into2", V)]
    for change in sent:
        assert float(change[:, :3].abs().max()) == 0
        assert float(change[:, 3:].abs().max()) > 0


def test_without_noise_the_top_is_its_mean_and_with_noise_as_uncertain_as_it_says(animal):
    built = randomised(animal(VAE))
    network, x = built.network, built.dataset.held_out[:8]
    still = asked.recognise(built.algorithm, network, x, None)
    assert torch.equal(still.somas[-1], network.recognise(x, None).somas[-1])
    xi = [torch.zeros(8, 20).double(), torch.zeros(8, 6).double(), torch.ones(8, 6).double()]
    noisy = asked.recognise(built.algorithm, network, x, RecordedNoise(xi))
    w = network.parameters(FEEDFORWARD)
    spread = torch.exp((still.somas[1] @ w[V].T + w[f"{V}_bias"]) / 2)
    assert torch.allclose(noisy.somas[-1] - still.somas[-1], spread, rtol=1e-12)


def test_maps_have_the_same_bound(animal):
    built = randomised(animal(VAE, "network.dcgan={filters: 2, latents: 4, side: 16}"))
    network, x = built.network, built.dataset.held_out[:3]

    class Ones:
        def normal(self, shape):
            return torch.full(shape, 0.5, dtype=torch.float64)

    state = built.algorithm.propagate(network, x, WAKE, Ones(), NO_GAINS)
    layers, sigma, s = state.layers, network.noise.sigma, built.algorithm.stimulus_noise
    bound = Normal(layers[0].dendrite.rate, s).log_prob(layers[0].soma).flatten(1).sum(1)
    for i, (below, own) in enumerate(pairwise(layers[:-1])):
        mean, _ = network.layers[i].feedforward_potential(below.soma)
        a = own.drive.potential
        assert torch.allclose(a, mean + 0.5 * sigma)
        for at, sign in ((own.dendrite.potential, 1), (mean, -1)):
            bound = bound + sign * Normal(at, sigma).log_prob(a).flatten(1).sum(1)
    mean, _ = network.layers[-1].feedforward_potential(layers[-2].soma)
    spread = 2 * (layers[-1].soma - mean)
    bound = bound - kl_divergence(Normal(mean, spread), Normal(0.0, 1.0)).flatten(1).sum(1)
    assert float((spread - 1).abs().max()) > 0.01
    assert torch.allclose(state.graph.bound, bound, rtol=1e-10)


def test_sleep_teaches_the_discriminator_only(animal):
    one = engine_of(animal(VAE), (Block(wake=1), Block(rem=1), Block(nrem=1)), 1)
    found = [one.step(step) for step in range(3)]
    learnt = {m.spec.phase: set(m.deltas) for m in found}
    assert learnt == {
        WAKE: {FEEDFORWARD, FEEDBACK, DISCRIMINATOR},
        REM: {DISCRIMINATOR},
        NREM: set(),
    }


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("network.prior=learnt", "use prior: standard"),
        ("network.top=tanh", "use top: linear"),
        ("network.order=published", "one psi for both ways"),
        ("network.inverse_relu=0.5", "use inverse_relu: 0"),
        ("network.lateral=[1]", "no lateral weights"),
        ("network.noise.scale=0", "noise.scale above 0"),
        ("algorithm.reduction=mean", "use reduction: sum"),
    ],
)
def test_a_network_without_such_a_likelihood_is_refused(change, says):
    with pytest.raises(ProtocolError, match=says):
        Protocol.from_text(TINY, "tiny.yaml", (VAE, change))


def test_one_layer_needs_no_noise_of_the_network():
    Protocol.from_text(TINY, "tiny.yaml", (VAE, "network.layers=[64, 6]", "network.noise.scale=0",
                                           "targets={cells: {layer: 1, fraction: 0.5}}"))  # fmt: skip

"""Predictive coding against autograd of its energy, closed forms, a smaller network and backprop."""

import itertools

import pytest
import torch
from torch.nn.functional import conv_transpose2d

from neuro_aws.algorithms.predictive_coding import energy, settle, slope
from neuro_aws.errors import ProtocolError
from neuro_aws.functional.noise import RecordedNoise
from neuro_aws.model.state import Delta
from neuro_aws.perturbations import Slots
from neuro_aws.phase import FEEDBACK, FEEDFORWARD, NREM, REM, WAKE
from neuro_aws.protocol.schema import Block
from tests.algorithms.test_conformance import CONV
from tests.engines import engine_of
from tests.reference.autograd import PHI, of, psi, relative_error

NAME = "algorithm.name=predictive_coding"
PLAIN = (NAME, "network.normalisation=none")


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def written_energy(somas, weights, kinds, mean) -> torch.Tensor:
    """E of each sample, as autograd can see it; layers from the bottom up."""
    total = 0.5 * ((somas[-1] - mean) ** 2).sum(-1)
    for i, (kind, below, above) in enumerate(zip(kinds, somas, somas[1:], strict=False)):
        name = f"feedback_into{i}"
        a = above @ weights[name].T + weights[f"{name}_bias"]
        total = total + 0.5 * ((below - psi(*kind[:2], a, kind[2])) ** 2).sum(-1)
    return total


def made(animal, *overrides: str):
    """Return a network with biases and a prior's mean that are not 0, and somata to start from."""
    built = animal(*overrides)
    network = built.network
    for i, layer in enumerate(network.layers):
        layer.feedback[1].copy_(0.3 * normal(*layer.feedback[1].shape, seed=i))
    if network.prior.learnt is not None:
        network.prior.learnt.first.add_(0.2)
    somas = [normal(5, n, seed=10 + i) for i, n in enumerate(network.sizes)]
    return built, network, somas


CASES = [
    *(("network.transfer=" + t, "network.normalisation=none") for t in PHI),
    ("network.transfer=softplus", "network.normalisation=rms", "network.prior=learnt"),
    ("network.transfer=relu", "network.normalisation=l2"),
    ("network.transfer=leaky_relu", "network.order=published"),
    ("network.transfer=tanh", "network.prediction=bare", "network.bottom=sigmoid"),
]


@pytest.mark.parametrize("overrides", CASES, ids=lambda c: "_".join(o.split("=")[1] for o in c))
def test_settling_and_learning_descend_the_energy(animal, overrides):
    """dh = - dE/dh of every layer, and dG = - dE/dG with E's batch mean: autograd of E itself."""
    built, network, somas = made(animal, NAME, *overrides)
    mean = torch.zeros(6, dtype=torch.float64)
    if network.prior.learnt is not None:
        learnt = network.prior.learnt
        mean = (learnt.weight[:, None] * (learnt.first / learnt.weight[:, None])).sum(0)
        assert float(mean.norm()) > 0.1
    kinds = [of(layer.psi_predicted) for layer in network.layers]
    weights = {n: t.clone().requires_grad_() for n, t in network.parameters(FEEDBACK).items()}
    h = [soma.clone().requires_grad_() for soma in somas]
    wanted = written_energy(h, weights, kinds, mean)
    assert torch.allclose(energy(network, somas), wanted.detach(), rtol=1e-12)
    found = slope(network, somas)
    for mine, its in zip(
        found, torch.autograd.grad(wanted.sum(), h, retain_graph=True), strict=True
    ):
        assert relative_error(mine, its) < 1e-10
    x = built.dataset.train[:5]
    state = built.algorithm.propagate(network, x, WAKE, noise(network, 5), {})
    total = written_energy(state.somas, weights, kinds, mean).mean()
    gradients = torch.autograd.grad(total, list(weights.values()))
    deltas = wake_deltas(built, state)
    for name, gradient in zip(weights, gradients, strict=True):
        assert relative_error(deltas[FEEDBACK].tensors[name], -gradient) < 1e-10
    assert FEEDFORWARD not in deltas


def noise(network, batch: int, seed: int = 50) -> RecordedNoise:
    return RecordedNoise([normal(batch, n, seed=seed + i) for i, n in enumerate(network.sizes[1:])])


def wake_deltas(built, state) -> dict[str, Delta]:
    with torch.no_grad():
        signal = built.network.acetylcholine(state, RecordedNoise())
        return built.algorithm.deltas(built.network, state, signal, WAKE)


def test_feedforward_learns_to_predict_where_somata_settled(animal):
    """amortised: dF = - d mean |h_{i+1} - psi(F_i h_i)|^2 / 2, each layer from its own input."""
    built = animal(NAME, "algorithm.amortised=true", "network.transfer=softplus")
    network = built.network
    state = built.algorithm.propagate(network, built.dataset.train[:5], WAKE, noise(network, 5), {})
    weights = {n: t.clone().requires_grad_() for n, t in network.parameters(FEEDFORWARD).items()}
    total = torch.zeros((), dtype=torch.float64)
    for i, layer in enumerate(network.layers, start=1):
        name = f"feedforward_into{i}"
        a = state.somas[i - 1] @ weights[name].T + weights[f"{name}_bias"]
        error = state.somas[i] - psi(*of(layer.psi_above)[:2], a)
        total = total + 0.5 * error.square().sum(-1).mean()
    deltas = wake_deltas(built, state)[FEEDFORWARD].tensors
    for name, gradient in zip(
        weights, torch.autograd.grad(total, list(weights.values())), strict=True
    ):
        assert relative_error(deltas[name], -gradient) < 1e-10


def test_maps_send_errors_up_by_the_kernels_that_predict_down(animal):
    """dE/dh of a convolutional network, by autograd through torch's transposed convolution."""
    network = animal(CONV, *PLAIN, "network.transfer=tanh").network
    somas = [normal(3, *shape, seed=i) for i, shape in enumerate(network.shapes)]
    h = [soma.clone().requires_grad_() for soma in somas]
    total = 0.5 * h[-1].square().sum()
    for i, layer in enumerate(network.layers):
        g = layer.geometry
        weight, bias = layer.feedback
        d = conv_transpose2d(h[i + 1], weight, bias, stride=g.stride, padding=g.padding)
        total = total + 0.5 * (h[i] - torch.tanh(d)).square().sum()
    assert torch.allclose(energy(network, somas).sum(), total.detach())
    for mine, its in zip(slope(network, somas), torch.autograd.grad(total, h), strict=True):
        assert relative_error(mine, its) < 1e-10


def test_a_linear_layer_settles_at_the_posterior_mean(animal):
    """h* = (I + G^T G)^-1 (G^T (x - c) + mu): a Gaussian's, of unit noise and unit prior."""
    overrides = ("network.bottom=linear", "network.layers=[64, 6]", "network.prior=learnt")
    built = animal(*PLAIN, *overrides, "targets={}", "record.activity=[]", "arms={control: {}}",
                   "measure=[]")  # fmt: skip
    network, x = built.network, built.dataset.train[:7]
    network.prior.learnt.first.add_(0.4)
    mean = network.prior.learnt.first.sum(0)
    weight, bias = network.layers[0].feedback
    bias.add_(0.1)
    eye = torch.eye(6, dtype=torch.float64)
    wanted = torch.linalg.solve(eye + weight.T @ weight, ((x - bias) @ weight + mean).T).T
    found = settle(network, [x, normal(7, 6)], 2000, 0.05)
    assert torch.equal(found[0], x)
    assert relative_error(found[1], wanted) < 1e-10


@pytest.mark.parametrize("normalisation", ["none", "rms"])
def test_the_energy_falls_in_every_settling_step(animal, normalisation):
    built = animal(NAME, f"network.normalisation={normalisation}")
    network, x = built.network, built.dataset.held_out[:50]
    rates = network.recognise(x, None).somas
    path = [energy(network, rates)]
    for _ in range(60):
        rates = settle(network, rates, 1, 0.01)
        path.append(energy(network, rates))
    assert all(bool((later < before).all()) for before, later in itertools.pairwise(path))
    assert float(path[-1].mean()) < 0.9 * float(path[0].mean())


def test_the_energy_falls_in_learning(animal):
    built = animal(*PLAIN, "algorithm.feedback.rate=0.003")
    x = built.dataset.held_out

    def found() -> float:
        return float(built.algorithm.objective(built.network, x, RecordedNoise()))

    start = found()
    engine_of(built, (Block(wake=1), Block(rem=1)), 60).run(120)
    assert found() < 0.5 * start


def test_a_silenced_cell_is_silent_at_every_settling_step(animal):
    """Two cells observed to fire 0, step by step with autograd: the others explain that they do."""
    built = animal(*PLAIN)
    network, x = built.network, built.dataset.train[:5]
    gain = torch.ones(20, dtype=torch.float64)
    gain[[3, 7]] = 0
    state = built.algorithm.propagate(network, x, WAKE, noise(network, 5), {1: gain})
    drive, soma = state.layers[1].drive, state.layers[1].soma
    assert torch.equal(soma, drive.rate * gain)
    assert bool((soma[:, [3, 7]] == 0).all())
    start = network.recognise(x, noise(network, 5), {1: gain}).somas
    kinds = [of(layer.psi_predicted) for layer in network.layers]
    weights, zero = network.parameters(FEEDBACK), torch.zeros(6, dtype=torch.float64)
    h = list(start)
    for _ in range(built.algorithm.steps):
        h = [soma.clone().requires_grad_() for soma in h]
        total = written_energy(h, weights, kinds, zero).sum()
        down = torch.autograd.grad(total, h)
        h = [h[0], *(a - built.algorithm.rate * b for a, b in zip(h[1:], down[1:], strict=True))]
        h = [h[0].detach(), h[1].detach() * gain, h[2].detach()]
    assert torch.allclose(soma, h[1], atol=1e-12)
    assert torch.allclose(state.somas[2], h[2], atol=1e-12)


def test_a_scaled_cell_settles_down_the_energy_of_what_it_fires(animal):
    built, network, somas = made(animal, *PLAIN, "network.transfer=softplus")
    gain = 1 + 0.5 * normal(20)
    after = settle(network, somas, 1, 0.01, {1: gain})
    u = somas[1].clone().requires_grad_()
    kinds = [of(layer.psi_predicted) for layer in network.layers]
    zero = torch.zeros(6, dtype=torch.float64)
    h = [somas[0], u * gain, somas[2]]
    total = written_energy(h, network.parameters(FEEDBACK), kinds, zero).sum()
    (wanted,) = torch.autograd.grad(total, u)
    assert relative_error(after[1] - somas[1], -0.01 * wanted) < 1e-10


@pytest.mark.parametrize("phase", [WAKE, REM, NREM])
def test_silencing_acts_in_the_phase_it_is_meant_for(animal, phase):
    built = animal(NAME)
    gain = torch.ones(20, dtype=torch.float64)
    gain[:5] = 0
    one = engine_of(built, (Block.model_validate({str(phase): 1}),), 3, Slots(gains={1: gain}))
    state = one.step(0).state
    assert bool((state.somas[1][:, :5] == 0).all())
    assert bool((state.somas[1][:, 5:] != 0).any())


def test_without_settling_steps_it_is_a_pass_up(animal):
    built = animal(NAME, "algorithm.settling_steps=0")
    x = built.dataset.held_out
    passed = built.network.recognise(x, None).somas
    found = built.algorithm.recognise(built.network, x, None).somas
    assert all(torch.equal(a, b) for a, b in zip(passed, found, strict=True))
    again = animal(NAME).algorithm.recognise(built.network, x, None).somas
    assert torch.equal(again[0], passed[0])
    assert not torch.equal(again[1], passed[1])


def supervised(built, scale: float, error: float):
    """Return settled somata, dG, what backprop would change, and the output error of a pass down.

    Input at the top, targets at the bottom; ``scale`` multiplies output weights and targets.
    """
    network, given = built.network, normal(16, 6)
    network.layers[0].feedback[0].mul_(scale)
    weights = {n: t.clone().requires_grad_() for n, t in network.parameters(FEEDBACK).items()}
    hidden = torch.tanh(given @ weights["feedback_into1"].T + weights["feedback_into1_bias"])
    output = hidden @ weights["feedback_into0"].T + weights["feedback_into0_bias"]
    target = (output + scale * error * normal(16, 64, seed=3)).detach()
    loss = 0.5 * (target - output).square().sum(-1).mean()
    gradients = torch.autograd.grad(loss, list(weights.values()))
    start = [target, hidden.detach(), given]
    h = settle(network, start, 1000, 0.1, clamped=(0, 2))
    assert torch.equal(h[0], target)
    assert torch.equal(h[2], given)
    assert float(slope(network, h)[1].abs().max()) < 1e-14
    found = torch.cat([t.flatten() for t in deltas_at(built, h).values()])
    return h, found, -torch.cat([g.flatten() for g in gradients]), (target - output).detach()


SUPERVISED = (*PLAIN, "network.transfer=tanh", "network.bottom=linear")


def test_with_both_ends_clamped_and_weak_outputs_it_is_backprop(animal):
    cosines = [
        float(torch.cosine_similarity(found, wanted, dim=0))
        for scale in (1.0, 0.1, 0.01)
        for _, found, wanted, _ in [supervised(animal(*SUPERVISED), scale, 0.01)]
    ]
    assert cosines[0] < 0.99
    assert cosines[1] > 0.99
    assert cosines[2] > 0.999999


def test_a_small_error_alone_leaves_a_known_factor(animal):
    """e_0 = (I + G G^T)^-1 (target - output), G that of the output: settling takes part of it."""
    built = animal(*SUPERVISED)
    h, _, _, error = supervised(built, 1.0, 1e-5)
    g = built.network.layers[0].feedback[0]
    factor = torch.linalg.inv(torch.eye(64, dtype=torch.float64) + g @ g.T)
    left = h[0] - h[1] @ g.T
    assert relative_error(left * 1e4, error @ factor * 1e4) < 1e-9


def deltas_at(built, somas):
    from neuro_aws.algorithms.base import feedback_delta
    from neuro_aws.model.state import LayerState, NetworkState

    layers = tuple(LayerState(h, h) for h in somas)
    state = built.network.with_dendrites(NetworkState(WAKE, layers))
    return feedback_delta(built.network, state, "gaussian")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("network.homeostasis.over=time", "as it is; use none"),
        ("algorithm.density=laplacian", "no such choice; use gaussian"),
        ("algorithm.reduction=mean", "no such choice; use sum"),
        ("network.perturb_activity=before_normalisation", "use after_normalisation"),
    ],
)
def test_what_settling_cannot_do_is_refused(animal, override, said):
    with pytest.raises(ProtocolError, match=said):
        animal(NAME, override)

"""A GAN and a Wasserstein GAN on the layers: gradients of both players, and what they leave alone."""

import pytest
import torch
from torch.nn.functional import batch_norm, conv2d, conv_transpose2d, leaky_relu
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from neuro_aws.errors import ProtocolError
from neuro_aws.functional.noise import RecordedNoise
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, READOUT, REM, WAKE
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.schema import Block
from tests.conftest import TINY
from tests.engines import engine_of
from tests.reference.autograd import relative_error
from tests.reference.passes import Account, assert_same, one_step, rows_of

NOISY = ("network.noise.scale=0.3", "network.prior=standard")
GAN, WGAN = ("algorithm.name=gan", *NOISY), ("algorithm.name=wgan_gp", *NOISY)
ONES, ZEROS = torch.ones(16).double(), torch.zeros(16).double()


def silencing() -> dict[int, torch.Tensor]:
    gains = {1: torch.ones(20).double(), 2: torch.ones(6).double()}
    gains[1][:6], gains[1][7], gains[2][1] = 0, 2, 0
    return gains


@pytest.mark.parametrize("gains", [{}, silencing()], ids=["plain", "silenced"])
class TestLogisticLosses:
    def test_wake_takes_stimuli_for_external(self, animal, gains):
        built = animal(*GAN)
        x = built.dataset.train[:16]
        state, deltas, own = one_step(built, WAKE, x, gains)
        loss = bce(own.external(own.up(x, gains)[1]), ONES)
        assert set(deltas) == {FEEDFORWARD, READOUT, DISCRIMINATOR}
        for kind in (FEEDFORWARD, READOUT):
            assert_same(deltas[kind], own.descent(loss, kind))
        assert bool((state.somas[1][:, :6] == 0).all()) == bool(gains)

    def test_rem_takes_dreams_for_internal_and_g_wants_them_external(self, animal, gains):
        built = animal(*GAN)
        z = rows_of(3, 6)
        state, deltas, own = one_step(built, REM, z, gains)
        x = own.down(z * gains.get(2, 1.0), gains, noisy=True)[0]
        logit = own.external(own.up(x, gains, until=1)[1])
        for kind in (FEEDFORWARD, READOUT):
            assert_same(deltas[kind], own.descent(bce(logit, ZEROS), kind))
        assert_same(deltas[FEEDBACK], own.descent(bce(logit, ONES), FEEDBACK))
        assert torch.allclose(state.somas[0], x)
        for passed in (state, *state.passes):
            assert bool((passed.somas[1][:, :6] == 0).all()) == bool(gains)


class Critic(Account):
    """F and R, which reads the spread of h_{N-1} too."""

    def level(self, somata):
        h, w = somata[1], self.leaves[READOUT]
        spread = torch.sqrt(h.var(0) + 1e-8).mean()
        return h @ w["readout"][:-1] + spread * w["readout"][-1] + w["readout_bias"]

    def penalty(self, level, x):
        (slope,) = torch.autograd.grad(level.sum(), x, create_graph=True)
        return 10 * ((slope.square().sum(1) + 1e-12).sqrt() - 1).square().mean()


@pytest.fixture
def critic(monkeypatch):
    """Return a step whose second account is a critic's."""
    monkeypatch.setattr("tests.reference.passes.Account", Critic)
    return one_step


def test_the_critic_climbs_on_stimuli(animal, critic):
    built = animal(*WGAN)
    x = built.dataset.train[:16].requires_grad_()
    _, deltas, own = critic(built, WAKE, x, {})
    level = own.level(own.up(x, {}))
    loss = own.penalty(level, x) - level.mean()
    assert set(deltas) == {FEEDFORWARD, READOUT, DISCRIMINATOR}
    for kind in (FEEDFORWARD, READOUT):
        assert_same(deltas[kind], own.descent(loss, kind))
        assert deltas[kind].gate == 1.0


def test_the_critic_falls_on_dreams_and_g_climbs_it(animal, critic):
    built = animal(*WGAN)
    z = rows_of(3, 6)
    _, deltas, own = critic(built, REM, z, {})
    x = own.down(z, {}, noisy=True)[0]
    level = own.level(own.up(x, {}, until=1))
    assert_same(deltas[FEEDBACK], own.descent(-level.mean(), FEEDBACK))
    for kind in (FEEDFORWARD, READOUT):
        assert_same(deltas[kind], own.descent(level.mean() + own.penalty(level, x), kind))


def test_a_wasserstein_gan_is_the_end_of_the_doubly_adversarial_theory(animal):
    """F, G and R change as at gamma 0 without the KL; D, which that leaves alone, learns.

    (By Adam G would not: there a wake step of gradient 0 makes its moments decay.)
    """
    both = ("algorithm.feedforward={rate: 1.0e-4, decay: {factor: 1.0}}",)
    both += ("algorithm.feedback={rate: 1.0e-2, optimiser: sgd, decay: {factor: 1.0}}",)
    both += ("algorithm.readout={rate: 1.0e-4, penalty: 10, apply: step}",)
    end = ("algorithm.name=doubly_adversarial", "algorithm.gamma=0", "algorithm.kl=0", *NOISY)
    one, other = animal(*WGAN, *both), animal(*end, *both)
    start = {name: t.clone() for name, t in one.network.parameters(DISCRIMINATOR).items()}
    for built in (one, other):
        running = engine_of(built, (Block(rem=1), Block(wake=1)), 3)
        for step in range(6):
            running.step(step)
    for kind in (FEEDFORWARD, READOUT, FEEDBACK):
        for name, tensor in one.network.parameters(kind).items():
            assert torch.allclose(tensor, other.network.parameters(kind)[name], atol=1e-12), name
    assert all(
        not torch.equal(start[n], t) for n, t in one.network.parameters(DISCRIMINATOR).items()
    )


@pytest.mark.parametrize("settings", [GAN, WGAN], ids=["gan", "wgan_gp"])
def test_the_objective_is_what_g_descends(animal, settings):
    """One small step of G's own down its gradient lowers it, on the same draws."""
    built = animal(*settings, "network.layers=[64, 20, 6]")
    network, x = built.network, built.dataset.held_out[:200]

    def now() -> float:
        noise = torch.Generator().manual_seed(0)
        normals = [torch.randn(200, n, generator=noise).double() for n in (6, 20, 64)]
        with torch.no_grad():
            return float(built.algorithm.objective(network, x, RecordedNoise(normals)))

    before = now()
    _, deltas, _ = one_step(built, REM, rows_of(3, 6), {})
    for name, change in deltas[FEEDBACK].tensors.items():
        network.parameters(FEEDBACK)[name].add_(change / change.norm(), alpha=1e-2)
    assert now() < before


def test_a_convolutional_gan_as_radford_et_al_built_it(animal):
    """Against torch's own layers: batch normalisation both ways, LeakyReLU 0.2, tanh."""
    built = animal(
        "network.dcgan={filters: 2, latents: 4, side: 16}",
        "algorithm.name=gan",
        "network.batch_norm=affine",
        "network.batch_norm_feedback=true",
        "network.normalisation=none",
        "network.transfer=leaky_relu_0.2",
        "network.noise.scale=0",
        "network.prior=standard",
    )
    z = rows_of(3, 4)
    deltas = one_step_of(built, REM, z)
    own = Account(built.network, ())
    up, down = own.leaves[FEEDFORWARD], own.leaves[FEEDBACK]
    h = z.view(16, 4, 1, 1)
    for i in range(4, 0, -1):
        a = conv_transpose2d(h, down[f"feedback_into{i}"], **geometry(i))
        h = leaky_relu(batch_norm(a, None, None, training=True), 0.2)
    a = conv_transpose2d(h, down["feedback_into0"], down["feedback_into0_bias"], **geometry(0))
    h = torch.tanh(a)
    for i in range(1, 5):
        name = f"feedforward_into{i}"
        a = conv2d(h, up[name], **geometry(i - 1))
        a = batch_norm(a, None, None, up[f"{name}_scale"], up[f"{name}_shift"], training=True)
        h = leaky_relu(a, 0.2)
    logit = own.external(h.permute(0, 2, 3, 1).flatten(1))
    wanted = own.descent(bce(logit, ONES), FEEDBACK) | own.descent(bce(logit, ZEROS), FEEDFORWARD)
    found = {**deltas[FEEDBACK].tensors, **deltas[FEEDFORWARD].tensors}
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert relative_error(found[name], tensor) < 1e-8, name


def geometry(layer: int) -> dict[str, int]:
    return {"stride": 1, "padding": 0} if layer == 4 else {"stride": 2, "padding": 1}


def one_step_of(built, phase, given):
    state = built.algorithm.propagate(built.network, given, phase, RecordedNoise(), {})
    signal = built.network.acetylcholine(state)
    return built.algorithm.deltas(built.network, state, signal, phase)


@pytest.mark.parametrize("name", ["gan", "wgan_gp"])
@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("network.layers=[64, 6]", "reads the layer below the top"),
        ("algorithm.gamma=0", "gamma"),
        ("algorithm.kl=0", "kl"),
    ],
)
def test_settings_that_have_no_meaning_are_refused(name, setting, says):
    settings = (f"algorithm.name={name}", "targets.cells.layer=0", setting)
    with pytest.raises(ProtocolError, match=says):
        Protocol.from_text(TINY, "tiny.yaml", settings)

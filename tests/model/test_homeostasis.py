"""Homeostasis: what is held, by which statistics, when they move, and the way back."""

import pytest
import torch

from neuro_aws.backends.rate.engine import Engine
from neuro_aws.functional.homeostasis import Statistics, back_held, followed, held
from neuro_aws.functional.noise import KeyedNoise
from neuro_aws.perturbations import Slots
from neuro_aws.phase import FEEDBACK, FEEDFORWARD, REM, WAKE
from neuro_aws.protocol.schema import Block
from tests.engines import engine_of
from tests.reference.autograd import relative_error

CONV = "network.dcgan={filters: 2, latents: 4, side: 16}"
TIME = "network.homeostasis={over: time, steps: 10, mean: 0.2, variance: 0.5}"
BATCH = "network.homeostasis={over: batch, steps: 10, mean: 0.2, variance: 0.5}"
PAIR = (Block(wake=1), Block(rem=1))


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def kept(network) -> dict[str, torch.Tensor]:
    return {
        f"layer{i}.{name}": tensor.clone()
        for i, layer in enumerate(network.layers)
        for name, tensor in layer.buffers().items()
    }


def moved(before: dict, after: dict) -> set[str]:
    """Return which statistics differ: the somata's, the dendrites' in wake, in REM."""
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    return {name.split(".")[1].split("_")[0] for name in changed}


class TestStatistics:
    def test_a_constant_drive_is_approached_with_the_time_constant(self):
        start = Statistics(torch.zeros(3).double(), torch.ones(3).double())
        drive = torch.full((8, 3), 2.0).double()
        now = start
        for _ in range(25):
            now = followed(now, drive, -1, 10)
        assert torch.allclose(now.mean, torch.full((3,), 2 * (1 - 0.9**25)).double())

    @pytest.mark.parametrize(("shape", "axis"), [((8, 3), -1), ((8, 3, 5, 4), 1)])
    def test_a_time_constant_of_one_step_is_the_batch_itself(self, shape, axis):
        drive = 3 * draw(*shape) + 1
        now = followed(Statistics(draw(3), draw(3).square()), drive, axis, 1)
        others = [d for d in range(len(shape)) if d != axis % len(shape)]
        assert torch.allclose(now.mean, drive.mean(others))
        assert torch.allclose(now.variance, drive.var(others, unbiased=False))

    def test_the_variance_is_about_the_running_mean(self):
        """Between two alternating batches the drive varies although it does not within one."""
        now = Statistics(torch.zeros(1).double(), torch.ones(1).double())
        for step in range(4000):
            now = followed(now, torch.full((4, 1), float((-1) ** step)).double(), -1, 100)
        assert float(now.mean.abs()) < 0.02
        assert float(now.variance) == pytest.approx(1.0, abs=0.02)

    @pytest.mark.parametrize(("shape", "axis"), [((8, 3), -1), ((8, 3, 5, 4), 1)])
    def test_no_gradient_goes_through_them(self, shape, axis):
        raw = draw(*shape).requires_grad_()
        scale, shift = (draw(3, seed=s).requires_grad_() for s in (1, 2))
        signal = draw(*shape, seed=3)
        value, normed = held(raw, Statistics(draw(3), draw(3).square()), scale, shift, axis)
        wanted = torch.autograd.grad(value, (raw, scale, shift), signal)
        with torch.no_grad():
            found = back_held(signal, normed, scale, axis)
        for a, b in zip(found, wanted, strict=True):
            assert a is not None
            assert relative_error(a, b) < 1e-12


@pytest.mark.parametrize("form", [(TIME,), (BATCH,), (CONV, TIME), (CONV, BATCH)])
class TestTheWayBack:
    """The rules against autograd of the network's own passes, statistics as the form has them."""

    def built(self, animal, form):
        made = animal(*form, "network.noise.scale=0.2", "algorithm.kl=0")
        for kind in (FEEDFORWARD, FEEDBACK):
            for name, tensor in made.network.parameters(kind).items():
                tensor += 0.1 * draw(*tensor.shape, seed=len(name))
        return made

    def wake(self, made):
        noise = KeyedNoise(0, "noise", torch.float64).at(0)
        with made.network.following():
            return made.algorithm.propagate(made.network, made.dataset.train[:7], WAKE, noise, {})

    def test_feedback_is_the_gradient_of_the_prediction_error(self, animal, form):
        made = self.built(animal, form)
        network = made.network
        state = self.wake(made)
        with torch.no_grad():
            ach = network.acetylcholine(state)
            delta = made.algorithm.deltas(network, state, ach, WAKE)[FEEDBACK]
        weights = {n: w.clone().requires_grad_() for n, w in network.parameters(FEEDBACK).items()}
        plain = dict(network.parameters(FEEDBACK))
        network.put(FEEDBACK, weights)
        with network.following():
            error = sum(
                0.5
                * (state.layers[i].soma - layer.predict(state.layers[i + 1].soma).rate)
                .square()
                .flatten(1)
                .sum(1)
                .mean()
                for i, layer in enumerate(network.layers)
            )
        found = torch.autograd.grad(error, list(weights.values()), allow_unused=True)
        network.put(FEEDBACK, plain)
        for name, gradient in zip(weights, found, strict=True):
            if gradient is None:  # a drive that is held has no bias
                assert bool((delta.tensors[name] == 0).all())
            else:
                assert relative_error(delta.tensors[name], -gradient) < 1e-9

    def test_feedforward_is_the_gradient_of_its_own_layer(self, animal, form):
        made = self.built(animal, form)
        network = made.network
        state = self.wake(made)
        with torch.no_grad():
            ach = network.acetylcholine(state)
            delta = made.algorithm.deltas(network, state, ach, WAKE)[FEEDFORWARD]
        plain = dict(network.parameters(FEEDFORWARD))
        weights = {n: w.clone().requires_grad_() for n, w in plain.items()}
        network.put(FEEDFORWARD, weights)
        total = torch.zeros((), dtype=torch.float64)
        with network.following():
            for i, layer in enumerate(network.layers):
                below, above = state.layers[i].soma, state.layers[i + 1]
                drive, _ = layer.feedforward_potential(below)
                noisy = drive + network.noise.sigma * above.xi
                from neuro_aws.functional.compartments import fire

                rate = fire(layer.psi_above, noisy).rate
                assert relative_error(rate.detach(), above.soma) < 1e-9
                total = total + (rate * ach.teaching[i + 1]).flatten(1).sum(1).mean()
        found = torch.autograd.grad(total, list(weights.values()))
        network.put(FEEDFORWARD, plain)
        for name, gradient in zip(weights, found, strict=True):
            assert relative_error(delta.tensors[name], -gradient) < 1e-9


@pytest.mark.parametrize("conv", [(), (CONV,)])
class TestWhatIsHeld:
    def test_over_the_batch_every_drive_is_at_its_set_point_in_every_step(self, animal, conv):
        made = animal(*conv, BATCH, "network.noise.scale=0", "algorithm.feedforward.rate=1e-12")
        for moment in (engine_of(made, PAIR, 5).step(step) for step in range(4)):
            for i in range(1, made.network.depth):
                potential = moment.state.layers[i].drive.potential
                others = [0, 2, 3][: potential.dim() - 1]
                assert torch.allclose(potential.mean(others), torch.tensor(0.2).double(), atol=1e-3)
                spread = potential.var(others, unbiased=False)
                assert torch.allclose(spread, torch.tensor(0.5).double(), atol=1e-3)

    def test_over_time_the_mean_of_many_steps_is(self, animal, conv):
        """Set the drive off by a bias that was not there when the statistics were young."""
        made = animal(*conv, TIME, "network.noise.scale=0")
        still = Slots(scales=dict.fromkeys(("feedforward", "feedback", "discriminator"), 0.0))
        engine = engine_of(made, PAIR, 200, still)
        drives = {WAKE: [], REM: []}
        for step in range(400):
            moment = engine.step(step)
            if step >= 100:
                potential = moment.state.layers[1].drive.potential
                drives[moment.spec.phase].append(potential.transpose(0, 1).flatten(1))
        for found in drives.values():
            all_steps = torch.cat(found, 1)
            # the statistics of 10 steps of 16 samples are themselves noisy
            assert torch.allclose(all_steps.mean(1), torch.tensor(0.2).double(), atol=0.1)
            assert torch.allclose(all_steps.var(1), torch.tensor(0.5).double(), rtol=0.25)

    def test_each_phase_moves_its_own_statistics(self, animal, conv):
        made = animal(*conv, TIME)
        engine = engine_of(made, (Block(wake=1), Block(nrem=1), Block(rem=1)), 3)
        found = []
        for step in range(3):
            before = kept(made.network)
            engine.step(step)
            found.append(moved(before, kept(made.network)))
        assert found == [{"running", "dendrite"}, set(), {"dream"}]

    def test_what_is_measured_leaves_them_alone_and_does_not_see_the_batch(self, animal, conv):
        made = animal(*conv, TIME)
        network, x = made.network, made.dataset.held_out
        engine_of(made, PAIR, 5).run(10)
        before = kept(network)
        whole = network.recognise(x[:20], None).somas[-1]
        first = network.recognise(x[:5], None).somas[-1]
        assert torch.allclose(whole[:5], first, atol=1e-12)
        network.dream(network.prior(5, KeyedNoise(0, "a", torch.float64).at(0)), None)
        assert moved(before, kept(network)) == set()


class TestBlock:
    def run(self, made, steps: int, blocked: bool) -> Engine:
        slots = Slots(scales={"homeostasis": 0.0} if blocked else {})
        engine = engine_of(made, PAIR, 20, slots)
        for step in range(steps):
            engine.step(step)
        return engine

    @pytest.mark.parametrize("over", [TIME, BATCH])
    @pytest.mark.parametrize("betas", ["[0.0, 0.9]", "[0.6, 0.9]"])
    def test_statistics_thresholds_and_their_moments_stay(self, animal, over, betas):
        made = animal(over, f"algorithm.feedforward.betas={betas}")
        self.run(made, 10, blocked=False)
        network, rule = made.network, made.updates.plasticity[FEEDFORWARD]
        statistics, weights = kept(network), network.flat(FEEDFORWARD).clone()
        moments = rule.moments.copied()
        self.run(made, 6, blocked=True)
        assert moved(statistics, kept(network)) == set()
        where = rule.thresholds.where
        after = network.flat(FEEDFORWARD)
        assert torch.equal(after[where], weights[where])
        assert bool((after[~where] != weights[~where]).any())
        assert torch.equal(rule.moments.second[where], moments.second[where])
        assert not torch.equal(rule.moments.second[~where], moments.second[~where])
        self.run(made, 6, blocked=False)
        assert moved(statistics, kept(network)) == {"running", "dendrite", "dream"}
        assert not torch.equal(network.flat(FEEDFORWARD)[where], weights[where])

    def test_over_the_batch_a_blocked_drive_is_normalised_by_what_was(self, animal):
        made = animal(BATCH, "network.noise.scale=0")
        self.run(made, 40, blocked=False)
        x = 3 * made.dataset.train[:16]  # another stimulus than it has adapted to
        with made.network.following(adapting=False):
            drive = made.network.recognise(x, None).layers[1].drive.potential
        assert float((drive.var(0, unbiased=False) / 0.5).median()) > 3


def test_thresholds_learn_at_a_rate_of_their_own(animal):
    changes = {}
    for rate in (None, 1e-3, 0.0):
        made = animal(
            TIME, f"algorithm.feedforward.threshold_rate={'null' if rate is None else rate}"
        )
        moment = engine_of(made, (Block(wake=1),), 1).step(0)
        where = made.updates.plasticity[FEEDFORWARD].thresholds.where
        changes[rate] = moment.changes[FEEDFORWARD][where], moment.changes[FEEDFORWARD][~where]
    usual = made.updates.plasticity[FEEDFORWARD].optimiser.rate
    assert torch.allclose(changes[1e-3][0], changes[None][0] * (1e-3 / usual))
    assert bool((changes[0.0][0] == 0).all())
    assert bool((changes[None][0] != 0).any())
    assert all(torch.equal(changes[rate][1], changes[None][1]) for rate in changes)

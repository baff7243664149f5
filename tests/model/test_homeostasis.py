"""Homeostasis: what is held, by which statistics, when they move, and the way back."""

import pytest
import torch

from neuro_aws.backends.rate.engine import Engine
from neuro_aws.functional import batch_norm
from neuro_aws.functional.homeostasis import (
    Statistics,
    Undone,
    back_held,
    followed,
    held,
    orthogonal,
    undone_after,
)
from neuro_aws.functional.noise import KeyedNoise
from neuro_aws.perturbations import Slots
from neuro_aws.perturbations.neuromodulator import ClampAch
from neuro_aws.phase import FEEDBACK, FEEDFORWARD, REM, WAKE
from neuro_aws.protocol.actions_on_learning import Clamp
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


def along(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return values if like.dim() == 2 else values.view(-1, 1, 1)


@pytest.mark.parametrize(("shape", "axis"), [((64, 3), -1), ((16, 3, 5, 4), 1)])
class TestOrthogonal:
    """What homeostasis would undo is not learnt."""

    def normed(self, shape, axis, seed=0):
        """Return a drive that is off its set point: z of mean -0.2 and deviation 1 to 1.6."""
        at = Statistics(torch.full((3,), 0.3), torch.tensor([1.0, 0.7, 0.4]))
        return held(
            draw(*shape, seed=seed), Statistics(*(t.double() for t in at)), None, None, axis
        )

    def found(self, shape, axis, signal_of, steps=400):
        """Return running offset and slope after many steps, and the corrected signals of more."""
        undone = Undone(torch.zeros(3).double(), torch.zeros(3).double())
        rest = []
        for step in range(steps + 200):
            z, normed = self.normed(shape, axis, seed=step)
            corrected = orthogonal(signal_of(z, step), normed, undone, axis)
            undone = undone_after(corrected, normed, undone, axis, 20)
            if step >= steps:
                rest.append((corrected, z))
        return undone, rest

    def test_mean_and_slope_of_the_signal_are_found_and_removed(self, shape, axis):
        offset, slope = torch.tensor([0.5, -1.0, 0.0]).double(), torch.tensor([0.0, 0.3, 2.0])

        def signal(z, step):
            plain = 0.1 * draw(*shape, seed=1000 + step)
            return plain + along(offset, z) + along(slope.double(), z) * z

        undone, rest = self.found(shape, axis, signal)
        assert torch.allclose(undone.offset, offset, atol=0.03)
        assert torch.allclose(undone.slope, slope.double(), atol=0.03)
        others = [d for d in range(len(shape)) if d != axis % len(shape)]
        for moment in (0, 1):
            left = torch.stack([(c * z**moment).mean(others) for c, z in rest]).mean(0)
            assert float(left.abs().max()) < 5e-3

    def test_where_there_is_no_signal_nothing_is_put_in_its_place(self, shape, axis):
        """Units that are silent for half of the samples: only the others are corrected."""

        def signal(z, step):
            return torch.where(z > 0, 1.0 + 0.1 * draw(*shape, seed=1000 + step), 0.0)

        undone, rest = self.found(shape, axis, signal, steps=2000)
        assert float(undone.offset.abs().min()) > 0.1
        for corrected, z in rest[:3]:
            assert bool((corrected[z <= 0] == 0).all())
            assert bool((corrected[z > 0] != 0).all())
        others = [d for d in range(len(shape)) if d != axis % len(shape)]
        left = torch.stack([c.mean(others) for c, _ in rest]).mean(0)
        assert float(left.abs().max()) < 5e-3

    def test_a_drive_far_from_its_set_point_cannot_make_it_diverge(self, shape, axis):
        undone = Undone(torch.zeros(3).double(), torch.zeros(3).double())
        for step in range(300):
            drive = 30 * draw(*shape, seed=step) + 20
            at = Statistics(torch.zeros(3).double(), torch.ones(3).double())
            z, normed = held(drive, at, None, None, axis)
            corrected = orthogonal(1 + z, normed, undone, axis)
            undone = undone_after(corrected, normed, undone, axis, 1)
        assert float(torch.stack(undone).abs().max()) < 10

    def test_a_weight_by_sample_multiplies_what_is_left(self, shape, axis):
        z, normed = self.normed(shape, axis)
        signal, undone = draw(*shape, seed=1), Undone(draw(3, seed=2), draw(3, seed=3))
        weight = draw(shape[0], seed=4).view(-1, *[1] * (len(shape) - 1))
        wanted = weight * orthogonal(signal, normed, undone, axis)
        assert torch.allclose(orthogonal(weight * signal, normed, undone, axis, weight), wanted)


def test_an_orthogonal_change_neither_scales_the_weights_nor_shifts_the_drive():
    """On inputs that are neither centred nor white: what a set point of the drive would undo."""
    x = (draw(200, 6) @ draw(6, 6, seed=5) + 1).clamp(min=0)
    weight = draw(3, 6, seed=1)
    raw = x @ weight.T
    at = Statistics(raw.mean(0), raw.var(0, unbiased=False))
    z, normed = held(raw, at, None, None, -1)
    signal = draw(200, 3, seed=2) + 0.5 + 0.7 * z
    slope = (signal * z).mean(0) / z.square().mean(0)
    corrected = orthogonal(signal, normed, Undone(signal.mean(0), slope), -1)
    for change, moves in ((corrected, False), (signal, True)):
        d_weight = change.T @ x / 200
        along = (d_weight * weight).sum(1).abs() / (d_weight.norm(dim=1) * weight.norm(dim=1))
        shift = change.mean(0).abs()
        assert bool((along > 1e-9).all()) == bool((shift > 1e-9).all()) == moves


def test_it_is_what_the_way_back_through_a_batch_does():
    raw, signal = draw(64, 3), draw(64, 3, seed=1)
    at = Statistics(raw.mean(0), raw.var(0, unbiased=False))
    z, normed = held(raw, at, None, None, -1)
    over_z = z.square().mean(0)  # 1, but for the constant that keeps it finite
    undone = Undone(signal.mean(0), (signal * z).mean(0) / over_z)
    found, _, _ = back_held(orthogonal(signal, normed, undone, -1), normed, None, -1)
    _, through = batch_norm.normalise(raw, None, None)
    wanted, _, _ = batch_norm.back(signal, through, None)
    assert relative_error(found, wanted) < 1e-4


@pytest.mark.parametrize("conv", [(), (CONV,)])
class TestOrthogonalLearning:
    def learnt(self, animal, *more):
        made = animal(TIME, "network.noise.scale=0.2", *more)
        engine_of(made, PAIR, 10).run(20)
        return made

    def test_under_a_clamp_nothing_is_left_of_it(self, animal, conv):
        """No signal, no change: not even the unit's expectation of one."""
        made = self.learnt(animal, *conv, "algorithm.kl=0")
        network = made.network
        assert float(network.layers[0].homeostats.soma.undone.offset.abs().max()) > 0
        clamp = ClampAch(Clamp(neuromodulator="ach"), None)
        moment = engine_of(made, (Block(wake=1),), 1, Slots(on_ach=(clamp,))).step(0)
        for name, tensor in moment.deltas[FEEDFORWARD].tensors.items():
            assert bool((tensor == 0).all()), name

    def test_a_gate_by_sample_acts_on_what_is_left(self, animal, conv):
        made = self.learnt(animal, *conv)
        network, credit = made.network, made.algorithm.credit
        noise = KeyedNoise(0, "noise", torch.float64).at(0)
        with torch.inference_mode(), network.following():
            state = made.algorithm.propagate(network, made.dataset.train[:7], WAKE, noise, {})
            ach = network.acetylcholine(state)
            gate = 1 + draw(7)
            whole = credit(network, state, ach, 0.0, gate)
            plain = credit(network, state, ach, 0.0)
            deviation = credit(network, state, ach, 0.0, gate - gate.mean())
        for name, tensor in whole.items():
            assert torch.allclose(tensor, gate.mean() * plain[name] + deviation[name], atol=1e-12)

    def test_it_is_the_same_signal_under_every_credit(self, animal, conv):
        """What was learnt of it under one credit holds for another that sends the same signal."""
        found = []
        for credit in ("layer", "backprop"):
            made = animal(TIME, *conv, "network.noise.scale=0.2", f"algorithm.credit={credit}")
            engine_of(made, PAIR, 10).step(0)
            found.append(made.network.layers[-1].homeostats.soma.undone)
        for a, b in zip(*found, strict=True):
            assert float(a.abs().max()) > 0
            assert relative_error(a, b) < 1e-12

    def test_it_can_be_left_out(self, animal, conv):
        made = animal(*conv, "network.homeostasis={over: time, steps: 10, orthogonal: false}")
        assert not any("offset" in name for name in kept(made.network))
        other = self.learnt(animal, *conv)
        names = {name.split(".")[1] for name in kept(other.network)}
        assert {"running_offset", "running_slope", "dendrite_offset", "dendrite_slope"} <= names
        assert "dream_offset" not in names


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

"""Teacher forcing, professor forcing and scheduled sampling against a second account, in float64."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus

from neuro_aws.algorithms.scheduled_sampling import WAKING
from neuro_aws.backends.rate.simulator import RateSimulator
from neuro_aws.functional.in_time import maps, times
from neuro_aws.model.sequence_critic import heard_of, logits
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, LATERAL, NREM, REM, WAKE
from neuro_aws.recording.writer import Discard
from tests.reference.passes import Logged
from tests.sequences import HIDDEN, STEPS, SYMBOLS, Account, animal_of, protocol

GENERATOR = (FEEDFORWARD, FEEDBACK, LATERAL)
PROFESSOR = ("algorithm.name=professor_forcing", "algorithm.free=0.8", "algorithm.forced=0.6")
SAMPLING = ("algorithm.name=scheduled_sampling", "algorithm.most=0.5", "algorithm.over=10")
OPEN = ("network.recurrent.heard_above=0", "network.recurrent.learns_below=1")
"""D is heard and learns whatever its accuracy."""

THEORIES = {"teacher": (), "professor": PROFESSOR, "sampling": SAMPLING}


def silencing() -> dict[int, torch.Tensor]:
    gain = torch.ones(HIDDEN, 1, 1).double()
    gain[0], gain[2] = 0, 2
    return {1: gain}


def stepped(built, phase, gains):
    """Return the state, ACh, the Deltas and the numbers drawn in one step."""
    noise = Logged(1)
    given = built.dataset.train[:16] if phase is WAKE else torch.zeros(16, 0).double()
    state = built.algorithm.propagate(built.network, given, phase, noise, gains)
    signal = built.network.acetylcholine(state)
    deltas = built.algorithm.deltas(built.network, state, signal, phase)
    return state, signal, deltas, noise.drawn


def of_the_data(built) -> torch.Tensor:
    return built.dataset.train[:16].view(16, STEPS, SYMBOLS)


def assert_same(delta, wanted) -> None:
    assert delta.tensors.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert torch.allclose(delta.tensors[name], tensor, rtol=1e-9, atol=1e-13), name
    assert any(float(t.abs().max()) > 1e-4 for t in wanted.values())


@pytest.mark.parametrize("gains", [{}, silencing()], ids=["plain", "silenced"])
class TestAgainstAutogradOfASecondAccount:
    @pytest.mark.parametrize("theory", ["teacher", "professor"])
    def test_wake(self, theory, gains):
        built = animal_of(*THEORIES[theory], *OPEN)
        state, signal, deltas, _ = stepped(built, WAKE, gains)
        own, y, gain = (
            Account(built.network),
            of_the_data(built),
            gains.get(1, torch.ones(1)).view(-1),
        )
        h, a, log_p = own.run(y, gain)
        assert torch.allclose(times(state.somas[1]), h, rtol=0, atol=1e-13)
        assert torch.allclose(times(state.layers[0].dendrite.rate), log_p.exp(), atol=1e-13)
        loss = -log_p[y.bool()].mean()  # one symbol of each step
        logits = own.judged(a, log_p)
        assert torch.allclose(signal.level, torch.sigmoid(logits).mean(1), atol=1e-13)
        if theory == "professor":
            loss = loss + 0.6 * softplus(logits).mean()  # C_t = -log(1 - D)
        for kind in GENERATOR:
            assert_same(deltas[kind], own.descent(loss, kind))
        assert_same(deltas[DISCRIMINATOR], own.descent(softplus(-logits).mean(), DISCRIMINATOR))

    @pytest.mark.parametrize("theory", ["teacher", "professor"])
    def test_rem(self, theory, gains):
        built = animal_of(*THEORIES[theory], *OPEN)
        state, signal, deltas, drawn = stepped(built, REM, gains)
        own, gain = Account(built.network), gains.get(1, torch.ones(1)).view(-1)
        luck = -torch.log(-torch.log(drawn[0]))
        y = torch.zeros(16, 0, SYMBOLS).double()
        for t in range(STEPS):  # from what was drawn so far
            next_ = torch.cat([y, torch.zeros(16, 1, SYMBOLS).double()], 1)
            *_, log_p = own.run(next_, gain)
            chosen = (log_p[:, t] + luck[:, t]).argmax(-1)
            y = torch.cat([y, torch.nn.functional.one_hot(chosen, SYMBOLS)[:, None].double()], 1)
        assert torch.equal(times(state.somas[0]), y)
        _, a, log_p = own.run(y, gain)
        logits = own.judged(a, log_p)
        assert_same(deltas[DISCRIMINATOR], own.descent(softplus(logits).mean(), DISCRIMINATOR))
        if theory == "teacher":
            assert set(deltas) == {DISCRIMINATOR}
            return
        for kind in GENERATOR:
            assert_same(deltas[kind], own.descent(0.8 * softplus(-logits).mean(), kind))
        if gains:
            assert float(times(state.somas[1])[..., 0].abs().max()) == 0
            assert float(deltas[FEEDBACK].tensors["feedback_into0"][:, 0].abs().max()) == 0
            assert float(deltas[LATERAL].tensors["lateral_in1"][:, :, 0].abs().max()) == 0

    def test_scheduled_sampling(self, gains):
        built = animal_of(*SAMPLING, *OPEN)
        built.algorithm.memory[WAKING] = torch.tensor(6.0)  # e = 0.5 * 6 / 10
        state, _, deltas, drawn = stepped(built, WAKE, gains)
        y, gain = of_the_data(built), gains.get(1, torch.ones(1)).view(-1)
        own, mixed = Account(built.network), times(state.somas[0])
        from_data = drawn[0] >= 0.3
        assert torch.equal(mixed[from_data], y[from_data])
        assert 0.15 < float((mixed != y).any(-1).double().mean()) < 0.45
        _, _, log_p = own.run(mixed, gain)
        luck = -torch.log(-torch.log(drawn[1]))
        chosen = (log_p + luck).argmax(-1)
        assert torch.equal(mixed.argmax(-1)[~from_data], chosen[~from_data])
        for kind in GENERATOR:
            assert_same(deltas[kind], own.descent(-log_p[y.bool()].mean(), kind))


def test_a_gate_by_sample_weighs_what_each_sequence_is_taught():
    built = animal_of(*PROFESSOR, *OPEN)
    given, gates = built.dataset.train[:16], torch.arange(16).double() / 8
    state = built.algorithm.propagate(built.network, given, WAKE, Logged(1), {})
    signal = replace(built.network.acetylcholine(state), gate=gates)
    deltas = built.algorithm.deltas(built.network, state, signal, WAKE)
    own, y = Account(built.network), of_the_data(built)
    _, a, log_p = own.run(y)
    taught = 0.6 * (gates * softplus(own.judged(a, log_p)).mean(1)).mean()
    for kind in GENERATOR:
        assert_same(deltas[kind], own.descent(taught - log_p[y.bool()].mean(), kind))


def test_the_likelihood_is_that_of_the_probabilities():
    built = animal_of()
    x = built.dataset.held_out
    own = Account(built.network)
    *_, log_p = own.run(x.view(-1, STEPS, SYMBOLS))
    p = log_p.detach().exp().numpy()
    numbers = x.view(-1, STEPS, SYMBOLS).argmax(-1).numpy()
    each = [-np.log(p[n, t, numbers[n, t]]) for n in range(len(p)) for t in range(STEPS)]
    for theory in THEORIES.values():
        algorithm = animal_of(*theory).algorithm
        found = float(algorithm.objective(built.network, x, Logged(0)))
        assert found == pytest.approx(np.mean(each), rel=1e-12)


def test_free_running_with_the_data_forced_is_teacher_forcing():
    network, y = animal_of().network, of_the_data(animal_of())
    everywhere = torch.ones(16, STEPS, dtype=torch.bool)
    symbols = network.run_freely(16, STEPS, Logged(0), forced=(y, everywhere))
    free, forced = network.ran(symbols), network.with_dendrites(network.recognise(maps(y), None))
    assert all(torch.equal(a, b) for a, b in zip(free.somas, forced.somas, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(heard_of(free), heard_of(forced), strict=True))
    assert not torch.equal(network.run_freely(16, STEPS, Logged(0)), y)


def test_symbols_are_drawn_from_the_prediction():
    network = animal_of().network
    drawn = network.run_freely(20_000, 2, Logged(3))
    p = network.gated.predict(network.ran(drawn[:1, :1].expand(1, STEPS, -1)).somas[1]).rate
    apart = (drawn[:, 0].mean(0) - p[0, :, 0, 0]).abs()
    assert float((apart / (p[0, :, 0, 0] / 20_000).sqrt()).max()) < 4.5
    common = int(drawn[:, 0].sum(0).argmax())  # and the second one, given the likeliest first one
    after = drawn[drawn[:, 0, common] == 1, 1]
    p = network.gated.predict(network.ran(after.new_zeros(1, STEPS, SYMBOLS).index_fill(
        2, torch.tensor([common]), 1.0)).somas[1]).rate[0, :, 1, 0]  # fmt: skip
    apart = (after.mean(0) - p).abs() / (p / len(after)).sqrt()
    assert float(apart.max()) < 4.5


def simulator(*overrides: str, arm: str = "control") -> RateSimulator:
    return RateSimulator(protocol(*overrides), arm, 0)


def run(one: RateSimulator, start: int = 0, stop: int = 20) -> RateSimulator:
    one.advance(start, stop, Discard(), lambda: False)
    return one


def generator(one: RateSimulator) -> list[torch.Tensor]:
    return [one.animal.network.flat(kind) for kind in GENERATOR]


def same(one: RateSimulator, other: RateSimulator) -> bool:
    pairs = zip(generator(one), generator(other), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("theory", list(THEORIES))
def test_a_resumed_run_is_an_unbroken_one(theory):
    settings = (*THEORIES[theory], *OPEN)
    unbroken, broken, again = (simulator(*settings) for _ in range(3))
    run(unbroken)
    run(broken, 0, 7)  # between wake and REM: sums of a cycle are kept
    again.load_state_dict(broken.state_dict())
    run(again, 7)
    mine, its = again.state_dict(), unbroken.state_dict()
    assert mine.keys() == its.keys()
    assert "network/ach.accuracy" in mine
    assert all(np.array_equal(mine[n], its[n]) for n in mine)
    assert (f"algorithm/{SAMPLING_CLASS}/{WAKING}" in mine) == (theory == "sampling")


SAMPLING_CLASS = "neuro_aws.algorithms.scheduled_sampling:ScheduledSampling"


class TestWhatMakesThemTeacherForcing:
    teacher = staticmethod(lambda *more: run(simulator(*more, *OPEN)))

    def test_a_clamp_of_ach(self):
        for arm, alike in (("clamped", True), ("control", False)):
            mine, its = (run(simulator(*t, *OPEN, arm=arm), 12) for t in (PROFESSOR, ()))
            assert same(mine, its) == alike

    def test_a_gate_that_does_not_open(self):
        shut = (*PROFESSOR, "network.recurrent.heard_above=1")
        assert same(run(simulator(*shut)), self.teacher())
        assert not same(run(simulator(*PROFESSOR, *OPEN)), self.teacher())

    def test_no_inputs_of_its_own(self):
        none = ("algorithm.name=scheduled_sampling", "algorithm.most=0")
        assert same(run(simulator(*none, *OPEN)), self.teacher())
        assert not same(run(simulator(*SAMPLING)), self.teacher())


def test_d_does_not_learn_while_it_is_too_accurate():
    for below, learns in (("0", False), ("1", True)):
        one = simulator(*PROFESSOR, f"network.recurrent.learns_below={below}")
        before = one.animal.network.flat(DISCRIMINATOR).clone()
        run(one)
        assert torch.equal(before, one.animal.network.flat(DISCRIMINATOR)) == (not learns)


def test_d_hears_what_was_many_steps_ago_before_it_has_learnt_to():
    """Its update gates start open to the past: what it hears last depends on what came first."""
    network = simulator("network.discriminator.hidden=16").animal.network
    weights = {n: t.clone() for n, t in network.parameters(DISCRIMINATOR).items()}
    far = torch.zeros(1, 12, HIDDEN).double()
    near = far.clone()
    near[:, 0] = 3.0

    def apart() -> float:
        nothing = torch.zeros(1, 12, SYMBOLS).double()
        pair = (logits(weights, nothing, heard)[0, -1] for heard in (near, far))
        return float((next(pair) - next(pair)).abs())

    long = apart()
    weights["discriminator_lateral_bias"].zero_()
    assert long > 20 * apart()


def test_accuracy_is_the_mean_of_both_phases_and_opens_the_gate():
    one = simulator(*PROFESSOR, "network.recurrent.heard_above=0.7")
    critic = one.animal.network.acetylcholine
    for phase, row in ((WAKE, 0), (REM, 1)):
        state = stepped(one.animal, phase, {})[0]
        for other in (0.0, 1.0):
            critic.accuracy[:] = other
            signal = critic(state)
            mine = ((signal.level > 0.5) == (phase is WAKE)).double().mean()
            assert signal.gate == float((mine + other) / 2 > 0.7)
            critic.track(signal, state)
            assert float(critic.accuracy[row]) == float(mine)
            assert float(critic.accuracy[1 - row]) == other


def test_silencing_hits_the_cells_it_aims_at_and_no_others():
    one = simulator(*PROFESSOR, *OPEN, arm="silenced")
    fired = []
    one.engine.observers = (*one.engine.observers, lambda m: fired.append((m.spec.phase, m.state)))
    run(one, 12)
    for phase, state in fired:
        soma = times(state.somas[1])
        assert bool((soma[..., [0, 3]] == 0).all()) == (phase is REM)
        assert bool((soma[:, 1:, [1, 2, 4]] != 0).all())  # a sequence starts from silence


def test_nrem_runs_freely_and_teaches_nothing():
    for theory in THEORIES.values():
        built = animal_of(*theory, *OPEN)
        state, signal, deltas, _ = stepped(built, NREM, {})
        assert deltas == {}
        assert signal.gate == 0
        assert torch.equal(times(state.somas[0]).sum(-1), torch.ones(16, STEPS).double())


def test_it_learns_what_follows_what(tmp_path):
    """Sequences that go round in three symbols: 0.6 is far below log 3 = 1.1 nats."""
    starts = np.random.default_rng(0).integers(3, size=60)
    np.save(tmp_path / "round.npy", (starts[:, None] + np.arange(6)) % 3)
    source = f"source: sequences, of: array, file: {tmp_path}/round.npy"
    settings = [
        f"stimulus={{{source}, held_out: 20, batch: 16}}",
        "network.recurrent={symbols: 3, steps: 6, hidden: 8}",
        "schedule.0={name: training, cycles: 40, phases: [{wake: 1}]}",
        *(f"algorithm.{kind}.rate=0.03" for kind in GENERATOR),
    ]
    for theory in THEORIES.values():
        one = simulator(*settings, *theory)
        built, x = one.animal, one.animal.dataset.held_out
        before = float(built.algorithm.objective(built.network, x, Logged(0)))
        run(one, 0, 40)
        after = float(built.algorithm.objective(built.network, x, Logged(0)))
        assert before > 1.0
        assert after < 0.6  # the first symbol alone: 1.1 / 6 = 0.18

"""The hippocampus: what waking stores, what dreams are given, and that runs go on to the bit."""

import numpy as np
import pytest
import torch

from neuro_aws import Options, Session, run
from neuro_aws.algorithms import asked
from neuro_aws.backends.rate.distributed import Team
from neuro_aws.backends.rate.engine import Engine
from neuro_aws.errors import NeuroAWSError, ProtocolError
from neuro_aws.functional import hopfield
from neuro_aws.functional.noise import Draws, KeyedNoise
from neuro_aws.model.memory import Memory
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.hopfield import HopfieldMemory
from neuro_aws.protocol.schema import Block
from neuro_aws.protocol.theories import THEORIES
from tests.branches import OneStep, branch, finish, stop
from tests.conftest import TINY
from tests.engines import engine_of
from tests.theories import NEEDS, fitted

UNITS = 12
EXACT = "network.memory={hopfield: continuous, recall: exact}"
PAIRS = (Block(wake=1), Block(rem=1))


def memory(units: int = UNITS, binary: bool = False, **settings) -> Memory:
    section = HopfieldMemory(**{"hopfield": "continuous", "patterns": 10, **settings})
    return Memory(section, units, binary, torch.float64, torch.device("cpu"))


def draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed), torch.float64)


def tops(count: int, seed: int = 0) -> torch.Tensor:
    return draws(seed).normal(torch.Size((count, UNITS)))


def levels(count: int) -> torch.Tensor:
    return torch.zeros(count, dtype=torch.float64)


class TestStoring:
    def test_the_oldest_make_room(self):
        kept, states = memory(), tops(24)
        for batch in states.split(4):
            kept.store(batch, levels(4))
        assert int(kept.kept) == 10
        assert {tuple(p.tolist()) for p in kept.patterns} == {
            tuple(p.tolist()) for p in states[14:]
        }

    def test_only_what_holds_a_state_counts(self):
        kept, states = memory(), tops(3)
        kept.store(states, levels(3))
        assert torch.equal(kept.patterns[kept.stored], states)

    def test_the_most_wakelike_by_d_come_first(self):
        kept, states = memory(best=2), tops(4)
        kept.store(states, torch.tensor([0.1, 3.0, -1.0, 2.0], dtype=torch.float64))
        assert torch.equal(kept.patterns[kept.stored], states[[1, 3]])


class TestRecalling:
    def test_dreams_begin_from_the_prior_as_long_as_nothing_is_stored(self):
        given = tops(6)
        for how in ({}, {"recall": "blended"}, {"hopfield": "binary"}, {"hopfield": "dense"}):
            assert torch.equal(memory(**how).mixed(given, draws()), given)

    def test_exact_recall_gives_every_stored_state_as_often(self):
        kept, states = memory(recall="exact"), tops(4)
        kept.store(states, levels(4))
        found = kept.mixed(torch.zeros(4000, UNITS).double(), draws())
        same = (found[:, None] == states).all(-1)
        assert (same.sum(1) == 1).all()
        assert same.double().mean(0).tolist() == pytest.approx([0.25] * 4, abs=0.03)

    def test_the_share_that_is_not_recalled_is_that_of_the_prior(self):
        kept, given = memory(recall="exact", share=0.3), tops(4000, 1)
        kept.store(tops(4), levels(4))
        found = kept.mixed(given, draws())
        own = (found == given).all(1)
        assert float(own.double().mean()) == pytest.approx(0.7, abs=0.03)
        none = memory(share=0.0)
        none.store(tops(4), levels(4))
        assert torch.equal(none.mixed(given, draws()), given)

    def test_a_cue_is_the_state_but_for_what_the_prior_gives(self):
        """At a share of 0 the pattern, at 1 the draw; and what is retrieved is one update of it."""
        kept = memory(cue_noise=0.0, beta=1e6)
        kept.store(tops(4), levels(4))
        exact = memory(recall="exact")
        exact.store(tops(4), levels(4))
        given = tops(50, 1)
        assert torch.equal(kept.mixed(given, draws()), exact.mixed(given, draws()))
        whole = memory(cue_noise=1.0, beta=0.3, updates=2)
        whole.store(tops(4), levels(4))
        wanted = given
        for _ in range(2):
            wanted = hopfield.continuous_update(tops(4), wanted, 0.3)
        assert torch.allclose(whole.mixed(given, draws()), wanted, rtol=1e-12)

    def test_half_a_cue_retrieves_its_pattern(self):
        """Chance for another pattern than the cue's is small with 4 of 200 units."""
        states = draws().normal(torch.Size((4, 200)))
        kept, exact = memory(200, beta=1.0), memory(200, recall="exact")
        for one in (kept, exact):
            one.store(states, levels(4))
        given = draws(1).normal(torch.Size((50, 200)))
        assert torch.allclose(kept.mixed(given, draws()), exact.mixed(given, draws()), atol=1e-6)

    def test_blends_are_means_of_the_few_that_are_near_a_draw(self):
        kept, given = memory(recall="blended", beta=0.3), tops(50, 1)
        kept.store(tops(4), levels(4))
        shares = torch.softmax(0.3 * given @ tops(4).T, 1)
        assert torch.allclose(kept.mixed(given, draws()), shares @ tops(4))
        several = 1 / shares.square().sum(1)
        assert 1.5 < float(several.mean()) < 3.9

    def test_similarity_says_what_near_means(self):
        states, given = tops(4) * torch.tensor([3.0, 1, 1, 1])[:, None], tops(50, 1)
        for similarity, by_distance in (("product", False), ("distance", True)):
            kept = memory(recall="blended", beta=0.3, similarity=similarity)
            kept.store(states, levels(4))
            wanted = hopfield.continuous_update(states, given, 0.3, by_distance=by_distance)
            assert torch.allclose(kept.mixed(given, draws()), wanted)

    @pytest.mark.parametrize("form", ["binary", "dense"])
    def test_a_sign_net_gives_the_pattern_s_signs_and_the_cue_s_sizes(self, form):
        """Five patterns in 200 units: every sign comes back, about the mean of what is stored."""
        states = 3 + draws().normal(torch.Size((5, 200)))
        kept = memory(200, hopfield=form, updates=3, cue_noise=0.3)
        kept.store(states, levels(5))
        given = 3 + draws(1).normal(torch.Size((40, 200)))
        found = kept.mixed(given, draws()) - states.mean(0)
        wanted = (states - states.mean(0))[:, None]
        right = ((found * wanted) > 0).all(-1)
        assert (right.sum(0) == 1).all()
        own, cue = (states - states.mean(0)).abs(), (given - states.mean(0)).abs()
        which = right.double().argmax(0)
        assert ((found.abs() - own[which]).abs().minimum((found.abs() - cue).abs()) < 1e-12).all()

    def test_units_that_fire_0_or_1_are_given_0_or_1(self):
        states = (draws().uniform(torch.Size((2, 200))) < 0.5).double()
        kept = memory(200, True, hopfield="binary", updates=3, cue_noise=0.3)
        kept.store(states, levels(2))
        found = kept.mixed((draws(1).uniform(torch.Size((40, 200))) < 0.5).double(), draws())
        assert ((found[:, None] == states).all(-1).sum(1) == 1).all()


def test_rem_begins_from_what_was_awake(animal):
    built = animal("network.memory={hopfield: continuous, recall: exact, patterns: 20, best: 5}")
    engine = engine_of(built, PAIRS, 3)
    wake, rem = engine.step(0), engine.step(1)
    best = wake.state.somas[-1][wake.ach.own.reading.level.topk(5).indices]
    assert (rem.state.somas[-1][:, None] == best).all(-1).any(1).all()
    stored = built.network.prior.memory.stored
    assert int(stored.sum()) == 5
    engine.step(2)
    assert int(built.network.prior.memory.stored.sum()) == 10


def test_the_density_draws_the_same_numbers_with_a_memory_and_without(animal):
    """What is drawn for memory comes after: dreams from the prior are those of before."""
    plain, kept = animal("network.prior=learnt"), animal("network.prior=learnt", EXACT)
    a, b = (engine_of(built, PAIRS, 1) for built in (plain, kept))
    noise = [e.streams.prior.at(1) for e in (a, b)]
    assert torch.equal(plain.network.prior(7, noise[0]), kept.network.prior(7, noise[1]))


TOPS = [name for name in THEORIES if "network.memory=null" not in NEEDS.get(name, ())]


@pytest.mark.parametrize("theory", TOPS)
def test_every_theory_that_dreams_of_top_states_dreams_of_memories(theory, animal):
    """What is dreamt when measured begins from a stored state; but for Gibbs steps from it."""
    built = animal(*fitted(theory, (EXACT,)))
    engine = engine_of(built, PAIRS, 2)
    for step in range(4):
        engine.step(step)
    if theory == "boltzmann":
        built.algorithm.dream_steps = 0
    noise = KeyedNoise(0, "a", torch.float64).at(0)
    with torch.no_grad():
        dreamt = asked.dream(built.algorithm, built.network, 30, noise).somas[-1]
    memory = built.network.prior.memory
    assert int(memory.kept) == 32
    same = (dreamt[:, None] == memory.patterns[memory.stored]).all(-1)
    assert same.any(1).all()


MEMORY = """\
network: {layers: [64, 20, 6], discriminator: {hidden: 8}, prior: learnt, prior_components: 3,
  memory: {hopfield: continuous, patterns: 12, best: 5, share: 0.5}}
"""
TEXT = TINY.replace("network: {layers: [64, 20, 6], discriminator: {hidden: 8}}\n", MEMORY)


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(tmp_path):
    """After 8 of 14 steps the ring of 12 has gone round, 5 a wake step."""
    protocol = Protocol.from_text(TEXT, "tiny.yaml", ["schedule.0.cycles=2"])
    whole = finish(branch(protocol, tmp_path / "whole"))
    stop(branch(protocol, tmp_path / "broken", pace=OneStep(0.0)), 8)
    resumed = branch(protocol, tmp_path / "broken")
    one, other = (finish(b).simulator.state_dict() for b in (whole, resumed))
    assert resumed.step == whole.step
    assert (
        one.keys() == other.keys() >= {f"network/memory.{n}" for n in ("patterns", "kept", "next")}
    )
    assert all(np.array_equal(values, other[name]) for name, values in one.items())
    assert (one["network/memory.kept"], one["network/memory.next"]) == (12, 6 * 5 % 12)


def test_a_session_dreams_of_memories_and_takes_nothing_from_the_run(tmp_path):
    protocol = Protocol.from_text(TINY, "tiny.yaml", [EXACT])
    one, other = Session(protocol), Session(protocol)
    one.step(4)
    stored = one._simulator.animal.network.prior.memory
    dreamt = one.dream(20, layer=2).values
    known = stored.patterns[stored.stored].numpy()
    assert (dreamt[:, None] == known).all(-1).any(1).all()
    assert not np.array_equal(dreamt, one.dream(20, layer=2, draw=1).values)
    one.step(4)
    other.step(8)
    a, b = (s._simulator.state_dict() for s in (one, other))
    assert all(np.array_equal(a[name], b[name]) for name in a)
    one.save(tmp_path / "state.npz")
    later = Session.load(tmp_path / "state.npz", protocol)
    assert np.array_equal(later.dream(20, layer=2).values, one.dream(20, layer=2).values)


def test_what_memory_gives_may_change_at_the_branch():
    text = TINY.replace("control: {}", "control: {set: {network.memory.share: 1}}")
    protocol = Protocol.from_text(
        text, "tiny.yaml", ["network.memory={hopfield: continuous, share: 0}"]
    )
    assert protocol.tree.arms["control"].spec.network.memory.share == 1
    with pytest.raises(ProtocolError, match="cannot change after the branch"):
        Protocol.from_text(text.replace("share: 1", "patterns: 9"), "tiny.yaml")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["network.memory={hopfield: binary, recall: blended}"], "no beta to blend by"),
        (["network.memory={hopfield: continuous, best: 9, patterns: 8}"], "do not fit in 8"),
        (["network.memory={hopfield: continuous, best: 17}"], "a batch has 16 states, not 17"),
        (["network.memory={hopfield: continuous, patterns: 15}"], "more than are kept"),
        (["network.memory={patterns: 100}"], "hopfield: required key is missing"),
        (
            ["preset=binary", "network.memory={hopfield: continuous}"],
            "units fire 0 or 1; use binary or dense",
        ),
        (["algorithm.replay=0.5"], "there is no replay any more; write network.memory: {hopfield"),
        (
            ["arms.control={initial: {algorithm.replay: 0.5}}"],
            "there is no replay any more; write network.memory: {hopfield",
        ),
        (["measure=[memory_distance]"], "needs stored states; give network.memory"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(settings, says):
    with pytest.raises(ProtocolError) as error:
        Protocol.from_text(TINY, "tiny.yaml", settings)
    (line,) = [fault for fault in error.value.faults if says in fault]
    assert "\n" not in line


def test_exact_recall_is_for_units_that_fire_0_or_1_too():
    settings = ["preset=binary", EXACT]
    assert Protocol.from_text(TINY, "tiny.yaml", settings).spec.network.memory.recall == "exact"


def test_several_processes_are_refused(animal):
    built = animal(EXACT)
    engine = engine_of(built, PAIRS, 1)
    with pytest.raises(NeuroAWSError, match="several processes cannot share") as error:
        Engine(
            built.network, built.algorithm, built.updates, built.dataset, engine.schedule,
            engine.streams, 16, engine.slots, team=Team(0, 2),
        )  # fmt: skip
    assert error.value.where == "network.memory"


def test_distance_to_what_is_stored(tmp_path):
    """0 where dreams are recalled, more where they come from the density; nothing at the start."""
    arms = """
  none: {initial: {network.memory.share: 0}}
  exact: {initial: {network.memory.recall: exact}}
"""
    text = TINY.replace("\n  control: {}", arms.rstrip()).replace("  rem_silenced", "  # ")
    text = text.replace("  - ach_gap", "  - memory_distance").replace(
        "  - {measure: target", "  # "
    )
    protocol = Protocol.from_text(text, "tiny.yaml", ["network.memory={hopfield: continuous}"])
    finished = run(protocol, options=Options(out=str(tmp_path), jobs=1))
    found = finished.metrics.query("name == 'memory_distance'")
    assert found["step"].min() > 0
    last = found[found["step"] == found["step"].max()].set_index("arm")["value"]
    assert last["exact"] == 0
    assert last["none"] > 0.3

"""Every step of a run has one phase; sleep deprivation keeps its promises; keys do not collide."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro_aws.phase import NREM, REM, WAKE, Phase
from neuro_aws.protocol.perturb import DepriveSleep
from neuro_aws.protocol.schedule import Schedule, cycle_steps
from neuro_aws.protocol.schema import Block, Period
from neuro_aws.rng import numpy_generator, stream_key

PHASE = st.sampled_from(["wake", "nrem", "rem"])
LEAF = st.builds(lambda p, n: Block(**{p: n}), PHASE, st.integers(1, 4))
BLOCKS = st.recursive(
    st.lists(LEAF, min_size=1, max_size=3).map(tuple),
    lambda inner: st.tuples(
        st.builds(lambda n, b: Block(repeat=n, phases=b), st.integers(1, 3), inner)
    ),
    max_leaves=4,
)
PERIODS = st.lists(st.tuples(BLOCKS, st.integers(1, 4)), min_size=1, max_size=3).map(
    lambda rows: tuple(Period(name=f"p{i}", cycles=c, phases=b) for i, (b, c) in enumerate(rows))
)


@given(PERIODS)
@settings(max_examples=60, deadline=None)
def test_a_life_has_no_gaps_and_every_cycle_ends(periods):
    schedule = Schedule(periods)
    assert schedule.steps == sum(len(cycle_steps(p.phases)) * p.cycles for p in periods)
    position, seen = 0, dict.fromkeys(Phase, 0)
    for i, period in enumerate(periods):
        cycle = cycle_steps(period.phases)
        for k in range(period.cycles):
            for j, (phase, ends) in enumerate(cycle):
                spec = schedule(position)
                assert (spec.step, spec.period, spec.cycle) == (position, i, k)
                assert (spec.phase, spec.cycle_ends) == (phase, ends)
                assert spec.last == (j == len(cycle) - 1)
                assert spec.nth == seen[phase]
                seen[phase] += 1
                position += 1
        assert cycle[-1][1]
    assert position == schedule.steps


def test_innermost_repeats_end_with_their_last_step():
    cycle = cycle_steps((Block(repeat=2, phases=(Block(wake=1), Block(rem=2))), Block(nrem=2)))
    assert [p for p, _ in cycle] == [WAKE, REM, REM, WAKE, REM, REM, NREM, NREM]
    assert [e for _, e in cycle] == [False, False, True, False, False, True, False, True]


def period(cycles=60) -> Period:
    return Period(name="p", cycles=cycles, phases=(Block(wake=1), Block(nrem=1), Block(rem=2)))


@pytest.mark.parametrize("block", [1, 2, 5, 30])
def test_rebound_sleep_keeps_the_totals(block):
    deprived = Schedule((period(),), {"p": DepriveSleep(wake_block=block)})
    phases = [deprived(step).phase for step in range(deprived.steps)]
    assert [phases.count(p) for p in (WAKE, NREM, REM)] == [60, 60, 120]
    assert phases[:block] == [WAKE] * block
    assert phases[block] is not WAKE


def test_lost_sleep_is_gained_by_wake_in_the_same_time():
    usual, deprived = (
        Schedule((period(),)),
        Schedule((period(),), {"p": DepriveSleep(wake_block=5, rebound=False)}),
    )
    phases = [deprived(step).phase for step in range(deprived.steps)]
    assert deprived.steps == usual.steps
    assert phases.count(WAKE) == 150
    assert phases.count(REM) == 60


@pytest.mark.parametrize(
    "rule", [DepriveSleep(wake_block=7), DepriveSleep(wake_block=6, rebound=False)]
)
def test_blocks_that_do_not_fit_are_refused_not_repaired(rule):
    with pytest.raises(ValueError, match="divide"):
        Schedule((period(),), {"p": rule})


def test_streams_differ_by_animal_name_and_step():
    keys = {stream_key(a, s, t) for a in range(20) for s in ("noise", "prior") for t in range(200)}
    assert len(keys) == 20 * 2 * 200
    assert all(0 <= key < 2**63 for key in keys)
    assert numpy_generator(1, "x").random() == numpy_generator(1, "x").random()
    assert numpy_generator(1, "x").random() != numpy_generator(2, "x").random()

"""schedule(step): the phase of every step of a run, and its place in cycle and period."""

import bisect
from array import array
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from neuro_aws.phase import (
    DISCRIMINATOR,
    FEEDBACK,
    FEEDFORWARD,
    LATERAL,
    NREM,
    REM,
    WAKE,
    Phase,
)
from neuro_aws.protocol.perturb import DepriveSleep
from neuro_aws.protocol.schema import Block, Period

CycleStep = tuple[Phase, bool]
"""The phase of one step, and whether the innermost repeat ends with it."""


class StepSpec(NamedTuple):
    """One step: batch number ``step`` of the run, in one phase of one cycle of one period.

    ``cycle_ends`` ends the innermost repeat (when once-a-cycle changes are made); ``last`` ends
    the period's own cycle (when measures may be taken); ``nth`` counts the steps of this phase
    in the run before this one, so that what is recorded every so often sees all phases.
    """

    step: int
    period: int
    cycle: int
    phase: Phase
    cycle_ends: bool
    last: bool
    nth: int


def length(blocks: tuple[Block, ...]) -> int:
    """Return the number of steps of one cycle."""
    return sum(
        block.repeat * length(block.phases)
        if block.repeat is not None and block.phases is not None
        else sum(getattr(block, phase.value) or 0 for phase in Phase)
        for block in blocks
    )


def cycle_steps(blocks: tuple[Block, ...]) -> list[CycleStep]:
    """Return the steps of one cycle; the last one ends the cycle."""
    flat: list[CycleStep] = []
    for block in blocks:
        if block.repeat is not None:
            assert block.phases is not None
            flat += cycle_steps(block.phases) * block.repeat
            continue
        for phase in Phase:
            flat += [(phase, False)] * (getattr(block, phase.value) or 0)
    flat[-1] = (flat[-1][0], True)
    return flat


@dataclass(frozen=True)
class Stretch:
    """A period in steps: its first step, its cycle, and how often that is repeated."""

    name: str
    start: int
    cycles: int
    cycle: tuple[CycleStep, ...]
    scales: dict[str, float]
    """Factors on the changes of each kind of projection."""
    before: dict[Phase, int]
    """Steps of each phase in the periods before."""
    order: "array[int]"
    """For each step of a cycle, how many of its own phase come before it in the cycle."""

    @property
    def steps(self) -> int:
        """Steps in the whole period."""
        return self.cycles * len(self.cycle)

    @property
    def stop(self) -> int:
        """First step after the period."""
        return self.start + self.steps

    @cached_property
    def counts(self) -> dict[Phase, int]:
        """Steps of each phase in one cycle."""
        return {phase: sum(step[0] is phase for step in self.cycle) for phase in Phase}

    def count(self, phase: Phase) -> int:
        """Steps of a phase in one cycle."""
        return self.counts[phase]


def _order(cycle: list[CycleStep]) -> "array[int]":
    seen = dict.fromkeys(Phase, 0)
    order = array("L")
    for phase, _ in cycle:
        order.append(seen[phase])
        seen[phase] += 1
    return order


class Schedule:
    """All steps of a run, period after period, without gaps.

    ``usual`` is the schedule of the same periods with nobody deprived of sleep, if it is known:
    its cycles are taken over, so that hundreds of arms hold them once.
    """

    def __init__(
        self,
        periods: tuple[Period, ...],
        deprived: dict[str, DepriveSleep] | None = None,
        usual: "Schedule | None" = None,
    ) -> None:
        self.stretches: list[Stretch] = []
        start = 0
        counted = dict.fromkeys(Phase, 0)
        for i, period in enumerate(periods):
            cycles = period.cycles
            if deprived and period.name in deprived:
                steps, cycles = deprive(period, deprived[period.name])
                cycle, order = tuple(steps), _order(steps)
            elif usual is not None:
                cycle, order = usual.stretches[i].cycle, usual.stretches[i].order
            else:
                steps = cycle_steps(period.phases)
                cycle, order = tuple(steps), _order(steps)
            scales = {
                FEEDFORWARD: period.feedforward_plasticity,
                FEEDBACK: period.feedback_plasticity,
                LATERAL: period.lateral_plasticity,
                DISCRIMINATOR: period.discriminator_plasticity,
            }
            stretch = Stretch(period.name, start, cycles, cycle, scales, dict(counted), order)
            self.stretches.append(stretch)
            start = stretch.stop
            for phase in Phase:
                counted[phase] += stretch.count(phase) * cycles
        self.steps = start
        self._starts = [stretch.start for stretch in self.stretches]
        self._indices = {stretch.name: i for i, stretch in enumerate(self.stretches)}

    def __call__(self, step: int) -> StepSpec:
        """Return what happens at a step, counted from 0."""
        index = bisect.bisect_right(self._starts, step) - 1
        stretch = self.stretches[index]
        cycle, position = divmod(step - stretch.start, len(stretch.cycle))
        phase, ends = stretch.cycle[position]
        nth = stretch.before[phase] + cycle * stretch.counts[phase] + stretch.order[position]
        return StepSpec(step, index, cycle, phase, ends, position == len(stretch.cycle) - 1, nth)

    @property
    def learns_from(self) -> int:
        """First step at which feedforward or feedback weights may change."""
        kinds = (FEEDFORWARD, FEEDBACK)
        learnt = (s.start for s in self.stretches if any(s.scales[kind] for kind in kinds))
        return next(learnt, self.steps)

    def index(self, name: str) -> int:
        """Return the number of a period."""
        return self._indices[name]


def deprive(period: Period, rule: DepriveSleep) -> tuple[list[CycleStep], int]:
    """Return the cycle of a period with longer wake blocks, and how often it fits.

    rebound: every wake block is followed by its whole share of sleep, NREM first, so that the
    totals stay. No rebound: by the usual cycle's sleep only, so wake gains what sleep loses.
    """
    usual = cycle_steps(period.phases)
    wake, nrem, rem = (sum(b[0] is p for b in usual) for p in (WAKE, NREM, REM))
    total = period.cycles * len(usual)
    if not wake:
        raise ValueError("the period has no wake to prolong")
    if rule.rebound:
        if nrem * rule.wake_block % wake or rem * rule.wake_block % wake:
            raise ValueError(
                f"{rule.wake_block} wake steps give a fraction of a sleep step "
                f"({nrem} NREM and {rem} REM to {wake} wake); choose a multiple of {wake}"
            )
        nrem, rem = nrem * rule.wake_block // wake, rem * rule.wake_block // wake
    length = rule.wake_block + nrem + rem
    if total % length:
        raise ValueError(
            f"{total} steps do not divide into blocks of {length}; choose wake_block so that "
            f"wake_block plus its sleep divides {total}"
        )
    cycle = [(WAKE, False)] * rule.wake_block + [(NREM, False)] * nrem + [(REM, False)] * rem
    cycle[-1] = (cycle[-1][0], True)
    return cycle, total // length

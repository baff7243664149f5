"""What is due when in one branch: measures, weights, pictures, states to keep, alarms. No torch."""

from collections.abc import Iterator
from dataclasses import dataclass

from neuro_aws.protocol.branches import ArmPlan, TrunkPlan
from neuro_aws.protocol.measure import Measure
from neuro_aws.protocol.measures import against_onset
from neuro_aws.protocol.schedule import Stretch


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment between two steps: after ``step`` steps, and ``cycle`` cycles of the period.

    ``onset``: before the first step of the branch.
    """

    step: int
    period: str
    cycle: int
    onset: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done at a moment."""

    moment: Moment
    measures: tuple[Measure, ...] = ()
    weights: bool = False
    images: bool = False
    keep: bool = False
    watch: bool = False


class Agenda:
    """What is due at the onset of a branch, at ends of periods, and every so many cycles.

    Between ends of periods measures are taken in arms only; measures that compare with the onset of
    an arm have no meaning before it.
    """

    def __init__(self, plan: ArmPlan | TrunkPlan, measures: tuple[Measure, ...]) -> None:
        self.plan = plan
        self.in_arm = isinstance(plan, ArmPlan)
        self.measures = measures

    def onset(self) -> Due:
        """Return what is due before the first step: all at step 0, else what needs an onset."""
        step = self.plan.first
        chosen = [m for m in self.measures if step == 0 or against_onset(m.measure)]
        if not self.in_arm:
            chosen = [m for m in chosen if not against_onset(m.measure)]
        period = self.plan.schedule.stretches[self.plan.schedule(step).period].name
        return Due(Moment(step, period, 0, onset=True), tuple(chosen), weights=True, images=True)

    def between(self, start: int, stop: int) -> Iterator[Due]:
        """Yield what is due after ``start``, up to and including ``stop``."""
        step = start
        while step < stop and (step := self.next(step)) <= stop:
            yield self.at(step)
            if step == self.plan.stop:
                return

    def next(self, step: int) -> int:
        """Return the first moment after ``step`` at which something is due."""
        stretch, length, cycles = self._place(step)
        record, spec = self.plan.spec.record, self.plan.spec
        every = [record.weights, record.images, spec.keep.every, spec.watch.every]
        if self.in_arm:
            every += [m.every for m in self.measures]
        later = [(cycles // n + 1) * n for n in every if n]
        return stretch.start + min([*later, stretch.cycles]) * length

    def cycle_end(self, step: int) -> int:
        """Return the end of the cycle that the step after ``step`` belongs to."""
        stretch, length, cycles = self._place(step)
        return stretch.start + (cycles + 1) * length

    def at(self, step: int) -> Due:
        """Return what is due once ``step`` steps have been simulated, the end of a cycle."""
        stretch, _, before = self._place(step - 1)
        cycles = before + 1
        ends = cycles == stretch.cycles

        def due(every: int) -> bool:
            return bool(every) and cycles % every == 0

        spec = self.plan.spec
        measures = [
            m
            for m in self.measures
            if (self.in_arm or not against_onset(m.measure))
            and (ends or (self.in_arm and due(m.every)))
        ]
        return Due(
            Moment(step, stretch.name, cycles),
            tuple(measures),
            ends or due(spec.record.weights),
            ends or due(spec.record.images),
            due(spec.keep.every),
            due(spec.watch.every),
        )

    def _place(self, step: int) -> tuple[Stretch, int, int]:
        """Return the period of a step, the length of its cycle, and how many cycles lie before."""
        stretch = self.plan.schedule.stretches[self.plan.schedule(step).period]
        length = len(stretch.cycle)
        return stretch, length, (step - stretch.start) // length

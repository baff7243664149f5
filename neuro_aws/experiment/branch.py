"""THE run loop: one branch of one animal, stopped at any moment and resumed to the same bits.

It alone resumes, saves, measures, keeps, alarms and stops; what is computed is up to the
simulator (``backends/base.py``), what is due when is up to the protocol (``protocol/agenda.py``).
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from neuro_aws.backends.base import Simulator, State
from neuro_aws.backends.rate.distributed import Team
from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.measuring import take
from neuro_aws.experiment.states import refuse_step, take_up
from neuro_aws.metrics.collapse import alarms, raise_or_report
from neuro_aws.plots.images import write_pictures
from neuro_aws.protocol import ArmPlan, Protocol
from neuro_aws.protocol.agenda import Agenda, Due, Moment
from neuro_aws.protocol.backends import backend_of
from neuro_aws.protocol.columns import Column
from neuro_aws.recording import checkpoint
from neuro_aws.recording.checkpoint import Place
from neuro_aws.recording.inventory import Part, facts_of, faults, give_up, known_parts
from neuro_aws.recording.parts import Full, drop_after
from neuro_aws.recording.writer import Discard, Writer

REPORT_SECONDS = 0.3
"""The steps between two looks at the clock take about so long."""

SAVING_SHARE = 10.0
"""Saving may take a tenth of the time: after a slow one the next comes later."""

SAVE_SECONDS = 20.0
log = logging.getLogger("neuro_aws")

Stopped = Callable[[], bool]
Report = Callable[[int, str], None]
"""Called with the steps simulated of a branch, and a few words on how learning goes."""


class Branch:
    """A trunk or an arm of one animal."""

    def __init__(
        self,
        protocol: Protocol,
        place: Place,
        simulator: Simulator,
        save_seconds: float = SAVE_SECONDS,
        team: Team | None = None,
        accept_loss: bool = False,
    ) -> None:
        self.place = place
        self.simulator = simulator
        self.team = team or Team()
        self.plan = protocol.tree.plan(place.branch)
        self.agenda = Agenda(self.plan, protocol.spec.measure)
        self.step = self.plan.first
        self.accept_loss = accept_loss
        self._pace = Pace(save_seconds)
        self._where = f"animal {place.animal}, {place.branch}"

    def run(self, stopped: Stopped, report: Report) -> bool:
        """Simulate to the end, or until ``stopped()``; say whether the end was reached."""
        total = self.plan.stop - self.plan.first
        if self.team.agree(self.place.final.exists()):
            if self.team.writes:
                self._load(self.place.final)
            report(total, "")
            return True
        self._take_up()
        finished = self._loop(stopped, report)
        self._save(self.place.final if finished else self.place.rolling)
        if finished:
            if self.team.writes:
                self.place.rolling.unlink(missing_ok=True)
            self.team.agree(None)  # wait for the state to be written
        report(self.step - self.plan.first, "")
        return finished

    def _take_up(self) -> None:
        """Load the state to go on from: this branch's own, the trunk's end, or the initial one."""
        known: list[Part] = []
        resumed = self.team.agree(self.place.rolling.exists())
        if resumed:
            state, self.step, known = self._load(self.place.rolling)
            take_up(self.simulator, state, self.place.rolling)
        elif isinstance(self.plan, ArmPlan) and self.plan.first > 0:
            trunk = Place(self.place.run, self.place.animal, self.plan.trunk).final
            state, facts = checkpoint.load(trunk)
            refuse_step(facts["step"], self.plan.first, self.plan.first, trunk)
            take_up(self.simulator, state, trunk, of_trunk=True)
        if not self.team.writes:
            self.out: Writer = Discard()
            return
        self.out = Writer(self.place.parts, self._columns, known, self.step)
        drop_after(self.place.parts, len(known), self._columns)
        if not resumed:
            self._attend(self.agenda.onset())

    def _load(self, path: Path) -> tuple[State, int, list[Part]]:
        """Return a state, its step and its parts; refuse a recording that lost some of them.

        Where the loss is accepted, empty parts stand in for those that were lost.
        """
        state, facts = checkpoint.load(path)
        refuse_step(facts["step"], self.plan.first, self.plan.stop, path)
        known = known_parts(facts, path)
        lost = list(faults(self.place.parts, known)) if self.team.writes else []
        if lost and not self.accept_loss:
            index, why = lost[0]
            more = f", and {len(lost) - 1} more" if len(lost) > 1 else ""
            raise NeuroAWSError(
                f"{known[index].name} of the recording {why}{more}",
                where=str(self.place.parts),
                next_step="Put it back, or go on without it: --resume RUN --accept-loss",
            )
        for index, _ in lost:  # all of them first: writing one reads the others
            (self.place.parts / known[index].name).unlink(missing_ok=True)
        for index, why in lost:
            part = known[index]
            log.warning(
                "%s: steps %d to %d are lost (%s %s)",
                self._where,
                part.start,
                part.stop - 1,
                part.name,
                why,
            )
            known[index] = give_up(self.place.parts, index, part, why, self._columns)
        if lost:
            checkpoint.save(path, state, {**facts, "parts": facts_of(known)})
        return state, int(facts["step"]), known

    @property
    def _columns(self) -> list[Column]:
        return backend_of(self.plan.spec).columns(self.plan.spec)

    def _loop(self, stopped: Stopped, report: Report) -> bool:
        """Advance from one due moment to the next, and save in between when it is time."""
        alone = self.team.size == 1
        self._pace.start()
        while self.step < self.plan.stop:
            if not alone and self.team.any(stopped()):
                return False
            start, stop = self.step, self._until()
            reached = self._advance(start, stop, stopped if alone else _never)
            for due in self.agenda.between(start, reached):
                self.step = due.moment.step
                self._attend(due)
            self.step = reached
            if reached < stop:
                return False
            self._pace.simulated(reached - start)
            report(self.step - self.plan.first, self.simulator.status())
            if self.step < self.plan.stop and (self.out.full or self._pace.save_due):
                began = time.monotonic()
                self._save(self.place.rolling)
                self._pace.saved(began)
        return True

    def _until(self) -> int:
        """Return where to stop next. Processes of a team stop together: at the end of a cycle."""
        if self.team.size > 1:
            return self.agenda.cycle_end(self.step)
        return min(self.agenda.next(self.step), self.step + self._pace.steps)

    def _advance(self, start: int, stop: int, should_stop: Stopped) -> int:
        try:
            return self.simulator.advance(start, stop, self.out, should_stop)
        except Full:
            raise
        except NeuroAWSError as error:
            self.out.flush(start)
            raise type(error)(
                error.what,
                where=error.where or self._where,
                next_step=error.next_step or "What was recorded is kept",
            ) from error

    def _attend(self, due: Due) -> None:
        """Do what is due at a moment: measure, record weights and pictures, keep, alarm."""
        if not self.team.writes:
            return
        at, out = due.moment, self.out
        values = take(self.simulator, due.measures, at, out)
        if due.weights:
            out.put("weights/step", at.step)
            for name, weights in self.simulator.weights(at.step).items():
                out.put(f"weights/{name}", weights)
        if due.images:
            self._pictures(at.step)
        if due.keep:
            rule = self.plan.spec.keep
            self._save(self.place.rolling)
            best = [v.value for v in values if v.name == rule.best]
            checkpoint.keep(self.place, at.step, rule.last, rule.best, best)
        if due.watch:
            self._watch(at)

    def _pictures(self, step: int) -> None:
        """Record dreams and predictions; a convolutional network's also as files."""
        images = self.simulator.images(step)
        if not images:
            return
        self.out.put("images/step", step)
        for name, pictures in images.items():
            self.out.put(f"images/{name}", pictures)
        if self.plan.spec.network.dcgan is not None:
            write_pictures(self.place.figures, step, images["dreams"], images["predicted"])

    def _watch(self, at: Moment) -> None:
        """Report loss of variety; stop the run where the protocol says so."""
        rule = self.plan.spec.watch
        found = alarms(list(self.simulator.measure("collapse", at)), rule, at.step)
        if found and rule.stop:
            self._save(self.place.rolling)
        raise_or_report(found, rule, self._where)

    def _save(self, path: Path) -> None:
        """Write the recording so far, then the state that belongs to it."""
        if not self.team.writes:
            return
        state: State = self.simulator.state_dict()
        self.out.flush(self.step)
        facts = {"step": self.step, "parts": facts_of(self.out.known)}
        checkpoint.save(path, state, facts)


@dataclass
class Pace:
    """How many steps to take between two looks at the clock, and when to save."""

    save_seconds: float
    steps: int = 1
    pause: float = field(init=False)

    def __post_init__(self) -> None:
        self.pause = self.save_seconds
        self.start()

    def start(self) -> None:
        """Start the clocks."""
        self._saved = self._looked = time.monotonic()

    def simulated(self, steps: int) -> None:
        """Adjust the number of steps to the time that the last ones took."""
        now = time.monotonic()
        seconds, self._looked = max(now - self._looked, 1e-6), now
        self.steps = max(1, min(round(steps * REPORT_SECONDS / seconds), 4 * self.steps))

    @property
    def save_due(self) -> bool:
        """Say whether it is time to save."""
        return time.monotonic() - self._saved > self.pause

    def saved(self, began: float) -> None:
        """Start the clock anew after a save that began then; a slow one makes the next one late."""
        self._saved = self._looked = time.monotonic()
        self.pause = max(self.save_seconds, SAVING_SHARE * (self._saved - began))


def _never() -> bool:
    return False

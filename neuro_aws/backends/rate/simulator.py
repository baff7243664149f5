"""One segment of one animal's life: the common life, or an arm from the branch on."""

import contextlib
import fcntl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from neuro_aws.backends.rate.album import take
from neuro_aws.backends.rate.build import build_animal
from neuro_aws.backends.rate.distributed import Team
from neuro_aws.backends.rate.engine import Engine, Moment, Streams
from neuro_aws.backends.rate.recorder import Recorder
from neuro_aws.backends.rate.status import Note
from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.measuring import Measurer
from neuro_aws.metrics.collapse import alarms, collapse, raise_or_report
from neuro_aws.metrics.subject import Value
from neuro_aws.perturbations import Slots, slots
from neuro_aws.perturbations.verify import TargetCheck
from neuro_aws.phase import Phase
from neuro_aws.protocol import ArmPlan, Protocol, StepSpec
from neuro_aws.protocol.perturb import Perturbation
from neuro_aws.protocol.schema import Watch
from neuro_aws.recording import checkpoint
from neuro_aws.recording.keeping import keep
from neuro_aws.recording.parts import drop_after

FLUSH_ROWS = 20_000
FLUSH_BYTES = 32_000_000
TICK_SECONDS = 0.3
SAVING_SHARE = 10.0
"""Saving may take a tenth of the time: after a slow one the next comes later."""

LOCK_SECONDS = 15.0


@dataclass(frozen=True)
class Place:
    """Where a segment keeps its files inside the run's folder."""

    run: Path
    animal: int
    segment: str

    @property
    def parts(self) -> Path:
        """Folder of the recording's parts."""
        return self.run / "parts" / f"s{self.animal}" / self.segment

    @property
    def rolling(self) -> Path:
        """The state to resume from."""
        return self.run / "checkpoints" / f"s{self.animal}" / f"{self.segment}.resume.pt"

    @property
    def final(self) -> Path:
        """The state at the end of the segment; its presence says that it is finished."""
        return self.run / "checkpoints" / f"s{self.animal}" / f"{self.segment}.pt"


@contextlib.contextmanager
def lock(path: Path, what: str, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold a file lock; wait a little for a process that is just ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + seconds
    with path.open("w") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise NeuroAWSError(
                        f"{what} is being run by another process",
                        next_step="Wait for it, or stop it, then --resume",
                    ) from error
                time.sleep(0.1)
        yield


class Life:
    """A segment that can be lived, stopped at any step, and taken up again to the same bits."""

    def __init__(
        self,
        protocol: Protocol,
        place: Place,
        device: torch.device,
        save_seconds: float = 20.0,
        team: Team | None = None,
    ) -> None:
        self.protocol = protocol
        self.place = place
        self.device = device
        self.save_seconds = save_seconds
        self.team = team or Team()
        self.plan = protocol.tree.plan(place.segment)
        self.perturb = self.plan.perturb
        self.start, self.stop = self.plan.first, self.plan.stop
        spec = self.plan.spec
        self.animal = build_animal(spec, place.animal, device)
        self.measurer = Measurer(protocol, self.plan, place.animal, self.animal)
        self.engine = Engine(
            self.animal.network,
            self.animal.algorithm,
            self.animal.updates,
            self.animal.dataset,
            self.plan.schedule,
            Streams(place.animal, self.animal.dataset.train.dtype, device, self.team),
            spec.stimulus.batch,
            self._slots,
            (TargetCheck(protocol, self.plan, place.animal), self._record),
            self.team,
        )
        self._slots_of = lru_cache(maxsize=64)(self._make_slots)
        self.step = self.start
        self._note = Note()

    def run(self, stopped: Callable[[], bool], report: Callable[[int, str], None]) -> bool:
        """Live to the end, or until ``stopped()``; say whether the end was reached.

        ``report`` is told the steps lived and, in a few words, how learning goes.
        """
        if self.team.agree(self.place.final.exists()):
            report(self.stop - self.start, "")
            return True
        self._take_up()
        saved = ticked = time.monotonic()
        finished, pause = True, self.save_seconds
        while self.step < self.stop:
            moment = self.engine.step(self.step)
            self.step += 1
            if moment.spec.last:
                self._cycle_lived(moment.spec)
            now = time.monotonic()
            if self.team.size > 1:  # all processes stop at the same step
                if moment.spec.last and self.team.any(stopped()):
                    finished = False
                    break
            elif now - ticked > TICK_SECONDS and stopped():
                finished = False
                break
            if now - ticked > TICK_SECONDS:
                ticked = now
                report(self.step - self.start, self._note.of(moment))
            full = self.recorder.rows >= FLUSH_ROWS or self.recorder.bytes >= FLUSH_BYTES
            if self.step < self.stop and (full or now - saved > pause):
                self._save(self.place.rolling)
                saved = time.monotonic()
                pause = max(self.save_seconds, SAVING_SHARE * (saved - now))
        self._save(self.place.final if finished else self.place.rolling)
        if finished:
            if self.team.writes:
                self.place.rolling.unlink(missing_ok=True)
            self.team.agree(None)  # wait for the state to be written
        report(self.step - self.start, "")
        return finished

    def _take_up(self) -> None:
        """Load the state to go on from: this segment's own, the trunk's end, or birth."""
        network = self.animal.network
        own, trunk = self.place.rolling, None
        if isinstance(self.plan, ArmPlan) and self.start > 0:
            trunk = Place(self.place.run, self.place.animal, self.plan.trunk).final
        parts = 0
        if self.team.agree(own.exists()):
            saved = checkpoint.load(own, self.device)
            self.step, parts = int(saved["step"]), int(saved["parts"])
            self._load(saved)
        elif trunk is not None:
            self._load(checkpoint.load(trunk, self.device))
        self.recorder = Recorder(self.place.parts, self.plan.spec, network, parts)
        if not self.team.writes:
            return
        drop_after(self.place.parts, parts, self.recorder.columns)
        if self.step == self.start:
            self.measurer.onset(self.recorder, self.step)
            self.recorder.weights(self.step)
            self._pictures()

    def _load(self, saved: dict[str, Any]) -> None:
        self.animal.network.load_state_dict(saved["network"])
        self.animal.updates.load_state_dict(saved["updates"])
        self.measurer.memory = {name: kept.cpu() for name, kept in saved["memory"].items()}

    def _save(self, path: Path) -> None:
        self._finite()
        if not self.team.writes:
            self.recorder.forget()
            return
        self.recorder.flush()
        checkpoint.save(
            path,
            {
                "step": self.step,
                "parts": self.recorder.next_part,
                "network": self.animal.network.state_dict(),
                "updates": self.animal.updates.state_dict(),
                "memory": self.measurer.memory,
            },
        )

    def _finite(self) -> None:
        for projection in self.animal.network.projections:
            for tensor in self.animal.network.parameters(projection):
                if not bool(torch.isfinite(tensor).all()):
                    self.recorder.flush()
                    raise NeuroAWSError(
                        f"{projection} weights are no longer finite at step {self.step}",
                        where=f"animal {self.place.animal}, {self.place.segment}",
                        next_step="Lower that projection's rate; what was recorded is kept",
                    )

    def _record(self, moment: Moment) -> None:
        self._note.hear(moment)
        if not self.team.writes:
            return
        spec, record = moment.spec, self.plan.spec.record
        if spec.nth % record.ach.every == 0:
            self.recorder.signals(spec, moment.ach)
        if spec.nth % record.plasticity.every == 0:
            self.recorder.plasticity(spec, moment.deltas, moment.changes)
        if record.activity:
            self.recorder.activity(spec, moment.state)
        here, after = spec.step, spec.step + 1
        self.recorder.interval("phases", here, after, str(spec.phase))
        for p in self.plan.covering(spec.period, spec.cycle):
            self.recorder.interval("perturbations", here, after, describe(p))

    def _cycle_lived(self, spec: StepSpec) -> None:
        if not self.team.writes:
            return
        cycles = spec.cycle + 1
        stretch = self.plan.schedule.stretches[spec.period]
        ends = cycles == stretch.cycles
        values: list[Value] = []
        if self.measurer.due(cycles, ends):
            self._finite()
            values = self.measurer.cycle(self.recorder, self.step, spec.period, cycles, ends)
        every = self.plan.spec.record.weights
        if ends or (every and cycles % every == 0):
            self.recorder.weights(self.step)
        every = self.plan.spec.record.images
        if ends or (every and cycles % every == 0):
            self._pictures()
        kept = self.plan.spec.keep
        if kept.every and cycles % kept.every == 0:
            self._save(self.place.rolling)
            keep(self.place.rolling, kept, self.step, values)
        rule = self.plan.spec.watch
        if rule.every and cycles % rule.every == 0:
            self._watch(rule)

    def _pictures(self) -> None:
        subject, spec = self.measurer.subject(self.step), self.plan.spec
        folder = self.place.run / "figures" / f"s{self.place.animal}_{self.place.segment}"
        take(subject, self.recorder, spec, folder)

    def _watch(self, rule: Watch) -> None:
        self._finite()
        with torch.inference_mode():
            found = alarms(collapse(self.measurer.subject(self.step)), rule, self.step)
        if found and rule.stop:
            self._save(self.place.rolling)
        raise_or_report(found, rule, f"animal {self.place.animal}, {self.place.segment}")

    def _slots(self, spec: StepSpec) -> Slots:
        active = self.plan.active(spec.period, spec.cycle, spec.phase)
        return self._slots_of(spec.period, spec.phase, tuple(map(self.perturb.index, active)))

    def _make_slots(self, period: int, phase: Phase, active: tuple[int, ...]) -> Slots:
        usual = self.plan.schedule.stretches[period].scales
        chosen = [self.perturb[i] for i in active]
        spec, dataset = self.plan.spec, self.animal.dataset
        return slots(chosen, phase, usual, spec, dataset, self.place.animal)


def describe(perturbation: Perturbation) -> str:
    """Return a perturbation in a few words, as tables and figures name it."""
    section = getattr(perturbation, perturbation.action)
    settings = section.model_dump(mode="json", exclude_defaults=True)
    words = " ".join(f"{key}={value}" for key, value in settings.items())
    during = (
        "" if len(perturbation.during) == len(Phase) else " in " + "+".join(perturbation.during)
    )
    return f"{perturbation.action} {words}{during}".replace("neuromodulator=", "")

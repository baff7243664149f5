"""One segment of one animal's spiking life; stopped and taken up again to the same bits.

Biological time runs in stretches of ``spiking.segment`` seconds (shorter at the end of a period).
Each begins with random numbers of its own, keyed by (animal, first step), so what it gives depends
on the state it starts from and on nothing else; a stop is made between two of them.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from neuro_aws.backends.rate.simulator import Place, describe
from neuro_aws.backends.spiking.brian2_compat import chosen_target
from neuro_aws.backends.spiking.files import load_state, save_state
from neuro_aws.errors import NeuroAWSError
from neuro_aws.metrics.subject import Value
from neuro_aws.protocol import ArmPlan, Protocol, StepSpec
from neuro_aws.protocol.backends import backend_of
from neuro_aws.protocol.measures import of_weights
from neuro_aws.protocol.schedule import Stretch
from neuro_aws.recording.parts import Full, drop_after
from neuro_aws.recording.writer import Mark, Writer
from neuro_aws.rng import SPIKING_BLOCK, stream_key

Arrays = dict[str, NDArray[Any]]


class SpikingLife(ABC):
    """A trunk or an arm of one animal; what lives in it is the subclass's business."""

    def __init__(self, protocol: Protocol, place: Place, save_seconds: float = 20.0) -> None:
        self.protocol, self.place, self.save_seconds = protocol, place, save_seconds
        self.plan = protocol.tree.plan(place.segment)
        self.start, self.stop = self.plan.first, self.plan.stop
        self.spec = self.plan.spec
        self.section = self.spec.spiking
        self.step = self.start
        self.memory: Arrays = {}
        self.note = ""
        self.stopped: Callable[[], bool] = lambda: False
        self.whole_periods = self.section.target == "cpp_standalone"
        chosen_target(self.section.target)

    @abstractmethod
    def live(self, start: int, stop: int, seed: int, due: frozenset[int]) -> bool:
        """Live the steps start ... stop - 1 and record them; False if something cut it short.

        ``due``: the steps lived when ``weights`` will be asked for what they were then.
        """

    @abstractmethod
    def state(self) -> Arrays:
        """Return all that life changes."""

    @abstractmethod
    def restore(self, arrays: Arrays) -> None:
        """Take up what ``state`` returned."""

    @abstractmethod
    def values(self, measure: str, step: int) -> Iterator[Value]:
        """Yield the values of one measure."""

    @abstractmethod
    def weights(self, step: int) -> Arrays:
        """Return every recorded weight by its name, as it was after so many steps."""

    def branched(self) -> None:  # noqa: B027
        """Note what later measures compare with, at the moment the arms part."""

    def run(self, stopped: Callable[[], bool], report: Callable[[int, str], None]) -> bool:
        """Live to the end, or until ``stopped()``; say whether the end was reached."""
        final = self._file("")
        if final.exists():
            report(self.stop - self.start, "")
            return True
        self._take_up()
        self.stopped = stopped
        saved = time.monotonic()
        while self.step < self.stop and not stopped():
            before = self._everything()
            if not self._stretch():
                self._save(self._file(".resume"), before)
                return False
            report(self.step - self.start, self.note)
            if self.step < self.stop and time.monotonic() - saved > self.save_seconds:
                self._save(self._file(".resume"), self._everything())
                saved = time.monotonic()
        finished = self.step >= self.stop
        self._save(final if finished else self._file(".resume"), self._everything())
        if finished:
            self._file(".resume").unlink(missing_ok=True)
        return finished

    def _file(self, suffix: str, segment: str | None = None) -> Path:
        return self.place.final.parent / f"{segment or self.place.segment}{suffix}.npz"

    def _take_up(self) -> None:
        """Load the state to go on from: this segment's own, the trunk's end, or birth."""
        parts, own = 0, self._file(".resume")
        if own.exists():
            facts = self._load(own)
            self.step, parts = int(facts["step"]), int(facts["parts"])
        elif isinstance(self.plan, ArmPlan) and self.start > 0:
            self._load(self._file("", self.plan.trunk))
            self.branched()
        columns = backend_of(self.spec).columns(self.spec)
        self.writer = Writer(self.place.parts, columns, parts)
        drop_after(self.place.parts, parts, columns)
        if parts == 0:
            self._keep_weights(self.step)

    def _stretch(self) -> bool:
        """Live up to the end of the stretch, and record what belongs to every step."""
        whole = self.plan.schedule.stretches[self.plan.schedule(self.step).period]
        steps = whole.steps if self.whole_periods else self.section.segment_steps
        start, stop = self.step, min(self.step + steps, whole.stop, self.stop)
        seed = stream_key(self.place.animal, SPIKING_BLOCK, start)
        written = self.writer.mark()
        try:
            if not self.live(start, stop, seed, self._due(whole, start, stop)):
                self.writer.back_to(written)
                return False
        except (Full, OSError):  # there is no room to keep anything
            raise
        except NeuroAWSError:
            self._keep(written)
            raise
        except Exception as error:  # Brian2 and compilers raise what they like
            if self.stopped():  # Ctrl-C reaches the programs that Brian2 runs, too
                self.writer.back_to(written)
                return False
            self._keep(written)
            said = str(error).strip().splitlines() or [type(error).__name__]
            raise NeuroAWSError(
                f"Brian2 could not go on after step {start} ({said[-1][:150]})",
                where=f"animal {self.place.animal}, {self.place.segment}",
                next_step="What was recorded is kept; see run.log",
            ) from error
        self.step = stop
        return True

    def _keep(self, written: Mark) -> None:
        """Finish the recording at the end of the last whole stretch."""
        self.writer.back_to(written)
        self.writer.flush()

    def _due(self, whole: Stretch, start: int, stop: int) -> frozenset[int]:
        """Return the steps of a stretch at which weights are looked at, to record or to measure."""
        every = [self.spec.record.weights]
        if isinstance(self.plan, ArmPlan):
            every += [m.every for m in self.protocol.spec.measure if of_weights(m.measure)]
        lengths = [n * len(whole.cycle) for n in every if n]
        steps = range(start + 1, stop + 1)
        return frozenset(s for s in steps if any((s - whole.start) % n == 0 for n in lengths))

    def step_lived(self, spec: StepSpec) -> None:
        """Record a step's intervals, and at the end of a cycle what is due then."""
        self.writer.interval("phases", spec.step, spec.step + 1, str(spec.phase))
        for p in self.plan.covering(spec.period, spec.cycle):
            self.writer.interval("perturbations", spec.step, spec.step + 1, describe(p))
        if spec.last:
            self._cycle_lived(spec)

    def _cycle_lived(self, spec: StepSpec) -> None:
        stretch, cycles = self.plan.schedule.stretches[spec.period], spec.cycle + 1
        ends = cycles == stretch.cycles
        for m in self.protocol.spec.measure:
            between = isinstance(self.plan, ArmPlan) and m.every and cycles % m.every == 0
            if ends or between:
                step = spec.step + 1
                for v in self.values(m.measure, step):
                    self.writer.measured(
                        step, stretch.name, cycles, v.name, v.layer, v.group, v.value
                    )
        every = self.spec.record.weights
        if ends or (every and cycles % every == 0):
            self._keep_weights(spec.step + 1)

    def _keep_weights(self, step: int) -> None:
        """Record all weights as they were after so many steps."""
        self.writer.put("weights/step", step)
        for name, weights in self.weights(step).items():
            self.writer.put(f"weights/{name}", weights.astype("f4"))

    def _everything(self) -> tuple[Arrays, int]:
        memory = {f"memory/{k}": v for k, v in self.memory.items()}
        return {**{f"state/{k}": v for k, v in self.state().items()}, **memory}, self.step

    def _save(self, path: Path, everything: tuple[Arrays, int]) -> None:
        self.writer.flush()
        arrays, step = everything
        save_state(path, arrays, {"step": step, "parts": self.writer.next_part})

    def _load(self, path: Path) -> dict[str, Any]:
        arrays, facts = load_state(path)
        cut: dict[str, Arrays] = {"state": {}, "memory": {}}
        for name, values in arrays.items():
            place, key = name.split("/", 1)
            cut[place][key] = values
        self.restore(cut["state"])
        self.memory = cut["memory"]
        return facts

"""What the spiking simulators share: biological time in blocks (``backends/base.py``).

A block is ``spiking.segment`` seconds of biological time, shorter at the end of a period. Each
begins with random numbers of its own, keyed by (animal, first step), so what it gives depends on
the state it starts from and on nothing else; a run stops between two of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from neuro_aws.backends.base import Array, Observed, State
from neuro_aws.backends.spiking.brian2_compat import chosen_target
from neuro_aws.errors import NeuroAWSError
from neuro_aws.metrics.subject import Value
from neuro_aws.protocol import ArmPlan, Protocol, StepSpec, TrunkPlan
from neuro_aws.protocol.agenda import Moment
from neuro_aws.protocol.describe import in_words
from neuro_aws.protocol.measure import Measure
from neuro_aws.protocol.measures import of_weights
from neuro_aws.recording.room import Full
from neuro_aws.recording.writer import Writer
from neuro_aws.rng import SPIKING_BLOCK, stream_key


class BlockSimulator(ABC):
    """One animal in one branch; what is simulated in it is up to the subclass."""

    def __init__(
        self,
        protocol: Protocol,
        branch: str,
        animal: int,
        *,
        device: str = "cpu",
        dataset: object = None,
        team: Any = None,
    ) -> None:
        if device != "cpu" or (team is not None and team.size > 1):
            raise NeuroAWSError(
                "spikes are computed on the CPU, one animal in one process",
                where="--device" if device != "cpu" else "torchrun",
                next_step="Use --device cpu, and --jobs for several animals at a time",
            )
        self.protocol, self.animal = protocol, animal
        self.plan = protocol.tree.plan(branch)
        self.spec = self.plan.spec
        self.section = self.spec.spiking
        self.memory: State = {}
        self._status = ""
        self.whole_periods = self.section.target == "cpp_standalone"
        chosen_target(self.section.target)
        self.build()

    @abstractmethod
    def build(self) -> None:
        """Make Brian2's objects, with initial weights."""

    @abstractmethod
    def block(
        self,
        start: int,
        stop: int,
        seed: int,
        due: frozenset[int],
        out: Writer,
        should_stop: Callable[[], bool],
    ) -> bool:
        """Simulate the steps ``start`` ... ``stop`` - 1; False if something cut them short.

        ``due``: the steps after which ``weights`` will be asked for what they were then.
        """

    @abstractmethod
    def arrays(self) -> State:
        """Return all that simulating changes, but for what measures keep."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Take up what ``arrays`` returned."""

    @abstractmethod
    def weights(self, step: int) -> Mapping[str, Array]:
        """Return every recorded weight by its name, as it was after ``step`` steps."""

    @abstractmethod
    def values(self, what: Measure | str, at: Moment) -> Iterator[Value]:
        """Yield the values of one measure."""

    def advance(self, start: int, stop: int, out: Writer, should_stop: Callable[[], bool]) -> int:
        """Simulate whole blocks from ``start`` until ``stop`` is reached or passed."""
        step = start
        while step < stop:
            if should_stop():
                return step
            end = self._block_end(step)
            if not self._whole_block(step, end, out, should_stop):
                return step
            step = end
        return step

    def _block_end(self, start: int) -> int:
        period = self.plan.schedule.stretches[self.plan.schedule(start).period]
        steps = period.steps if self.whole_periods else self.section.segment_steps
        return min(start + steps, period.stop, self.plan.stop)

    def _whole_block(
        self, start: int, stop: int, out: Writer, should_stop: Callable[[], bool]
    ) -> bool:
        """Simulate one block, or nothing: what a cut one changed and recorded is taken back."""
        before, written = self.state_dict(), out.mark()
        seed = stream_key(self.animal, SPIKING_BLOCK, start)
        try:
            whole = self.block(start, stop, seed, self._due(start, stop), out, should_stop)
        except (Full, OSError):  # there is no room to keep anything
            raise
        except NeuroAWSError:
            out.back_to(written)
            raise
        except Exception as error:  # Brian2 and compilers raise exceptions of any class
            whole = False
            if not should_stop():  # Ctrl-C reaches the programs that Brian2 runs, too
                out.back_to(written)
                words = str(error).strip().splitlines() or [type(error).__name__]
                raise NeuroAWSError(
                    f"Brian2 could not go on after step {start} ({words[-1][:150]})",
                    next_step="What was recorded is kept; see run.log",
                ) from error
        if not whole:
            out.back_to(written)
            self.build()  # whose clock stands at the beginning of a block again
            self.load_state_dict(before)
        return whole

    def _due(self, start: int, stop: int) -> frozenset[int]:
        """Return the steps of a block after which weights are recorded or measured."""
        period = self.plan.schedule.stretches[self.plan.schedule(start).period]
        every = [self.spec.record.weights]
        if isinstance(self.plan, ArmPlan):
            every += [m.every for m in self.protocol.spec.measure if of_weights(m.measure)]
        lengths = [n * len(period.cycle) for n in every if n]
        steps = range(start + 1, stop + 1)
        return frozenset(s for s in steps if any((s - period.start) % n == 0 for n in lengths))

    def intervals(self, spec: StepSpec, out: Writer) -> None:
        """Record the phase of a step, and what is perturbed."""
        out.interval("phases", spec.step, spec.step + 1, str(spec.phase))
        for p in self.plan.covering(spec.period, spec.cycle):
            out.interval("perturbations", spec.step, spec.step + 1, in_words(p))

    def measure(
        self, what: Measure | str, at: Moment, settings: Mapping[str, Any] | None = None
    ) -> Iterator[Value]:
        """Yield the values of one measure; spikes are looked back on, nothing is run for it."""
        return self.values(what, at)

    def images(self, step: int) -> dict[str, Array]:
        """Return nothing: a single stimulus and a single dream are no distribution to look at."""
        return {}

    def step_ends(self, start: int) -> int:
        """Return the end of the block: the state cannot be had inside it."""
        return self._block_end(start)

    def replan(self, plan: ArmPlan | TrunkPlan) -> None:
        """Go on under other perturbations."""
        self.plan = plan

    def present(self, stimuli: Array | None, noise: bool, running: bool = True) -> list[Observed]:
        """Refuse: spikes are only those of the run itself."""
        raise _not_beside("present stimuli")

    def dream(self, count: int, stream: str) -> list[Observed]:
        """Refuse: spikes are only those of the run itself."""
        raise _not_beside("dream")

    def status(self) -> str:
        """Return a few words on the last block."""
        return self._status

    def state_dict(self) -> State:
        """Return copies of all that simulating changes."""
        memory = {f"memory/{k}": np.array(v) for k, v in self.memory.items()}
        return {**{f"state/{k}": np.array(v) for k, v in self.arrays().items()}, **memory}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Take up what ``state_dict`` returned."""
        parts: dict[str, State] = {"state": {}, "memory": {}}
        for name, values in state.items():
            part, key = name.split("/", 1)
            parts[part][key] = values
        self.restore(parts["state"])
        self.memory.clear()
        self.memory |= parts["memory"]


def _not_beside(what: str) -> NeuroAWSError:
    return NeuroAWSError(
        f"spiking neurons cannot {what} beside their own run, which it would disturb",
        next_step="Probe soma and dendrite in the steps of the run: wake shows stimuli, REM dreams",
    )

"""The loop: schedule -> stimulus -> propagate -> ACh -> deltas -> changes -> observers."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from neuro_aws import rng
from neuro_aws.algorithms import asked
from neuro_aws.algorithms.base import Algorithm
from neuro_aws.algorithms.declaration import DeltaCheck
from neuro_aws.algorithms.updates import Updates
from neuro_aws.backends.rate.distributed import SharedDraws, Team
from neuro_aws.backends.rate.moment import Moment, Written
from neuro_aws.errors import NeuroAWSError
from neuro_aws.functional import fused
from neuro_aws.functional.noise import KeyedNoise
from neuro_aws.functional.shapes import rows
from neuro_aws.model.network import Network
from neuro_aws.perturbations import Slots
from neuro_aws.phase import REM, WAKE, Phase
from neuro_aws.protocol.schedule import Schedule, StepSpec
from neuro_aws.stimuli.dataset import Dataset

if TYPE_CHECKING:
    from neuro_aws.backends.rate.compiled.step import CompiledStep


Observer = Callable[[Moment], None]


class SharedNoise(KeyedNoise):
    """A stream whose numbers several processes share, each its rows of the batch."""

    def __init__(
        self, animal: int, stream: str, dtype: torch.dtype, device: torch.device, team: Team
    ) -> None:
        super().__init__(animal, stream, dtype, device)
        self._draws = SharedDraws(self._draws, team)


class Streams:
    """The random streams of one animal; each is keyed by step."""

    def __init__(
        self, animal: int, dtype: torch.dtype, device: torch.device, team: Team | None = None
    ) -> None:
        def stream(name: str) -> KeyedNoise:
            if team is None or team.size == 1:
                return KeyedNoise(animal, name, dtype, device)
            return SharedNoise(animal, name, dtype, device, team)

        self.stimulus = stream(rng.STIMULUS)
        self.eyes = stream(rng.EYES)
        self.prior = stream(rng.PRIOR)
        self.noise = stream(rng.NOISE)
        self.ach = stream(rng.ACH)
        self.neuromodulator = stream(rng.NEUROMODULATOR)


class Engine:
    """One network going through one schedule, step by step.

    ``compiled`` takes its steps by compiled kernels (``backends/rate/forms.py`` says when it can):
    whole steps of a dense network, and those of a convolutional one where kernels fit.
    """

    def __init__(
        self,
        network: Network,
        algorithm: Algorithm,
        updates: Updates,
        dataset: Dataset,
        schedule: Schedule,
        streams: Streams,
        batch: int,
        slots: Callable[[StepSpec], Slots],
        observers: Sequence[Observer] = (),
        team: Team | None = None,
        compiled: bool = False,
    ) -> None:
        self.network = network
        self.algorithm = algorithm
        self.updates = updates
        self.dataset = dataset
        self.schedule = schedule
        self.streams = streams
        self.team = team or Team()
        self.batch = self.team.share(batch)
        self.slots = slots
        self.observers = observers
        self.check = DeltaCheck(algorithm, network, updates.plasticity)
        self._adapts = {WAKE, REM} | {p for p in Phase if self.check.changes[p]}
        self._compiled: CompiledStep | None = None
        self._fused = compiled and network.maps
        if compiled and not network.maps:  # imported here: numba is an extra
            from neuro_aws.backends.rate.compiled import step

            self._compiled = step.CompiledStep(network, algorithm, updates, self.batch)
        self._refuse_sharing()

    def _refuse_sharing(self) -> None:
        """Refuse several processes where something is kept that each would have its own of."""
        kept = {
            "network.lateral": ("lateral weights carry a state", self.network.lateral.weights),
            "network.recurrent": ("lateral weights carry a state", self.network.in_time),
            "network.memory": ("dreams begin from states", self.network.prior.memory is not None),
            "algorithm.name": ("the theory has a memory", hasattr(self.algorithm, "memory")),
        }
        for where, (what, there) in kept.items():
            if there and self.team.size > 1:
                raise NeuroAWSError(
                    f"{what} that several processes cannot share",
                    where=where,
                    next_step="Run one process",
                )

    def run(self, steps: int) -> None:
        """Simulate so many steps from the first."""
        for step in range(steps):
            self.step(step)

    def step(self, step: int) -> Moment:
        """Simulate one step: one batch in one phase.

        Nothing in it needs a graph, so torch keeps no track, unless the algorithm asks for it.
        """
        track = getattr(self.algorithm, "uses_autograd", False)
        with torch.inference_mode(not track), fused.compiled(self._fused):
            return self._step(step)

    def _step(self, step: int) -> Moment:
        spec = self.schedule(step)
        perturb = self.slots(spec)
        moment: Moment
        if self._compiled is None:
            moment = self._written_out(spec, perturb)
        else:
            shown = self._shown(spec, perturb) if spec.phase is WAKE else (None, None)
            moment = self._compiled(spec, perturb, self.streams, *shown)
        for observe in self.observers:
            observe(moment)
        return moment

    def _written_out(self, spec: StepSpec, perturb: Slots) -> Moment:
        """Take a step as the equations are written: the specification of the compiled one."""
        step = spec.step
        stimulus, labels = self._stimulus(spec, perturb)
        noise = self.streams.noise.at(step)
        self.network.noise.at(step)
        adapting = spec.phase in self._adapts and perturb.homeostasis
        with self.network.following(adapting):
            gains = perturb.gains
            state = self.algorithm.propagate(self.network, stimulus, spec.phase, noise, gains)
        signal = self.network.acetylcholine(state, self.streams.ach.at(step))
        ach = perturb.neuromodulator(signal, labels, self.streams.neuromodulator.at(step))
        deltas = self.algorithm.deltas(self.network, state, ach, spec.phase)
        self.check(deltas, spec.phase)
        deltas = self.team.mean(deltas)
        changes = self.updates(deltas, perturb.scales, spec.cycle_ends, perturb.homeostasis)
        self.network.apply(changes)
        self.network.acetylcholine.track(signal, state)
        self.network.track(state)
        asked.track(self.algorithm, self.network, state)
        memory = self.network.prior.memory
        if memory is not None and spec.phase is WAKE:
            memory.store(rows(state.somas[-1].detach()), signal.own.reading.level)
        self.team.settle(self.network, step)
        return Written(self.network, spec, perturb, state, ach, deltas, changes, labels)

    def _stimulus(self, spec: StepSpec, perturb: Slots) -> tuple[Tensor, Tensor | None]:
        """Return h_0 with its labels in wake, h_N from the prior and its memory in sleep."""
        if spec.phase is WAKE:
            return self._shown(spec, perturb)
        return self.network.prior(self.batch, self.streams.prior.at(spec.step)), None

    def _shown(self, spec: StepSpec, perturb: Slots) -> tuple[Tensor, Tensor | None]:
        """Return the stimuli of a wake step as the animal gets them, with their labels."""
        x, labels = self.dataset.sample(self.streams.stimulus.at(spec.step), self.batch)
        return perturb.stimulus(x, self.streams.eyes.at(spec.step), labels), labels


__all__ = ["Engine", "Moment", "Observer", "Streams"]

"""The compiled step of one network: draws its noise, calls the kernels, and says what happened."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from neuro_aws.algorithms import Algorithm
from neuro_aws.algorithms.adversarial_wake_sleep import AdversarialWakeSleep
from neuro_aws.algorithms.frozen import Frozen
from neuro_aws.algorithms.updates import Updates
from neuro_aws.algorithms.wake_sleep import WakeSleep
from neuro_aws.backends.rate.compiled import steps as kernels
from neuro_aws.backends.rate.compiled.changing import Changing
from neuro_aws.backends.rate.compiled.discriminator import send_back_at_random
from neuro_aws.backends.rate.compiled.drawing import Drawn
from neuro_aws.backends.rate.compiled.dreaming import Dreams
from neuro_aws.backends.rate.compiled.homeostasis import follow_undone
from neuro_aws.backends.rate.compiled.layout import FIRING, GRADIENT, SENT
from neuro_aws.backends.rate.compiled.memory import (
    Array,
    Room,
    plan_of,
    return_path,
    shared_weights,
)
from neuro_aws.backends.rate.compiled.views import Seen, Views
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.functional.plasticity import Density
from neuro_aws.model.network import Network
from neuro_aws.model.state import AcetylcholineSignal
from neuro_aws.perturbations import Slots
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, NREM, REM, WAKE, Phase
from neuro_aws.protocol.schedule import StepSpec

if TYPE_CHECKING:
    from neuro_aws.backends.rate.engine import Streams


class CompiledStep:
    """Takes the steps of one network, in memory that the network and its updates own.

    Weights, moments, running statistics and sums are the very tensors that a checkpoint holds;
    activity, Deltas and changes lie in buffers that the next step writes into again.
    """

    def __init__(
        self, network: Network, algorithm: Algorithm, updates: Updates, batch: int
    ) -> None:
        assert isinstance(algorithm, AdversarialWakeSleep | WakeSleep | Frozen)
        self.network, self.algorithm = network, algorithm
        self.plan = plan_of(network, algorithm)
        self.weights = shared_weights(network)
        self.room = Room(network, batch)
        dtype = self.room.dtype
        self.levels = {phase: torch.zeros(batch, dtype=dtype) for phase in Phase}
        self._levels = {phase: level.numpy() for phase, level in self.levels.items()}
        self.views = Views(network, self.plan, self.room, self.levels)
        self.changing = Changing(network, updates, self.views)
        self.dreams = Dreams(network, batch)
        density: Density = "laplacian" if self.plan.laplacian_noise else "gaussian"
        asleep = self.views.noise(False)
        asleep = asleep if self.plan.noisy_bottom else asleep[:-1]
        self._noise = {
            awake: Drawn(parts, density=density)
            for awake, parts in ((True, self.views.noise(True)), (False, asleep))
        }
        self._path = return_path(network)
        self._none = np.zeros(0, self._levels[WAKE].dtype)
        self._deviation = self.views.deviation.numpy()
        self._excess = self.views.excess.numpy()
        self._slots: Slots | None = None
        self._declared = {phase: tuple(algorithm.changes.get(phase, ())) for phase in Phase}

    def __call__(
        self,
        spec: StepSpec,
        slots: Slots,
        streams: "Streams",
        stimulus: Tensor | None,
        labels: Tensor | None,
    ) -> Seen:
        """Take one step; ``stimulus`` is that of wake, as the animal gets it."""
        phase, awake = spec.phase, spec.phase is WAKE
        adapting = phase is not NREM and slots.homeostasis
        self._take_gains(slots)
        self._draw(streams.noise.at(spec.step), awake)
        level = self._levels[phase]
        if awake:
            assert stimulus is not None
            shown = np.ascontiguousarray(stimulus.numpy(), level.dtype)
            kernels.recognise(self.plan, self.weights, self.room.space, shown, level, adapting)
        else:
            top = self.dreams.tops(streams.prior.at(spec.step))
            kernels.dream(self.plan, self.weights, self.room.space, top, level, adapting)
        seen = self._reached(spec, slots, streams, labels)
        self._learn(seen, adapting)
        seen.changes = self.changing(seen, seen.slots)
        if phase is REM:
            rate = self.network.acetylcholine.baseline_rate
            kernels.follow_baseline(self.weights, level, rate)
        elif awake:
            if adapting and self.plan.orthogonal:
                follow_undone(self.plan, self.weights, self.room.space)
            self.dreams.track(self.room.rows(FIRING, self.network.depth))
        return seen

    def _take_gains(self, slots: Slots) -> None:
        """Take up factors on rates, where they are other ones than in the step before."""
        if slots is self._slots:
            return
        self._slots = slots
        gained = self.room.gained
        gained.zero_()
        for layer, gain in slots.gains.items():
            start, stop = self.room.starts[layer : layer + 2]
            self.room.gains[start:stop] = gain
            gained[layer] = True

    def _draw(self, source: NoiseSource, awake: bool) -> None:
        """Draw the noise of the somata, layer by layer in the order in which they fire."""
        if self.plan.sigma > 0:
            self._noise[awake].fill(source)

    def _reached(
        self, spec: StepSpec, slots: Slots, streams: "Streams", labels: Tensor | None
    ) -> Seen:
        """Send ACh back to the layers, through what is done to it on the way."""
        sent = GRADIENT
        if self._path is not None:
            sent, space = SENT, self.room.space._replace(sent=SENT)
            send_back_at_random(self.plan, space, self._path, self.room.batch)
        gate, baseline = float(spec.phase is WAKE), float(self.weights.baseline[0])
        seen = Seen(
            self.views, spec, slots, labels, None, gate, baseline, sent,
            self._declared[spec.phase],
        )  # fmt: skip
        if slots.on_ach:
            draws = streams.neuromodulator.at(spec.step)
            self._perturbed(seen, slots.neuromodulator(seen.ach, labels, draws))
        return seen

    def _perturbed(self, seen: Seen, signal: AcetylcholineSignal) -> None:
        """Take up ACh as a perturbation left it."""
        sent = [self.room.rows(seen.sent, layer) for layer in range(len(signal.teaching))]
        given = list(zip(signal.teaching, sent, strict=True))
        if any(teach.data_ptr() != own.data_ptr() for teach, own in given):
            for layer, teach in enumerate(signal.teaching):
                self.room.rows(SENT, layer).copy_(teach)
            seen.sent = SENT
        seen.signal = seen.__dict__["ach"] = signal
        seen.by_sample = isinstance(signal.gate, Tensor)
        gate = signal.gate
        seen.gate = float(gate.mean()) if isinstance(gate, Tensor) else float(gate)

    def _learn(self, seen: Seen, adapting: bool) -> None:
        """Compute the Deltas that the algorithm has in this phase."""
        space, views, phase = self.room.space, self.views, seen.spec.phase
        deltas = views.arrays
        if phase is REM:
            kernels.rem_deltas(self.plan, self.weights, space, deltas[DISCRIMINATOR])
            if FEEDFORWARD in seen.kinds:
                kernels.recognition_delta(self.plan, self.weights, space, deltas[FEEDFORWARD])
        elif phase is WAKE:
            kernels.wake_deltas(
                self.plan, self.weights, space, deltas[FEEDBACK], deltas[DISCRIMINATOR], adapting
            )
            if FEEDFORWARD in seen.kinds:
                self._credit(seen, adapting)

    def _credit(self, seen: Seen, adapting: bool) -> None:
        """Compute dF of a wake step, and what the samples' own gates add to it."""
        room, signal = self.room, seen.signal
        space = room.space._replace(sent=seen.sent)
        level: Array = self._levels[WAKE]
        release, constant = self._none, False
        if self.plan.running_baseline:
            release = seen.ach.release.numpy()
        if signal is not None:
            level, constant = signal.level.numpy(), signal.constant
        delta = self.views.arrays[FEEDFORWARD]
        kernels.credited(
            self.plan, self.weights, space, level, release, constant, self._none, self._excess,
            delta, adapting,
        )  # fmt: skip
        if signal is not None and isinstance(signal.gate, Tensor):
            apart = (signal.gate - signal.gate.mean()).numpy()
            kernels.credited(
                self.plan, self.weights, space, level, release, constant, apart, self._excess,
                self._deviation, adapting,
            )  # fmt: skip

"""From a protocol's steps to what drives the neurons: one row a step, every draw keyed by step.

A step of the schedule lasts ``spiking.step`` ms: one stimulus in wake, one draw of the prior in
sleep. Every draw is keyed by (animal, stream, step), so that arms differ by what is done alone.
"""

from functools import lru_cache

import numpy as np
from torch import Tensor

from neuro_aws.backends.spiking.blocks import GATES, Drive
from neuro_aws.backends.spiking.brian2_compat import Array
from neuro_aws.backends.spiking.cortex import Cortex
from neuro_aws.functional.noise import KeyedNoise
from neuro_aws.perturbations import Slots, slots
from neuro_aws.perturbations.eyes import eye_columns
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, NREM, WAKE, Phase
from neuro_aws.protocol import ArmPlan, TrunkPlan
from neuro_aws.protocol.actions_on_learning import Dose, Pair
from neuro_aws.protocol.perturb import Perturbation
from neuro_aws.protocol.schedule import StepSpec
from neuro_aws.rng import EYES, SPIKING_PRIOR, STIMULUS, numpy_generator
from neuro_aws.stimuli.dataset import Dataset

NO_LABEL = -1


class Inputs:
    """What happens to one animal, step by step."""

    def __init__(
        self, plan: ArmPlan | TrunkPlan, animal: int, dataset: Dataset, cortex: Cortex
    ) -> None:
        self.plan, self.animal, self.dataset, self.cortex = plan, animal, dataset, cortex
        self.section = plan.spec.spiking
        self._slots_of = lru_cache(maxsize=64)(self._slots)
        self._stimuli = KeyedNoise(animal, STIMULUS, dataset.train.dtype)
        self._eyes = KeyedNoise(animal, EYES, dataset.train.dtype)

    def drive(self, start: int, stop: int, pool: Array | None) -> tuple[Drive, Array]:
        """Return the rows of the steps start ... stop - 1, and the label seen in each (-1: none).

        ``pool`` holds recent waking rates of the top layer (Hz), for a replayed prior.
        """
        steps, cells = stop - start, self.cortex.count
        drive = Drive(
            np.zeros(steps),
            np.zeros((steps, cells)),
            np.ones((steps, cells)),
            {name: np.zeros(steps) for name in GATES},
            np.full(steps, np.nan),
        )
        labels, top = np.full(steps, NO_LABEL), len(self.cortex.sizes) - 1
        for row in range(steps):
            spec = self.plan.schedule(start + row)
            acting = self.plan.active(spec.period, spec.cycle, spec.phase)
            done = self._slots_of(spec.period, spec.phase, acting)
            if spec.phase is WAKE:
                labels[row] = self._wake(drive, row, spec, done)
            else:
                drive.potential[row, self.cortex.layer(top)] = self._prior(spec.step, pool)
            for layer, gain in done.gains.items():
                drive.gain[row, self.cortex.layer(layer)] = gain.numpy()
            for p in acting:
                if p.inactivate_eye is not None and spec.phase is WAKE:
                    seen = eye_columns(self.dataset, p.inactivate_eye.eye)
                    drive.gain[row, self.cortex.layer(0)][seen] = 0.0
            self._gates(drive, row, spec, done, acting, int(labels[row]))
        return drive, labels

    def _slots(self, period: int, phase: Phase, acting: tuple[Perturbation, ...]) -> Slots:
        usual = self.plan.schedule.stretches[period].scales
        return slots(acting, phase, usual, self.plan.spec, self.dataset, self.animal)

    def _wake(self, drive: Drive, row: int, spec: StepSpec, done: Slots) -> int:
        """Show a stimulus: pixels in [-1, 1] become potentials between low and high."""
        x, label = self.dataset.sample(self._stimuli.at(spec.step), 1)
        drive.wake[row] = 1.0
        shown = done.stimulus(x, self._eyes.at(spec.step))
        drive.potential[row, self.cortex.layer(0)] = self._potentials(shown)
        return NO_LABEL if label is None else int(label[0])

    def seen(self, step: int) -> Array:
        """Return the potentials of the stimulus of a step, nothing done to it."""
        return self._potentials(self.dataset.sample(self._stimuli.at(step), 1)[0])

    def _potentials(self, x: Tensor) -> Array:
        s = self.section
        return np.asarray(s.low + (s.high - s.low) * (x[0].double().numpy() + 1) / 2)

    def _prior(self, step: int, pool: Array | None) -> Array:
        """Return the potentials that drive the top layer: from N(mean, spread^2), or replayed."""
        draws = numpy_generator(self.animal, SPIKING_PRIOR, step)
        units = self.cortex.sizes[-1]
        if self.section.prior == "replay" and pool is not None and len(pool):
            return self.cortex.potential_of(pool[draws.integers(len(pool))])
        return self.section.prior_mean + self.section.prior_spread * draws.standard_normal(units)

    def _gates(
        self,
        drive: Drive,
        row: int,
        spec: StepSpec,
        done: Slots,
        acting: tuple[Perturbation, ...],
        label: int,
    ) -> None:
        """Open the gates of plasticity: in wake all, in REM that of ACh's readout, in NREM none.

        In NREM no ACh is released, whatever the readout says.
        """
        if spec.phase is NREM or any(p.clamp is not None for p in acting):
            drive.clamp[row] = 0.0
        if spec.phase is NREM:
            return
        awake = float(spec.phase is WAKE)
        learns = awake * float(self.plan.spec.algorithm.name != "frozen")
        gate = learns
        for p in acting:
            if p.block is not None and p.block.neuromodulator is not None:
                gate = 0.0
            elif isinstance(p.rule, Dose | Pair) and label in (p.rule.labels or [label]):
                gate *= p.rule.factor
        drive.gates["feedforward"][row] = gate * done.scales[FEEDFORWARD]
        drive.gates["feedback"][row] = awake * done.scales[FEEDBACK]
        drive.gates["ach"][row] = done.scales[DISCRIMINATOR]
        drive.gates["homeostasis"][row] = learns * done.homeostasis

"""The life of a single taught neuron, and how well its dendrite predicts its soma."""

from collections.abc import Iterator

import numpy as np

from neuro_aws.backends.rate.simulator import Place
from neuro_aws.backends.spiking.brian2_compat import Array, now, ran
from neuro_aws.backends.spiking.life import Arrays, SpikingLife
from neuro_aws.backends.spiking.neuron import TaughtNeuron
from neuro_aws.metrics.spikes import correlation
from neuro_aws.metrics.subject import Value, ratio
from neuro_aws.phase import FEEDBACK, REM, WAKE
from neuro_aws.protocol import Protocol


class NeuronLife(SpikingLife):
    """Wake: the teacher is on and the dendrite learns. REM: it is off. A step is one pattern."""

    def __init__(self, protocol: Protocol, place: Place, save_seconds: float = 20.0) -> None:
        super().__init__(protocol, place, save_seconds)
        self.neuron = TaughtNeuron(self.spec, place.animal)
        self.fine = round(self.section.step / self.section.dt)
        empty = np.zeros((0, self.fine))
        self.on = {"soma": empty, "dendrite": empty}
        self.off = {"soma": empty, "dendrite": empty}
        self._seen: dict[int, Array] = {}

    def live(self, start: int, stop: int, seed: int, due: frozenset[int]) -> bool:
        """Live one stretch."""
        specs = [self.plan.schedule(s) for s in range(start, stop)]
        awake = np.array([float(s.phase is WAKE) for s in specs])
        scales = [self.plan.schedule.stretches[s.period].scales[FEEDBACK] for s in specs]
        begun = now(self.neuron.network)
        eta = awake * np.array(scales) * self.section.learning.feedback
        rows = frozenset(step - start for step in due)
        lived = self.neuron.live(awake, eta, seed, self.section.segment_steps, rows)
        self._seen = {start + row: weights for row, weights in lived.weights.items()}
        steps, since = stop - start, start * self.section.step
        if not ran(self.neuron.network, begun, steps * self.section.step):
            return False
        put = self.writer.extend
        put("spikes/time", lived.spikes + since)
        put("spikes/neuron", np.zeros(len(lived.spikes), "i4"))
        put("potentials/time", since + self.section.dt * np.arange(steps * self.fine))
        put("potentials/soma", lived.soma.astype("f4"))
        put("potentials/dendrite", lived.dendrite.astype("f4"))
        put("potentials/teacher", self.neuron.matching(steps).astype("f4"))
        put("potentials/taught", np.repeat(awake, self.fine).astype("u1"))
        soma, dendrite = (v.reshape(steps, -1) for v in (lived.soma, lived.dendrite))
        for row, spec in enumerate(specs):
            if spec.phase in (WAKE, REM):
                window = self.on if spec.phase is WAKE else self.off
                for name, values in (("soma", soma), ("dendrite", dendrite)):
                    both = np.concatenate([window[name], values[row : row + 1]])
                    window[name] = both[-self.section.window_steps :]
            self.step_lived(spec)
        self.note = f"U - V* {np.abs(soma[-1] - dendrite[-1]).mean():.2f}"
        return True

    def values(self, measure: str, step: int) -> Iterator[Value]:
        """Compare the dendrite's prediction with the soma, over the last waking patterns.

        ``match``: correlation of V* and U with the teacher on; ``match_teacher_off``: of the soma
        alone in REM with the mean soma of those waking patterns; ``match_error``: mean squared
        difference of V* and U (units of 15 mV, squared), and relative to the first measured.
        """
        soma, dendrite = self.on["soma"], self.on["dendrite"]
        if len(soma):
            yield Value("match", correlation(soma.ravel(), dendrite.ravel()), 0)
            error = float(np.square(soma - dendrite).mean())
            first = self.memory.setdefault("first/error", np.array(error))
            yield Value("match_error", error, 0)
            yield Value("match_error_relative", ratio(error, float(first)), 0)
        if len(soma) and len(self.off["soma"]):
            alone = self.off["soma"]
            wanted = np.broadcast_to(soma.mean(0), alone.shape)
            yield Value("match_teacher_off", correlation(alone.ravel(), wanted.ravel()), 0)

    def weights(self, step: int) -> Arrays:
        """Return the afferents' weights."""
        seen = self._seen.get(step)
        return {"feedback_into0": self.neuron.weights()[None] if seen is None else seen[None]}

    def state(self) -> Arrays:
        """Return the neuron's state and the patterns that measures look back on."""
        on = {f"window_on.{k}": v for k, v in self.on.items()}
        off = {f"window_off.{k}": v for k, v in self.off.items()}
        return {**self.neuron.state(), **on, **off}

    def restore(self, arrays: Arrays) -> None:
        """Take up what ``state`` returned."""
        self.neuron.load({k: v for k, v in arrays.items() if not k.startswith("window_")})
        self.on = {k: arrays[f"window_on.{k}"] for k in self.on}
        self.off = {k: arrays[f"window_off.{k}"] for k in self.off}

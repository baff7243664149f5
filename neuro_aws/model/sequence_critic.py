"""Acetylcholine of a recurrent network: a discriminator that hears a sequence in both directions.

    B_t = [p_t, g a_t]           what the dendrites predict, and what drives h_1 before its tanh
    f_t = GRU(B_t, f_{t-1}),   b_t = GRU(B_t, b_{t+1})
    D_t = sigmoid(w . u(u(u([f_t, b_t]))) + w'),   u: an affine map and a ReLU, the same at all t
    ACh = mean_t D_t

Goyal et al. 2016 (professor forcing). a = W_n x + b_n + r (U_n h + c_n) is the potential of a gated
unit's candidate, g its gain (1; silenced: 0). D tells wake, 1, from REM, 0:

    dD = - d < -log D_t > / d(D)  in wake,   - d < -log(1 - D_t) > / d(D)  in REM    < >: over t too
    teaching   + d mean_t log D_t / dB  in REM: toward what D takes for wake (-C_f)
               + d mean_t log(1 - D_t) / dB  in wake: toward what it takes for REM (-C_t)

accuracy: share of sequences on whose side ACh is, mean of the last wake step and the last REM step.
The gate is 1 while it is above ``heard_above``, else 0; D learns while it is not above
``learns_below``. (On a GPU, where the host asks for no number, both are factors on Deltas: a D that
does not learn has a Delta of 0, and Adam's memory of the ones before goes on.)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear, logsigmoid

from neuro_aws.functional import gru
from neuro_aws.functional.asking import may_ask
from neuro_aws.functional.gru import Gates
from neuro_aws.functional.in_time import maps, times
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.model.acetylcholine import Acetylcholine
from neuro_aws.model.state import AcetylcholineSignal, NetworkState, Tensors
from neuro_aws.phase import DISCRIMINATOR, NREM, WAKE, Phase
from neuro_aws.protocol.model import NetworkSection
from neuro_aws.protocol.projections import DIRECTIONS, RECTIFIED

CHANCE = 0.5
"""Accuracy before anything was heard, and the level on either side of which a sequence is."""


@dataclass(frozen=True, slots=True)
class SequenceWeights:
    """The weights of D by name."""

    tensors: dict[str, Tensor]

    def like(self, tensors: Mapping[str, Tensor]) -> "SequenceWeights":
        """Return the same structure filled with other tensors, by name."""
        return SequenceWeights({name: tensors[name] for name in self.tensors})


class Level(NamedTuple):
    """ACh of each sample."""

    level: Tensor


@dataclass(frozen=True, slots=True)
class Heard:
    """What D heard in one step, for its own learning: logits (batch, time), with their graph."""

    reading: Level
    logits: Tensor
    leaves: dict[str, Tensor]
    accuracy: Tensor
    learns: float | Tensor


def logits(weights: Tensors, predicted: Tensor, potential: Tensor) -> Tensor:
    """Return the logit of D_t (batch, time) for p and a (batch, time, units)."""

    def of(name: str) -> Tensor:
        return weights[f"{DISCRIMINATOR}_{name}"]

    heard = torch.cat([predicted, potential], -1)
    reading = torch.cat([of("from0"), of("from1")], -1)
    directions = [
        Gates(reading[d], of("lateral")[d], of("bias")[d], of("lateral_bias")[d])
        for d in range(DIRECTIONS)
    ]
    found = gru.run(heard, *directions).fired
    for k in range(1, RECTIFIED + 1):
        found = torch.relu(linear(found, of(f"rectified{k}"), of(f"rectified{k}_bias")))
    return linear(found, of("readout"), of("readout_bias")).squeeze(-1)


class SequenceCritic(Acetylcholine):
    """D over the sequence; ``taught_in`` are the phases whose teaching signal is computed."""

    def __init__(
        self, section: NetworkSection, tensors: dict[str, Tensor], taught_in: tuple[Phase, ...]
    ) -> None:
        assert section.recurrent is not None
        self.weights = SequenceWeights(tensors)  # type: ignore[assignment]  # by name, as those are
        self.baseline_rate = section.discriminator.baseline_rate
        self.return_path = None
        self.taught_in = taught_in
        self.heard_above = section.recurrent.heard_above
        self.learns_below = section.recurrent.learns_below
        like = next(iter(tensors.values()))
        self.baseline = like.new_zeros(())
        self.accuracy = like.new_full((2,), CHANCE)
        """In wake and in REM, of the last step of each."""

    def buffers(self) -> dict[str, Tensor]:
        """Return the running mean of D in REM, and how accurate D was."""
        return {"baseline": self.baseline, "accuracy": self.accuracy}

    def __call__(
        self, state: NetworkState, noise: NoiseSource | None = None
    ) -> AcetylcholineSignal:
        """Return the signal of this step; D draws nothing."""
        # A theory that keeps no graph steps in inference mode, whose tensors have no gradient.
        with torch.inference_mode(False), torch.enable_grad():
            heard = [part.detach().clone().requires_grad_() for part in heard_of(state)]
            leaves = {n: t.detach().requires_grad_() for n, t in self.weights.tensors.items()}
            found = logits(leaves, *heard)
            wake = state.phase is WAKE
            teaching = [torch.zeros_like(part) for part in heard]
            if state.phase in self.taught_in and state.phase is not NREM:
                toward = logsigmoid(-found if wake else found).mean(1).sum()
                teaching = list(torch.autograd.grad(toward, heard, retain_graph=True))
        level = torch.sigmoid(found.detach()).mean(1)
        accuracy = ((level > CHANCE) == wake).to(level.dtype).mean()
        now = (accuracy + self.accuracy[int(wake)]) / 2  # with that of the other phase
        asleep = state.phase is NREM
        gate = 0.0 if asleep else as_factor(now > self.heard_above)
        release = torch.zeros_like(level) if asleep else level - self.baseline
        own = Heard(Level(level), found, leaves, accuracy, as_factor(now <= self.learns_below))
        sent = [maps(part) for part in teaching]
        return AcetylcholineSignal(level, release, sent, gate, own)

    def level(self, somas: list[Tensor]) -> Tensor:
        """Refuse: somata alone do not say what drove them."""
        raise TypeError("D of a sequence is read from states (level_of)")

    def level_of(self, state: NetworkState) -> Tensor:
        """Return ACh of each sample of a state with dendrites: for measuring."""
        return torch.sigmoid(logits(self.weights.tensors, *heard_of(state))).mean(1)

    def track(self, signal: AcetylcholineSignal, state: NetworkState) -> None:
        """Move the baseline toward this step's mean D in REM, and take up the accuracy."""
        super().track(signal, state)
        if state.phase is not NREM:
            assert isinstance(signal.own, Heard)
            self.accuracy[int(state.phase is not WAKE)] = signal.own.accuracy

    def learns(self, signal: AcetylcholineSignal) -> float | Tensor:
        """Return 1 where D is not too accurate to learn in this step, else 0."""
        assert isinstance(signal.own, Heard)
        return signal.own.learns

    def plasticity(
        self, state: NetworkState, signal: AcetylcholineSignal, factor: float | Tensor = 1.0
    ) -> dict[str, Tensor]:
        """Return D's own Delta: minus the gradient of the cross-entropy, times a factor."""
        own = signal.own
        assert isinstance(own, Heard)
        with torch.inference_mode(False), torch.enable_grad():
            climbs = logsigmoid(own.logits if state.phase is WAKE else -own.logits).mean()
            found = torch.autograd.grad(factor * climbs, list(own.leaves.values()))
        return dict(zip(own.leaves, found, strict=True))


def as_factor(holds: Tensor) -> float | Tensor:
    """Return 1 or 0; as a tensor where the host would have to wait for it."""
    return float(holds) if may_ask(holds) else holds.to(torch.float64)


def heard_of(state: NetworkState) -> tuple[Tensor, Tensor]:
    """Return p and g a of a state (batch, time, units): from the dendrites, and before the tanh."""
    below, above = state.layers
    predicted = below.dendrite if state.phase is WAKE else below.drive
    assert predicted is not None
    assert above.drive is not None
    a = above.drive.potential
    return times(predicted.value), times(a if above.gain is None else a * above.gain)

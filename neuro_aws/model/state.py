"""Values that pass between the parts: activity of layers, the ACh signal, changes of weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neuro_aws.phase import Phase

if TYPE_CHECKING:
    from torch import Tensor

    from neuro_aws.functional.compartments import Fired
    from neuro_aws.functional.discriminator import Potential, Reading
    from neuro_aws.model.sequence_critic import Heard


@dataclass(frozen=True, slots=True)
class LayerState:
    """One layer of two-compartment units in one step; tensors are (..., batch, units).

    soma         h_i, what the units fire
    transmitted  what their feedforward axons carry: the soma, or its stochastic inverse ReLU
    drive        the compartment that drove the soma (None for the stimulus and for the prior)
    xi           the noise of the drive, unit variance (None where there was none)
    gain         factor put on the soma by a perturbation (None: 1)
    dendrite     what feedback predicts the soma to fire, where it predicts
    previous     the soma of the step before, where lateral weights read it
    """

    soma: "Tensor"
    transmitted: "Tensor"
    drive: "Fired | None" = None
    xi: "Tensor | None" = None
    gain: "Tensor | None" = None
    dendrite: "Fired | None" = None
    previous: "Tensor | None" = None


@dataclass(frozen=True, slots=True)
class NetworkState:
    """All layers h_0 ... h_N in one step of one phase.

    ``passes`` are further passes up through F that an algorithm made in the step (they may stop
    below the top), ``graph`` what it keeps between propagation and learning.
    """

    phase: Phase
    layers: tuple[LayerState, ...]
    passes: "tuple[NetworkState, ...]" = ()
    graph: object = None

    @property
    def somas(self) -> "list[Tensor]":
        """Return h_0 ... h_N."""
        return [layer.soma for layer in self.layers]

    def map(self, act: "Callable[[Tensor], Tensor]") -> "NetworkState":
        """Return the state with ``act`` done to every tensor of its layers."""
        return NetworkState(self.phase, tuple(_mapped(layer, act) for layer in self.layers))


def _mapped(layer: LayerState, act: "Callable[[Tensor], Tensor]") -> LayerState:
    def on(value: Any) -> Any:
        if isinstance(value, tuple):
            parts = [on(part) for part in value]
            return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
        return value if value is None or isinstance(value, bool) else act(value)

    return LayerState(*(on(getattr(layer, name)) for name in LayerState.__slots__))


@dataclass(frozen=True, slots=True)
class OwnReading:
    """What the discriminator read in one step, for its own learning.

    at              its hidden potentials without noise, and the states they were computed from
    reading         D as it was read
    penalised       D as its penalty read it: the same, unless each draws noise of its own
    gradient        dD/dh of every state through its true weights, (..., batch, units)
    teaching_level  D of each sample as it was read for their teaching signal (..., batch)
    """

    at: "Potential"
    reading: "Reading"
    penalised: "Reading"
    gradient: "list[Tensor]"
    teaching_level: "Tensor"


@dataclass(frozen=True, slots=True)
class AcetylcholineSignal:
    """Neuromodulator #1 in one step, and what of it reaches the feedforward synapses.

    level      D(h) of each sample, as the discriminator computes it (..., batch)
    release    D minus its running mean in REM; a clamp replaces it by a constant
    teaching   dD/dh_j for j = 0 ... N as sent back to the layers; 0 under a clamp
    gate       effect of released ACh on feedforward plasticity: a number, or one per sample
    own        what the discriminator needs for its own learning (never perturbed)
    constant   whether a clamp holds ACh, so that the teaching signal is 0
    """

    level: "Tensor"
    release: "Tensor"
    teaching: "list[Tensor]"
    gate: "float | Tensor"
    own: "OwnReading | Heard"
    constant: bool = False


Tensors = Mapping[str, "Tensor"]
"""Tensors by name: that of the weight which they are, or change (``network.parameters(kind)``)."""


@dataclass(frozen=True, slots=True)
class Delta:
    """What the projections of one kind would change by, before optimiser, gate and scale.

    tensors    per unit of rate: one for each tensor of the kind, by its name
    gate       the (mean) gate that multiplies the change after the optimiser: a number, or, where
               the gate differs by sample, a tensor of none but one number in double precision,
               which the host need not wait for
    deviation  mean over samples of (gate_s - mean gate) delta_s, where the gate differs by sample
    teaching   the teaching signal of each layer, from the bottom up, to be recorded
    """

    tensors: Tensors
    gate: "float | Tensor" = 1.0
    deviation: Tensors | None = None
    teaching: "list[Tensor] | None" = None


Deltas = dict[str, Delta]
"""The Delta of each kind of projection that changes in a step."""

Changes = dict[str, "Tensor"]
"""What each kind changes by, laid out as the network lays out its weights (``Network.named``)."""

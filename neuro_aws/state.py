"""Values that pass between the parts: activity of layers, the ACh signal, changes of weights."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuro_aws.phase import Phase, Projection

if TYPE_CHECKING:
    from torch import Tensor

    from neuro_aws.functional.compartments import Fired
    from neuro_aws.functional.discriminator import Reading


@dataclass(frozen=True, slots=True)
class LayerState:
    """One layer of two-compartment units in one step; tensors are (..., batch, units).

    soma         h_i, what the units fire
    transmitted  what their feedforward axons carry: the soma, or its stochastic inverse ReLU
    drive        the compartment that drove the soma (None for the stimulus and for the prior)
    xi           the noise of the drive, unit variance (None where there was none)
    gain         factor put on the soma by a perturbation (None: 1)
    dendrite     what feedback predicts the soma to fire, where it predicts
    """

    soma: "Tensor"
    transmitted: "Tensor"
    drive: "Fired | None" = None
    xi: "Tensor | None" = None
    gain: "Tensor | None" = None
    dendrite: "Fired | None" = None


@dataclass(frozen=True, slots=True)
class NetworkState:
    """All layers h_0 ... h_N in one step of one phase."""

    phase: Phase
    layers: tuple[LayerState, ...]

    @property
    def somas(self) -> "list[Tensor]":
        """Return h_0 ... h_N."""
        return [layer.soma for layer in self.layers]


@dataclass(frozen=True, slots=True)
class AcetylcholineSignal:
    """What neuromodulator #1 says in one step, and what reaches the feedforward synapses.

    level      D(h) of each sample, as the discriminator computes it (..., batch)
    release    D minus its running mean in REM; a clamp replaces it by a constant
    teaching   dD/dh_j for j = 0 ... N as sent back to the layers; 0 under a clamp
    gate       effect of released ACh on feedforward plasticity: a number, or one per sample
    reading    the discriminator's own hidden activity, for its own learning (never perturbed)
    sent       dD/du of the discriminator's hidden units, for its own learning
    gradient   dD/dh through the discriminator's true weights, side by side, for its own learning
    constant   whether a clamp holds ACh, so that it can teach nothing
    """

    level: "Tensor"
    release: "Tensor"
    teaching: "list[Tensor]"
    gate: "float | Tensor"
    reading: "Reading"
    sent: "Tensor"
    gradient: "Tensor"
    constant: bool = False


@dataclass(frozen=True, slots=True)
class Delta:
    """What one projection would change by, per unit of rate, before optimiser, gate and scale.

    tensors    one for each parameter of the projection, in the network's order
    gate       the (mean) gate that multiplies the change after the optimiser
    deviation  mean over samples of (gate_s - mean gate) delta_s, where the gate differs by sample
    teaching   the signal that each layer was taught by, from the bottom up, to be recorded
    """

    tensors: "list[Tensor]"
    gate: float = 1.0
    deviation: "list[Tensor] | None" = None
    teaching: "list[Tensor] | None" = None


Deltas = dict[Projection, Delta]
Changes = dict[Projection, "Tensor"]
"""What each projection changes by, as one vector in the order of the network's weights."""

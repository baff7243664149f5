"""Credit: how the one number ACh becomes a teaching signal for every feedforward synapse.

Each mode is one class with one method: from the state and the ACh signal of a wake step to the
feedforward Delta of every layer. ``weight`` (..., batch), if given, multiplies each sample.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from neuro_aws.functional.compartments import pull_back
from neuro_aws.functional.densities import kl_teaching, score
from neuro_aws.functional.plasticity import (
    Onto,
    batch_of,
    feedforward_plasticity,
    three_factor_plasticity,
)
from neuro_aws.functional.shapes import like, per_sample, rows
from neuro_aws.model.layer import Layer
from neuro_aws.model.network import Network
from neuro_aws.model.state import AcetylcholineSignal, LayerState, NetworkState, Tensors
from neuro_aws.phase import FEEDFORWARD


class Credit(Protocol):
    """From the ACh signal of a wake step to the feedforward Deltas."""

    def __call__(
        self,
        network: Network,
        state: NetworkState,
        ach: AcetylcholineSignal,
        kl: float,
        weight: Tensor | None = None,
    ) -> Tensors:
        """Return the change of every feedforward tensor, by name."""
        ...

    def teaching(self, network: Network, ach: AcetylcholineSignal) -> list[Tensor]:
        """Return the signal that each layer receives, (..., batch, 1 or units), to be recorded."""
        ...


def at_psi(teach: Tensor, layer: LayerState, weight: Tensor | None) -> Tensor:
    """Return the teaching signal at psi's output: through the soma's gain, weighted by sample."""
    if layer.gain is not None:
        teach = teach * layer.gain
    return teach if weight is None else teach * per_sample(weight, teach)


def onto(
    layer: Layer, above: LayerState, weight: Tensor | None = None, corrected: bool = True
) -> Onto:
    """Return how a signal at the potentials of this step changes the layer's weights.

    ``weight`` is what each sample of it was multiplied by; ``corrected`` False where ACh has no
    part in it (``Homeostat.back``).
    """
    assert above.drive is not None
    along = None if weight is None else per_sample(weight, above.soma)
    return partial(layer.onto_feedforward, fired=above.drive, weight=along, corrected=corrected)


def top_teaching(top: Tensor) -> Tensor:
    """Return the teaching signal of the KL at the top layer, in its shape."""
    return like(kl_teaching(rows(top)), top)


@dataclass(frozen=True, slots=True)
class LayerCredit:
    """``layer`` (and ``layer_random``): teach_j = dD/dh_j as it comes back to the layer itself.

    Unit k of layer j receives from the two sub-discriminators that read it: nothing crosses layers.
    ``layer_random`` is the same rule under an ``Acetylcholine`` with a random return path.
    """

    def __call__(
        self,
        network: Network,
        state: NetworkState,
        ach: AcetylcholineSignal,
        kl: float,
        weight: Tensor | None = None,
    ) -> Tensors:
        """Return dF_i = - < teach_{i+1} psi'(a_i) h_i^T >, the KL's teaching added at the top."""
        changes: dict[str, Tensor] = {}
        for i, layer in enumerate(network.layers):
            above = state.layers[i + 1]
            teach = ach.teaching[i + 1]
            if i + 1 == network.depth and kl:
                teach = teach + kl * top_teaching(above.soma)
            assert above.drive is not None
            found = feedforward_plasticity(
                at_psi(teach, above, weight),
                above.drive,
                layer.psi_above,
                state.layers[i].transmitted,
                onto(layer, above, weight, not ach.constant),
            )
            changes |= network.feedforward_changes(i, found)
        return changes

    def teaching(self, network: Network, ach: AcetylcholineSignal) -> list[Tensor]:
        """Return dD/dh of every layer above the stimulus, as it was sent back."""
        return ach.teaching[1:]


@dataclass(frozen=True, slots=True)
class BackpropCredit:
    """``backprop``: the gradient of E_F[D] through all of F, as in the published experiment.

    teach_j = dD/dh_j + F_j^T (teach_{j+1} psi'(a_j)): written out, and checked against autograd.
    The noise and the inverse ReLU's samples are those of the step.
    """

    def __call__(
        self,
        network: Network,
        state: NetworkState,
        ach: AcetylcholineSignal,
        kl: float,
        weight: Tensor | None = None,
    ) -> Tensors:
        """Return dF_i = - < (dD/da_i through every layer above) h_i^T >."""
        changes: dict[str, Tensor] = {}
        carried: Tensor | None = None
        for i in range(network.depth - 1, -1, -1):
            layer, above = network.layers[i], state.layers[i + 1]
            teach = ach.teaching[i + 1]
            if carried is None:
                teach = teach + kl * top_teaching(above.soma)
            else:
                if above.transmitted is not above.soma:
                    carried = torch.ops.aten.threshold_backward(carried, above.soma, 0)
                teach = teach + carried
            assert above.drive is not None
            drive, below = above.drive, state.layers[i].transmitted
            share = pull_back(layer.psi_above, at_psi(teach, above, None), drive)
            teaches = not ach.constant
            if i:
                found, at_below = layer.onto_feedforward_and_below(share, below, drive, teaches)
            else:  # nothing below the stimulus receives it
                found = layer.onto_feedforward(share, below, fired=drive, corrected=teaches)
                at_below = below
            if weight is not None:
                along = per_sample(weight, share)
                found = layer.onto_feedforward(
                    share * along, below, fired=drive, weight=along, corrected=teaches
                )
            carried = at_below
            scaled = [change * (-1.0 / batch_of(share)) for change in found]
            changes |= network.feedforward_changes(i, scaled)
        return changes

    def teaching(self, network: Network, ach: AcetylcholineSignal) -> list[Tensor]:
        """Return dD/dh of every layer above the stimulus, as it was sent back."""
        return ach.teaching[1:]


@dataclass(frozen=True, slots=True)
class ScalarCredit:
    """``scalar``: a three-factor rule (Eq. 4); the only signal is ACh, one number a sample.

    The baseline is the mean of ACh over the batch, or its running mean in REM (``release``). Of
    units that fire 0 or 1 the eligibility is (h - p) h_i^T: REINFORCE, with D as the negative
    reward.
    """

    running_baseline: bool = False

    def __call__(
        self,
        network: Network,
        state: NetworkState,
        ach: AcetylcholineSignal,
        kl: float,
        weight: Tensor | None = None,
    ) -> Tensors:
        """Return dF_i = - < (ACh - baseline) (xi / sigma) h_i^T >, plus the KL's at the top."""
        level = self._level(ach)
        if weight is not None:
            level = level * weight
        changes: dict[str, Tensor] = {}
        for i in range(network.depth):
            above = state.layers[i + 1]
            eligibility = self._eligibility(network, above, i)
            below, layer = state.layers[i].transmitted, network.layers[i]
            how = onto(layer, above, weight, not ach.constant)
            found = three_factor_plasticity(level, eligibility, below, how)
            changes |= network.feedforward_changes(i, found)
        if kl:
            extra = _kl_delta(network, state, kl, weight)
            changes |= {name: changes[name] + change for name, change in extra.items()}
        return changes

    def _eligibility(self, network: Network, above: LayerState, i: int) -> Tensor:
        """Return the score of the potential: xi / sigma, or h - p of a unit that fires 0 or 1."""
        if above.drive is not None and network.layers[i].psi_above.binary:
            return above.drive.rate - above.drive.value
        if above.xi is None:
            raise ValueError("credit: scalar needs noise; sigma is 0")
        return score(above.xi, network.noise.sigma, network.noise.density)

    def _level(self, ach: AcetylcholineSignal) -> Tensor:
        if self.running_baseline and not ach.constant:
            return ach.release
        return ach.level - ach.level.mean(-1, keepdim=True)

    def teaching(self, network: Network, ach: AcetylcholineSignal) -> list[Tensor]:
        """Return ACh - baseline, the one number a sample that all layers receive."""
        return [self._level(ach).unsqueeze(-1)] * network.depth


@dataclass(frozen=True, slots=True)
class NoCredit:
    """``none``: the teaching signal of ACh is 0; only the KL of the top layer is left (KL only)."""

    def __call__(
        self,
        network: Network,
        state: NetworkState,
        ach: AcetylcholineSignal,
        kl: float,
        weight: Tensor | None = None,
    ) -> Tensors:
        """Return 0 everywhere but at the top, where the KL acts."""
        weights = network.parameters(FEEDFORWARD)
        changes = {name: torch.zeros_like(tensor) for name, tensor in weights.items()}
        return changes | _kl_delta(network, state, kl, weight) if kl else changes

    def teaching(self, network: Network, ach: AcetylcholineSignal) -> list[Tensor]:
        """Return 0."""
        return [torch.zeros_like(ach.level).unsqueeze(-1)] * network.depth


def _kl_delta(
    network: Network, state: NetworkState, kl: float, weight: Tensor | None
) -> dict[str, Tensor]:
    top = state.layers[-1]
    assert top.drive is not None
    teach = at_psi(kl * top_teaching(top.soma), top, weight)
    below, layer = state.layers[-2].transmitted, network.layers[-1]
    how = onto(layer, top, weight, corrected=False)
    found = feedforward_plasticity(teach, top.drive, layer.psi_above, below, how)
    return network.feedforward_changes(network.depth - 1, found)


CREDITS: dict[str, Callable[[], Credit]] = {
    "layer": LayerCredit,
    "layer_random": LayerCredit,
    "backprop": BackpropCredit,
    "scalar": ScalarCredit,
    "none": NoCredit,
}
"""Every credit mode by the name a protocol gives it."""

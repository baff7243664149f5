"""Credit: how the one number ACh becomes a teaching signal for every feedforward synapse.

Each mode is one class with one method: from the state and the ACh signal of a wake step to the
feedforward Delta of every layer. ``weight`` (..., batch, 1), if given, multiplies each sample.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from neuro_aws.functional.compartments import pull_back
from neuro_aws.functional.densities import kl_teaching, score
from neuro_aws.functional.plasticity import (
    WeightDelta,
    feedforward_plasticity,
    outer,
    three_factor_plasticity,
)
from neuro_aws.network import Network
from neuro_aws.state import AcetylcholineSignal, LayerState, NetworkState


class Credit(Protocol):
    """From the ACh signal of a wake step to the feedforward Deltas."""

    def __call__(
        self,
        network: Network,
        state: NetworkState,
        ach: AcetylcholineSignal,
        kl: float,
        weight: Tensor | None = None,
    ) -> list[WeightDelta]:
        """Return one Delta a layer, from the bottom up."""
        ...

    def teaching(self, network: Network, ach: AcetylcholineSignal) -> list[Tensor]:
        """Return the signal that each layer hears, (..., batch, 1 or units), to be recorded."""
        ...


def at_psi(teach: Tensor, layer: LayerState, weight: Tensor | None) -> Tensor:
    """Return the teaching signal at psi's output: through the soma's gain, weighted by sample."""
    if layer.gain is not None:
        teach = teach * layer.gain
    return teach if weight is None else teach * weight


@dataclass(frozen=True, slots=True)
class LayerCredit:
    """``layer`` (and ``layer_random``): teach_j = dD/dh_j as it comes back to the layer itself.

    Unit k of layer j hears the two sub-discriminators that read it; nothing crosses a layer.
    ``layer_random`` is the same rule under an ``Acetylcholine`` with a random return path.
    """

    def __call__(
        self,
        network: Network,
        state: NetworkState,
        ach: AcetylcholineSignal,
        kl: float,
        weight: Tensor | None = None,
    ) -> list[WeightDelta]:
        """Return dF_i = - < teach_{i+1} psi'(a_i) h_i^T >, the KL's teaching added at the top."""
        parts = []
        for i, layer in enumerate(network.layers):
            above = state.layers[i + 1]
            teach = ach.teaching[i + 1]
            if i + 1 == network.depth and kl:
                teach = teach + kl * kl_teaching(above.soma)
            assert above.drive is not None
            parts.append(
                feedforward_plasticity(
                    at_psi(teach, above, weight),
                    above.drive,
                    layer.psi_above,
                    state.layers[i].transmitted,
                )
            )
        return parts

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
    ) -> list[WeightDelta]:
        """Return dF_i = - < (dD/da_i through every layer above) h_i^T >."""
        parts: list[WeightDelta] = []
        carried: Tensor | None = None
        for i in range(network.depth - 1, -1, -1):
            layer, above = network.layers[i], state.layers[i + 1]
            teach = ach.teaching[i + 1]
            if carried is None:
                teach = teach + kl * kl_teaching(above.soma)
            else:
                if above.transmitted is not above.soma:
                    carried = carried * (above.soma > 0)
                teach = teach + carried
            assert above.drive is not None
            at_potential = pull_back(layer.psi_above, at_psi(teach, above, None), above.drive)
            carried = at_potential @ layer.feedforward[0]
            post = at_potential if weight is None else at_potential * weight
            parts.append(outer(post, state.layers[i].transmitted, -1.0))
        return parts[::-1]

    def teaching(self, network: Network, ach: AcetylcholineSignal) -> list[Tensor]:
        """Return dD/dh of every layer above the stimulus, as it was sent back."""
        return ach.teaching[1:]


@dataclass(frozen=True, slots=True)
class ScalarCredit:
    """``scalar``: a three-factor rule (Eq. 4); the only signal is ACh, one number a sample.

    The baseline is the mean of ACh over the batch, or its running mean in REM (``release``).
    """

    running_baseline: bool = False

    def __call__(
        self,
        network: Network,
        state: NetworkState,
        ach: AcetylcholineSignal,
        kl: float,
        weight: Tensor | None = None,
    ) -> list[WeightDelta]:
        """Return dF_i = - < (ACh - baseline) (xi / sigma) h_i^T >, plus the KL's at the top."""
        level = self._level(ach)
        if weight is not None:
            level = level * weight.squeeze(-1)
        parts = []
        for i in range(network.depth):
            above = state.layers[i + 1]
            if above.xi is None:
                raise ValueError("credit: scalar needs noise; sigma is 0")
            eligibility = score(above.xi, network.sigma, network.density)
            parts.append(three_factor_plasticity(level, eligibility, state.layers[i].transmitted))
        if kl:
            extra = _kl_delta(network, state, kl, weight)
            parts[-1] = WeightDelta(*(a + b for a, b in zip(parts[-1], extra, strict=True)))
        return parts

    def _level(self, ach: AcetylcholineSignal) -> Tensor:
        if self.running_baseline and not ach.constant:
            return ach.release
        return ach.level - ach.level.mean(-1, keepdim=True)

    def teaching(self, network: Network, ach: AcetylcholineSignal) -> list[Tensor]:
        """Return ACh - baseline, the one number a sample that all layers hear."""
        return [self._level(ach).unsqueeze(-1)] * network.depth


@dataclass(frozen=True, slots=True)
class NoCredit:
    """``none``: ACh teaches nothing; only the KL of the top layer is left (KL only)."""

    def __call__(
        self,
        network: Network,
        state: NetworkState,
        ach: AcetylcholineSignal,
        kl: float,
        weight: Tensor | None = None,
    ) -> list[WeightDelta]:
        """Return 0 everywhere but at the top, where the KL acts."""
        parts = [
            WeightDelta(*(torch.zeros_like(tensor) for tensor in layer.feedforward))
            for layer in network.layers
        ]
        if kl:
            parts[-1] = _kl_delta(network, state, kl, weight)
        return parts

    def teaching(self, network: Network, ach: AcetylcholineSignal) -> list[Tensor]:
        """Return 0."""
        return [torch.zeros_like(ach.level).unsqueeze(-1)] * network.depth


def _kl_delta(
    network: Network, state: NetworkState, kl: float, weight: Tensor | None
) -> WeightDelta:
    top = state.layers[-1]
    assert top.drive is not None
    teach = at_psi(kl * kl_teaching(top.soma), top, weight)
    below = state.layers[-2].transmitted
    return feedforward_plasticity(teach, top.drive, network.layers[-1].psi_above, below)


CREDITS: dict[str, Callable[[], Credit]] = {
    "layer": LayerCredit,
    "layer_random": LayerCredit,
    "backprop": BackpropCredit,
    "scalar": ScalarCredit,
    "none": NoCredit,
}
"""Every credit mode by the name a protocol gives it."""

"""What an algorithm is to the engine, and the two pieces that every theory here shares."""

from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Literal, Protocol

import torch
from torch import Tensor

from neuro_aws.functional.noise import NoiseSource
from neuro_aws.functional.plasticity import Density, predictive_plasticity
from neuro_aws.functional.shapes import rows
from neuro_aws.model.network import Gains, Network
from neuro_aws.model.state import AcetylcholineSignal, Deltas, NetworkState, Tensors
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, REM, WAKE, Phase
from neuro_aws.protocol.model import AlgorithmSection, NetworkSection

Reduction = Literal["sum", "mean"]

Declared = Mapping[Phase, tuple[str, ...]]
"""The kinds of projections that may change in each phase; none in a phase that is not named."""

CHANGES: Declared = {WAKE: (FEEDFORWARD, FEEDBACK, DISCRIMINATOR), REM: (DISCRIMINATOR,)}
GATED: tuple[str, ...] = (FEEDFORWARD,)
"""What an algorithm is held to that declares nothing: what Adversarial Wake-Sleep changes."""


class Algorithm(Protocol):
    """A theory of learning. A user's own class with these two methods may be named in a protocol.

    One of the registry is built as ``Class(section, network_section)``, a user's own as
    ``Class(**options)`` with the protocol's ``algorithm.options``.

        changes        the kinds of projections (``neuro_aws.phase``) that change in each phase
        gated          the kinds whose Delta carries the gate of ACh (``Delta.gate``); all others
                       come with a gate of 1
        return_path    asks for fixed random weights on the way back from the discriminator
        uses_autograd  keeps torch's graph available in a step

    What else an algorithm may say (how it dreams, what it remembers): ``algorithms/asked.py``.
    A user's class may leave all of it out. Without ``changes`` and ``gated`` it may change what
    Adversarial Wake-Sleep changes: F (gated), G and D in wake, D in REM, nothing in NREM. Every
    step is held to the declaration: a Delta of another kind, in another phase, or under a gate that
    was not declared ends the run; so do names and shapes that are not those of the weights, when a
    kind changes for the first time (``algorithms/declaration.py``).
    """

    changes: ClassVar[Declared]
    gated: ClassVar[tuple[str, ...]]
    return_path: bool

    def propagate(
        self, network: Network, stimulus: Tensor, phase: Phase, noise: NoiseSource, gains: Gains
    ) -> NetworkState:
        """Return the activity of one step: ``stimulus`` is h_0 in wake, h_N in REM and NREM."""
        ...

    def deltas(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal, phase: Phase
    ) -> Deltas:
        """Return what each kind of projection would change by; empty where nothing is learnt.

        A ``Delta`` holds a tensor for every tensor of ``network.parameters(kind)``, by its name.
        """
        ...


def density_of(section: AlgorithmSection, network: NetworkSection) -> Density:
    """Return the likelihood of the prediction rules; units that fire 0 or 1 leave no choice."""
    return "bernoulli" if network.units == "binary" else section.density


def propagate(
    network: Network, stimulus: Tensor, phase: Phase, noise: NoiseSource | None, gains: Gains
) -> NetworkState:
    """Fire all layers as the drive switch says; dendrites predict in wake."""
    if phase is WAKE:
        return network.with_dendrites(network.recognise(stimulus, noise, gains))
    dreamt = network.dream(stimulus, noise, gains)
    return NetworkState(phase, dreamt.layers)


def feedback_delta(
    network: Network, state: NetworkState, density: Density, reduction: Reduction = "sum"
) -> Tensors:
    """Return dG_i = < (h_i - d_i) psi'(.) h_{i+1}^T > for every layer, by name.

    ``reduction: mean`` divides by the units of the layer (the mean error instead of the sum).
    """
    changes: dict[str, Tensor] = {}
    for i, layer in enumerate(network.layers):
        below, above = state.layers[i], state.layers[i + 1]
        assert below.dendrite is not None
        found = predictive_plasticity(
            below.soma,
            below.dendrite,
            layer.psi_predicted,
            above.soma,
            density,
            partial(layer.onto_feedback, fired=below.dendrite),
            1.0 if reduction == "sum" else 1.0 / network.sizes[i],
        )
        changes |= network.feedback_changes(i, found)
    return changes


def recognition_delta(
    network: Network, state: NetworkState, density: Density, reduction: Reduction = "sum"
) -> Tensors:
    """Return dF_i = < (h_{i+1} - psi(F_i h_i)) psi'(.) h_i^T > for every layer, by name.

    Feedforward learns to predict what the somata fire, whatever made them fire it.
    """
    changes: dict[str, Tensor] = {}
    for i, layer in enumerate(network.layers):
        below, above = state.layers[i].soma, state.layers[i + 1].soma
        fired = layer.recognise(below)
        found = predictive_plasticity(
            above,
            fired,
            layer.psi_above,
            below,
            density,
            partial(layer.onto_feedforward, fired=fired, corrected=False),
            1.0 if reduction == "sum" else 1.0 / network.sizes[i + 1],
        )
        changes |= network.feedforward_changes(i, found)
    return changes


def prediction_error(network: Network, stimuli: Tensor) -> Tensor:
    """Return sum_i |h_i - d_i|^2 / 2 of each stimulus, noise off: what feedback descends."""
    state = network.with_dendrites(network.recognise(stimuli, None))
    errors = []
    for layer in state.layers[:-1]:
        assert layer.dendrite is not None
        errors.append(rows(layer.soma - layer.dendrite.rate).square().sum(1) / 2)
    return torch.stack(errors).sum(0)

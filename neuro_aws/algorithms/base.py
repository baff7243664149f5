"""What an algorithm is to the engine, and the two pieces that every theory here shares."""

from functools import partial
from typing import Literal, Protocol

from torch import Tensor

from neuro_aws.functional.noise import NoiseSource
from neuro_aws.functional.plasticity import Density, predictive_plasticity
from neuro_aws.model.network import Gains, Network
from neuro_aws.model.state import AcetylcholineSignal, Deltas, NetworkState
from neuro_aws.phase import WAKE, Phase
from neuro_aws.protocol.model import AlgorithmSection, NetworkSection

Reduction = Literal["sum", "mean"]


class Algorithm(Protocol):
    """A theory of learning. A user's own class with these two methods may be named in a protocol.

    One of the registry is built as ``Class(section, network_section)``, a user's own as
    ``Class(**options)`` with the protocol's ``algorithm.options``. Two attributes, of the class or
    of the object, may be left out: ``return_path = True`` asks for fixed random weights on the way
    back from the discriminator, ``uses_autograd = True`` for torch's graph in a step.
    """

    def propagate(
        self, network: Network, stimulus: Tensor, phase: Phase, noise: NoiseSource, clamp: Gains
    ) -> NetworkState:
        """Return the activity of one step: ``stimulus`` is h_0 in wake, h_N in REM and NREM."""
        ...

    def deltas(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal, phase: Phase
    ) -> Deltas:
        """Return what each projection would change by; empty where nothing is learnt."""
        ...


def density_of(section: AlgorithmSection, network: NetworkSection) -> Density:
    """Return the likelihood of the prediction rules; units that fire 0 or 1 leave no choice."""
    return "bernoulli" if network.units == "binary" else section.density


def propagate(
    network: Network, stimulus: Tensor, phase: Phase, noise: NoiseSource | None, clamp: Gains
) -> NetworkState:
    """Fire all layers as the drive switch says; dendrites predict in wake."""
    if phase is WAKE:
        return network.with_dendrites(network.recognise(stimulus, noise, clamp))
    dreamt = network.dream(stimulus, noise, clamp)
    return NetworkState(phase, dreamt.layers)


def feedback_delta(
    network: Network,
    state: NetworkState,
    density: Density,
    reduction: Reduction = "sum",
) -> list[Tensor]:
    """Return dG_i = < (h_i - d_i) psi'(.) h_{i+1}^T > for every layer, from the bottom up.

    ``reduction: mean`` divides by the units of the layer (the mean error instead of the sum).
    """
    changes: list[Tensor] = []
    for i, layer in enumerate(network.layers):
        below, above = state.layers[i], state.layers[i + 1]
        assert below.dendrite is not None
        factor = 1.0 if reduction == "sum" else 1.0 / network.sizes[i]
        changes += predictive_plasticity(
            below.soma,
            below.dendrite,
            layer.psi_predicted,
            above.soma,
            density,
            partial(layer.onto_feedback, fired=below.dendrite),
            factor,
        )
    return changes

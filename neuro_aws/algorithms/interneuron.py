"""Interneurons as discriminators: layer by layer, and no global critic that teaches."""

from typing import ClassVar

from torch import Tensor

from neuro_aws.algorithms.base import (
    Declared,
    Reduction,
    density_of,
    feedback_delta,
    prediction_error,
    propagate,
)
from neuro_aws.algorithms.credit import at_psi, onto
from neuro_aws.functional.interneurons import Interneurons, hebbian_plasticity, votes
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.functional.plasticity import feedforward_plasticity
from neuro_aws.functional.shapes import like, rows
from neuro_aws.model.network import Gains, Network
from neuro_aws.model.state import AcetylcholineSignal, Delta, Deltas, NetworkState
from neuro_aws.phase import (
    DISCRIMINATOR,
    FEEDBACK,
    FEEDFORWARD,
    INTERNEURONS,
    NREM,
    REM,
    WAKE,
    Phase,
)
from neuro_aws.protocol import theories_of_cortex as sections
from neuro_aws.protocol.model import NetworkSection


class Interneuron:
    """Interneurons of every layer tell wake from REM, and teach the connections that they see.

    Those of layer i+1 read h_i and h_{i+1}: E_{i+1} = sum_m s_m softplus(a_m), q_m = sigmoid(a_m),
    a_m = u_m . [h_i; h_{i+1}; 1], s_m = +1 or -1 and fixed (``functional/interneurons``).

        wake   dG_i = + < (h_i - d_i) psi'(.) h_{i+1}^T >
               dF_i = - < teach_{i+1} psi'(.) h_i^T >          teach_{i+1} = sum_m s_m q_m u_m
               dU_m = + s_m < q_m [h_i; h_{i+1}; 1] > - scaling (|u_m|^2 - length^2) u_m
        REM    dU_m = - s_m < q_m [h_i; h_{i+1}; 1] > - scaling (|u_m|^2 - length^2) u_m
        NREM   nothing

    < > is the batch mean; the u_m of teach_{i+1} is the part that reads h_{i+1}. Interneurons climb
    and, in wake, F_i descends <E_{i+1}>_wake - <E_{i+1}>_REM: waking activity becomes like dreams.
    What switches sign between wake and REM is plasticity at the interneurons: those with s = +1 are
    Hebbian in wake and anti-Hebbian in REM, those with s = -1 (``opposed``) the reverse.

    Local: dU to the synapse (both rates) and one number of its cell; dG to the synapse; dF to the
    layer: a rate q_m comes back through the weights u_m that made it, to every unit of the layer.
    No signal crosses a layer. ACh teaches and gates nothing; D learns so that it can be looked at.
    Source: Benjamin & Kording, PLoS Comput Biol 19(9): e1011484 (2023); sigmoids, s and scaling
    are this program's way to have what it describes.
    """

    changes: ClassVar[Declared] = {
        WAKE: (FEEDFORWARD, FEEDBACK, INTERNEURONS, DISCRIMINATOR),
        REM: (INTERNEURONS, DISCRIMINATOR),
    }
    gated: ClassVar[tuple[str, ...]] = ()
    return_path = False

    def __init__(self, section: sections.Interneuron, network: NetworkSection) -> None:
        self.density = density_of(section, network)
        self.reduction: Reduction = section.reduction
        self.settings = section.interneurons

    def propagate(
        self, network: Network, stimulus: Tensor, phase: Phase, noise: NoiseSource, gains: Gains
    ) -> NetworkState:
        """Return the activity of one step."""
        return propagate(network, stimulus, phase, noise, gains)

    def objective(self, network: Network, stimuli: Tensor, noise: NoiseSource) -> Tensor:
        """Return what G descends in wake, mean over stimuli."""
        return prediction_error(network, stimuli).mean()

    def deltas(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal, phase: Phase
    ) -> Deltas:
        """Return dG, dF, dU and dD in wake, dU and dD in REM, nothing in NREM."""
        if phase is NREM:
            return {}
        deltas: Deltas = {DISCRIMINATOR: Delta(network.acetylcholine.plasticity(state, ach))}
        said = [rows(h) for h in state.somas]
        groups = [self.group(network, i) for i in range(1, network.depth + 1)]
        rates = [
            group.rates(below, own)
            for group, below, own in zip(groups, said, said[1:], strict=False)
        ]
        deltas[INTERNEURONS] = self._interneurons(groups, rates, said, phase)
        if phase is WAKE:
            deltas[FEEDBACK] = Delta(feedback_delta(network, state, self.density, self.reduction))
            deltas[FEEDFORWARD] = self._feedforward(network, state, groups, rates)
        return deltas

    def group(self, network: Network, layer: int) -> Interneurons:
        """Return the interneurons of a layer."""
        weights = network.parameters(INTERNEURONS)
        below, own, bias = (weights[name] for name in sections.interneuron_tensors(layer))
        return Interneurons(below, own, bias, votes(len(bias), self.settings.opposed, bias))

    def _interneurons(
        self, groups: list[Interneurons], rates: list[Tensor], said: list[Tensor], phase: Phase
    ) -> Delta:
        sign = 1.0 if phase is WAKE else -1.0
        found: dict[str, Tensor] = {}
        for i, (group, q) in enumerate(zip(groups, rates, strict=True)):
            changes = hebbian_plasticity(
                group, q, said[i], said[i + 1], sign, self.settings.scaling, self.settings.length
            )
            found |= dict(zip(sections.interneuron_tensors(i + 1), changes, strict=True))
        return Delta(found)

    def _feedforward(
        self,
        network: Network,
        state: NetworkState,
        groups: list[Interneurons],
        rates: list[Tensor],
    ) -> Delta:
        changes: dict[str, Tensor] = {}
        teaching = []
        for i, (layer, group, q) in enumerate(zip(network.layers, groups, rates, strict=True)):
            above = state.layers[i + 1]
            assert above.drive is not None
            teaching.append(like(group.teaching(q), above.soma))
            found = feedforward_plasticity(
                at_psi(teaching[-1], above, None),
                above.drive,
                layer.psi_above,
                state.layers[i].transmitted,
                onto(layer, above),
            )
            changes |= network.feedforward_changes(i, found)
        return Delta(changes, teaching=teaching)

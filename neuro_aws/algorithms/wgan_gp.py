"""A Wasserstein GAN with a gradient penalty (Gulrajani et al. 2017): the GAN end of Algorithm 2."""

from typing import ClassVar

from torch import Tensor

from neuro_aws.algorithms import asked
from neuro_aws.algorithms.base import Declared
from neuro_aws.algorithms.doubly_adversarial import DoublyAdversarial
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.model.network import Gains, Network
from neuro_aws.model.state import AcetylcholineSignal, Delta, Deltas, NetworkState
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, NREM, READOUT, REM, WAKE, Phase
from neuro_aws.protocol import theories_of_dreams as sections
from neuro_aws.protocol.model import NetworkSection


class WassersteinGan:
    """F and R are a critic that rates stimuli high and dreams low; G climbs it.

        wake   dF, dR = + d( <R(x)> - GP(x) )
        REM    x^ = G(z),  z from the prior
               dF, dR = - d( <R(x^)> + GP(x^) )        dG = + d <R(x^)> / dG

    Symbols: R(x) = w . (h_{N-1}, s) + b, h_{N-1} as x passes up through F and s its mean spread
    over the batch; GP(x) = lambda mean (||dR/dx||_2 - 1)^2, at stimuli and at dreams (between them
    in the paper); < > the mean over the batch. These are the updates of ``DoublyAdversarial`` at
    gamma = 0 without its KL, made by it. Weights into the top layer get no gradient: R does not
    read it. Nothing is learnt in NREM. D, read as ACh, has no effect, and its gate none.
    """

    changes: ClassVar[Declared] = {
        WAKE: (FEEDFORWARD, DISCRIMINATOR, READOUT),
        REM: (FEEDFORWARD, FEEDBACK, DISCRIMINATOR, READOUT),
    }
    gated: ClassVar[tuple[str, ...]] = ()
    return_path = False
    uses_autograd = True

    def __init__(self, section: sections.WassersteinGan, network: NetworkSection) -> None:
        self.mixed = DoublyAdversarial(section.mixed, network)

    def propagate(
        self, network: Network, stimulus: Tensor, phase: Phase, noise: NoiseSource, gains: Gains
    ) -> NetworkState:
        """Return the activity of one step, with the passes that R needs."""
        return self.mixed.propagate(network, stimulus, phase, noise, gains)

    def objective(self, network: Network, stimuli: Tensor, noise: NoiseSource) -> Tensor:
        """Return <R(x)> - <R(x^)>, of as many dreams as there are stimuli; passed up noise-free."""
        dreams = asked.dream(self, network, len(stimuli), noise).layers[0].soma
        apart = [
            network.readout_level(
                network.recognise(shown, None, until=network.depth - 1),
                network.parameters(READOUT),
            ).mean()
            for shown in (stimuli, dreams)
        ]
        return apart[0] - apart[1]

    def deltas(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal, phase: Phase
    ) -> Deltas:
        """Return dF, dR and dD in wake and REM, dG in REM."""
        if phase is NREM:
            return {}
        found = self.mixed.deltas(network, state, ach, phase)
        kinds = (FEEDFORWARD, READOUT) if phase is WAKE else (FEEDFORWARD, READOUT, FEEDBACK)
        deltas = {kind: Delta(found[kind].tensors) for kind in kinds}
        return deltas | {DISCRIMINATOR: Delta(network.acetylcholine.plasticity(state, ach))}

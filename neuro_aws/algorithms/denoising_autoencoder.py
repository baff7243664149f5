"""The denoising autoencoder: what was seen badly is to come back as it was."""

from typing import ClassVar

from torch import Tensor

from neuro_aws.algorithms.base import Declared, propagate
from neuro_aws.algorithms.reconstruct import errors, learning, waking
from neuro_aws.functional.corruption import corrupted
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.functional.plasticity import Density
from neuro_aws.model.network import NO_GAINS, Gains, Network
from neuro_aws.model.state import AcetylcholineSignal, Delta, Deltas, NetworkState
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, NREM, REM, WAKE, Phase
from neuro_aws.protocol import theories_of_codes as sections
from neuro_aws.protocol.model import NetworkSection


class DenoisingAutoencoder:
    """F and G together make the stimulus from a corrupted one, by way of the top layer.

        wake   x~ = m (x + s xi),   m = 0 with probability ``masked``, else 1           a pixel
               h_0 = x~,   h_{i+1} = psi(F_i h_i + b + sigma xi)                        up
               d_N = h_N,   d_i = psi(G_i d_{i+1} + c)                                  down
               E = |x - d_0|^2 / 2
               dF, dG = - d<E> / d(F, G)
        REM    dreams; only D learns

    < > is the batch mean, E summed over the stimulus; s is ``corruption``. h_0, and so what D
    reads in wake, is x~; measures show x. ``density``, ``cross_entropy`` and gains are as in
    ``autoencoder``. No locality is claimed.
    Source: Vincent, Larochelle, Bengio & Manzagol 2008.
    """

    changes: ClassVar[Declared] = {
        WAKE: (FEEDFORWARD, FEEDBACK, DISCRIMINATOR),
        REM: (DISCRIMINATOR,),
    }
    gated: ClassVar[tuple[str, ...]] = ()
    return_path = False
    uses_autograd = True

    def __init__(self, section: sections.DenoisingAutoencoder, network: NetworkSection) -> None:
        self.density: Density = "bernoulli" if section.cross_entropy else section.density
        self.corruption = section.corruption
        self.masked = section.masked

    def propagate(
        self, network: Network, stimulus: Tensor, phase: Phase, noise: NoiseSource, gains: Gains
    ) -> NetworkState:
        """Return the activity of one step; in wake with the error and its graph."""
        if phase is not WAKE:
            return propagate(network, stimulus, phase, noise, gains)
        shown = corrupted(stimulus, noise, self.corruption, self.masked)
        return waking(network, shown, stimulus, noise, gains, self.density)

    def objective(self, network: Network, stimuli: Tensor, noise: NoiseSource) -> Tensor:
        """Return <E>, with one draw of the corruption a stimulus and the units' noise."""
        shown = corrupted(stimuli, noise, self.corruption, self.masked)
        return errors(network, shown, stimuli, noise, NO_GAINS, self.density)[1].mean()

    def deltas(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal, phase: Phase
    ) -> Deltas:
        """Return dF, dG and dD in wake, dD in REM."""
        if phase is NREM:
            return {}
        deltas: Deltas = {DISCRIMINATOR: Delta(network.acetylcholine.plasticity(state, ach))}
        return deltas | learning(state) if phase is WAKE else deltas

"""The autoencoder, on the cortex's own layers: learnt in wake, nothing in sleep."""

from typing import ClassVar

from torch import Tensor

from neuro_aws.algorithms.base import Declared, propagate
from neuro_aws.algorithms.reconstruct import errors, learning, waking
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.functional.plasticity import Density
from neuro_aws.model.network import NO_GAINS, Gains, Network
from neuro_aws.model.state import AcetylcholineSignal, Delta, Deltas, NetworkState
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, NREM, REM, WAKE, Phase
from neuro_aws.protocol import theories_of_codes as sections
from neuro_aws.protocol.model import NetworkSection


class Autoencoder:
    """F and G together let the stimulus pass through the top layer, and come back as it was.

        wake   h_0 = x,   h_{i+1} = psi(F_i h_i + b + sigma xi)                         up
               d_N = h_N,   d_i = psi(G_i d_{i+1} + c)                                  down
               E = |x - d_0|^2 / 2
               dF, dG = - d<E> / d(F, G)
        REM    dreams; only D learns

    < > is the batch mean, E summed over the stimulus; D's change is as everywhere. What the
    dendrites carry is the way down: they predict from the prediction above, not from the somata
    above. ``density: laplacian``: E = sum |x - d_0|; ``cross_entropy``: - sum t log p + (1 - t)
    log(1 - p) with t = (1 + x) / 2, p = (1 + d_0) / 2. Gains act on units on both ways.
    Autograd takes the gradient through both ways: no locality is claimed.
    Source: Rumelhart, Hinton & Williams 1986; Hinton & Salakhutdinov 2006.
    """

    changes: ClassVar[Declared] = {
        WAKE: (FEEDFORWARD, FEEDBACK, DISCRIMINATOR),
        REM: (DISCRIMINATOR,),
    }
    gated: ClassVar[tuple[str, ...]] = ()
    return_path = False
    uses_autograd = True

    def __init__(self, section: sections.Autoencoder, network: NetworkSection) -> None:
        self.density: Density = "bernoulli" if section.cross_entropy else section.density

    def propagate(
        self, network: Network, stimulus: Tensor, phase: Phase, noise: NoiseSource, gains: Gains
    ) -> NetworkState:
        """Return the activity of one step; in wake with the error and its graph."""
        if phase is not WAKE:
            return propagate(network, stimulus, phase, noise, gains)
        return waking(network, stimulus, stimulus, noise, gains, self.density)

    def objective(self, network: Network, stimuli: Tensor, noise: NoiseSource) -> Tensor:
        """Return <E>, with the units' noise."""
        return errors(network, stimuli, stimuli, noise, NO_GAINS, self.density)[1].mean()

    def deltas(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal, phase: Phase
    ) -> Deltas:
        """Return dF, dG and dD in wake, dD in REM."""
        if phase is NREM:
            return {}
        deltas: Deltas = {DISCRIMINATOR: Delta(network.acetylcholine.plasticity(state, ach))}
        return deltas | learning(state) if phase is WAKE else deltas

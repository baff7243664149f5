"""The noise of the units, and how it changes in the course of a run."""

from neuro_aws.functional.decay import Decay
from neuro_aws.functional.plasticity import Density
from neuro_aws.protocol.model import NetworkSection


class UnitNoise:
    """sigma xi on every driven compartment, and the stochastic inverse ReLU.

    sigma         standard deviation of the noise on the potentials; ``density`` is its shape
    bottom        whether the dreamt stimulus is noisy too
    inverse_relu  scale of the stochastic inverse ReLU (0: off), smaller the later the step
    """

    def __init__(self, section: NetworkSection) -> None:
        self.sigma = section.noise.scale
        self.density: Density = section.noise.density
        self.bottom = section.noise.bottom
        self.inverse_relu = section.inverse_relu
        self._initial = section.inverse_relu
        decay = section.inverse_relu_decay
        self._decay = Decay(decay.factor, decay.every, decay.least)

    def at(self, step: int) -> None:
        """Take the values that belong to a step."""
        self.inverse_relu = self._initial * self._decay.at(step)

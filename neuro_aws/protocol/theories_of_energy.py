"""Settings of the theories whose activity settles or is drawn down an energy."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from neuro_aws.phase import FEEDBACK, FEEDFORWARD, READOUT
from neuro_aws.protocol.base import KeyPath
from neuro_aws.protocol.model import (
    AlgorithmSection,
    DiscriminatorLearning,
    FeedbackLearning,
    FeedforwardLearning,
    Learning,
    NetworkSection,
)
from neuro_aws.protocol.projections import Projection, units
from neuro_aws.protocol.theories_base import LearnsInference, no_choice

CENTRE = "energy_centre"
"""Where the energy of stimulus units is lowest, in contrastive backpropagation."""


class SettledFeedback(FeedbackLearning):
    """Learning of G from settled errors."""

    rate: float = Field(1e-3, gt=0, le=10)


class AmortisedFeedforward(FeedforwardLearning):
    """Learning of F to predict where somata settle."""

    rate: float = Field(1e-3, gt=0, le=10)


class PredictiveCoding(LearnsInference):
    """Predictive coding: somata settle on the prediction errors, feedback learns from them."""

    name: Literal["predictive_coding"]
    settling_steps: int = Field(20, ge=0, le=10_000)
    """Steps down the energy that somata take in wake before anything is learnt; 0: none."""
    settling_rate: float = Field(0.05, gt=0, le=10)
    """Length of one such step."""
    amortised: bool = False
    """F, from which settling starts, learns to predict where it ends; else F does not learn."""
    feedback: SettledFeedback = SettledFeedback()
    feedforward: AmortisedFeedforward = AmortisedFeedforward()
    """Of F where it is `amortised`."""

    def misfits(self, network: NetworkSection) -> Iterator[tuple[KeyPath, str]]:
        """Yield what settling cannot do with a network."""
        if network.units == "binary":
            message = "predictive_coding differentiates its units; use rate units"
            yield ("network", "units"), message
        if network.homeostasis.over != "none":
            message = "predictive_coding sends errors back through feedback as it is; use none"
            yield ("network", "homeostasis", "over"), message
        if network.batch_norm_feedback:
            message = "predictive_coding sends errors back through feedback as it is; use false"
            yield ("network", "batch_norm_feedback"), message
        if network.perturb_activity == "before_normalisation":
            message = "predictive_coding perturbs somata as they settle; use after_normalisation"
            yield ("network", "perturb_activity"), message
        yield from no_choice(self)


class TiedLearning(FeedforwardLearning):
    """Learning of weights that are those of both directions."""

    rate: float = Field(0.3, gt=0, le=10)
    optimiser: Literal["adam", "sgd"] = "sgd"
    apply: Literal["step", "cycle"] = "cycle"


class Boltzmann(AlgorithmSection):
    """Restricted Boltzmann machines, layer on layer, by contrastive divergence."""

    name: Literal["boltzmann"]
    gibbs_steps: int = Field(1, ge=1, le=10_000)
    """k of CD-k: how often the chains of a REM step go down and up."""
    persistent: bool = False
    """Chains go on where those of the last REM step ended; else they start from the last wake."""
    dream_steps: int = Field(100, ge=0, le=100_000)
    """Gibbs steps of the two top layers before a dream that is measured."""
    discriminator: DiscriminatorLearning = DiscriminatorLearning()
    feedforward: TiedLearning = TiedLearning()
    """Of F and G, which are the same weights; thresholds are the biases of both."""

    def learning(self, kind: str) -> Learning | None:
        """Return how projections of one kind learn: feedback as feedforward."""
        return super().learning(FEEDFORWARD if kind == FEEDBACK else kind)

    def misfits(self, network: NetworkSection) -> Iterator[tuple[KeyPath, str]]:
        """Yield what is no Boltzmann machine of a network."""
        if network.units != "binary":
            message = "boltzmann needs units that fire 0 or 1; use binary"
            yield ("network", "units"), message
        if network.homeostasis.over != "none":
            message = "boltzmann ties F and G, drives as they are; use none"
            yield ("network", "homeostasis", "over"), message
        for key in ("batch_norm", "batch_norm_feedback", "spectral", "lateral"):
            if getattr(network, key) not in ("none", False, ()):
                message = "boltzmann ties F and G, drives as they are; leave it out"
                yield ("network", key), message
        if self.feedforward.clip is not None:
            message = "boltzmann changes F and G alike, and their biases differ; leave it out"
            yield ("algorithm", "feedforward", "clip"), message
        yield from no_choice(self)


class EnergyForward(FeedforwardLearning):
    """Learning of F as an energy function: slow beside that of what its units count."""

    rate: float = Field(1e-4, gt=0, le=10)
    apply: Literal["step", "cycle"] = "cycle"


class EnergyReadout(Learning):
    """Learning of what units count in the energy."""

    rate: float = Field(5e-3, gt=0, le=10)
    apply: Literal["step", "cycle"] = "cycle"


class ContrastiveBackprop(LearnsInference):
    """Contrastive backpropagation: the energy of stimuli goes down, of confabulations up."""

    name: Literal["contrastive_backprop"]
    variance: float = Field(0.3, gt=0, le=1000)
    """v, of the stimulus units' own energy."""
    stimulus_noise: float = Field(0.3, ge=0, le=10)
    """s: standard deviation of the noise on the stimulus in wake, in its units."""
    langevin_steps: int = Field(5, ge=1, le=10_000)
    """Noisy steps down the energy that make a confabulation of a stimulus."""
    step_size: float = Field(0.05, gt=0, le=10)
    """eps: a step goes eps/2 down the slope, with noise of variance eps."""
    persistent: bool = False
    """Confabulations go on where those of the last REM step ended."""
    dream_steps: int = Field(200, ge=0, le=100_000)
    """Steps from N(c, v) to a dream that is measured."""
    feedforward: EnergyForward = EnergyForward()
    readout: EnergyReadout = EnergyReadout()
    """Of w and c."""

    def projections(self, network: NetworkSection) -> tuple[Projection, ...]:
        """Return w and c."""
        tensors: dict[str, tuple[int, ...]] = {CENTRE: (units(network)[0],)}
        for layer, size in enumerate(network.layers[1:], start=1):
            tensors[energy_tensor(layer)] = (1, size)
        return (Projection("energy", READOUT, None, None, tensors),)

    def misfits(self, network: NetworkSection) -> Iterator[tuple[KeyPath, str]]:
        """Yield where a sample has no energy of its own, or none with a slope."""
        name = self.name
        if network.units == "binary":
            yield ("network", "units"), f"{name} differentiates its units; use rate units"
        if network.homeostasis.over != "none":
            message = f"{name} has an energy of drives as they are; use none"
            yield ("network", "homeostasis", "over"), message
        for key in ("batch_norm", "batch_norm_feedback", "lateral"):
            if getattr(network, key) not in ("none", False, ()):
                message = f"{name} has an energy of each sample by itself; leave it out"
                yield ("network", key), message
        if network.memory is not None:
            yield ("network", "memory"), f"{name} dreams of no top states; leave it out"


def energy_tensor(layer: int) -> str:
    """Return the name of the weights of a layer's units in the energy."""
    return f"energy_of{layer}"

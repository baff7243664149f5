"""Settings of the theories that learn from telling dreams from stimuli, by gradients."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from neuro_aws.phase import FEEDBACK, READOUT
from neuro_aws.protocol.base import KeyPath
from neuro_aws.protocol.model import (
    AlgorithmSection,
    Decay,
    DiscriminatorLearning,
    FeedbackLearning,
    FeedforwardLearning,
    Learning,
    NetworkSection,
    ReadoutLearning,
)
from neuro_aws.protocol.projections import Projection, declared, units
from neuro_aws.protocol.theories_base import reads_below_the_top
from neuro_aws.protocol.theories_of_cortex import DoublyAdversarial

DECODER = "decoder"
"""First word of the names of an energy-based GAN's decoder."""

Betas = tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]]


class AdversarialForward(FeedforwardLearning):
    """Learning of F with the constants of Radford et al. 2016."""

    rate: float = Field(2e-4, gt=0, le=10)
    betas: Betas = (0.5, 0.999)
    decay: Decay = Decay()


class AdversarialFeedback(FeedbackLearning):
    """Learning of G with the constants of Radford et al. 2016."""

    rate: float = Field(2e-4, gt=0, le=10)
    betas: Betas = (0.5, 0.999)
    decay: Decay = Decay()


class AdversarialReadout(Learning):
    """Learning of d, which reads h_{N-1}, with the constants of Radford et al. 2016."""

    rate: float = Field(2e-4, gt=0, le=10)
    betas: Betas = (0.5, 0.999)


class PerturbedAdversarialDreaming(AlgorithmSection):
    """Perturbed and adversarial dreaming: all of wake, NREM and REM teach."""

    name: Literal["perturbed_adversarial_dreaming"]
    reduction: Literal["sum", "mean"] = "mean"
    """Errors and KL are averaged over units (as published), or summed."""
    wake: float = Field(1.0, ge=0, le=1000)
    """Factor on the error of the reconstruction."""
    nrem: float = Field(1.0, ge=0, le=1000)
    """Factor on the error of the replayed top layer; 0: NREM teaches nothing."""
    rem: float = Field(1.0, ge=0, le=1000)
    """Factor on what d teaches; 0: REM teaches nothing."""
    kl: float = Field(1.0, ge=0, le=1000)
    """Weight of the top layer's KL to N(0, I)."""
    latent_noise: float = Field(0.0, ge=0, le=10)
    """Standard deviation of the noise on the top layer that G reads in wake."""
    largest_tile: int | None = Field(None, ge=1, le=512)
    """Side of the largest tile, pixels; default a quarter of the shorter side (8 of 32)."""
    occluder: float = Field(0.0, ge=-1, le=1)
    """Grey level of hidden pixels."""
    feedforward: AdversarialForward = AdversarialForward()
    feedback: AdversarialFeedback = AdversarialFeedback()
    discriminator: DiscriminatorLearning = DiscriminatorLearning()
    readout: AdversarialReadout = AdversarialReadout()
    """d, which reads the layer below the top."""

    def projections(self, network: NetworkSection) -> tuple[Projection, ...]:
        """Return d, from the layer below the top."""
        return (_external(network),)

    def needs_pictures(self) -> str:
        """Return that parts of dreamt pictures are hidden in NREM."""
        return "hides tiles of dreamt pictures in NREM (or give nrem: 0)" if self.nrem else ""

    def misfits(self, network: NetworkSection) -> Iterator[tuple[KeyPath, str]]:
        """Yield what an autoencoder with a discriminating output cannot do with a network."""
        yield from reads_below_the_top(self.name, network)
        if network.memory is not None:
            message = f"{self.name} dreams of the last two wake steps; leave memory out"
            yield ("network", "memory"), message


def _external(network: NetworkSection) -> Projection:
    """Return d, a logistic output that reads h_{N-1}."""
    tensors = {"external": (1, units(network)[-2]), "external_bias": (1,)}
    return Projection("external", READOUT, len(network.layers) - 2, None, tensors)


class Gan(AlgorithmSection):
    """Generative adversarial network: F and d discriminate, G generates."""

    name: Literal["gan"]
    feedforward: AdversarialForward = AdversarialForward()
    feedback: AdversarialFeedback = AdversarialFeedback()
    discriminator: DiscriminatorLearning = DiscriminatorLearning()
    readout: AdversarialReadout = AdversarialReadout()
    """d, which reads the layer below the top."""

    def projections(self, network: NetworkSection) -> tuple[Projection, ...]:
        """Return d, from the layer below the top."""
        return (_external(network),)

    def misfits(self, network: NetworkSection) -> Iterator[tuple[KeyPath, str]]:
        """Yield what a discriminating F cannot do with a network."""
        yield from reads_below_the_top(self.name, network)


class CriticForward(FeedforwardLearning):
    """Learning of F with the constants of Gulrajani et al. 2017."""

    rate: float = Field(1e-4, gt=0, le=10)
    decay: Decay = Decay()


class CriticFeedback(FeedbackLearning):
    """Learning of G with the constants of Gulrajani et al. 2017."""

    rate: float = Field(1e-4, gt=0, le=10)
    decay: Decay = Decay()


class CriticReadout(ReadoutLearning):
    """Learning of R with the constants of Gulrajani et al. 2017."""

    rate: float = Field(1e-4, gt=0, le=10)
    apply: Literal["step", "cycle"] = "step"
    penalty: float = Field(10.0, ge=0, le=1000)
    """lambda of its gradient penalty."""


class WassersteinGan(AlgorithmSection):
    """Wasserstein GAN with a gradient penalty: F and R are the critic, G generates."""

    name: Literal["wgan_gp"]
    feedforward: CriticForward = CriticForward()
    feedback: CriticFeedback = CriticFeedback()
    discriminator: DiscriminatorLearning = DiscriminatorLearning()
    readout: CriticReadout = CriticReadout()
    """R, which reads the layer below the top."""

    @property
    def mixed(self) -> DoublyAdversarial:
        """Return the settings of the doubly adversarial theory that it is an end of."""
        return DoublyAdversarial(name="doubly_adversarial", gamma=0, kl=0, readout=self.readout)

    def misfits(self, network: NetworkSection) -> Iterator[tuple[KeyPath, str]]:
        """Yield what a critic on the layer below the top cannot do with a network."""
        yield from reads_below_the_top(self.name, network)


class EnergyBasedGan(AlgorithmSection):
    """Energy-based GAN: F and a decoder are an autoencoder whose error is the energy."""

    name: Literal["ebgan"]
    margin: float = Field(3.0, gt=0, le=1_000_000)
    """m: dreams of an energy above it teach F and the decoder nothing."""
    feedforward: AdversarialForward = AdversarialForward()
    feedback: AdversarialFeedback = AdversarialFeedback()
    discriminator: DiscriminatorLearning = DiscriminatorLearning()
    readout: AdversarialReadout = AdversarialReadout()
    """V, the decoder."""

    def projections(self, network: NetworkSection) -> tuple[Projection, ...]:
        """Return the decoder V: beside each G_i one of its shapes."""
        found = []
        for like in declared(network):
            if like.kind == FEEDBACK:
                tensors = {n.replace(FEEDBACK, DECODER): s for n, s in like.tensors.items()}
                name = like.name.replace(FEEDBACK, DECODER)
                found.append(Projection(name, READOUT, like.source, None, tensors))
        return tuple(found)

    def misfits(self, network: NetworkSection) -> Iterator[tuple[KeyPath, str]]:
        """Yield what no energy is the error of."""
        if network.units == "binary":
            yield ("network", "units"), f"{self.name} differentiates its units; use rate units"
        elif units(network)[-1] >= units(network)[0]:
            message = f"{self.name} needs fewer units at the top than the stimulus has; it copies"
            yield ("network", "layers"), message

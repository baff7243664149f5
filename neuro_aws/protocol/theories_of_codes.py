"""Settings of the theories that learn a code from what comes back of a stimulus, by gradients."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from neuro_aws.phase import FEEDFORWARD
from neuro_aws.protocol.base import KeyPath
from neuro_aws.protocol.model import (
    NetworkSection,
)
from neuro_aws.protocol.projections import Projection, units
from neuro_aws.protocol.theories_base import LearnsInference

LOG_VARIANCE = "feedforward_log_variance"
"""The projection from h_{N-1} that says how sure the top of a variational autoencoder is."""


class Vae(LearnsInference):
    """The variational autoencoder: recognition and generation climb the ELBO together, in wake."""

    name: Literal["vae"]
    beta: float = Field(1.0, ge=0, le=1000)
    """Weight of the top layer's KL to N(0, I); 1: the ELBO."""
    stimulus_noise: float = Field(0.3, gt=0, le=10)
    """Standard deviation of a stimulus given h_1, in units of the stimulus."""

    def projections(self, network: NetworkSection) -> tuple[Projection, ...]:
        """Return the one that gives the log-variance of h_N."""
        top = len(network.layers) - 1
        below, latents = units(network)[-2:]
        tensors = {LOG_VARIANCE: (latents, below), f"{LOG_VARIANCE}_bias": (latents,)}
        return (Projection(LOG_VARIANCE, FEEDFORWARD, top - 1, top, tensors),)

    def misfits(self, network: NetworkSection) -> Iterator[tuple[KeyPath, str]]:
        """Yield where a network has no likelihood of the kind that this theory descends."""
        if network.units == "binary":
            yield ("network", "units"), "vae differentiates its units; use rate units"
            return
        if network.prior != "standard":
            yield ("network", "prior"), "vae draws h_N toward N(0, I); use prior: standard"
        if network.top != "linear":
            yield ("network", "top"), "vae has a Gaussian h_N; use top: linear"
        if network.order != "transfer_first":
            message = "vae has one psi for both ways; use order: transfer_first"
            yield ("network", "order"), message
        if network.inverse_relu:
            message = "vae has no likelihood of the inverse ReLU's samples; use inverse_relu: 0"
            yield ("network", "inverse_relu"), message
        if network.lateral:
            yield ("network", "lateral"), "vae's generative model has no lateral weights"
        if network.noise.scale == 0 and len(network.layers) > 2:
            message = "vae's hidden latents need a density; give noise.scale above 0"
            yield ("network", "noise", "scale"), message
        if self.reduction != "sum":
            message = "vae sums over units, as nats are; use reduction: sum, and beta"
            yield ("algorithm", "reduction"), message


class _Reconstructs(LearnsInference):
    cross_entropy: bool = False
    """Cross-entropy of pixels read as probabilities, in place of the error of `density`."""

    def misfits(self, network: NetworkSection) -> Iterator[tuple[KeyPath, str]]:
        """Yield what cannot be reconstructed, or not with this error."""
        if network.units == "binary":
            message = f"{self.name} differentiates its units; use rate units"
            yield ("network", "units"), message
        elif self.cross_entropy and network.bottom != "tanh":
            message = "reads (1 + d_0) / 2 as a probability; use network.bottom: tanh, or leave it"
            yield ("algorithm", "cross_entropy"), message
        if self.reduction != "sum":
            message = f"{self.name} sums its error over the stimulus; use reduction: sum"
            yield ("algorithm", "reduction"), message


class Autoencoder(_Reconstructs):
    """The autoencoder: the stimulus passes through the top layer and comes back, in wake."""

    name: Literal["autoencoder"]

    def misfits(self, network: NetworkSection) -> Iterator[tuple[KeyPath, str]]:
        """Yield also a top layer that stimuli pass through unchanged."""
        yield from super().misfits(network)
        *_, top = units(network)
        if top >= units(network)[0]:
            message = "autoencoder needs fewer units at the top than the stimulus has; it copies"
            yield ("network", "layers"), message


class DenoisingAutoencoder(_Reconstructs):
    """The denoising autoencoder: the stimulus comes back from a corrupted one, in wake."""

    name: Literal["denoising_autoencoder"]
    corruption: float = Field(0.5, ge=0, le=10)
    """Standard deviation of the noise on the stimulus, in its units."""
    masked: float = Field(0.0, ge=0, lt=1)
    """Share of the stimulus's units that are silent, drawn anew each time."""

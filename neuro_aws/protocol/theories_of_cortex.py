"""Settings of the theories of cortex: its layers learn from what their neighbours and ACh say."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from neuro_aws.phase import INTERNEURONS
from neuro_aws.protocol.base import KeyPath
from neuro_aws.protocol.model import (
    FeedforwardLearning,
    InterneuronLearning,
    NetworkSection,
    ReadoutLearning,
)
from neuro_aws.protocol.projections import Projection, units
from neuro_aws.protocol.theories_base import LearnsFeedback, LearnsInference, reads_below_the_top

CREDITS: dict[str, str] = {
    "layer": "dD/dh of each unit, from the sub-discriminators that read it (default)",
    "layer_random": "the same through fixed random weights: control for weight transport",
    "backprop": "the gradient of D through all of F: the published experiment",
    "scalar": "a three-factor rule: one global number per sample",
    "none": "0: only the KL of the top layer is left (KL only)",
}
"""How ACh teaches in Adversarial Wake-Sleep, each with one line of help."""


class AdversarialWakeSleep(LearnsInference):
    """Adversarial Wake-Sleep: feedforward connections learn from ACh, in wake."""

    name: Literal["adversarial_wake_sleep"] = "adversarial_wake_sleep"
    credit: Literal["layer", "layer_random", "backprop", "scalar", "none"] = "layer"
    """How ACh teaches."""
    baseline: Literal["batch", "running"] = "batch"
    """What `credit: scalar` subtracts from ACh."""
    kl: float = Field(1e-3, ge=0, le=100)
    """Weight of the top layer's KL to N(0, I)."""

    def misfits(self, network: NetworkSection) -> Iterator[tuple[KeyPath, str]]:
        """Yield what this credit cannot do with a network."""
        binary = network.units == "binary"
        if binary and self.credit in ("layer", "layer_random", "backprop"):
            message = (
                "differentiates units that fire 0 or 1; use credit: scalar (REINFORCE) or none"
            )
            yield ("algorithm", "credit"), message
        if self.credit == "scalar" and network.noise.scale == 0 and not binary:
            message = "credit: scalar reads the units' own noise; give noise.scale above 0"
            yield ("network", "noise", "scale"), message


class DoublyAdversarial(LearnsInference):
    """Doubly Adversarial Wake-Sleep: AWS mixed with a GAN."""

    name: Literal["doubly_adversarial"]
    gamma: float = Field(0.9, ge=0, le=1)
    """1: pure AWS, 0: WGAN-GP."""
    kl: float = Field(1e-3, ge=0, le=100)
    """Weight of the top layer's KL to N(0, I)."""
    readout: ReadoutLearning = ReadoutLearning()
    """R, which reads the layer below the top."""

    def misfits(self, network: NetworkSection) -> Iterator[tuple[KeyPath, str]]:
        """Yield what a readout discriminator cannot do with a network."""
        yield from reads_below_the_top(self.name, network)


class WakeSleep(LearnsInference):
    """Classic Wake-Sleep: feedforward connections learn in REM."""

    name: Literal["wake_sleep"]


class Interneuron(LearnsInference):
    """Interneurons of every layer as its discriminators; no global critic teaches."""

    name: Literal["interneuron"]
    feedforward: FeedforwardLearning = FeedforwardLearning(rate=5e-5)
    interneurons: InterneuronLearning = InterneuronLearning()

    def projections(self, network: NetworkSection) -> tuple[Projection, ...]:
        """Return the weights of every layer's interneurons."""
        count, sizes = self.interneurons.count, units(network)
        found = []
        for layer in range(1, len(sizes)):
            shapes = (count, sizes[layer - 1]), (count, sizes[layer]), (count,)
            named = dict(zip(interneuron_tensors(layer), shapes, strict=True))
            found.append(Projection(f"{INTERNEURONS}_of{layer}", INTERNEURONS, None, layer, named))
        return tuple(found)

    def misfits(self, network: NetworkSection) -> Iterator[tuple[KeyPath, str]]:
        """Yield that interneurons teach units with a slope only."""
        if network.units == "binary":
            message = "interneurons teach through the slope of their units; use rate units"
            yield ("network", "units"), message


def interneuron_tensors(layer: int) -> tuple[str, str, str]:
    """Return the names of the weights of a layer's interneurons: from below, own, thresholds."""
    name = f"{INTERNEURONS}_of{layer}"
    return f"{name}_below", f"{name}_own", f"{name}_bias"


class Frozen(LearnsFeedback):
    """A null: feedforward connections do not learn."""

    name: Literal["frozen"]

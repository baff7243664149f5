"""From a network's settings to its layers: rate functions, geometry, initial weights."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from neuro_aws.functional.activations import TRANSFERS
from neuro_aws.functional.compartments import Normalisation, Psi
from neuro_aws.functional.convolution import Geometry
from neuro_aws.model import initialise
from neuro_aws.model.conv import ConvForm, ConvLayer
from neuro_aws.model.dense import DenseLayer
from neuro_aws.model.gated import GatedLayer
from neuro_aws.model.homeostasis import Adaptation, homeostats
from neuro_aws.model.initialise import Normal
from neuro_aws.model.layer import Layer
from neuro_aws.protocol.model import NetworkSection
from neuro_aws.protocol.projections import kernel, side


class RateFunctions(NamedTuple):
    """How one layer's units fire: driven from below, driven from above, and as predicted."""

    recognised: Psi
    dreamt: Psi
    predicted: Psi


def layers_of(section: NetworkSection, draw: Normal, adaptation: Adaptation) -> Sequence[Layer]:
    """Return the layers, from the bottom up, with their initial weights.

    ``adaptation`` is what says to all of them whether their drives adapt just now.
    """
    if section.recurrent is not None:
        forward, lateral, back = initialise.gated(section, draw)
        return [GatedLayer(forward, lateral, back, section.recurrent.steps)]
    if section.dcgan is None:
        return _dense(section, draw, adaptation)
    return _convolutional(section, draw, adaptation)


def _dense(section: NetworkSection, draw: Normal, adaptation: Adaptation) -> Sequence[Layer]:
    rates, made = rate_functions(section, axis=-1), []
    for i in range(len(section.layers) - 1):
        feedforward, feedback = initialise.dense(section, i, draw)
        below, above = rates[i], rates[i + 1].recognised
        held = homeostats(section, i, -1, feedforward[0][:, 0], feedback[0][:, 0], adaptation)
        made.append(DenseLayer(feedforward, feedback, below.dreamt, above, below.predicted, held))
    return made


def _convolutional(
    section: NetworkSection, draw: Normal, adaptation: Adaptation
) -> Sequence[Layer]:
    learnt: dict[str, Literal["bias", "affine", "nothing"]]
    learnt = {"none": "bias", "affine": "affine", "plain": "nothing"}
    rates, made = rate_functions(section, axis=1), []
    low = section.products == "bfloat16"
    for i in range(len(section.layers) - 1):
        feedforward, feedback = initialise.convolutional(section, i, draw)
        below, above = rates[i], rates[i + 1].recognised
        top = i + 2 == len(section.layers)
        form = ConvForm(
            Geometry(kernel(section, i), 1, 0, low) if top else Geometry(4, 2, 1, low),
            side(section, i),
            section.spectral,
            learnt[section.batch_norm],
        )
        units_above, units_below = feedforward[0][:, 0, 0, 0], feedback[0][0, :, 0, 0]
        held = homeostats(section, i, 1, units_above, units_below, adaptation)
        made.append(
            ConvLayer(feedforward, feedback, below.dreamt, above, below.predicted, form, held)
        )
    return made


def rate_functions(section: NetworkSection, axis: int) -> list[RateFunctions]:
    """Return the rate functions of h_0 ... h_N; units along ``axis`` share a pool."""
    surrogate, published = section.derivative == "surrogate", section.order == "published"

    def of(transfer: str, normalisation: Normalisation) -> RateFunctions:
        binary = section.units == "binary"
        psi = Psi(TRANSFERS[transfer], normalisation, False, surrogate, axis, binary)
        dreamt = replace(psi, normalise_first=published)
        bare = replace(psi, normalisation="none")
        return RateFunctions(psi, dreamt, bare if section.prediction == "bare" else dreamt)

    top: Normalisation = section.normalisation if section.normalise_top else "none"
    inner = of(section.transfer, section.normalisation)
    count = len(section.layers) - 2
    return [of(section.bottom, "none"), *[inner] * count, of(section.top, top)]

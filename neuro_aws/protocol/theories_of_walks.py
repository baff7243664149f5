"""Settings of the theory that walks away from stimuli and learns the way back."""

import math
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from neuro_aws.phase import READOUT
from neuro_aws.protocol.base import KeyPath
from neuro_aws.protocol.model import (
    FeedbackLearning,
    FeedforwardLearning,
    Learning,
    NetworkSection,
)
from neuro_aws.protocol.projections import Projection, units
from neuro_aws.protocol.theories_base import LearnsInference, no_choice

SPREAD, SPREAD_BIAS = "spread", "spread_bias"
"""Names of the weights by which the top layer sets the noise of a step."""

MOST_STEPS = 1000
"""No walk is longer."""

Betas = tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]]


class WalkForward(FeedforwardLearning):
    """Learning of F in the operator."""

    rate: float = Field(1e-3, gt=0, le=10)
    betas: Betas = (0.9, 0.999)


class WalkFeedback(FeedbackLearning):
    """Learning of G in the operator."""

    rate: float = Field(1e-3, gt=0, le=10)
    betas: Betas = (0.9, 0.999)


class WalkReadout(Learning):
    """Learning of a step's noise, and of what temperatures have of their own."""

    rate: float = Field(1e-3, gt=0, le=10)
    betas: Betas = (0.9, 0.999)


class VariationalWalkback(LearnsInference):
    """Variational walkback: wake heats stimuli and learns to walk each step back, REM cools."""

    name: Literal["variational_walkback"]
    states: Literal["gaussian", "bernoulli"] = "gaussian"
    """bernoulli: stimulus units are -1 or 1 (stimuli are rounded)."""
    share: float = Field(0.5, gt=0, le=1)
    """a: how far a step goes from where it is to where the layers say."""
    factor: float = Field(1.5, gt=1, le=1000)
    """f: how much hotter each step is than the one before."""
    hottest: float = Field(20.0, gt=1, le=1e9)
    """T_max: variance of the stimuli over that of a step's noise at T = 1."""
    extra_steps: int = Field(3, ge=0, le=MOST_STEPS)
    """N_1: wake takes 0 to so many more steps at T = 1, REM as many."""
    spread: Literal["root", "linear"] = "root"
    """How a step's noise grows with temperature: its variance (root), or its deviation."""
    spread_at_start: float = Field(0.2, gt=0, le=100)
    """Its standard deviation at T = 1 before learning, in units of the stimulus."""
    least_spread: float = Field(0.01, ge=0, le=100)
    """sigma_0: its least standard deviation at T = 1, in units of the stimulus."""
    own_parameters: bool = False
    """Each temperature has a scale and a threshold of its own for every hidden unit."""
    start_steps: int = Field(100, ge=1, le=10_000_000)
    """Time constant of the moments that dreams start from, in wake steps."""
    feedforward: WalkForward = WalkForward()
    feedback: WalkFeedback = WalkFeedback()
    readout: WalkReadout = WalkReadout()
    """Of a step's noise, and of what temperatures have of their own."""

    @property
    def temperatures(self) -> int:
        """Return how many temperatures a walk passes through."""
        return math.ceil(math.log(self.hottest) / math.log(self.factor) - 1e-9)

    def projections(self, network: NetworkSection) -> tuple[Projection, ...]:
        """Return V and v, from the top layer, and each temperature's own parameters."""
        found, sizes = [], units(network)
        if self.states == "gaussian":
            tensors = {SPREAD: (sizes[0], sizes[-1]), SPREAD_BIAS: (sizes[0],)}
            found.append(Projection(SPREAD, READOUT, len(sizes) - 1, None, tensors))
        if self.own_parameters:
            for layer, count in enumerate(network.layers[1:], start=1):
                of = dict.fromkeys(own_tensors(layer), (self.temperatures, count))
                found.append(Projection(f"temperatures_of{layer}", READOUT, None, None, of))
        return tuple(found)

    def misfits(self, network: NetworkSection) -> Iterator[tuple[KeyPath, str]]:
        """Yield where a step has no density that is known, or a sample none of its own."""
        name = self.name
        if network.units == "binary":
            message = f"{name} differentiates its units; use rate units (and states: bernoulli)"
            yield ("network", "units"), message
        if network.homeostasis.over != "none":
            message = f"{name} has a density of each sample by itself; use none"
            yield ("network", "homeostasis", "over"), message
        for key in ("batch_norm", "batch_norm_feedback", "lateral"):
            if getattr(network, key) not in ("none", False, ()):
                message = f"{name} has a density of each sample by itself; leave it out"
                yield ("network", key), message
        if network.noise.scale:
            message = f"{name} knows the density of its own noise, at the stimulus, alone; use 0"
            yield ("network", "noise", "scale"), message
        if network.inverse_relu:
            message = f"{name} knows the density of its own noise, at the stimulus, alone; use 0"
            yield ("network", "inverse_relu"), message
        if self.temperatures + self.extra_steps > MOST_STEPS:
            message = f"walks of {self.temperatures + self.extra_steps} steps; give a larger one"
            yield ("algorithm", "factor"), message
        if self.least_spread >= self.spread_at_start:
            message = f"must be below spread_at_start, {self.spread_at_start:g}"
            yield ("algorithm", "least_spread"), message
        if network.memory is not None:
            yield ("network", "memory"), f"{name} dreams of no top states; leave it out"
        yield from self._of_gaussian_states()
        yield from no_choice(self)

    def _of_gaussian_states(self) -> Iterator[tuple[KeyPath, str]]:
        """Yield settings of a Gaussian step that a Bernoulli one has no use for."""
        if self.states == "gaussian":
            return
        for key in ("spread", "spread_at_start", "least_spread"):
            if getattr(self, key) != type(self).model_fields[key].default:
                yield ("algorithm", key), "belongs to states: gaussian"


def own_tensors(layer: int) -> tuple[str, str]:
    """Return the names of a layer's scales and thresholds by temperature."""
    return f"temperature_scale{layer}", f"temperature_shift{layer}"

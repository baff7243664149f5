"""The `network` and `algorithm` sections: the reference setting is their default."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator

from neuro_aws.protocol.base import Section
from neuro_aws.protocol.vocabulary import ALGORITHMS, CREDITS

TransferName = Literal["relu", "leaky_relu", "softplus", "tanh", "sigmoid", "linear"]


class Noise(Section):
    """Noise on the compartment that drives a soma."""

    density: Literal["gaussian", "laplacian"] = "gaussian"
    """Its shape."""
    scale: float = Field(0.2, ge=0, le=10)
    """Its standard deviation, in units of the potential."""


class Discriminator(Section):
    """The wake/sleep discriminator, read as ACh."""

    hidden: int = Field(64, ge=1, le=4096)
    """Hidden units of each sub-discriminator D_i(h_i, h_{i+1})."""
    penalty: float = Field(0.3, ge=0, le=1000)
    """lambda of the gradient penalty."""
    baseline_rate: float = Field(0.05, gt=0, le=1)
    """Weight of one REM step in the running mean that release is counted from."""


class NetworkSection(Section):
    """Layers of two-compartment units."""

    layers: Annotated[tuple[int, ...], Field(min_length=2, max_length=20)] = (64, 128, 32)
    """Units of h_0 ... h_N; h_0 is the stimulus."""
    transfer: TransferName = "relu"
    """phi of the layers between bottom and top."""
    bottom: TransferName = "tanh"
    """phi of what feedback predicts and dreams at the stimulus."""
    top: TransferName = "linear"
    """phi of the top layer."""
    normalisation: Literal["rms", "l2", "none"] = "rms"
    """Divisive normalisation of the layers between bottom and top."""
    order: Literal["transfer_first", "published"] = "transfer_first"
    """published: dreams and predictions normalise before the transfer function, wake after it."""
    derivative: Literal["exact", "surrogate"] = "exact"
    """surrogate: psi' is never zero, in F and in G."""
    noise: Noise = Noise()
    inverse_relu: float = Field(0.0, ge=0, le=10)
    """Scale of the stochastic inverse ReLU; 0: off."""
    perturb_activity: Literal["after_normalisation", "before_normalisation"] = "after_normalisation"
    """Where silencing and scaling act on the soma."""
    feedback_at_birth: float = Field(0.5, ge=0, le=10)
    """Factor on G's weights at birth, which are otherwise N(0, 1 / fan_in) like F's."""
    discriminator: Discriminator = Discriminator()
    precision: Literal["float32", "float64"] = "float32"

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        if min(self.layers) < 1 or max(self.layers) > 100_000:
            raise ValueError("every layer has 1 to 100000 units")
        return self


class Learning(Section):
    """How the Deltas of one projection become changes."""

    rate: float = Field(gt=0, le=10)
    """eta."""
    optimiser: Literal["adam", "sgd"] = "adam"
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (
        0.0,
        0.9,
    )
    """Adam's memory of the Delta and of its square."""
    epsilon: float = Field(1e-8, gt=0, le=1)
    apply: Literal["step", "cycle"] = "step"
    """step: at once; cycle: the sum of the Deltas, at the end of the innermost repeat."""


class FeedforwardLearning(Learning):
    """Learning of F."""

    rate: float = Field(5e-5, gt=0, le=10)


class FeedbackLearning(Learning):
    """Learning of G."""

    rate: float = Field(1e-3, gt=0, le=10)


class DiscriminatorLearning(Learning):
    """Learning of D."""

    rate: float = Field(1.6e-3, gt=0, le=10)
    apply: Literal["step", "cycle"] = "cycle"


def _algorithm(name: str) -> str:
    if name in ALGORITHMS or re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", name):
        return name
    raise ValueError("one of " + ", ".join(ALGORITHMS) + ", or module:Class")


def _credit(name: str) -> str:
    if name in CREDITS:
        return name
    raise ValueError("one of " + ", ".join(CREDITS))


class AlgorithmSection(Section):
    """The theory that learns."""

    name: Annotated[str, AfterValidator(_algorithm)] = "adversarial_wake_sleep"
    credit: Annotated[str, AfterValidator(_credit)] = "layer"
    """How ACh teaches (adversarial_wake_sleep only)."""
    density: Literal["gaussian", "laplacian"] = "gaussian"
    """Likelihood of the prediction rules: squared or absolute error."""
    kl: float = Field(1e-3, ge=0, le=100)
    """Weight of the top layer's KL to N(0, I) (adversarial_wake_sleep only)."""
    baseline: Literal["batch", "running"] = "batch"
    """What `credit: scalar` subtracts from ACh."""
    options: dict[str, JsonValue] = {}
    """Arguments of your own algorithm's class (module:Class only)."""
    feedforward: FeedforwardLearning = FeedforwardLearning()
    feedback: FeedbackLearning = FeedbackLearning()
    discriminator: DiscriminatorLearning = DiscriminatorLearning()

    @model_validator(mode="after")
    def _meaningful(self) -> Self:
        if self.name != "adversarial_wake_sleep" and self.credit != "layer":
            raise ValueError(f"credit has no meaning under {self.name}; leave it out")
        if self.options and ":" not in self.name:
            raise ValueError("options are for your own module:Class; leave them out")
        return self

"""The `network` section, and what the settings of all theories share; defaults: the reference."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from neuro_aws.phase import Phase
from neuro_aws.protocol.base import KeyPath, Section
from neuro_aws.protocol.hopfield import HopfieldMemory
from neuro_aws.protocol.recurrent import Recurrent, refuse_beside

if TYPE_CHECKING:
    from neuro_aws.protocol.projections import Projection

TransferName = Literal[
    "relu", "leaky_relu", "leaky_relu_0.2", "softplus", "tanh", "sigmoid", "linear"
]


class Decay(Section):
    """Smaller by a factor every so many steps."""

    factor: float = Field(1.0, gt=0, le=1)
    every: int = Field(1, ge=1)
    """Steps."""
    least: float = Field(0.0, ge=0, le=1)
    """Smallest factor: from there on it stays."""


class Noise(Section):
    """Noise on the compartment that drives a soma."""

    density: Literal["gaussian", "laplacian"] = "gaussian"
    """Its shape."""
    scale: float = Field(0.3, ge=0, le=10)
    """Its standard deviation, in units of the potential."""
    bottom: bool = True
    """Whether the dreamt stimulus is noisy too."""


class Discriminator(Section):
    """The wake/sleep discriminator, read as ACh."""

    hidden: int = Field(64, ge=1, le=4096)
    """Hidden units of each sub-discriminator D_i(h_i, h_{i+1})."""
    penalty: float = Field(0.3, ge=0, le=1000)
    """lambda of the gradient penalty."""
    penalty_form: Literal["l2", "l1", "l1_signed"] = "l2"
    """(||g||_2 - 1)^2, | ||g||_1 - 1 |, or ||g||_1 - 1 (no target: as published)."""
    penalty_scope: Literal["all", "pair"] = "all"
    """all: g is the gradient of D by all states; pair: each D_i's own, so every pair counts."""
    slope: float = Field(0.1, ge=0, le=1)
    """Slope of its LeakyReLU below zero."""
    pooled: bool = False
    """Divide the hidden rates of all pairs by their root mean square."""
    spread: bool = False
    """Add each state's spread over the batch to its input (minibatch feature)."""
    noise: float = Field(0.0, ge=0, le=10)
    """Standard deviation of the noise on its hidden potentials."""
    draws: Literal["shared", "each"] = "shared"
    """Whether D, its penalty and its teaching share one draw of that noise a step."""
    baseline_rate: float = Field(0.05, gt=0, le=1)
    """Weight of one REM step in the running mean that release is counted from."""


class Homeostasis(Section):
    """Hidden units hold mean and variance of their drive, by compartment and phase."""

    over: Literal["none", "batch", "time"] = "time"
    """batch: by the batch's own statistics; time: by running ones, the unit's own past."""
    steps: int = Field(100, ge=1, le=10_000_000)
    """Time constant of the running statistics, in steps of their phase."""
    mean: float = Field(0.0, ge=-10, le=10)
    """Of the drive, in units of the potential."""
    variance: float = Field(1.0, gt=0, le=100)
    """Of the drive, in units of the potential squared."""
    top: bool = True
    """Whether the drive of the top layer is held too."""
    orthogonal: bool = True
    """Learning leaves out what homeostasis would undo (over the batch it always does)."""

    @model_validator(mode="after")
    def _always(self) -> Self:
        if self.over == "batch" and not self.orthogonal:
            raise ValueError("over the batch learning is always orthogonal; over: time can do both")
        return self


class Dcgan(Section):
    """A convolutional network: kernel 4, stride 2, channels doubling from layer to layer."""

    filters: int = Field(32, ge=1, le=1024)
    """Channels of the first layer above the image (then x 2, x 4, x 8)."""
    latents: int = Field(40, ge=1, le=4096)
    """Units of the top layer."""
    side: int = Field(32, ge=16, le=512, multiple_of=16)
    """Side of the image, pixels."""
    channels: int = Field(1, ge=1, le=16)
    """Channels of the image."""

    @property
    def layers(self) -> tuple[int, ...]:
        """Channels of h_0 ... h_5."""
        c = self.filters
        return (self.channels, c, 2 * c, 4 * c, 8 * c, self.latents)


class NetworkSection(Section):
    """Layers of two-compartment units."""

    dcgan: Dcgan | None = None
    """Convolutional layers instead of dense ones; `layers` then counts channels."""
    recurrent: Recurrent | None = None
    """A recurrent layer over sequences instead; `layers` then counts symbols and hidden units."""
    layers: Annotated[tuple[int, ...], Field(min_length=2, max_length=20)] = (64, 128, 32)
    """Units of h_0 ... h_N; h_0 is the stimulus."""
    units: Literal["rate", "binary"] = "rate"
    """binary: units fire 0 or 1, with the probability that a sigmoid of their potential gives."""
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
    prediction: Literal["as_dreamt", "bare"] = "as_dreamt"
    """bare: what feedback predicts is not normalised (as published)."""
    normalise_top: bool = False
    """Whether the top layer, and the prior, are normalised too."""
    batch_norm: Literal["none", "affine", "plain"] = "none"
    """Batch normalisation of the feedforward drive (dcgan); plain: without learnt scale, shift."""
    batch_norm_feedback: bool = False
    """Normalise the feedback drive over the batch too, as `plain`, above the stimulus (dcgan)."""
    spectral: bool = False
    """Spectral normalisation of the feedforward weights (dcgan)."""
    homeostasis: Homeostasis = Homeostasis()
    prior: Literal["standard", "learnt"] = "learnt"
    """Dreams begin from N(0, I), or from a mixture of Gaussians learnt from the waking top."""
    prior_components: int = Field(24, ge=1, le=512)
    """Gaussians of the learnt prior."""
    memory: HopfieldMemory | None = None
    """A Hopfield network that stores waking top states and gives them to dreams; default: none."""
    lateral: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Layers whose units have lateral weights, which carry their somata of the step before."""
    derivative: Literal["exact", "surrogate"] = "exact"
    """surrogate: psi' is never zero, in F and in G."""
    noise: Noise = Noise()
    inverse_relu: float = Field(0.0, ge=0, le=10)
    """Scale of the stochastic inverse ReLU; 0: off."""
    inverse_relu_decay: Decay = Decay()
    perturb_activity: Literal["after_normalisation", "before_normalisation"] = "after_normalisation"
    """Where silencing and scaling act on the soma."""
    birth: Literal["normal", "uniform"] = "normal"
    """Initial weights: N(0, 1 / fan_in); or U(-1, 1) / sqrt(fan_in), biases too."""
    feedback_at_birth: float = Field(0.5, ge=0, le=10)
    """Factor on G's initial weights, which are otherwise N(0, 1 / fan_in) like F's."""
    discriminator: Discriminator = Discriminator()
    precision: Literal["float32", "float64"] = "float32"
    products: Literal["exact", "tf32", "bfloat16"] = "exact"
    """bfloat16: convolutions and D's products in half the digits (dcgan); tf32: so on a GPU."""

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        if min(self.layers) < 1 or max(self.layers) > 100_000:
            raise ValueError("every layer has 1 to 100000 units")
        if self.dcgan is not None and self.layers != self.dcgan.layers:
            raise ValueError(f"dcgan makes layers {list(self.dcgan.layers)}; leave `layers` out")
        normed = self.batch_norm != "none" or self.batch_norm_feedback
        if self.recurrent is not None:
            refuse_beside(self, self.recurrent)
        if self.dcgan is None and (normed or self.spectral):
            raise ValueError("batch_norm and spectral belong to convolutional layers (dcgan)")
        if normed and self.homeostasis.over != "none":
            raise ValueError("batch_norm is a homeostasis of its own; set homeostasis.over: none")
        if self.units == "binary":
            self._binary()
        self._lateral_layers()
        if self.discriminator.penalty_scope == "pair" and self.discriminator.pooled:
            raise ValueError("penalty_scope: pair needs pairs that are not pooled")
        return self

    @property
    def has_lateral(self) -> bool:
        """Whether any layer has lateral weights."""
        return bool(self.lateral) or self.recurrent is not None

    def _lateral_layers(self) -> None:
        if self.lateral and self.dcgan is not None:
            raise ValueError("lateral weights belong to dense layers; leave `dcgan` or them out")
        if len(set(self.lateral)) != len(self.lateral) or max(self.lateral, default=0) >= len(
            self.layers
        ):
            raise ValueError(f"lateral names layers from 1 to {len(self.layers) - 1}, each once")

    def _binary(self) -> None:
        if {self.transfer, self.bottom, self.top} != {"sigmoid"}:
            raise ValueError("binary units need transfer, bottom and top: sigmoid")
        if self.prior == "learnt":
            raise ValueError("binary units have no Gaussian prior to learn")
        if self.normalisation != "none" or self.inverse_relu or self.noise.scale:
            raise ValueError(
                "binary units need normalisation: none, inverse_relu: 0 and noise.scale: 0"
            )


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
    clip: float | None = Field(None, gt=0)
    """Largest entry of a Delta: larger ones are scaled down as a whole (infinity norm)."""
    decay: Decay = Decay()
    """Of the rate; `every` counts this projection's own changes."""


FALLING = Decay(factor=0.5, every=3000, least=0.125)
"""How the default rates fall: to an eighth."""


class FeedforwardLearning(Learning):
    """Learning of F."""

    rate: float = Field(1.5e-4, gt=0, le=10)
    decay: Decay = FALLING
    threshold_rate: float | None = Field(None, ge=0, le=10)
    """eta of the thresholds (biases of F: intrinsic excitability); default: that of the weights."""


class FeedbackLearning(Learning):
    """Learning of G."""

    rate: float = Field(3e-3, gt=0, le=10)
    decay: Decay = FALLING


class DiscriminatorLearning(Learning):
    """Learning of D."""

    rate: float = Field(4e-3, gt=0, le=10)
    decay: Decay = FALLING
    apply: Literal["step", "cycle"] = "cycle"


class LateralLearning(Learning):
    """Learning of lateral weights."""

    rate: float = Field(1e-3, gt=0, le=10)


class ReadoutLearning(Learning):
    """Learning of R, the readout discriminator."""

    rate: float = Field(1e-5, gt=0, le=10)
    apply: Literal["step", "cycle"] = "cycle"
    penalty: float = Field(7.0, ge=0, le=1000)
    """lambda of its gradient penalty."""


class InterneuronLearning(Learning):
    """The interneurons of every layer, and their learning."""

    rate: float = Field(1e-3, gt=0, le=10)
    decay: Decay = FALLING
    count: int = Field(64, ge=1, le=4096)
    """Interneurons of each layer above the stimulus."""
    opposed: float = Field(0.5, ge=0, le=1)
    """Share of them that vote for sleep: anti-Hebbian in wake and Hebbian in REM."""
    scaling: float = Field(0.1, ge=0, le=100)
    """Synaptic scaling: pull of an interneuron's summed squared weights toward length^2."""
    length: float = Field(3.0, ge=0, le=100)
    """Length of an interneuron's weights that scaling holds."""


class AlgorithmSection(Section):
    """What the settings of every theory share; each theory has its own in ``theories``."""

    in_time: ClassVar[bool | None] = False
    """Whether it is a theory of recurrent networks (True), of others (False), or of both (None)."""

    name: str
    density: Literal["gaussian", "laplacian"] = "gaussian"
    """Likelihood of the prediction rules: squared or absolute error."""
    reduction: Literal["sum", "mean"] = "sum"
    """Prediction errors of a layer are summed over its units, or averaged (as published)."""

    @property
    def taught_in(self) -> tuple[Phase, ...]:
        """The phases in which released ACh teaches, where it does."""
        return (Phase.WAKE,)

    def learning(self, kind: str) -> Learning | None:
        """Return how projections of one kind learn; None where the theory does not change them."""
        found = getattr(self, kind, None)
        return found if isinstance(found, Learning) else None

    def projections(self, network: NetworkSection) -> "tuple[Projection, ...]":
        """Return the projections that this theory asks for beside those of every network.

        Matrices start from N(0, 1 / fan_in), vectors and numbers from 0.
        """
        return ()

    def misfits(self, network: NetworkSection) -> Iterator[tuple[KeyPath, str]]:
        """Yield what this theory cannot do with a network, as (key path, message)."""
        yield from ()

    def needs_pictures(self) -> str:
        """Return what it does with pictures of known height and width; empty: nothing."""
        return ""

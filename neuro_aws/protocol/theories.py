"""The theories of learning: each one's settings, and its entry in the registry.

To add one: its class under ``neuro_aws/algorithms``, its settings and its entry here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Union

from pydantic import AfterValidator, Discriminator, Field, JsonValue, Tag

from neuro_aws.phase import READOUT
from neuro_aws.protocol.base import KeyPath
from neuro_aws.protocol.entry import CORTEX, NEURON, OWN, RATE, Entry, table
from neuro_aws.protocol.model import (
    AlgorithmSection,
    Decay,
    DiscriminatorLearning,
    FeedbackLearning,
    FeedforwardLearning,
    LateralLearning,
    Learning,
    NetworkSection,
    ReadoutLearning,
)
from neuro_aws.protocol.own_code import OWN_TAG, OwnCode, called, lacks
from neuro_aws.protocol.projections import Projection, units

CREDITS: dict[str, str] = {
    "layer": "dD/dh of each unit, from the sub-discriminators that read it (default)",
    "layer_random": "the same through fixed random weights: control for weight transport",
    "backprop": "the gradient of D through all of F: the published experiment",
    "scalar": "a three-factor rule: one global number per sample",
    "none": "0: only the KL of the top layer is left (KL only)",
}
"""How ACh teaches in Adversarial Wake-Sleep, each with one line of help."""


class _WithoutInference(AlgorithmSection):
    feedback: FeedbackLearning = FeedbackLearning()
    discriminator: DiscriminatorLearning = DiscriminatorLearning()


class _WithInference(_WithoutInference):
    feedforward: FeedforwardLearning = FeedforwardLearning()


class AdversarialWakeSleep(_WithInference):
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


class DoublyAdversarial(_WithInference):
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
        yield from _reads_below_the_top(self.name, network)


class WakeSleep(_WithInference):
    """Classic Wake-Sleep: feedforward connections learn in REM."""

    name: Literal["wake_sleep"]


class Frozen(_WithoutInference):
    """A null: feedforward connections do not learn."""

    name: Literal["frozen"]


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
        yield from _reads_below_the_top(self.name, network)
        if self.replay:
            message = f"{self.name} dreams of the last two wake steps; leave replay at 0"
            yield ("algorithm", "replay"), message


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
        yield from _reads_below_the_top(self.name, network)


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
        yield from _reads_below_the_top(self.name, network)


def _reads_below_the_top(name: str, network: NetworkSection) -> Iterator[tuple[KeyPath, str]]:
    """Yield what a discriminator on h_{N-1} that autograd differentiates cannot do."""
    if network.units == "binary":
        yield ("network", "units"), f"{name} differentiates its units; use rate units"
    if len(network.layers) < 3:
        yield ("network", "layers"), f"{name} reads the layer below the top; give three"


def _own_name(name: str) -> str:
    if not OWN.fullmatch(name):
        raise ValueError("one of " + ", ".join(THEORIES) + ", or module:Class")
    return name


class OwnAlgorithm(_WithInference, OwnCode):
    """An algorithm of the user's own, named as module:Class."""

    TAG: ClassVar[str] = OWN_TAG
    name: Annotated[
        str, AfterValidator(_own_name), Field(json_schema_extra={"pattern": f"^{OWN.pattern}$"})
    ]
    options: dict[str, JsonValue] = {}
    """Arguments of the class."""
    lateral: LateralLearning = LateralLearning()
    readout: ReadoutLearning | None = None
    """Give it (`readout: {}`) to have a readout discriminator R in the network."""

    @property
    def reference(self) -> str:
        """Where the class is: module:Class."""
        return self.name

    def unfit(self, found: Any) -> Iterator[str]:
        """Yield what an algorithm has to have and this one has not; it is made only if it has."""
        said = lacks(found, ("propagate", "deltas"))
        if said is not None:
            yield f"{said}; neuro_aws.algorithms.Algorithm says what it needs"
        else:
            called(found, self.options)


@dataclass(frozen=True)
class Theory(Entry):
    """A theory of learning."""

    settings: type[AlgorithmSection]
    objective: str
    """What it descends, as the measure of that name gives it, with its unit."""
    local: str
    """What of its learning is local to a synapse or a layer, and what is not."""
    work: float = 1.0
    """Passes of one step over those of Adversarial Wake-Sleep."""
    compiled: bool = False
    """Whether dense networks have a compiled step for it (``backends/rate/compiled``)."""


PREDICTION_ERROR = "sum over layers of |h - d|^2 / 2, squared rates: what G descends"

THEORIES = table(
    Theory(
        "adversarial_wake_sleep",
        "the theory: feedforward learning driven by ACh, in wake",
        AdversarialWakeSleep,
        objective=PREDICTION_ERROR,
        local="G: to the synapse; F: to the layer (credit: scalar: synapse and one number)",
        code={
            RATE: "neuro_aws.algorithms.adversarial_wake_sleep:AdversarialWakeSleep",
            CORTEX: "",
            NEURON: "",
        },
        compiled=True,
    ),
    Theory(
        "doubly_adversarial",
        "AWS mixed with a GAN: a second discriminator on the layer below the top",
        DoublyAdversarial,
        work=2.0,
        objective=PREDICTION_ERROR,
        local="G in wake; R is sent back through all of F and G",
        code={RATE: "neuro_aws.algorithms.doubly_adversarial:DoublyAdversarial"},
    ),
    Theory(
        "wake_sleep",
        "classic Wake-Sleep: feedforward learns in REM, ACh only watches",
        WakeSleep,
        objective=PREDICTION_ERROR,
        local="everything: each synapse predicts its own target cell",
        code={RATE: "neuro_aws.algorithms.wake_sleep:WakeSleep"},
        compiled=True,
    ),
    Theory(
        "perturbed_adversarial_dreaming",
        "an autoencoder that sleep trains: replay behind tiles in NREM, adversarial dreams in REM",
        PerturbedAdversarialDreaming,
        work=1.6,
        objective="|x - x^|^2 a unit + kl * KL of the top layer, noise off: wake's, but for d",
        local="nothing: autograd through all of F and G",
        code={
            RATE: "neuro_aws.algorithms.perturbed_adversarial_dreaming:PerturbedAdversarialDreaming"
        },
    ),
    Theory(
        "gan",
        "a generative adversarial network with logistic losses: F and d discriminate, G generates",
        Gan,
        work=1.4,
        objective="<log(1 + e^-d(x^))> of dreams: what G descends against d as it is",
        local="nothing: autograd through all of F and G",
        code={RATE: "neuro_aws.algorithms.gan:Gan"},
    ),
    Theory(
        "wgan_gp",
        "a Wasserstein GAN with a gradient penalty: F and R are the critic, G generates",
        WassersteinGan,
        work=2.0,
        objective="<R(x)> - <R(x^)>: the critic's distance of dreams to stimuli, which G descends",
        local="nothing: R is sent back through all of F and G",
        code={RATE: "neuro_aws.algorithms.wgan_gp:WassersteinGan"},
    ),
    Theory(
        "frozen",
        "a null: no feedforward learning at all",
        Frozen,
        objective=PREDICTION_ERROR,
        local="everything that learns",
        code={RATE: "neuro_aws.algorithms.frozen:Frozen", CORTEX: "", NEURON: ""},
        compiled=True,
    ),
)
"""Every theory by the name a protocol gives it; the first is the default."""


def _theory(value: Any) -> str:
    """Return the tag of a theory's settings: its name, or that of the user's own code."""
    default = next(iter(THEORIES))
    name = value.get("name", default) if isinstance(value, dict) else default
    name = getattr(value, "name", name)
    if not isinstance(name, str) or name in THEORIES:
        return str(name)
    return OWN_TAG if ":" in name else name


if TYPE_CHECKING:
    Algorithm = AlgorithmSection
else:
    Algorithm = Annotated[
        Union[
            *(Annotated[entry.settings, Tag(name)] for name, entry in THEORIES.items()),
            Annotated[OwnAlgorithm, Tag(OWN_TAG)],
        ],
        Discriminator(_theory),
    ]
"""The `algorithm` section: the settings of one theory, by its `name`."""

"""The theories of learning: each one's settings, and its entry in the registry.

To add one: its class under ``neuro_aws/algorithms``, its settings and its entry here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Union

from pydantic import AfterValidator, Discriminator, Field, JsonValue, Tag

from neuro_aws.phase import FEEDBACK, FEEDFORWARD, INTERNEURONS, READOUT
from neuro_aws.protocol.base import KeyPath
from neuro_aws.protocol.entry import CORTEX, NEURON, OWN, RATE, Entry, table
from neuro_aws.protocol.model import (
    AlgorithmSection,
    Decay,
    DiscriminatorLearning,
    FeedbackLearning,
    FeedforwardLearning,
    InterneuronLearning,
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


class Interneuron(_WithInference):
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


class Frozen(_WithoutInference):
    """A null: feedforward connections do not learn."""

    name: Literal["frozen"]


LOG_VARIANCE = "feedforward_log_variance"
"""The projection from h_{N-1} that says how sure the top of a variational autoencoder is."""


class Vae(_WithInference):
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


class _Reconstructs(_WithInference):
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


class SettledFeedback(FeedbackLearning):
    """Learning of G from settled errors."""

    rate: float = Field(1e-3, gt=0, le=10)


class AmortisedFeedforward(FeedforwardLearning):
    """Learning of F to predict where somata settle."""

    rate: float = Field(1e-3, gt=0, le=10)


class PredictiveCoding(_WithInference):
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
        yield from _no_choice(self)


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
        yield from _no_choice(self)


def _no_choice(section: AlgorithmSection) -> Iterator[tuple[KeyPath, str]]:
    """Yield settings of the prediction rules that a theory without them has no use for."""
    for key, only in (("density", "gaussian"), ("reduction", "sum")):
        if getattr(section, key) != only:
            yield ("algorithm", key), f"{section.name} has no such choice; use {only}"


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

THROUGH_ALL = "nothing but D: the gradient runs through the whole pass up and down"

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
        "interneuron",
        "interneurons as each layer's own discriminators: no global critic teaches",
        Interneuron,
        work=1.2,
        objective=PREDICTION_ERROR,
        local="U and G: to the synapse; F: to the layer, whose own interneurons teach it",
        code={RATE: "neuro_aws.algorithms.interneuron:Interneuron"},
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
    Theory(
        "vae",
        "a variational autoencoder: F and G climb the ELBO together, in wake",
        Vae,
        work=2.0,
        objective="negative ELBO (top KL times beta), one draw of the latents, nats",
        local=THROUGH_ALL,
        code={RATE: "neuro_aws.algorithms.vae:Vae"},
    ),
    Theory(
        "autoencoder",
        "an autoencoder: the stimulus comes back through the top layer, in wake",
        Autoencoder,
        work=2.0,
        objective="|x - d_0|^2 / 2 after the way up and down, squared rates (or its other errors)",
        local=THROUGH_ALL,
        code={RATE: "neuro_aws.algorithms.autoencoder:Autoencoder"},
    ),
    Theory(
        "denoising_autoencoder",
        "an autoencoder that is shown corrupted stimuli, in wake",
        DenoisingAutoencoder,
        work=2.0,
        objective="|x - d_0|^2 / 2 from a corrupted x, squared rates (or its other errors)",
        local=THROUGH_ALL,
        code={RATE: "neuro_aws.algorithms.denoising_autoencoder:DenoisingAutoencoder"},
    ),
    Theory(
        "predictive_coding",
        "somata settle on the prediction errors in wake, then feedback learns from them",
        PredictiveCoding,
        objective="energy: sum over layers of |e|^2 / 2 where somata have settled, squared rates",
        local="to the synapse, given the errors; they go up by the weights that predict down",
        code={RATE: "neuro_aws.algorithms.predictive_coding:PredictiveCoding"},
    ),
    Theory(
        "boltzmann",
        "stacked restricted Boltzmann machines: Hebbian in wake, anti-Hebbian in REM",
        Boltzmann,
        objective="minus the pseudo-likelihood of stimuli by the lowest machine, nats",
        local="to the synapse, in both phases",
        code={RATE: "neuro_aws.algorithms.boltzmann:Boltzmann"},
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

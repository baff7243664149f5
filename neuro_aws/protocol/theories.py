"""The theories of learning: each one's settings, and its entry in the registry.

To add one: its class under ``neuro_aws/algorithms``, its settings in a file beside this one, and
its entry here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Union

from pydantic import AfterValidator, Discriminator, Field, JsonValue, Tag

from neuro_aws.protocol.entry import CORTEX, NEURON, OWN, RATE, Entry, table
from neuro_aws.protocol.model import (
    AlgorithmSection,
    LateralLearning,
    ReadoutLearning,
)
from neuro_aws.protocol.own_code import OWN_TAG, OwnCode, called, lacks
from neuro_aws.protocol.theories_base import LearnsInference
from neuro_aws.protocol.theories_in_time import (
    ProfessorForcing,
    ScheduledSampling,
    TeacherForcing,
)
from neuro_aws.protocol.theories_of_codes import Autoencoder, DenoisingAutoencoder, Vae
from neuro_aws.protocol.theories_of_cortex import (
    AdversarialWakeSleep,
    DoublyAdversarial,
    Frozen,
    Interneuron,
    WakeSleep,
)
from neuro_aws.protocol.theories_of_dreams import (
    EnergyBasedGan,
    Gan,
    PerturbedAdversarialDreaming,
    WassersteinGan,
)
from neuro_aws.protocol.theories_of_energy import Boltzmann, ContrastiveBackprop, PredictiveCoding
from neuro_aws.protocol.theories_of_expectations import DdcHelmholtz
from neuro_aws.protocol.theories_of_walks import VariationalWalkback


def _own_name(name: str) -> str:
    if not OWN.fullmatch(name):
        raise ValueError("one of " + ", ".join(THEORIES) + ", or module:Class")
    return name


class OwnAlgorithm(LearnsInference, OwnCode):
    """An algorithm of the user's own, named as module:Class."""

    TAG: ClassVar[str] = OWN_TAG
    in_time: ClassVar[bool | None] = None
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

LIKELIHOOD = "< -log P(y_t | y_1 ... y_{t-1}) > of sequences under teacher forcing, nats a symbol"

IN_TIME = "nothing: autograd through all steps of the sequence"

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
        "ddc_helmholtz",
        "sleep teaches expectations of many functions, by which feedback learns in wake",
        DdcHelmholtz,
        work=3.0,
        objective="E_q |x - d_0|^2 / 2 by the code, squared rates (binary units: cross-entropy)",
        local="G: to the synapse; F and read-outs too, but for lateral decorrelation of the code",
        code={RATE: "neuro_aws.algorithms.ddc_helmholtz:DdcHelmholtz"},
    ),
    Theory(
        "interneuron",
        "interneurons as each layer's own discriminators: no global critic teaches",
        Interneuron,
        work=1.3,
        objective=PREDICTION_ERROR,
        local="U and G: to the synapse; F: to the layer, whose own interneurons teach it",
        code={RATE: "neuro_aws.algorithms.interneuron:Interneuron"},
    ),
    Theory(
        "perturbed_adversarial_dreaming",
        "an autoencoder that sleep trains: replay behind tiles in NREM, adversarial dreams in REM",
        PerturbedAdversarialDreaming,
        work=2.5,
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
        "ebgan",
        "an energy-based GAN: the error of F and a decoder is the energy, G generates",
        EnergyBasedGan,
        work=2.4,
        objective="E: |x - d_0|^2 / 2 through the top and the decoder, squared rates (or others)",
        local="nothing: autograd through all of F, the decoder and G",
        code={RATE: "neuro_aws.algorithms.ebgan:EnergyBasedGan"},
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
        work=1.5,
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
        work=1.5,
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
    Theory(
        "teacher_forcing",
        "a recurrent network predicts the next symbol of a sequence, in wake; REM runs freely",
        TeacherForcing,
        objective=LIKELIHOOD,
        local=IN_TIME,
        code={RATE: "neuro_aws.algorithms.teacher_forcing:TeacherForcing"},
    ),
    Theory(
        "professor_forcing",
        "the same, and in REM a D over the sequence makes free running look like teacher forcing",
        ProfessorForcing,
        work=1.5,
        objective=LIKELIHOOD,
        local=IN_TIME,
        code={RATE: "neuro_aws.algorithms.professor_forcing:ProfessorForcing"},
    ),
    Theory(
        "scheduled_sampling",
        "teacher forcing in which ever more inputs are the network's own predictions",
        ScheduledSampling,
        work=1.3,
        objective=LIKELIHOOD,
        local=IN_TIME,
        code={RATE: "neuro_aws.algorithms.scheduled_sampling:ScheduledSampling"},
    ),
    Theory(
        "contrastive_backprop",
        "F is an energy: that of stimuli goes down in wake, of confabulations up in REM",
        ContrastiveBackprop,
        work=4.0,
        objective="<E(x)> - <E(x^)>: energy of stimuli over that of what they turn into",
        local="G: to the synapse; F: nothing, autograd through all of it",
        code={RATE: "neuro_aws.algorithms.contrastive_backprop:ContrastiveBackprop"},
    ),
    Theory(
        "variational_walkback",
        "a stochastic operator heats stimuli in wake, learning each step back; REM cools",
        VariationalWalkback,
        work=6.0,
        objective="minus the variational bound on log p(x), one heating a stimulus, nats",
        local="nothing but D: the gradient runs through each step's pass up and down",
        code={RATE: "neuro_aws.algorithms.variational_walkback:VariationalWalkback"},
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

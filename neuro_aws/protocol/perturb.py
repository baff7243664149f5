"""The perturbations: what the experimenter does, when, to whom; each one's settings and entry.

To add one: its class under ``neuro_aws/perturbations``, and here its settings, its key in
``Perturbation`` and its entry.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, JsonValue, model_validator

from neuro_aws.phase import Phase
from neuro_aws.protocol.base import KeyPath, Section
from neuro_aws.protocol.entry import CORTEX, NEURON, OWN, RATE, Entry, table
from neuro_aws.protocol.own_code import OwnCode, called, lacks

if TYPE_CHECKING:
    from neuro_aws.protocol.schema import ProtocolSpec

Eye = Literal["left", "right"]
NO_LATERAL = "this network has no lateral weights (network.lateral)"


class Action(Section):
    """What is done: the settings of one perturbation."""

    @property
    def acts_in(self) -> tuple[Phase, ...] | None:
        """Phases in which these settings can have an effect; None: as the entry says."""
        return None

    def misfits(self, spec: "ProtocolSpec") -> Iterator[tuple[KeyPath, str]]:
        """Yield what does not fit the protocol, as (key path within the settings, message)."""
        yield from ()


class Cells(Action):
    """Which cells: a named set of `targets`, or a layer with a fraction, ids or all of it.

    Layers and ids count from 0; layer 0 is the stimulus.
    """

    targets: str | None = None
    """A name from the protocol's `targets`."""
    layer: int | None = Field(None, ge=0)
    fraction: float | None = Field(None, gt=0, le=1)
    """Share of the layer, drawn anew for every animal."""
    ids: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] | None = None
    all: Literal[True] | None = None
    draw: int = Field(0, ge=0)
    """Another number draws another sample of the same fraction."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [self.fraction is not None, self.ids is not None, self.all is not None]
        if self.targets is not None:
            if self.layer is not None or any(ways) or self.draw:
                raise ValueError("`targets: NAME` stands alone; drop layer, fraction, ids, draw")
            return self
        if self.layer is None:
            raise ValueError("say which cells: `targets: NAME`, or `layer:` with fraction or ids")
        if sum(ways) != 1:
            raise ValueError("give exactly one of fraction, ids, all")
        if self.ids is not None and len(set(self.ids)) != len(self.ids):
            raise ValueError("ids are named twice")
        return self


class Scale(Cells):
    """Multiply somatic rates."""

    by: float = Field(ge=0, le=100)
    """0 silences, 0.5 weakens, 2 activates."""


class Clamp(Action):
    """Hold released ACh at a constant, so that there is no teaching signal."""

    neuromodulator: Literal["ach"]
    level: float = 0.0
    """The constant, in units of D above its REM mean."""
    discriminator: Literal["learns", "held"] = "learns"


class Block(Action):
    """Block the effect of ACh on feedforward plasticity, or homeostasis."""

    neuromodulator: Literal["ach"] | None = None
    homeostasis: Literal[True] | None = None
    """Statistics and thresholds stay as they were when the block began."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.neuromodulator is None) == (self.homeostasis is None):
            raise ValueError("give neuromodulator: ach, or homeostasis: true")
        return self

    @property
    def acts_in(self) -> tuple[Phase, ...]:
        """Phases in which it can have an effect."""
        return (Phase.WAKE,) if self.homeostasis is None else (Phase.WAKE, Phase.REM)

    def misfits(self, spec: "ProtocolSpec") -> Iterator[tuple[KeyPath, str]]:
        """Yield that there is no homeostasis to block."""
        if self.homeostasis and spec.backend == "rate" and spec.network.homeostasis.over == "none":
            yield ("homeostasis",), "this network has none (network.homeostasis.over)"


class Pair(Action):
    """Pair chosen stimuli with ACh: their gate is multiplied."""

    labels: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    gain: float = Field(gt=1, le=1000)

    def misfits(self, spec: "ProtocolSpec") -> Iterator[tuple[KeyPath, str]]:
        """Yield labels that the stimuli do not have."""
        known = spec.stimulus.labels
        if known == 0:
            yield (), f"{spec.stimulus.source} has no labels to choose stimuli by"
        for label in self.labels:
            if known and label >= known:
                yield ("labels",), f"labels are 0 to {known - 1}, not {label}"


class Yoke(Action):
    """Replace the teaching signal by one that knows nothing of this sample, or of anything."""

    teaching: Literal["shuffled", "random"]
    """shuffled: another sample's; random: random directions of each sample's own size."""


class PlasticityScale(Action):
    """Multiply the changes of projections, after the optimiser; 0 freezes."""

    feedforward: float = Field(1.0, ge=0, le=100)
    feedback: float = Field(1.0, ge=0, le=100)
    lateral: float = Field(1.0, ge=0, le=100)
    discriminator: float = Field(1.0, ge=0, le=100)

    def misfits(self, spec: "ProtocolSpec") -> Iterator[tuple[KeyPath, str]]:
        """Yield that a network has no lateral weights to scale."""
        if self.lateral != 1 and not spec.network.lateral:
            yield ("lateral",), NO_LATERAL


class OfEye(Action):
    """What is done to one eye."""

    eye: Eye

    def misfits(self, spec: "ProtocolSpec") -> Iterator[tuple[KeyPath, str]]:
        """Yield that the stimuli have no two eyes."""
        if getattr(spec.stimulus, "eyes", "monocular") != "binocular":
            yield (), "needs a stimulus with two eyes (patches, `eyes: binocular`)"


class LidSuture(OfEye):
    """The eye sees noise of its own, decorrelated from the scene."""

    strength: float = Field(1.0, ge=0, le=10)
    """Standard deviation of the noise over that of the eye's normal input."""


class InactivateEye(OfEye):
    """The eye is silent."""


class AttenuateEye(OfEye):
    """The eye's input is scaled down."""

    to: float = Field(ge=0, lt=1)


class DepriveSleep(Action):
    """Wake in blocks of `wake_block` steps before the animal may sleep."""

    wake_block: int = Field(ge=1)
    rebound: bool = True
    """true: it then sleeps all it owes (the same totals); false: its usual sleep, no more."""


class Window(Section):
    """Cycles of a period, counted from 0: from <= cycle < until."""

    start: int = Field(0, ge=0, alias="from")
    until: int | None = Field(None, ge=1)


SLOTS = ("stimulus", "activity", "neuromodulator", "plasticity")
"""What an object that perturbs may have a method for."""


class Apply(Action, OwnCode):
    """Code of the user's own: ``code(**options)`` gives an object that perturbs.

    It has one or more of the methods stimulus(x, labels, draws), activity(sizes),
    neuromodulator(signal, labels, draws), plasticity().
    """

    code: Annotated[str, Field(pattern=f"^{OWN.pattern}$")]
    """Its class: module:Class."""
    options: dict[str, JsonValue] = {}
    """Arguments of it."""

    @property
    def reference(self) -> str:
        """Where the class is."""
        return self.code

    def unfit(self, found: Any) -> Iterator[str]:
        """Yield that nothing would be perturbed; the object is made only if something would."""
        if all(lacks(found, [slot]) for slot in SLOTS):
            yield "is no class with one of the methods " + ", ".join(f"{s}()" for s in SLOTS)
        else:
            called(found, self.options)


def _names(value: object) -> object:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _phases(value: object) -> object:
    names = _names(value)
    if not isinstance(names, tuple) or not all(name in list(Phase) for name in names):
        raise ValueError("one or more of " + ", ".join(Phase))
    return tuple(Phase(name) for name in names)


Phases = Annotated[
    tuple[Phase, ...], BeforeValidator(_phases, json_schema_input_type=Phase | list[Phase])
]
Names = Annotated[tuple[str, ...], BeforeValidator(_names, json_schema_input_type=str | list[str])]


class Perturbation(Section):
    """One thing done to the animal: exactly one action, with when it is done."""

    silence: Cells | None = None
    scale: Scale | None = None
    clamp: Clamp | None = None
    block: Block | None = None
    pair: Pair | None = None
    yoke: Yoke | None = None
    plasticity: PlasticityScale | None = None
    lid_suture: LidSuture | None = None
    inactivate_eye: InactivateEye | None = None
    attenuate_eye: AttenuateEye | None = None
    deprive_sleep: DepriveSleep | None = None
    apply: Apply | None = None
    during: Phases = (Phase.WAKE, Phase.NREM, Phase.REM)
    """A phase or a list of phases; default all."""
    periods: Names = Field(alias="in", min_length=1)
    """A period or a list of periods, by name."""
    cycles: Window = Window()

    @model_validator(mode="after")
    def _one_action(self) -> Self:
        named = [name for name in PERTURBATIONS if getattr(self, name) is not None]
        if len(named) != 1:
            found = ", ".join(named) or "none"
            known = ", ".join(PERTURBATIONS)
            raise ValueError(f"give exactly one action ({found} found) of {known}")
        if len(set(self.during)) != len(self.during) or not self.during:
            raise ValueError("during names a phase twice, or none")
        return self

    @property
    def action(self) -> str:
        """Name of the action."""
        return next(name for name in PERTURBATIONS if getattr(self, name) is not None)

    @property
    def rule(self) -> Action:
        """The settings of the action."""
        found: Action = getattr(self, self.action)
        return found

    @property
    def cells(self) -> Cells | None:
        """The cells that silencing or scaling acts on."""
        return self.silence or self.scale

    @property
    def factor(self) -> float:
        """What silencing or scaling multiplies the rates by."""
        return self.scale.by if self.scale is not None else 0.0


@dataclass(frozen=True)
class PerturbationEntry(Entry):
    """A perturbation.

    ``slot`` is what it acts on, ``phases`` are those in which it can have an effect. Its class is
    made as ``Class(rule, setting)`` and has a method for each slot that it acts on.
    """

    settings: type[Action]
    slot: str = ""
    phases: tuple[Phase, ...] = tuple(Phase)


_ACTIVITY, _EYES = "neuro_aws.perturbations.activity", "neuro_aws.perturbations.eyes"
_ACH = "neuro_aws.perturbations.neuromodulator"
_WAKE = (Phase.WAKE,)

PERTURBATIONS = table(
    PerturbationEntry(
        "silence",
        "put the somatic rate of chosen cells to 0",
        Cells,
        slot="activity",
        code={RATE: f"{_ACTIVITY}:Silence", CORTEX: ""},
    ),
    PerturbationEntry(
        "scale",
        "multiply the somatic rate of chosen cells (0.5 partial silencing, 2 activation)",
        Scale,
        slot="activity",
        code={RATE: f"{_ACTIVITY}:ScaleRates", CORTEX: ""},
    ),
    PerturbationEntry(
        "clamp",
        "hold released ACh constant: it teaches nothing; D goes on (or is held)",
        Clamp,
        slot="neuromodulator",
        phases=_WAKE,
        code={RATE: f"{_ACH}:ClampAch", CORTEX: ""},
    ),
    PerturbationEntry(
        "block",
        "block the effect of ACh (gate 0, D intact), or homeostasis (it stays as it was)",
        Block,
        slot="neuromodulator",
        phases=(Phase.WAKE, Phase.REM),
        code={RATE: f"{_ACH}:Blocked", CORTEX: ""},
    ),
    PerturbationEntry(
        "pair",
        "multiply the gate for stimuli of chosen labels",
        Pair,
        slot="neuromodulator",
        phases=_WAKE,
        code={RATE: f"{_ACH}:PairWithAch", CORTEX: ""},
    ),
    PerturbationEntry(
        "yoke",
        "replace the teaching signal by another sample's, or by random numbers of its size",
        Yoke,
        slot="neuromodulator",
        phases=_WAKE,
        code={RATE: f"{_ACH}:YokeTeaching"},
    ),
    PerturbationEntry(
        "plasticity",
        "multiply the weight changes of a projection (0: frozen)",
        PlasticityScale,
        slot="plasticity",
        code={RATE: "neuro_aws.perturbations.plasticity:ScalePlasticity", CORTEX: ""},
    ),
    PerturbationEntry(
        "lid_suture",
        "one eye sees noise of its own instead of the scene",
        LidSuture,
        slot="stimulus",
        phases=_WAKE,
        code={RATE: f"{_EYES}:Suture", CORTEX: ""},
    ),
    PerturbationEntry(
        "inactivate_eye",
        "one eye is silent",
        InactivateEye,
        slot="stimulus",
        phases=_WAKE,
        code={RATE: f"{_EYES}:Inactivation", CORTEX: ""},
    ),
    PerturbationEntry(
        "attenuate_eye",
        "one eye's input is scaled down",
        AttenuateEye,
        slot="stimulus",
        phases=_WAKE,
        code={RATE: f"{_EYES}:Attenuation", CORTEX: ""},
    ),
    PerturbationEntry(
        "deprive_sleep",
        "longer wake blocks, with or without rebound sleep",
        DepriveSleep,
        slot="schedule",
        code={RATE: "", CORTEX: "", NEURON: ""},
    ),
    PerturbationEntry(
        "apply",
        "code of your own, in any of the slots (docs/extending.md)",
        Apply,
        slot="any",
        code={RATE: "neuro_aws.perturbations.own:own"},
    ),
)
"""Every perturbation by the name a protocol gives it."""

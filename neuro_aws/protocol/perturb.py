"""The `perturb` entries of an arm: what the experimenter does, when, and to whom."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from neuro_aws.phase import Phase
from neuro_aws.protocol.base import Section

Eye = Literal["left", "right"]


class Cells(Section):
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


class Clamp(Section):
    """Hold released ACh at a constant; nothing is taught."""

    neuromodulator: Literal["ach"]
    level: float = 0.0
    """The constant, in units of D above its REM mean."""
    discriminator: Literal["learns", "held"] = "learns"


class Block(Section):
    """Block the effect of ACh on feedforward plasticity."""

    neuromodulator: Literal["ach"]


class Pair(Section):
    """Pair chosen stimuli with ACh: their gate is multiplied."""

    labels: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    gain: float = Field(gt=1, le=1000)


class Yoke(Section):
    """Replace the teaching signal by one that knows nothing of this sample, or of anything."""

    teaching: Literal["shuffled", "random"]
    """shuffled: another sample's; random: random directions of each sample's own size."""


class PlasticityScale(Section):
    """Multiply the changes of projections, after the optimiser; 0 freezes."""

    feedforward: float = Field(1.0, ge=0, le=100)
    feedback: float = Field(1.0, ge=0, le=100)
    lateral: float = Field(1.0, ge=0, le=100)
    discriminator: float = Field(1.0, ge=0, le=100)


class LidSuture(Section):
    """The eye sees noise of its own, decorrelated from the scene."""

    eye: Eye
    strength: float = Field(1.0, ge=0, le=10)
    """Standard deviation of the noise over that of the eye's normal input."""


class InactivateEye(Section):
    """The eye is silent."""

    eye: Eye


class AttenuateEye(Section):
    """The eye's input is scaled down."""

    eye: Eye
    to: float = Field(ge=0, lt=1)


class DepriveSleep(Section):
    """Wake in blocks of `wake_block` steps before the animal may sleep."""

    wake_block: int = Field(ge=1)
    rebound: bool = True
    """true: it then sleeps all it owes (the same totals); false: its usual sleep, no more."""


class Window(Section):
    """Cycles of a period, counted from 0: from <= cycle < until."""

    start: int = Field(0, ge=0, alias="from")
    until: int | None = Field(None, ge=1)


ACTIONS = (
    "silence",
    "scale",
    "clamp",
    "block",
    "pair",
    "yoke",
    "plasticity",
    "lid_suture",
    "inactivate_eye",
    "attenuate_eye",
    "deprive_sleep",
)


def _names(value: object) -> object:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _phases(value: object) -> object:
    names = _names(value)
    if not isinstance(names, tuple) or not set(names) <= set(Phase):
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
    during: Phases = (Phase.WAKE, Phase.NREM, Phase.REM)
    """A phase or a list of phases; default all."""
    periods: Names = Field(alias="in", min_length=1)
    """A period or a list of periods, by name."""
    cycles: Window = Window()

    @model_validator(mode="after")
    def _one_action(self) -> Self:
        named = [name for name in ACTIONS if getattr(self, name) is not None]
        if len(named) != 1:
            found = ", ".join(named) or "none"
            raise ValueError(f"give exactly one action ({found} found) of " + ", ".join(ACTIONS))
        if len(set(self.during)) != len(self.during) or not self.during:
            raise ValueError("during names a phase twice, or none")
        return self

    @property
    def action(self) -> str:
        """Name of the action."""
        return next(name for name in ACTIONS if getattr(self, name) is not None)

    @property
    def cells(self) -> Cells | None:
        """The cells that silencing or scaling acts on."""
        return self.silence or self.scale

    @property
    def factor(self) -> float:
        """What silencing or scaling multiplies the rates by."""
        return self.scale.by if self.scale is not None else 0.0

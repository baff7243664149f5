"""The perturbations: what the experimenter does, when, to whom; each one's entry.

The settings of an action stand in ``actions_on_cells.py``, ``actions_on_learning.py`` and
``actions_on_stimuli.py``. To add one: its class under ``neuro_aws/perturbations``, its settings
there, its key in ``Perturbation`` and its entry here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, JsonValue, model_validator

from neuro_aws.phase import Phase
from neuro_aws.protocol.action import Action
from neuro_aws.protocol.actions_on_cells import Cells, Scale
from neuro_aws.protocol.actions_on_learning import Block, Clamp, Dose, Pair, PlasticityScale, Yoke
from neuro_aws.protocol.actions_on_stimuli import AttenuateEye, InactivateEye, LidSuture
from neuro_aws.protocol.base import Section
from neuro_aws.protocol.entry import CORTEX, NEURON, OWN, RATE, Entry, table
from neuro_aws.protocol.own_code import OwnCode, called, lacks


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
    dose: Dose | None = None
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
        "dose",
        "multiply the gate of ACh (0.5 half, 2 double), for all stimuli or for chosen labels",
        Dose,
        slot="neuromodulator",
        phases=_WAKE,
        code={RATE: f"{_ACH}:ScaleGate", CORTEX: ""},
    ),
    PerturbationEntry(
        "pair",
        "multiply the gate for stimuli of chosen labels",
        Pair,
        slot="neuromodulator",
        phases=_WAKE,
        code={RATE: f"{_ACH}:ScaleGate", CORTEX: ""},
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

"""The whole protocol: one experiment as a tree of arms over a common run."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator

from neuro_aws.protocol.actions_on_cells import Cells
from neuro_aws.protocol.base import Section
from neuro_aws.protocol.measures import AnyMeasure
from neuro_aws.protocol.model import NetworkSection
from neuro_aws.protocol.perturb import Perturbation
from neuro_aws.protocol.spiking import SpikingSection
from neuro_aws.protocol.stimulus import Stimulus
from neuro_aws.protocol.theories import Algorithm
from neuro_aws.protocol.theories_of_cortex import AdversarialWakeSleep

MAX_STEPS, MAX_CYCLE = 10_000_000, 1_000_000
"""Longest run, and longest single cycle, in steps."""


def _slug(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,63}", name):
        raise ValueError("a letter, then letters, digits, _ or - (64 at most)")
    return name


Slug = Annotated[str, AfterValidator(_slug)]


class Block(Section):
    """Some steps of one phase, or a repeat of blocks (a micro-cycle)."""

    wake: int | None = Field(None, ge=1, le=MAX_STEPS)
    nrem: int | None = Field(None, ge=1, le=MAX_STEPS)
    rem: int | None = Field(None, ge=1, le=MAX_STEPS)
    repeat: int | None = Field(None, ge=1, le=MAX_STEPS)
    phases: Annotated[tuple["Block", ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        phases = [n for n in ("wake", "nrem", "rem") if getattr(self, n) is not None]
        if (self.repeat is None) != (self.phases is None):
            raise ValueError("`repeat: N` and `phases: [...]` go together")
        if len(phases) + (self.repeat is not None) != 1:
            raise ValueError("one entry is one of wake, nrem, rem, or repeat with phases")
        return self


class Period(Section):
    """A named stretch of the run."""

    name: Slug
    cycles: int = Field(ge=1, le=10_000_000)
    phases: Annotated[tuple[Block, ...], Field(min_length=1)]
    """One cycle, in order."""
    branch: bool = False
    """The arms part at the start of this period."""
    feedforward_plasticity: float = Field(1.0, ge=0, le=100)
    feedback_plasticity: float = Field(1.0, ge=0, le=100)
    lateral_plasticity: float = Field(1.0, ge=0, le=100)
    discriminator_plasticity: float = Field(1.0, ge=0, le=100)
    """Factors on the weight changes, after the optimiser."""


class Arm(Section):
    """One branch of the experiment."""

    description: str = ""
    initial: dict[str, JsonValue] = {}
    """Settings (key.path: value) that differ from the start; arms with equal ones share a run."""
    set: dict[str, JsonValue] = {}
    """Settings that differ from the branch on (algorithm.*, network.derivative, network.noise)."""
    perturb: Annotated[tuple[Perturbation, ...], Field(max_length=100)] = ()
    reference: str | None = None
    """The arm this one is compared with; default: control, else the first arm."""


class Every(Section):
    """How often something is recorded: every so many steps of each phase."""

    every: int = Field(1, ge=1)


class ActivityRecord(Section):
    """Batch means of soma and dendrite, by unit."""

    layer: int = Field(ge=0)
    every: int = Field(50, ge=1)
    """Every so many steps of each phase."""
    units: int | None = Field(None, ge=1)
    """The first so many units; default all."""
    ids: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] | None = None
    """Or these units."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.units is not None and self.ids is not None:
            raise ValueError("give units or ids, not both")
        if self.ids is not None and len(set(self.ids)) != len(self.ids):
            raise ValueError("ids are named twice")
        return self


class SampleRecord(Section):
    """Single stimuli in wake: ACh of each, length of its teaching signal by layer, label."""

    every: int = Field(0, ge=0)
    """Every so many wake steps; 0: not."""


class Record(Section):
    """What goes into recording.h5."""

    ach: Every = Every()
    """ACh, release, gate."""
    plasticity: Every = Every()
    """Teaching signal, raw and applied changes by layer."""
    homeostasis: Every = Every(every=500)
    """Running statistics and thresholds by unit, in wake steps, where drives are held."""
    activity: tuple[ActivityRecord, ...] = ()
    samples: SampleRecord = SampleRecord()
    weights: int = Field(0, ge=0)
    """All weights every so many cycles; 0: at the ends of periods only."""
    images: int = Field(0, ge=0)
    """Dreams and predictions as pictures every so many cycles; 0: at the ends of periods only."""


class Keep(Section):
    """Which states stay beside the one a run resumes from."""

    every: int = Field(0, ge=0)
    """Keep the state every so many cycles; 0: only the last."""
    last: int = Field(3, ge=1, le=1000)
    """So many of them, the latest."""
    best: str | None = None
    """And the one with the lowest of this value, where it is measured (e.g. frechet_classifier)."""


class Watch(Section):
    """Reports loss of variety as it happens."""

    every: int = Field(0, ge=0)
    """Every so many cycles; 0: not."""
    diversity: float = Field(0.2, ge=0, le=1)
    """Least share of waking's spread that dreams may have, in any layer."""
    rank: float = Field(1.5, ge=0)
    """Least effective rank of waking activity, in any layer above the stimulus."""
    stop: bool = False
    """Stop the run (it can be resumed)."""


class Expectation(Section):
    """A number the protocol is expected to give: the mean over animals lies between the two."""

    arm: str
    value: str
    """Column of the table of results, e.g. target_activity_relative."""
    period: str
    """At the end of this period."""
    cycle: int | None = Field(None, ge=0)
    """Or at this cycle of it, the nearest measured one at or before."""
    layer: int | None = None
    targets: str | None = None
    """The cells, perturbation or stimuli it is about: the column `group` of the table."""
    relative_to: str | None = None
    """Another arm: the difference to it, animal by animal, is meant."""
    since: Literal["initial"] | None = None
    """initial: the difference to the value at initialisation, animal by animal, is meant."""
    between: tuple[float, float]
    note: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.between[0] > self.between[1]:
            raise ValueError("between: [low, high]")
        return self


class Short(Section):
    """The protocol in some seconds: `run --short`, `Protocol.load(path, short=True)`."""

    set: dict[str, JsonValue] = {}
    """Settings (key.path: value) that shrink it."""
    expect: tuple[Expectation, ...] = ()
    """What the short form is expected to give, in place of `expect`."""


class ProtocolSpec(Section):
    """A protocol file."""

    schema_version: Literal[3]
    name: Slug
    description: str = ""
    preset: (
        Literal["without_homeostasis", "dcgan", "published", "published_doubly", "binary"] | None
    ) = None
    """Settings to start from; what the protocol writes itself goes over them."""
    backend: Literal["rate", "spiking"] = "rate"
    """spiking: two-compartment spiking neurons in Brian2, one stimulus a step."""
    seeds: int = Field(1, ge=1, le=10_000)
    """Animals."""
    stimulus: Stimulus
    network: NetworkSection = NetworkSection()
    algorithm: Algorithm = AdversarialWakeSleep()
    spiking: SpikingSection = SpikingSection()
    schedule: Annotated[tuple[Period, ...], Field(min_length=1, max_length=1000)]
    targets: Annotated[dict[Slug, Cells], Field(max_length=100)] = {}
    """Named sets of cells; every set is followed in every arm."""
    arms: Annotated[dict[Slug, Arm], Field(min_length=1, max_length=1000)] = {"control": Arm()}
    record: Record = Record()
    watch: Watch = Watch()
    keep: Keep = Keep()
    measure: tuple[AnyMeasure, ...] = ()
    expect: tuple[Expectation, ...] = ()
    """Judged on the protocol as it is written: not where `--set` changed what is run."""
    short: Short | None = None

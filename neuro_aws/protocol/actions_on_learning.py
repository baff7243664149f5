"""What is done to acetylcholine, to its teaching signal and to plasticity."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from neuro_aws.phase import INTERNEURONS, Phase
from neuro_aws.protocol.action import Action
from neuro_aws.protocol.base import KeyPath

if TYPE_CHECKING:
    from neuro_aws.protocol.schema import ProtocolSpec

Labels = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
NO_LATERAL = "this network has no lateral weights (network.lateral)"


class Clamp(Action):
    """Hold released ACh at a constant, so that there is no teaching signal."""

    neuromodulator: Literal["ach"]
    level: float = Field(0.0, json_schema_extra={"deprecated": True})
    """No other constant is taken: whatever it is, its gradient is 0."""
    discriminator: Literal["learns", "held"] = "learns"

    def idle(self) -> Iterator[tuple[KeyPath, str]]:
        """Yield a level: nothing depends on it."""
        if self.level != 0:
            yield (("level",), "does nothing: a constant teaches nothing, whatever it is; drop it")


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

    labels: Labels
    gain: float = Field(gt=1, le=1000)

    @property
    def factor(self) -> float:
        """What the gate is multiplied by."""
        return self.gain

    def misfits(self, spec: "ProtocolSpec") -> Iterator[tuple[KeyPath, str]]:
        """Yield labels that the stimuli do not have."""
        yield from _strange(self.labels, spec)


class Dose(Action):
    """More or less ACh: its gate is multiplied, for all stimuli or for those of chosen labels."""

    neuromodulator: Literal["ach"]
    by: float = Field(gt=0, le=100)
    """0.5 halves what feedforward synapses learn, 2 doubles it; 0 is `block`."""
    labels: Labels | None = None
    """Only stimuli of these labels; default all."""

    @property
    def factor(self) -> float:
        """What the gate is multiplied by."""
        return self.by

    def misfits(self, spec: "ProtocolSpec") -> Iterator[tuple[KeyPath, str]]:
        """Yield labels that the stimuli do not have."""
        if self.labels is not None:
            yield from _strange(self.labels, spec)


def _strange(labels: Labels, spec: "ProtocolSpec") -> Iterator[tuple[KeyPath, str]]:
    known = spec.stimulus.labels
    if known == 0:
        yield (), f"{spec.stimulus.source} has no labels to choose stimuli by"
    for label in labels:
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
    interneurons: float = Field(1.0, ge=0, le=100)

    def misfits(self, spec: "ProtocolSpec") -> Iterator[tuple[KeyPath, str]]:
        """Yield what a network has none of to scale: lateral weights, interneurons."""
        if self.lateral != 1 and not spec.network.has_lateral:
            yield ("lateral",), NO_LATERAL
        if self.interneurons != 1 and spec.algorithm.learning(INTERNEURONS) is None:
            yield ("interneurons",), f"{spec.algorithm.name} has no interneurons"

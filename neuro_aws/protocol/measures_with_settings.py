"""The settings of measures that may be pointed at something: layers, compartments, cells."""

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from neuro_aws.protocol.base import KeyPath
from neuro_aws.protocol.measure import Measure, TrainedMeasure

if TYPE_CHECKING:
    from neuro_aws.protocol.schema import ProtocolSpec

Compartment = Literal["soma", "dendrite"]
Layers = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1, strict=False)]
Noise = Literal["both", "without", "with"]


def _no_layer(layer: int, top: int) -> str:
    return f"there is no layer {layer}; layers count from 0 (the stimulus) to {top}"


class Decoder(TrainedMeasure):
    """What is decoded: which layers, which compartments, without waking noise or with it."""

    layers: Layers | None = None
    """Layers; default those whose compartment is driven: somata 1 to N, dendrites 0 to N - 1."""
    compartments: Annotated[tuple[Compartment, ...], Field(min_length=1, strict=False)] = ("soma",)
    """dendrite: what feedback predicts of the soma in waking; the top layer has none."""
    noise: Noise = "both"

    @model_validator(mode="after")
    def _once(self) -> Self:
        if self.layers is not None and len(set(self.layers)) != len(self.layers):
            raise ValueError("a layer is named twice")
        if len(set(self.compartments)) != len(self.compartments):
            raise ValueError("a compartment is named twice")
        return self

    def misfits(self, spec: "ProtocolSpec") -> Iterator[tuple[KeyPath, str]]:
        """Yield layers that there are not, and dendrites that no feedback reaches."""
        top = len(spec.network.layers) - 1
        for layer in self.layers or ():
            if layer > top:
                yield ("layers",), _no_layer(layer, top)
        if self.layers == (top,) and "dendrite" in self.compartments:
            yield ("layers",), f"nothing feeds back to layer {top}, the top: it has no dendrites"

    def each(self, depth: int) -> Iterator[tuple[bool, Compartment, int]]:
        """Yield what is decoded, as (with noise, compartment, layer); N is ``depth``."""
        noisy = {"both": (False, True), "without": (False,), "with": (True,)}[self.noise]
        for with_noise, compartment in itertools.product(noisy, self.compartments):
            driven = range(1, depth + 1) if compartment == "soma" else range(depth)
            known = range(depth + 1) if compartment == "soma" else driven
            for layer in driven if self.layers is None else self.layers:
                if layer in known:
                    yield with_noise, compartment, layer

    def times(self, spec: "ProtocolSpec") -> float:
        """Return how many times as many fits it takes as the somata of all layers, twice."""
        depth = len(spec.network.layers) - 1
        return self.repeats * len(list(self.each(depth))) / (2 * depth)


class FromTop(Measure):
    """How stimuli are corrupted before they are to come back."""

    corruption: float = Field(0.5, ge=0, le=10)
    """Standard deviation of the noise on the stimulus, in its units."""
    masked: float = Field(0.0, ge=0, lt=1)
    """Share of the stimulus's units that are silent."""


class OccludedDecoder(Decoder):
    """What is decoded of held-out stimuli that are partly hidden."""

    rate: float = Field(0.3, ge=0, le=1)
    """Probability of each tile to be hidden."""
    tile: int = Field(2, ge=1, le=512)
    """Side of the tiles, pixels."""
    occluder: float = Field(0.0, ge=-1, le=1)
    """Grey level of hidden pixels."""


class ReceptiveField(Measure):
    """Whose fields: those of a set of `targets`, or of the first cells of a layer."""

    targets: str | None = None
    """A name from the protocol's `targets`; default every set that is named or perturbed."""
    layer: int | None = Field(None, ge=1)
    first: int | None = Field(None, ge=1)
    """Its first so many cells."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.layer is None) != (self.first is None):
            raise ValueError("`layer: N` and `first: N` go together")
        if self.targets is not None and self.layer is not None:
            raise ValueError("`targets: NAME` stands alone; drop layer and first")
        return self

    def misfits(self, spec: "ProtocolSpec") -> Iterator[tuple[KeyPath, str]]:
        """Yield cells that there are not, and cells that nothing feeds forward to."""
        top = len(spec.network.layers) - 1
        if self.layer is not None and self.first is not None:
            if self.layer > top:
                yield ("layer",), _no_layer(self.layer, top)
            elif self.first > (units := spec.network.layers[self.layer]):
                yield ("first",), f"layer {self.layer} has {units} units, not {self.first}"
            return
        if self.targets is not None and self.targets not in spec.targets:
            known = ", ".join(spec.targets) or "none are defined"
            yield ("targets",), f"no set {self.targets!r}. Sets: {known}"
            return
        acted = [p.cells for arm in spec.arms.values() for p in arm.perturb if p.cells is not None]
        known_cells = [*spec.targets.values(), *acted]
        chosen = known_cells if self.targets is None else [spec.targets[self.targets]]
        if not any(cells.layer for cells in chosen):
            yield (), "needs cells above the stimulus: define `targets`, or give layer and first"

"""What is done to the activity of chosen cells, and how cells are chosen."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from neuro_aws.protocol.action import Action


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

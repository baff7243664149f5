"""The `network.memory` section: a Hopfield network that dreams take their top layer from."""

from collections.abc import Iterator
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from neuro_aws.protocol.base import KeyPath, Section

INSTEAD = "network.memory: {hopfield: continuous, recall: exact, best: ..., share: ...}"
"""What stands in a protocol in place of `algorithm.replay`."""

CHANGING = ("share", "recall", "cue_noise", "beta", "similarity", "updates")
"""What of a memory may change after the branch."""


class HopfieldMemory(Section):
    """A hippocampus: it stores waking states of the top layer, and gives them to dreams."""

    hopfield: Literal["continuous", "binary", "dense"]
    """Its units: graded (one update of attention), or signs with energies of order 2, or `order`.

    Of a rate unit a sign net holds whether it is above its mean over what is stored.
    """
    patterns: int = Field(1024, ge=1, le=65_536)
    """Waking states kept; new ones take the places of the oldest."""
    best: int | None = Field(None, ge=1)
    """Of each wake batch only so many are stored, those of the highest D; default: all."""
    share: float = Field(1.0, ge=0, le=1)
    """Of dreams that begin from memory; the others begin from the prior."""
    recall: Literal["exact", "cued", "blended"] = "cued"
    """A stored state as it is; or retrieved from one in part, or (continuous) from the prior."""
    cue_noise: float = Field(0.5, ge=0, le=1)
    """Share of the units whose state the prior gives in a cue."""
    beta: float = Field(1.0, gt=0, le=1_000_000)
    """Of a continuous net: large, one state is retrieved; small, a mean of many."""
    similarity: Literal["product", "distance"] = "product"
    """Of a continuous net's state to a stored one; the product (attention's) favours long ones."""
    order: int = Field(3, ge=2, le=20)
    """k: a dense net's energy is a sum of overlaps to this power."""
    updates: int = Field(1, ge=1, le=1000)
    """Updates of all units: together in a continuous net, one after the other in the others."""

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.recall == "blended" and self.hopfield != "continuous":
            raise ValueError(f"a {self.hopfield} net has no beta to blend by; use continuous")
        if self.best is not None and self.best > self.patterns:
            raise ValueError(f"best: {self.best} states of a batch do not fit in {self.patterns}")
        return self

    def misfits(self, units: str, batch: int) -> Iterator[tuple[KeyPath, str]]:
        """Yield what does not fit units that are ``rate`` or ``binary``, and batches."""
        if units == "binary" and self.hopfield == "continuous" and self.recall != "exact":
            yield ("hopfield",), "blends states, and units fire 0 or 1; use binary or dense"
        if self.best is not None and self.best > batch:
            yield ("best",), f"a batch has {batch} states, not {self.best}"
        if self.best is None and self.patterns < batch:
            message = f"a batch has {batch} states, more than are kept; raise it, or give `best`"
            yield ("patterns",), message


def of_replay(share: float, batch: int) -> dict[str, Any]:
    """Return the memory that stands for a `replay` of former versions, in batches of so many.

    It kept that share of the last wake batch, those of the highest D, 1,024 at most.
    """
    count = min(max(round(share * batch), 1), 1024)
    how = {"hopfield": "continuous", "recall": "exact"}
    return {**how, "patterns": count, "best": count, "share": share}

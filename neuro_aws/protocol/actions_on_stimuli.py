"""What is done to what an eye sees."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from neuro_aws.protocol.action import Action
from neuro_aws.protocol.base import KeyPath

if TYPE_CHECKING:
    from neuro_aws.protocol.schema import ProtocolSpec

Eye = Literal["left", "right"]


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

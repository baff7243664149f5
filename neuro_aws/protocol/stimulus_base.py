"""What every stimulus section says of its stimuli."""

from collections.abc import Iterator

from pydantic import Field

from neuro_aws.protocol.base import Section


class StimulusSection(Section):
    """What is common to all sources of stimuli."""

    batch: int = Field(64, ge=2, le=65536)
    """Samples in one step."""

    @property
    def picture(self) -> tuple[int, int, int] | None:
        """Height, width and channels of a stimulus; None where it is no single picture."""
        return None

    @property
    def sequence(self) -> tuple[int, int] | None:
        """Steps and symbols of a stimulus; None where it is no sequence."""
        return None

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yield what does not fit together within the section, as (key, message)."""
        yield from ()

"""What every perturbation's settings are: an action, which says whether it fits a protocol."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from neuro_aws.phase import Phase
from neuro_aws.protocol.base import KeyPath, Section

if TYPE_CHECKING:
    from neuro_aws.protocol.schema import ProtocolSpec


class Action(Section):
    """What is done: the settings of one perturbation."""

    @property
    def acts_in(self) -> tuple[Phase, ...] | None:
        """Phases in which these settings can have an effect; None: as the entry says."""
        return None

    def misfits(self, spec: "ProtocolSpec") -> Iterator[tuple[KeyPath, str]]:
        """Yield what does not fit the protocol, as (key path within the settings, message)."""
        yield from ()

    def idle(self) -> Iterator[tuple[KeyPath, str]]:
        """Yield settings that would do nothing; what was run is read with them all the same."""
        yield from ()

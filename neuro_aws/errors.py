"""The one exception a user is meant to see."""

from collections.abc import Iterable
from itertools import accumulate


class NeuroAWSError(Exception):
    """What went wrong, where, and what to do next, in one line.

    Every command turns it into a single line on standard error and exit code 1.
    """

    def __init__(self, what: str, *, where: str = "", next_step: str = "") -> None:
        self.what, self.where, self.next_step = what, where, next_step
        head = f"{where}: {what}" if where else what
        super().__init__(f"{head}. {next_step}" if next_step else head)


MOST_FAULTS, MOST_CHARACTERS = 20, 1800
"""Faults of a protocol that are said at once, and their length together."""


class ProtocolError(NeuroAWSError):
    """A protocol that cannot be run as written; carries one line for each of its first faults."""

    def __init__(self, faults: Iterable[str]) -> None:
        found = list(dict.fromkeys(faults))
        lengths = accumulate(len(fault) + 1 for fault in found)
        fitting = sum(length <= MOST_CHARACTERS for length in lengths)
        self.faults = found[: max(1, min(fitting, MOST_FAULTS))]
        more = ["and more; mend these first"] if len(found) > len(self.faults) else []
        super().__init__("\n".join([*self.faults, *more]))

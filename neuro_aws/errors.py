"""The one exception a user is meant to see, and how texts of unknown origin are shown."""

from collections.abc import Iterable
from itertools import accumulate
from unicodedata import category

BIDIRECTIONAL = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Characters that turn the direction of what follows."""


def clipped(text: str, most: int = 60) -> str:
    """Return a text, its end cut off where it is too long."""
    return text if len(text) <= most else text[: most - 3] + "..."


def in_a_line(error: BaseException, most: int = 120) -> str:
    """Return what an error says, in one line; the name of its kind where it says nothing."""
    return clipped(" ".join(str(error).split()) or type(error).__name__, most)


def printable(text: str) -> str:
    """Return a text whose control characters are written out: a terminal obeys them."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" or not _steers(c) else ascii(c)[1:-1] for c in text)


def _steers(character: str) -> bool:
    return category(character) in ("Cc", "Cs") or character in BIDIRECTIONAL


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

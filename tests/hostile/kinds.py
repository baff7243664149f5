"""The kinds of cases: how many are a full attack, and how long one is expected to take."""

from typing import NamedTuple


class Kind(NamedTuple):
    """One kind of case."""

    option: str
    full: int
    seconds: float
    """A guess, until some have been played."""
    most: float
    """Seconds after which a case that does not end is given up."""


KINDS = {
    "protocol": Kind("protocols", 20_000, 0.05, 120),
    "assignment": Kind("assignments", 5_000, 0.02, 120),
    "facts": Kind("facts", 500, 0.3, 180),
    "line": Kind("lines", 1_000, 0.1, 120),
    "study_line": Kind("study-lines", 500, 0.1, 120),
    "damaged_copied": Kind("damaged-copied", 300, 1.5, 300),
    "damaged": Kind("damaged", 1_000, 1.5, 300),
    "damaged_spiking": Kind("damaged-spiking", 100, 3.0, 300),
    "command": Kind("commands", 500, 3.0, 120),
    "kill": Kind("kills", 300, 20.0, 900),
}

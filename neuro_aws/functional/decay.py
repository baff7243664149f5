"""A factor that falls with the number of steps."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decay:
    """factor ** (step // every): smaller by ``factor`` every so many steps."""

    factor: float = 1.0
    every: int = 1

    def at(self, step: int) -> float:
        """Return the factor of this step."""
        return float(self.factor ** (step // self.every))

"""A factor that falls with the number of steps."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Decay:
    """max(factor ** (step // every), least): smaller every so many steps, down to ``least``."""

    factor: float = 1.0
    every: int = 1
    least: float = 0.0

    def at(self, step: int) -> float:
        """Return the factor of this step."""
        return max(float(self.factor ** (step // self.every)), self.least)

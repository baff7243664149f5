"""What a measure gets to see: a network that does not learn, and stimuli it never lived with."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuro_aws.functional.noise import Draws, KeyedNoise
from neuro_aws.network import NO_GAINS, Gains, Network
from neuro_aws.protocol.targets import Targets
from neuro_aws.stimuli.world import World

MOST_STIMULI = 2000
"""No measure looks at more stimuli of one kind."""


class Value(NamedTuple):
    """One measured number; ``layer`` -1 and ``group`` "" where they have no meaning."""

    name: str
    value: float
    layer: int = -1
    group: str = ""


Memory = dict[str, Tensor]
"""What a measure keeps from the branch on, to compare with later; saved in checkpoints."""


@dataclass
class Subject:
    """One animal at one moment. Nothing in here changes the network.

    ``targets`` are the cells that are followed, ``dream_gains`` the perturbations whose dreams
    are kept for comparison, by name. Random numbers are keyed by measure and step, so that a
    measure takes nothing from the life and two arms are measured with the same numbers.
    """

    network: Network
    world: World
    animal: int
    step: int
    targets: dict[str, Targets]
    dream_gains: dict[str, Gains]
    memory: Memory
    repeats: int = 3
    _cache: dict[str, list[Tensor]] = field(default_factory=dict)

    def draws(self, stream: str) -> Draws:
        """Return random numbers of this moment for one purpose."""
        dtype, device = self.world.life.dtype, self.world.life.device
        return KeyedNoise(self.animal, f"measure/{stream}", dtype, device).at(self.step)

    def seed(self, stream: str) -> int:
        """Return a 31-bit seed of this moment, for libraries that want one."""
        return int(self.draws(stream).integers(2**31 - 1, (1,)).item())

    def waking(self, noisy: bool = False) -> list[Tensor]:
        """Return the somata h_0 ... h_N on the held-out stimuli."""
        return self._somata("held_out", self.world.held_out[:MOST_STIMULI], noisy)

    def waking_life(self, noisy: bool = False) -> list[Tensor]:
        """Return the somata h_0 ... h_N on stimuli of the animal's life."""
        return self._somata("life", self.world.life[:MOST_STIMULI], noisy)

    def dreams(self, count: int, stream: str = "dreams", gains: Gains = NO_GAINS) -> list[Tensor]:
        """Return the somata of ``count`` dreams; their noise belongs to them and stays on."""
        draws = self.draws(stream)
        top = draws.normal(torch.Size((count, self.network.top_units)))
        return self.network.dream(top, draws, gains).somas

    def _somata(self, which: str, stimuli: Tensor, noisy: bool) -> list[Tensor]:
        key = f"{which}/{noisy}"
        if key not in self._cache:
            noise = self.draws(f"waking/{which}") if noisy else None
            self._cache[key] = self.network.recognise(stimuli, noise).somas
        return self._cache[key]


Measure = Callable[[Subject], Iterable[Value]]


def array(tensor: Tensor) -> NDArray[np.float64]:
    """Return a tensor as a float64 array."""
    return tensor.detach().cpu().numpy().astype(np.float64)


def ratio(part: float, whole: float) -> float:
    """Return part / whole, nan where whole is 0."""
    return part / whole if whole else float("nan")

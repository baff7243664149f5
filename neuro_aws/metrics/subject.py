"""What a measure gets to see: a network that does not learn, and stimuli it was not trained on."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuro_aws.algorithms import Algorithm, asked
from neuro_aws.functional.noise import Draws, KeyedNoise
from neuro_aws.functional.shapes import rows
from neuro_aws.model.network import NO_GAINS, Gains, Network
from neuro_aws.model.sequence_critic import SequenceCritic
from neuro_aws.model.state import NetworkState
from neuro_aws.protocol.targets import Targets
from neuro_aws.rng import measure_stream
from neuro_aws.stimuli.dataset import Dataset

if TYPE_CHECKING:
    from neuro_aws.metrics.extractor import Extractor
    from neuro_aws.protocol.measure import Measure as Settings

PORTION = 500
"""Stimuli that a convolutional network is shown at a time."""

TRAIN: Final = "life"
"""Keys the noise of measures on training stimuli: data, not prose."""

HELD_OUT: Final = "held_out"
"""Keys that on held-out stimuli."""

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
    measure takes nothing from the run and two arms are measured with the same numbers.
    """

    network: Network
    dataset: Dataset
    animal: int
    step: int
    targets: dict[str, Targets]
    dream_gains: dict[str, Gains]
    memory: Memory
    settings: "Settings | None" = None
    """Those of the measure that is taken; None: its defaults."""
    repeats: int = 3
    samples: int | None = None
    """Dreams that distances of images are taken from; None: as many as held-out stimuli."""
    extractor: "Extractor | None" = None
    """The features that distances of images are taken in; None: a classifier trained here."""
    algorithm: Algorithm | None = None
    """The theory that says how stimuli are recognised and dreams come about; None: passes."""
    _cache: dict[str, list[Tensor]] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        """Say whether running statistics normalise waking, where the layers are normalised.

        Before the first step there are none, and what is shown is normalised by its own.
        """
        return self.step > 0

    def draws(self, stream: str) -> Draws:
        """Return random numbers of this moment for one purpose."""
        dtype, device = self.dataset.train.dtype, self.dataset.train.device
        return KeyedNoise(self.animal, measure_stream(stream), dtype, device).at(self.step)

    def seed(self, stream: str) -> int:
        """Return a 31-bit seed of this moment, for libraries that want one."""
        return int(self.draws(stream).integers(2**31 - 1, (1,)).item())

    def waking(self, noisy: bool = False) -> list[Tensor]:
        """Return the somata h_0 ... h_N on the held-out stimuli, as rows of units."""
        return self._somata(HELD_OUT, self.dataset.held_out[:MOST_STIMULI], noisy)

    def waking_train(self, noisy: bool = False) -> list[Tensor]:
        """Return the somata h_0 ... h_N on training stimuli."""
        return self._somata(TRAIN, self.dataset.train[:MOST_STIMULI], noisy)

    def waking_on(self, stimuli: Tensor, noisy: bool = False) -> list[Tensor]:
        """Return the somata h_0 ... h_N on other stimuli, with the held-out ones' noise."""
        noise = self.draws(f"waking/{HELD_OUT}") if noisy else None
        return _joined(self._waking_parts(stimuli, noise))

    def dreams(self, count: int, stream: str = "dreams", gains: Gains = NO_GAINS) -> list[Tensor]:
        """Return the somata of ``count`` dreams; their noise belongs to them and stays on."""
        draws = self.draws(stream)
        parts = [self.dream(n, draws, gains).somas for n in self._portions(count)]
        return _joined(parts)

    def waking_level(self) -> Tensor:
        """Return D of each held-out stimulus, with the waking noise."""
        critic = self.network.acetylcholine
        if not isinstance(critic, SequenceCritic):
            return critic.level(self.waking(noisy=True))
        stimuli, noise = self.dataset.held_out[:MOST_STIMULI], self.draws(f"waking/{HELD_OUT}")
        parts = torch.split(stimuli, self._portions(len(stimuli)))
        seen = (self.network.with_dendrites(self.recognise(part, noise)) for part in parts)
        return torch.cat([critic.level_of(state) for state in seen])

    def dreamt_level(self, count: int, gains: Gains = NO_GAINS) -> Tensor:
        """Return D of each of ``count`` dreams."""
        critic = self.network.acetylcholine
        if not isinstance(critic, SequenceCritic):
            return critic.level(self.dreams(count, "dreams", gains))
        draws = self.draws("dreams")
        dreamt = (self.dream(n, draws, gains) for n in self._portions(count))
        return torch.cat([critic.level_of(state) for state in dreamt])

    def recognise(self, stimuli: Tensor, noise: Draws | None) -> NetworkState:
        """Return the state that stimuli lead to, as the animal's theory has it."""
        return asked.recognise(self.algorithm, self.network, stimuli, noise, NO_GAINS, self.running)

    def dream(self, count: int, noise: Draws, gains: Gains = NO_GAINS) -> NetworkState:
        """Return dreams as the animal's theory has them."""
        return asked.dream(self.algorithm, self.network, count, noise, gains)

    def predicted(
        self, noisy: bool = False, train: bool = False, stimuli: Tensor | None = None
    ) -> list[Tensor]:
        """Return what feedback predicts of h_0 ... h_{N-1}, on held-out or on training stimuli.

        ``stimuli``: on these, in place of the held-out ones.
        """
        parts = []
        which = TRAIN if train else HELD_OUT
        if stimuli is None:
            stimuli = self.dataset.train if train else self.dataset.held_out
        noise = self.draws(f"waking/{which}") if noisy else None
        for somata in self._waking_parts(stimuli[:MOST_STIMULI], noise):
            layers = zip(self.network.layers, somata[1:], strict=True)
            parts.append([layer.predict(above).rate for layer, above in layers])
        return _joined(parts)

    def _somata(self, which: str, stimuli: Tensor, noisy: bool) -> list[Tensor]:
        key = f"{which}/{noisy}"
        if key not in self._cache:
            noise = self.draws(f"waking/{which}") if noisy else None
            self._cache[key] = _joined(self._waking_parts(stimuli, noise))
        return self._cache[key]

    def _waking_parts(self, stimuli: Tensor, noise: Draws | None) -> Iterator[list[Tensor]]:
        for part in torch.split(stimuli, self._portions(len(stimuli))):
            yield self.recognise(part, noise).somas

    def _portions(self, count: int) -> list[int]:
        """Return how many stimuli to take at a time: maps are large, rows are not."""
        if len(self.network.shapes[0]) == 1:
            return [count]
        whole, rest = divmod(count, PORTION)
        return [PORTION] * whole + [rest] * bool(rest)


Measure = Callable[[Subject], Iterable[Value]]


def array(tensor: Tensor) -> NDArray[np.float64]:
    """Return a tensor as a float64 array."""
    return tensor.detach().cpu().numpy().astype(np.float64)


def ratio(part: float, whole: float) -> float:
    """Return part / whole, nan where whole is 0."""
    return part / whole if whole else float("nan")


def _joined(parts: Iterable[list[Tensor]]) -> list[Tensor]:
    """Return each layer's activity, as rows, of all portions."""
    return [
        rows(h[0]) if len(h) == 1 else torch.cat([rows(p) for p in h])
        for h in zip(*parts, strict=True)
    ]

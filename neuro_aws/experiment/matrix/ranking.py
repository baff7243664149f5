"""Which manipulation separates two theories best, and with how many animals."""

from itertools import combinations
from typing import NamedTuple

from neuro_aws import rng
from neuro_aws.experiment.matrix.cells import Cell
from neuro_aws.experiment.matrix.run import Study
from neuro_aws.metrics.separation import COUNTS, WANTED, Separation, separation

STREAM = "matrix/power"
USUAL = 8
"""Animals at which experiments are ranked."""


class Rank(NamedTuple):
    """One manipulation that two theories answer: separations by level of noise."""

    block: str
    manipulation: str
    value: str
    default: float
    by_noise: dict[float, Separation]
    spreads: tuple[float, float]
    """Standard deviation between simulated animals, of each theory."""

    @property
    def usual(self) -> Separation:
        """The separation at the default noise."""
        return self.by_noise[self.default]


def ranked(study: Study, cells: list[Cell], first: str, second: str) -> list[Rank]:
    """Return the manipulations that both theories answer, the one that separates best first.

    What both answer as they do without what is done beside is no experiment of its own.
    """
    answers = {(c.block, c.manipulation, c.theory): c for c in cells if c.known}
    ranks = []
    for block, section in study.matrix.spec.blocks.items():
        for name in section.manipulations:
            pair = [answers.get((block, name, theory)) for theory in (first, second)]
            if pair[0] is None or pair[1] is None:
                continue
            if section.manipulations[name].of is not None and _same(pair[0]) and _same(pair[1]):
                continue
            noise = study.matrix.spec.noise[pair[0].value]
            a, b = pair[0].effects, pair[1].effects
            by_noise = {}
            for level in noise.levels:
                stream = f"{STREAM}/{block}/{name}/{first}/{second}/{level}"
                draws = rng.numpy_generator(study.seed, stream)
                by_noise[level] = separation(a, b, level, draws)
            spreads = (float(a.std(ddof=1)), float(b.std(ddof=1)))
            ranks.append(Rank(block, name, pair[0].value, noise.default, by_noise, spreads))
    return sorted(ranks, key=_worth, reverse=True)


def _same(cell: Cell) -> bool:
    """Say whether what is done beside takes nothing away, in any animal."""
    return cell.interaction.difference[:3] == (0, 0, 0)


def _worth(rank: Rank) -> tuple[float, float]:
    usual = rank.usual
    return usual.powers[USUAL], usual.distance


class Overall(NamedTuple):
    """How many pairs of theories a manipulation separates, of those that both answer it."""

    block: str
    manipulation: str
    separated: int
    asked: int


def overall(
    study: Study, cells: list[Cell], theories: list[str]
) -> tuple[list[Overall], dict[tuple[str, str], list[Rank]]]:
    """Return the manipulations by the pairs they separate, and the ranking of every pair."""
    pairs = {pair: ranked(study, cells, *pair) for pair in combinations(theories, 2)}
    counted: dict[tuple[str, str], list[bool]] = {}
    for ranks in pairs.values():
        for rank in ranks:
            key = (rank.block, rank.manipulation)
            counted.setdefault(key, []).append(rank.usual.powers[USUAL] >= WANTED)
    found = [Overall(*key, sum(hits), len(hits)) for key, hits in counted.items()]
    return sorted(found, key=lambda o: o.separated, reverse=True), pairs


__all__ = ["COUNTS", "USUAL", "Overall", "Rank", "overall", "ranked"]

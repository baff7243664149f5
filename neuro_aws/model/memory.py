"""A hippocampus: waking states of the top layer, stored, and recalled by a Hopfield network."""

import torch
from torch import Tensor

from neuro_aws.functional import hopfield
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.protocol.hopfield import HopfieldMemory


class Memory:
    """Gives some of the prior's draws of h_N another beginning: what was awake.

        wake        the states of a batch (``best``: those of the highest D) go into a ring
        REM, NREM   exact     h_N = x^mu, mu drawn at random
                    cued      h_N = f(c),  c_i = x_i^mu, or with probability ``cue_noise`` z_i
                    blended   h_N = f(z)

    z is a draw of the prior, f so many updates of the net (``functional/hopfield.py``). Every dream
    is one of these with probability ``share``, else z; as long as nothing is stored all are z.

    A continuous net takes h_N as it is. Sign nets take s_i = 1 where h_i is not below m_i, its mean
    over what is stored, else -1; what they give has the graded part of the cue,
    h_i = m_i + s_i |c_i - m_i|. Of units that fire 0 or 1, s = 2 h - 1.
    ``binary_units`` says which these are.
    """

    def __init__(
        self,
        section: HopfieldMemory,
        units: int,
        binary_units: bool,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.section = section
        self.binary_units = binary_units
        self.patterns = torch.zeros(section.patterns, units, dtype=dtype, device=device)
        self.kept = torch.zeros((), dtype=torch.long, device=device)
        self.next = torch.zeros((), dtype=torch.long, device=device)
        self._places = torch.arange(section.patterns, device=device)

    def buffers(self) -> dict[str, Tensor]:
        """Return what is stored, how many, and the place that the next one takes, by name."""
        return {"patterns": self.patterns, "kept": self.kept, "next": self.next}

    @property
    def stored(self) -> Tensor:
        """Return which rows of ``patterns`` hold one; the host need not know how many."""
        return self._places < self.kept

    def store(self, tops: Tensor, level: Tensor) -> None:
        """Store the states of a wake batch, as rows; ``level`` is D of each."""
        best = self.section.best
        chosen = tops if best is None else tops[torch.topk(level, min(best, len(level))).indices]
        size = len(self.patterns)
        self.patterns.index_copy_(0, (self.next + self._places[: len(chosen)]) % size, chosen)
        self.next.add_(len(chosen)).remainder_(size)
        self.kept.add_(len(chosen)).clamp_(max=size)

    def mixed(self, draws: Tensor, noise: NoiseSource) -> Tensor:
        """Return the prior's draws, of which some begin from memory."""
        share = self.section.share
        if share == 0:
            return draws
        there = self.kept > 0
        if share < 1:
            there = there & (noise.uniform(torch.Size((len(draws), 1))) < share)
        return torch.where(there, self.recalled(draws, noise), draws)

    def recalled(self, draws: Tensor, noise: NoiseSource) -> Tensor:
        """Return one recalled state for every draw of the prior; there must be something stored."""
        given = self.section
        if given.recall == "blended":
            return self._settled(draws)
        count = torch.Size((len(draws),))
        chosen = (noise.uniform(count) * self.kept).long()
        states = self.patterns[torch.minimum(chosen, (self.kept - 1).clamp(min=0))]
        if given.recall == "exact":
            return states
        return self._settled(
            torch.where(noise.uniform(draws.shape) < given.cue_noise, draws, states)
        )

    def _settled(self, cues: Tensor) -> Tensor:
        if self.section.hopfield == "continuous":
            return self._attended(cues)
        if self.binary_units:
            held = (2 * self.patterns - 1) * self.stored[:, None]
            return (self._swept(held, 2 * cues - 1) + 1) / 2
        # rows that hold nothing are zeros
        mean = self.patterns.sum(0) / self.kept.clamp(min=1)
        held = _signs(self.patterns - mean) * self.stored[:, None]
        about = cues - mean
        return mean + self._swept(held, _signs(about)) * about.abs()

    def _attended(self, s: Tensor) -> Tensor:
        near = self.section.similarity == "distance"
        for _ in range(self.section.updates):
            s = hopfield.continuous_update(
                self.patterns, s, self.section.beta, self.stored, by_distance=near
            )
        return s

    def _swept(self, held: Tensor, s: Tensor) -> Tensor:
        dense = self.section.hopfield == "dense"
        w = None if dense else hopfield.weights(held)
        for _ in range(self.section.updates):
            if w is None:
                s = hopfield.dense_sweep(held, s, self.section.order)
            else:
                s = hopfield.binary_sweep(w, s)
        return s


def _signs(h: Tensor) -> Tensor:
    return torch.where(h < 0, -1.0, 1.0).to(h.dtype)

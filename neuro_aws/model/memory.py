"""Prioritised replay: some dreams begin from waking states that D found most wake-like."""

import torch
from torch import Tensor

MOST = 1024
"""Waking states kept at most."""


class Replay:
    """Replaces a share of the prior's draws by waking top states, those of the highest D first."""

    def __init__(self, share: float, units: int, dtype: torch.dtype, device: torch.device) -> None:
        self.share = share
        self.tops = torch.zeros(MOST, units, dtype=dtype, device=device)
        self.kept = torch.zeros((), dtype=torch.long, device=device)
        self._places = torch.arange(MOST, device=device)[:, None]

    def buffers(self) -> dict[str, Tensor]:
        """Return what is kept, by name."""
        return {"tops": self.tops, "kept": self.kept}

    def store(self, tops: Tensor, level: Tensor) -> None:
        """Keep the share of the batch that D put highest; ``tops`` are rows, ``level`` their D."""
        count = min(round(self.share * len(tops)), MOST)
        best = torch.topk(level, count).indices
        self.tops[:count].copy_(tops[best])
        self.kept.fill_(count)

    def mixed(self, draws: Tensor) -> Tensor:
        """Return the prior's draws with the first ones replaced by what was kept."""
        count = min(MOST, round(self.share * len(draws)))
        there = self._places[:count] < self.kept  # how many are kept the host need not know
        return torch.cat([torch.where(there, self.tops[:count], draws[:count]), draws[count:]])

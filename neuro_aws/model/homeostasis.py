"""Homeostasis: a compartment's drive is held at a set point, unit by unit and phase by phase."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from neuro_aws.functional import batch_norm
from neuro_aws.functional.batch_norm import Normed
from neuro_aws.functional.homeostasis import (
    Statistics,
    Undone,
    back_held,
    followed,
    held,
    orthogonal,
    undone_after,
)
from neuro_aws.protocol.model import NetworkSection

BATCH_NORM_STEPS = round(1 / batch_norm.MOMENTUM)


@dataclass(frozen=True, slots=True)
class SetPoint:
    """What a drive is held at, and by which statistics.

    over     batch: the batch's own statistics, and gradients go through them; time: running
             statistics, as they are
    steps    time constant of the running statistics, in steps of their phase
    mean, variance    of the drive (potential, potential squared)
    orthogonal    over time: learning leaves out what homeostasis would undo
    """

    over: Literal["batch", "time"]
    steps: int
    mean: float = 0.0
    variance: float = 1.0
    orthogonal: bool = False


class Adaptation:
    """Whether drives adapt just now: in the steps of a run, unless homeostasis is blocked.

    Whatever else passes through the network (a measure, say) finds the running statistics as they
    are, and leaves them alone.
    """

    def __init__(self) -> None:
        self.on = False

    @contextmanager
    def during(self, on: bool) -> Iterator[None]:
        """Let drives adapt, or not."""
        self.on = on
        try:
            yield
        finally:
            self.on = False


class Homeostat:
    """Holds the drive of one compartment in one phase.

        a = mu + sigma (v - m) / sqrt(s + 1e-5) + theta

    Symbols, in order: a the potential; mu, sigma^2 = mean and variance of the ``point``; v the raw
    drive, ``raw``; m, s its statistics, unit by unit (channel by channel); theta = ``shift``, the
    threshold that is learnt, where there is one.

    over: batch  m, s are the batch's, and the way back goes through them: a unit reads, beside its
                 own signal, that signal's mean over the batch and its correlation with the drive.
                 The samples of a batch have to be there together.
    over: time   m, s are running statistics of the steps before (``functional.homeostasis``); the
                 way back is a factor. With ``orthogonal`` the learning signal leaves out what
                 scales the unit's weights or shifts its drive, as it does on the way back through
                 a batch's statistics; of that too the unit keeps running numbers. Needs its own
                 past, and nothing else.

    ``adaptation`` None: adapts outside of steps too, unless the running statistics are asked for.
    ``keeps`` False: no running statistics.
    """

    def __init__(
        self,
        point: SetPoint,
        like: Tensor,
        axis: int,
        adaptation: Adaptation | None = None,
        keeps: bool = True,
    ) -> None:
        self.point = point
        self.axis = axis
        self.adaptation = adaptation
        self.keeps = keeps
        self.kept = Statistics(torch.zeros_like(like), torch.ones_like(like))
        learns = point.over == "time" and point.orthogonal
        self.undone = Undone(torch.zeros_like(like), torch.zeros_like(like)) if learns else None
        self._undone_next: Undone | None = None
        self._scale = None if point.variance == 1 else torch.full_like(like, point.variance**0.5)
        self._offset = torch.full_like(like, point.mean) if point.mean else None

    def __call__(
        self,
        raw: Tensor,
        scale: Tensor | None = None,
        shift: Tensor | None = None,
        running: bool = False,
    ) -> tuple[Tensor, Normed]:
        """Return the drive at its set point, and what the way back needs.

        ``scale`` is a learnt one in place of sigma; ``running`` asks for the running statistics.
        """
        self._undone_next = None
        scale = self._scale if scale is None else scale
        if self._offset is not None:
            shift = self._offset if shift is None else shift + self._offset
        if running or (self.adaptation is not None and not self.adaptation.on):
            return held(raw, self.kept, scale, shift, self.axis)
        if self.point.over == "batch":
            return batch_norm.normalise(raw, scale, shift)
        now = followed(self.kept, raw, self.axis, self.point.steps)
        return held(raw, self.kept, scale, shift, self.axis, now)

    def back(
        self,
        signal: Tensor,
        normed: Normed,
        scale: Tensor | None = None,
        weight: Tensor | None = None,
        corrected: bool = True,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return the gradients at the raw drive, at a learnt scale and at the threshold.

        ``weight`` is a factor by sample that the signal carries (broadcast to it); ``corrected``
        False: a signal that is not to be made orthogonal (the KL's alone).
        """
        scale = self._scale if scale is None else scale
        if normed.through:
            return batch_norm.back(signal, normed, scale)
        if self.undone is not None and corrected:
            signal = orthogonal(signal, normed, self.undone, self.axis, weight)
            if weight is None:
                self._undone_next = undone_after(
                    signal, normed, self.undone, self.axis, self.point.steps
                )
        return back_held(signal, normed, scale, self.axis)

    def track(self, normed: Normed | None) -> None:
        """Take the running statistics on, after a step whose drive was normalised so."""
        if normed is None or not self.keeps:
            return
        if normed.through:
            batch_norm.track(*self.kept, normed, 1 / self.point.steps)
        elif normed.becomes is not None:
            for kept, now in zip(self.kept, normed.becomes, strict=True):
                kept.copy_(now)
            if self.undone is not None and self._undone_next is not None:
                for kept, now in zip(self.undone, self._undone_next, strict=True):
                    kept.copy_(now)

    def buffers(self, prefix: str) -> dict[str, Tensor]:
        """Return the running statistics by name."""
        if not self.keeps:
            return {}
        found = {f"{prefix}_mean": self.kept.mean, f"{prefix}_variance": self.kept.variance}
        if self.undone is not None:
            found |= {f"{prefix}_offset": self.undone.offset, f"{prefix}_slope": self.undone.slope}
        return found


class Homeostats(NamedTuple):
    """Those of one layer of connections: the somata above in wake, the dendrites below.

    ``dendrite`` holds the dendrites' drive in wake, ``dream`` in REM; None: not held.
    """

    soma: Homeostat | None = None
    dendrite: Homeostat | None = None
    dream: Homeostat | None = None

    def buffers(self) -> dict[str, Tensor]:
        """Return all running statistics by name."""
        names = ("running", "dendrite", "dream")
        found: dict[str, Tensor] = {}
        for name, one in zip(names, self, strict=True):
            found |= {} if one is None else one.buffers(name)
        return found


UNHELD = Homeostats()
"""No set points: drives are what they are."""


def homeostats(
    section: NetworkSection, i: int, axis: int, above: Tensor, below: Tensor, adapts: Adaptation
) -> Homeostats:
    """Return those of the connections between h_i and h_{i+1}.

    ``above`` and ``below`` are tensors of one value a unit (channel) there. Batch normalisation as
    published is the case of a set point over the batch that also holds outside of steps.
    """
    given = section.homeostasis
    if given.over != "none":
        point = SetPoint(given.over, given.steps, given.mean, given.variance, given.orthogonal)
        top = i + 2 == len(section.layers)
        soma = Homeostat(point, above, axis, adapts) if given.top or not top else None
        if i == 0:
            return Homeostats(soma)
        dream = replace(point, orthogonal=False)  # nothing is learnt of what is dreamt
        held = (Homeostat(at, below, axis, adapts) for at in (point, dream))
        return Homeostats(soma, *held)
    published = SetPoint("batch", BATCH_NORM_STEPS)
    soma = Homeostat(published, above, axis) if section.batch_norm != "none" else None
    if not section.batch_norm_feedback or i == 0:
        return Homeostats(soma)
    return Homeostats(soma, *(Homeostat(published, below, axis, keeps=False) for _ in range(2)))

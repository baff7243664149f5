"""A layer of gated units (GRU) between the symbols of a sequence and the states that they drive."""

from typing import NoReturn

import torch
from torch import Tensor

from neuro_aws.errors import NeuroAWSError
from neuro_aws.functional import gru
from neuro_aws.functional.activations import TRANSFERS
from neuro_aws.functional.batch_norm import Normed
from neuro_aws.functional.compartments import Fired, Psi
from neuro_aws.functional.gru import Gates, delayed
from neuro_aws.functional.in_time import maps, times
from neuro_aws.model.homeostasis import UNHELD


def _through_time(*_: object, **__: object) -> NoReturn:
    raise NeuroAWSError(
        "a recurrent layer has no local rule",
        where="algorithm",
        next_step="Learn through time by autograd (uses_autograd), as teacher_forcing does",
    )


class GatedLayer:
    """F, L and G between symbols h_0 (K units) and gated units h_1 (H units), over T steps.

    ``feedforward`` is [W (H, 3, K), b (H, 3)], ``lateral`` [U (H, 3, H), c (H, 3)], ``feedback``
    [G (K, H), bias (K)].
    """

    def __init__(
        self,
        feedforward: list[Tensor],
        lateral: list[Tensor],
        feedback: list[Tensor],
        steps: int,
    ) -> None:
        self.feedforward, self.lateral, self.feedback = feedforward, lateral, feedback
        self.steps = steps
        self.psi_above = Psi(TRANSFERS["tanh"], axis=1)
        self.psi_below = self.psi_predicted = Psi(TRANSFERS["sigmoid"], axis=1)
        self.homeostats = UNHELD

    def shape_below(self) -> tuple[int, ...]:
        """Return (K, T, 1)."""
        return (len(self.feedback[0]), self.steps, 1)

    def shape_above(self) -> tuple[int, ...]:
        """Return (H, T, 1)."""
        return (len(self.lateral[0]), self.steps, 1)

    @property
    def gates(self) -> Gates:
        """Return W, U, b, c."""
        return Gates.by_unit(*self.feedforward, *self.lateral)

    def logits(self, above: Tensor) -> Tensor:
        """Return G h_1 + c for states (..., H)."""
        return torch.nn.functional.linear(above, *self.feedback)

    def fire(self, below: Tensor, gain: Tensor | None = None) -> tuple[Fired, Tensor]:
        """Return how maps h_0 drive the gated units, and their somata."""
        units = None if gain is None else gain.flatten()
        ran = gru.run(delayed(times(below)), self.gates, gain=units)
        fired, a = maps(ran.fired), maps(ran.potential)
        rate = fired if gain is None else maps(ran.raw)
        return Fired(rate, a, rate), fired

    def feedforward_potential(
        self, below: Tensor, running: bool = False
    ) -> tuple[Tensor, Normed | None]:
        """Return a: the drive of the candidates."""
        return self.fire(below)[0].potential, None

    def feedback_potential(
        self, above: Tensor, dreaming: bool = False
    ) -> tuple[Tensor, Normed | None]:
        """Return G h_1 + c."""
        return maps(self.logits(times(above))), None

    def recognise(self, below: Tensor) -> Fired:
        """Return the states that a sequence alone drives the gated units to."""
        return self.fire(below)[0]

    def predict(self, above: Tensor, dreaming: bool = False) -> Fired:
        """Return p: the probability of every symbol at every step."""
        logits, _ = self.feedback_potential(above)
        p = last_softmax(logits)
        return Fired(p, logits, p)

    onto_feedforward = onto_feedback = onto_feedforward_and_below = sent_up = _through_time

    def track_soma(self, fired: Fired) -> None:
        """Keep nothing: no drive is held at a set point."""

    def track_dendrite(self, fired: Fired, dreaming: bool) -> None:
        """Keep nothing."""

    def buffers(self) -> dict[str, Tensor]:
        """Return nothing: gated units carry no state from one sequence to the next."""
        return {}


def last_softmax(logits: Tensor) -> Tensor:
    """Return the softmax over the units of maps, in their layout."""
    return maps(torch.softmax(times(logits), -1))

"""A dense connection between two layers of two-compartment units."""

import torch
from torch import Tensor

from neuro_aws.functional.batch_norm import Normed
from neuro_aws.functional.compartments import Fired, Psi, fire
from neuro_aws.functional.linear import affine
from neuro_aws.functional.plasticity import outer
from neuro_aws.model.homeostasis import UNHELD, Homeostats


class DenseLayer:
    """Feedforward F_i and feedback G_i between h_i (n units below) and h_{i+1} (m units above).

    F_i (m, n) and bias (m) drive the somata above; G_i (n, m) and bias (n) reach the dendrites
    below. ``psi_above`` is the rate function of the units above, ``psi_below`` of those below.
    """

    def __init__(
        self,
        feedforward: list[Tensor],
        feedback: list[Tensor],
        psi_below: Psi,
        psi_above: Psi,
        psi_predicted: Psi | None = None,
        homeostats: Homeostats = UNHELD,
    ) -> None:
        self.feedforward = feedforward
        self.feedback = feedback
        self.psi_below = psi_below
        self.psi_above = psi_above
        self.psi_predicted = psi_below if psi_predicted is None else psi_predicted
        self.homeostats = homeostats

    def shape_below(self) -> tuple[int, ...]:
        """Return (n,)."""
        return (self.feedback[0].shape[-2],)

    def shape_above(self) -> tuple[int, ...]:
        """Return (m,)."""
        return (self.feedforward[0].shape[-2],)

    def feedforward_potential(
        self, below: Tensor, running: bool = False
    ) -> tuple[Tensor, Normed | None]:
        """Return F_i h_i + b, the noise-free drive of the somata above: (..., batch, m).

        Where the drive is held at a set point, b is the threshold that is added to it.
        """
        weight, bias = self.feedforward
        soma = self.homeostats.soma
        if soma is None:
            return affine(below, weight, bias), None
        return soma(below @ weight.mT, shift=bias, running=running)

    def feedback_potential(
        self, above: Tensor, dreaming: bool = False
    ) -> tuple[Tensor, Normed | None]:
        """Return G_i h_{i+1} + c, the drive of the dendrites below: (..., batch, n).

        Where the drive is held at a set point there is no c.
        """
        weight, bias = self.feedback
        held = self.homeostats.dream if dreaming else self.homeostats.dendrite
        if held is None:
            return affine(above, weight, bias), None
        return held(above @ weight.mT)

    def recognise(self, below: Tensor) -> Fired:
        """Return psi(F_i h_i): what feedforward input alone makes the units above fire."""
        potential, normed = self.feedforward_potential(below)
        fired = fire(self.psi_above, potential)
        return fired if normed is None else fired._replace(normed=normed)

    def predict(self, above: Tensor, dreaming: bool = False) -> Fired:
        """Return d_i = psi(G_i h_{i+1}): what feedback predicts the units below to fire."""
        potential, normed = self.feedback_potential(above, dreaming)
        fired = fire(self.psi_predicted, potential)
        return fired if normed is None else fired._replace(normed=normed)

    def onto_feedforward(
        self,
        post: Tensor,
        pre: Tensor,
        factor: float = 1.0,
        *,
        fired: Fired,
        weight: Tensor | None = None,
        corrected: bool = True,
    ) -> list[Tensor]:
        """Return factor times the sum over samples of post pre^T, and of post.

        ``weight``, ``corrected``: see ``Homeostat.back``.
        """
        if fired.normed is None:
            return outer(post, pre, factor)
        at_raw = self._at_soma(post, fired, weight, corrected)
        return [(at_raw * factor).mT @ pre, (post * factor).sum(-2)]

    def onto_feedback(
        self, post: Tensor, pre: Tensor, factor: float = 1.0, *, fired: Fired
    ) -> list[Tensor]:
        """Return factor times the sum over samples of post pre^T, and of post.

        Where the drive is held at a set point there is no c to learn: its change is 0.
        """
        if fired.normed is None:
            return outer(post, pre, factor)
        dendrite = self.homeostats.dendrite
        assert dendrite is not None
        at_raw, _, _ = dendrite.back(post, fired.normed)
        return [(at_raw * factor).mT @ pre, torch.zeros_like(self.feedback[1])]

    def onto_feedforward_and_below(
        self, post: Tensor, pre: Tensor, fired: Fired, corrected: bool = True
    ) -> tuple[list[Tensor], Tensor]:
        """Return the same, and F_i^T post."""
        at_raw = self._at_soma(post, fired, None, corrected)
        return [at_raw.mT @ pre, post.sum(-2)], at_raw @ self.feedforward[0]

    def sent_up(self, post: Tensor) -> Tensor:
        """Return G_i^T post, at the somata above."""
        return post @ self.feedback[0]

    def _at_soma(
        self,
        post: Tensor,
        fired: Fired,
        weight: Tensor | None = None,
        corrected: bool = True,
    ) -> Tensor:
        """Return a signal at the potentials as it is at the raw drive F_i h_i."""
        if fired.normed is None:
            return post
        soma = self.homeostats.soma
        assert soma is not None
        at_raw, _, _ = soma.back(post, fired.normed, None, weight, corrected)
        return at_raw

    def track_soma(self, fired: Fired) -> None:
        """Take the running statistics of the somata above on."""
        if self.homeostats.soma is not None:
            self.homeostats.soma.track(fired.normed)

    def track_dendrite(self, fired: Fired, dreaming: bool) -> None:
        """Take the running statistics of the dendrites below on."""
        held = self.homeostats.dream if dreaming else self.homeostats.dendrite
        if held is not None:
            held.track(fired.normed)

    def buffers(self) -> dict[str, Tensor]:
        """Return the running statistics of drives that are held at a set point."""
        return self.homeostats.buffers()

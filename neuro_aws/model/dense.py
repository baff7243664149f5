"""A dense connection between two layers of two-compartment units."""

from torch import Tensor

from neuro_aws.functional.batch_norm import Normed
from neuro_aws.functional.compartments import Fired, Psi, fire
from neuro_aws.functional.linear import affine
from neuro_aws.functional.plasticity import outer


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
    ) -> None:
        self.feedforward = feedforward
        self.feedback = feedback
        self.psi_below = psi_below
        self.psi_above = psi_above
        self.psi_predicted = psi_below if psi_predicted is None else psi_predicted

    def shape_below(self) -> tuple[int, ...]:
        """Return (n,)."""
        return (self.feedback[0].shape[-2],)

    def shape_above(self) -> tuple[int, ...]:
        """Return (m,)."""
        return (self.feedforward[0].shape[-2],)

    def feedforward_potential(
        self, below: Tensor, running: bool = False
    ) -> tuple[Tensor, Normed | None]:
        """Return F_i h_i + b, the noise-free drive of the somata above: (..., batch, m)."""
        return affine(below, *self.feedforward), None

    def feedback_potential(self, above: Tensor) -> tuple[Tensor, Normed | None]:
        """Return G_i h_{i+1} + c, the drive of the dendrites below: (..., batch, n)."""
        return affine(above, *self.feedback), None

    def recognise(self, below: Tensor) -> Fired:
        """Return psi(F_i h_i): what feedforward input alone makes the units above fire."""
        return fire(self.psi_above, affine(below, *self.feedforward))

    def predict(self, above: Tensor) -> Fired:
        """Return d_i = psi(G_i h_{i+1}): what feedback predicts the units below to fire."""
        return fire(self.psi_predicted, affine(above, *self.feedback))

    def onto_feedforward(self, post: Tensor, pre: Tensor, fired: Fired) -> list[Tensor]:
        """Return sum over samples of post pre^T, and of post."""
        return outer(post, pre)

    def onto_feedback(self, post: Tensor, pre: Tensor, fired: Fired) -> list[Tensor]:
        """Return sum over samples of post pre^T, and of post."""
        return outer(post, pre)

    def onto_feedforward_and_below(
        self, post: Tensor, pre: Tensor, fired: Fired
    ) -> tuple[list[Tensor], Tensor]:
        """Return the same, and F_i^T post."""
        return outer(post, pre), post @ self.feedforward[0]

    def track(self, fired: Fired) -> None:
        """Do nothing: a dense layer keeps no statistics."""

    def buffers(self) -> dict[str, Tensor]:
        """Return nothing."""
        return {}

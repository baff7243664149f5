"""A convolutional connection between two layers of two-compartment units."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from neuro_aws.functional import batch_norm
from neuro_aws.functional.batch_norm import Normed
from neuro_aws.functional.compartments import Fired, Psi, fire
from neuro_aws.functional.convolution import Geometry, down, outer, up
from neuro_aws.functional.spectral import leading, shrink, shrink_back


@dataclass(frozen=True, slots=True)
class ConvForm:
    """What kind of convolutional layer this is.

    geometry             kernel, stride and padding
    side_below           side of the maps below
    normalised           how the batch normalises the feedforward drive
    spectral             whether F_i is divided by its largest singular value, followed by one power
                         iteration a step
    feedback_normalised  whether the batch normalises the feedback drive too, in wake and in dreams,
                         to mean 0 and variance 1 of every channel
    """

    geometry: Geometry
    side_below: int
    normalised: Literal["none", "affine", "plain"] = "none"
    spectral: bool = False
    feedback_normalised: bool = False


class ConvLayer:
    """Feedforward F_i (convolution) and feedback G_i (transposed) between maps h_i and h_{i+1}.

    F_i and G_i are (m above, n below, k, k). ``feedforward`` is [F_i, bias], or [F_i, scale, shift]
    or [F_i] where the batch normalises the drive; ``feedback`` is [G_i, bias]. Units that share a
    pool are the channels at one position.
    """

    def __init__(
        self,
        feedforward: list[Tensor],
        feedback: list[Tensor],
        psi_below: Psi,
        psi_above: Psi,
        psi_predicted: Psi,
        form: ConvForm,
    ) -> None:
        self.feedforward = feedforward
        self.feedback = feedback
        self.psi_below = psi_below
        self.psi_above = psi_above
        self.psi_predicted = psi_predicted
        self.geometry = form.geometry
        self.side_below = form.side_below
        self.normalised = form.normalised
        self.feedback_normalised = form.feedback_normalised
        weight = feedforward[0]
        channels = weight.new_zeros(len(weight))
        self.running_mean, self.running_variance = channels, torch.ones_like(channels)
        self.left = torch.ones_like(channels) / math.sqrt(len(weight)) if form.spectral else None

    def shape_below(self) -> tuple[int, ...]:
        """Return (n, side, side)."""
        return (self.feedforward[0].shape[1], self.side_below, self.side_below)

    def shape_above(self) -> tuple[int, ...]:
        """Return (m, side / stride, side / stride), or one position at the top."""
        g = self.geometry
        side = (self.side_below + 2 * g.padding - g.kernel) // g.stride + 1
        return (self.feedforward[0].shape[0], side, side)

    def feedforward_potential(
        self, below: Tensor, running: bool = False
    ) -> tuple[Tensor, Normed | None]:
        """Return N_batch(F_i h_i): (batch, m, H', W')."""
        raw = up(below, self._effective(), self.geometry)
        if self.normalised == "none":
            return raw.add_(self.feedforward[1].view(-1, 1, 1)), None
        scale, shift = self._affine()
        if running:
            found = batch_norm.by_running(
                raw, scale, shift, self.running_mean, self.running_variance
            )
            return found, None
        return batch_norm.normalise(raw, scale, shift)

    def feedback_potential(self, above: Tensor) -> tuple[Tensor, Normed | None]:
        """Return N_batch(G_i h_{i+1}) or G_i h_{i+1} + c, the drive of the dendrites below."""
        if not self.feedback_normalised:
            return down(above, self.feedback[0], self.geometry, self.feedback[1]), None
        return batch_norm.normalise(down(above, self.feedback[0], self.geometry), None, None)

    def recognise(self, below: Tensor) -> Fired:
        """Return psi(F_i h_i): what feedforward input alone makes the units above fire."""
        potential, normed = self.feedforward_potential(below)
        return fire(self.psi_above, potential)._replace(normed=normed)

    def predict(self, above: Tensor) -> Fired:
        """Return d_i = psi(G_i h_{i+1}): what feedback predicts the units below to fire."""
        potential, normed = self.feedback_potential(above)
        return fire(self.psi_predicted, potential)._replace(normed=normed)

    def onto_feedforward(self, post: Tensor, pre: Tensor, fired: Fired) -> list[Tensor]:
        """Return sum over samples and positions of post pre^T, back through the batch's norm."""
        return self._onto(post, pre, fired)[0]

    def onto_feedforward_and_below(
        self, post: Tensor, pre: Tensor, fired: Fired
    ) -> tuple[list[Tensor], Tensor]:
        """Return the same, and the signal at the layer below."""
        found, at_raw = self._onto(post, pre, fired)
        return found, down(at_raw, self._effective(), self.geometry)

    def onto_feedback(self, post: Tensor, pre: Tensor, fired: Fired) -> list[Tensor]:
        """Return sum over samples and positions of post pre^T, and of post.

        Where the batch normalises the drive there is no bias to learn: its change is 0.
        """
        if fired.normed is None:
            return [outer(pre, post, self.feedback[0], self.geometry), post.sum((0, 2, 3))]
        post, _, _ = batch_norm.back(post, fired.normed, None)
        change = outer(pre, post, self.feedback[0], self.geometry)
        return [change, torch.zeros_like(self.feedback[1])]

    def track(self, fired: Fired) -> None:
        """Move the running statistics, and the direction of F's largest singular value."""
        if fired.normed is not None:
            batch_norm.track(self.running_mean, self.running_variance, fired.normed)
        if self.left is not None:
            self.left.copy_(leading(self.feedforward[0], self.left))

    def buffers(self) -> dict[str, Tensor]:
        """Return running statistics and the singular direction."""
        found = {}
        if self.normalised != "none":
            found = {"running_mean": self.running_mean, "running_variance": self.running_variance}
        return found if self.left is None else {**found, "left": self.left}

    def _affine(self) -> tuple[Tensor | None, Tensor | None]:
        if self.normalised == "plain":
            return None, None
        return self.feedforward[1], self.feedforward[2]

    def _effective(self) -> Tensor:
        weight = self.feedforward[0]
        return weight if self.left is None else shrink(weight, self.left)

    def _onto(self, post: Tensor, pre: Tensor, fired: Fired) -> tuple[list[Tensor], Tensor]:
        found: list[Tensor] = []
        if fired.normed is None:
            at_raw = post
            found = [post.sum((0, 2, 3))]
        else:
            at_raw, at_scale, at_shift = batch_norm.back(post, fired.normed, self._affine()[0])
            found = [t for t in (at_scale, at_shift) if t is not None]
        weight = self.feedforward[0]
        change = outer(at_raw, pre, weight, self.geometry)
        if self.left is not None:
            change = shrink_back(change, weight, self.left)
        return [change, *found], at_raw

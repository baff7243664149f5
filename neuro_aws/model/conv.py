"""A convolutional connection between two layers of two-compartment units."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from neuro_aws.functional.batch_norm import Normed
from neuro_aws.functional.compartments import Fired, Psi, fire
from neuro_aws.functional.convolution import Geometry, down, outer, up
from neuro_aws.functional.spectral import leading, shrink, shrink_back
from neuro_aws.model.homeostasis import UNHELD, Homeostats


@dataclass(frozen=True, slots=True)
class ConvForm:
    """What kind of convolutional layer this is.

    geometry    kernel, stride and padding
    side_below  side of the maps below
    spectral    whether F_i is divided by its largest singular value, followed by one power
                iteration a step
    learnt      what is learnt beside F_i: a bias (threshold), a scale and a shift, nothing
    """

    geometry: Geometry
    side_below: int
    spectral: bool = False
    learnt: Literal["bias", "affine", "nothing"] = "bias"


class ConvLayer:
    """Feedforward F_i (convolution) and feedback G_i (transposed) between maps h_i and h_{i+1}.

    F_i and G_i are (m above, n below, k, k). ``feedforward`` is [F_i, bias], [F_i, scale, shift] or
    [F_i]; ``feedback`` is [G_i, bias]. Units that share a pool are the channels at one position;
    ``homeostats`` hold the drive of every channel.
    """

    def __init__(
        self,
        feedforward: list[Tensor],
        feedback: list[Tensor],
        psi_below: Psi,
        psi_above: Psi,
        psi_predicted: Psi,
        form: ConvForm,
        homeostats: Homeostats = UNHELD,
    ) -> None:
        self.feedforward = feedforward
        self.feedback = feedback
        self.psi_below = psi_below
        self.psi_above = psi_above
        self.psi_predicted = psi_predicted
        self.geometry = form.geometry
        self.side_below = form.side_below
        self.learnt = form.learnt
        self.homeostats = homeostats
        weight = feedforward[0]
        channels = weight.new_ones(len(weight))
        self.left = channels / math.sqrt(len(weight)) if form.spectral else None

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
        """Return F_i h_i + b, held at its set point where it has one: (batch, m, H', W')."""
        scale, shift = self._affine()
        soma = self.homeostats.soma
        if soma is None:
            return up(below, self._effective(), self.geometry, shift), None
        return soma(up(below, self._effective(), self.geometry), scale, shift, running)

    def feedback_potential(
        self, above: Tensor, dreaming: bool = False
    ) -> tuple[Tensor, Normed | None]:
        """Return G_i h_{i+1} + c, or G_i h_{i+1} at its set point: the drive of the dendrites."""
        held = self.homeostats.dream if dreaming else self.homeostats.dendrite
        if held is None:
            return down(above, self.feedback[0], self.geometry, self.feedback[1]), None
        return held(down(above, self.feedback[0], self.geometry))

    def recognise(self, below: Tensor) -> Fired:
        """Return psi(F_i h_i): what feedforward input alone makes the units above fire."""
        potential, normed = self.feedforward_potential(below)
        return fire(self.psi_above, potential)._replace(normed=normed)

    def predict(self, above: Tensor, dreaming: bool = False) -> Fired:
        """Return d_i = psi(G_i h_{i+1}): what feedback predicts the units below to fire."""
        potential, normed = self.feedback_potential(above, dreaming)
        return fire(self.psi_predicted, potential)._replace(normed=normed)

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
        """Return factor times the sum of post pre^T, and of what else is learnt."""
        found = self._onto(post, pre, fired, weight, corrected)[0]
        return [change.mul_(factor) for change in found]

    def onto_feedforward_and_below(
        self, post: Tensor, pre: Tensor, fired: Fired, corrected: bool = True
    ) -> tuple[list[Tensor], Tensor]:
        """Return the same, and the signal at the layer below."""
        found, at_raw = self._onto(post, pre, fired, None, corrected)
        return found, down(at_raw, self._effective(), self.geometry)

    def onto_feedback(
        self, post: Tensor, pre: Tensor, factor: float = 1.0, *, fired: Fired
    ) -> list[Tensor]:
        """Return sum over samples and positions of post pre^T, and of post.

        Where the drive is held at a set point there is no bias to learn: its change is 0.
        """
        if fired.normed is None:
            change = outer(pre, post, self.feedback[0], self.geometry)
            return [change.mul_(factor), post.sum((0, 2, 3)).mul_(factor)]
        dendrite = self.homeostats.dendrite
        assert dendrite is not None
        post, _, _ = dendrite.back(post, fired.normed)
        change = outer(pre, post, self.feedback[0], self.geometry)
        return [change.mul_(factor), torch.zeros_like(self.feedback[1])]

    def sent_up(self, post: Tensor) -> Tensor:
        """Return G_i^T post, at the somata above: G_i as a convolution."""
        return up(post, self.feedback[0], self.geometry)

    def track_soma(self, fired: Fired) -> None:
        """Take on the running statistics above, and the direction of F's largest singular value."""
        if self.homeostats.soma is not None:
            self.homeostats.soma.track(fired.normed)
        if self.left is not None:
            self.left.copy_(leading(self.feedforward[0], self.left))

    def track_dendrite(self, fired: Fired, dreaming: bool) -> None:
        """Take the running statistics of the dendrites below on."""
        held = self.homeostats.dream if dreaming else self.homeostats.dendrite
        if held is not None:
            held.track(fired.normed)

    def buffers(self) -> dict[str, Tensor]:
        """Return running statistics and the singular direction."""
        found = self.homeostats.buffers()
        return found if self.left is None else {**found, "left": self.left}

    def _affine(self) -> tuple[Tensor | None, Tensor | None]:
        """Return the learnt scale and shift (threshold)."""
        if self.learnt == "affine":
            return self.feedforward[1], self.feedforward[2]
        return None, self.feedforward[1] if self.learnt == "bias" else None

    def _effective(self) -> Tensor:
        weight = self.feedforward[0]
        return weight if self.left is None else shrink(weight, self.left)

    def _onto(
        self,
        post: Tensor,
        pre: Tensor,
        fired: Fired,
        weight: Tensor | None = None,
        corrected: bool = True,
    ) -> tuple[list[Tensor], Tensor]:
        at_raw, at_scale = post, None
        if fired.normed is not None:
            soma = self.homeostats.soma
            assert soma is not None
            at_raw, at_scale, _ = soma.back(
                post, fired.normed, self._affine()[0], weight, corrected
            )
        found = [] if at_scale is None or self.learnt != "affine" else [at_scale]
        if self.learnt != "nothing":
            found.append(post.sum((0, 2, 3)))
        weight = self.feedforward[0]
        change = outer(at_raw, pre, weight, self.geometry)
        if self.left is not None:
            change = shrink_back(change, weight, self.left)
        return [change, *found], at_raw

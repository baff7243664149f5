"""What a layer is to the network and to a learning rule."""

from typing import Protocol

from torch import Tensor

from neuro_aws.functional.batch_norm import Normed
from neuro_aws.functional.compartments import Fired, Psi
from neuro_aws.model.homeostasis import Homeostats


class Layer(Protocol):
    """Feedforward F_i and feedback G_i between h_i below and h_{i+1} above.

    ``psi_above`` is the rate function of the units above, ``psi_below`` the one that those below
    dream with, ``psi_predicted`` the one that feedback predicts them with.
    """

    feedforward: list[Tensor]
    feedback: list[Tensor]
    psi_below: Psi
    psi_above: Psi
    psi_predicted: Psi
    homeostats: Homeostats

    def shape_below(self) -> tuple[int, ...]:
        """Return the shape of one sample of h_i."""
        ...

    def shape_above(self) -> tuple[int, ...]:
        """Return the shape of one sample of h_{i+1}."""
        ...

    def feedforward_potential(
        self, below: Tensor, running: bool = False
    ) -> tuple[Tensor, Normed | None]:
        """Return the noise-free drive of the somata above, and how it was normalised.

        ``running`` normalises by the running statistics as they are.
        """
        ...

    def feedback_potential(
        self, above: Tensor, dreaming: bool = False
    ) -> tuple[Tensor, Normed | None]:
        """Return the noise-free drive of the dendrites below, and how it was normalised.

        ``dreaming``: as it is held in REM, where it drives the somata; else as in wake.
        """
        ...

    def predict(self, above: Tensor, dreaming: bool = False) -> Fired:
        """Return d_i = psi(G_i h_{i+1}): what feedback predicts the units below to fire."""
        ...

    def recognise(self, below: Tensor) -> Fired:
        """Return psi(F_i h_i): what feedforward input alone makes the units above fire."""
        ...

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
        """Return factor times the sum over samples of post pre^T, as changes of ``feedforward``.

        ``weight`` and ``corrected`` as in ``Homeostat.back``: for drives held at a set point.
        """
        ...

    def onto_feedback(
        self, post: Tensor, pre: Tensor, factor: float = 1.0, *, fired: Fired
    ) -> list[Tensor]:
        """Return factor times the sum over samples of post pre^T, as changes of ``feedback``."""
        ...

    def onto_feedforward_and_below(
        self, post: Tensor, pre: Tensor, fired: Fired, corrected: bool = True
    ) -> tuple[list[Tensor], Tensor]:
        """Return the same, and the signal sent on to the layer below (``backprop`` only)."""
        ...

    def sent_up(self, post: Tensor) -> Tensor:
        """Return G_i^T post: a signal at the dendrites below, sent back to the somata above.

        Where feedback is not held at a set point, whose way back it leaves out.
        """
        ...

    def track_soma(self, fired: Fired) -> None:
        """Bring running statistics up to date with a step that drove the somata above so."""
        ...

    def track_dendrite(self, fired: Fired, dreaming: bool) -> None:
        """Bring running statistics up to date with a step that drove the dendrites below so."""
        ...

    def buffers(self) -> dict[str, Tensor]:
        """Return what the layer keeps beside its weights, by name."""
        ...

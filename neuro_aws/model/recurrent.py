"""A recurrent network: a layer of gated units that reads a sequence and predicts its next symbol.

h_0 is a sequence of symbols, h_1 the states of the gated units. Both are laid out as maps, (batch,
units, time, 1), so that a unit is silenced, followed and recorded as a channel is.

    h_1(t) = g * GRU(h_0(t - 1), h_1(t - 1)),   h_0(0) = h_1(0) = 0        F: inputs, L: recurrence
    d_0(t) = p(t) = softmax(G h_1(t) + c)                                 of the symbol at t
    wake   h_0(t) = y_t                      the sequence drives the soma, the dendrite predicts
    REM    h_0(t) ~ p(t)                     the dendrite drives the soma: the net runs freely

The drive switch is teacher forcing. g is the gain of a unit (silencing: 0): it acts on the soma,
so that what a silenced unit sends to others through L and G is 0 too. At t h_1 has seen what came
before t, and all symbols are predicted, the first too. (torch's GRU has h(t) see x(t): h_0 comes
in a step late.)
"""

from typing import Any

import torch
from torch import Tensor

from neuro_aws.functional.compartments import Fired
from neuro_aws.functional.gru import Cell
from neuro_aws.functional.in_time import maps
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.model.gated import GatedLayer
from neuro_aws.model.network import NO_GAINS, Gains, Network
from neuro_aws.model.passes import Modulation
from neuro_aws.model.prior import Prior
from neuro_aws.model.state import LayerState, NetworkState
from neuro_aws.phase import Phase
from neuro_aws.protocol.projections import GATES


class NothingDrawn(Prior):
    """Of a network that runs freely from silence: nothing is drawn."""

    def __init__(self, layer: GatedLayer) -> None:
        super().__init__((0,), layer.psi_above, None)
        self._layer = layer

    def __call__(self, count: int, noise: NoiseSource) -> Tensor:
        """Return ``count`` rows of nothing."""
        return self._layer.feedback[0].new_empty(count, 0)


class RecurrentNetwork(Network):
    """A layer of gated units over sequences, with the passes of wake and REM of its own."""

    in_time = True

    def __init__(self, *parts: Any, **more: Any) -> None:
        """Take what every network is made of; sequences start from nothing."""
        super().__init__(*parts, **more)
        self.prior = NothingDrawn(self.gated)

    @property
    def gated(self) -> GatedLayer:
        """Return its layer."""
        (layer,) = self.layers
        assert isinstance(layer, GatedLayer)
        return layer

    def recognise(
        self,
        stimulus: Tensor,
        noise: NoiseSource | None,
        gains: Gains = NO_GAINS,
        running: bool = False,
        until: int | None = None,
        modulated: Modulation | None = None,
    ) -> NetworkState:
        """Wake, teacher forcing: the sequence drives h_0, and h_0 with L drives h_1.

        There is one layer to fire, and no theory in time modulates its drive.
        """
        x = self.admit(stimulus)
        below, above = gains.get(0), gains.get(1)
        if below is not None:
            x = x * below
        drive, soma = self.gated.fire(x, above)
        layers = (LayerState(x, x, gain=below), LayerState(soma, soma, drive, gain=above))
        return NetworkState(Phase.WAKE, layers)

    def dream(
        self, top: Tensor, noise: NoiseSource | None, gains: Gains = NO_GAINS
    ) -> NetworkState:
        """REM, free running: as many sequences as ``top`` has rows, each from silence."""
        symbols = self.run_freely(len(top), self.gated.steps, noise, gains)
        return self.ran(symbols, gains)

    def ran(self, symbols: Tensor, gains: Gains = NO_GAINS) -> NetworkState:
        """Return the state of a free run that has drawn these symbols (batch, time, K)."""
        y, below, above = maps(symbols), gains.get(0), gains.get(1)
        x = y if below is None else y * below
        drive, soma = self.gated.fire(x, above)
        predicted = self.gated.predict(soma)
        switched = Fired(y, predicted.potential, predicted.value)
        layers = (
            LayerState(x, x, switched, gain=below),
            LayerState(soma, soma, drive, gain=above),
        )
        return NetworkState(Phase.REM, layers)

    def run_freely(
        self,
        count: int,
        steps: int,
        noise: NoiseSource | None,
        gains: Gains = NO_GAINS,
        forced: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Return symbols drawn one after the other (count, steps, K), each read by the next step.

        y_t = argmax_k of logit_k + e_k, e_k = -log(-log u), u uniform: a draw from p. ``noise``
        None: e = 0, the likeliest ones. ``forced``: a sequence (count, steps, K), and where it
        takes the place of what is drawn (count, steps).
        """
        layer = self.gated
        weight, bias = layer.feedback
        below, above = (None if i not in gains else gains[i].flatten() for i in (0, 1))
        cell = Cell.of(layer.gates, below, above)
        drawn, turned = list[Tensor](), weight.T
        with torch.no_grad():
            luck = weight.new_zeros(steps, 1, len(weight))
            if noise is not None:
                uniform = noise.uniform(torch.Size((count, steps, len(weight))))
                luck = -(-uniform.log()).log().transpose(0, 1)
            offered = (luck + bias).expand(-1, count, -1).unbind(0)
            true = given = None
            if forced is not None:
                true, given = forced[0].argmax(-1).unbind(1), forced[1].unbind(1)
            h = weight.new_zeros(count, len(cell.bias) // GATES)
            driven = layer.gates.input_bias.expand(count, -1)
            for t in range(steps):
                h = cell.step(driven, h)
                chosen = torch.addmm(offered[t], h, turned).argmax(-1)
                if true is not None and given is not None:
                    chosen = torch.where(given[t], true[t], chosen)
                drawn.append(chosen)
                driven = cell.driven.index_select(0, chosen)
        symbols = weight.new_zeros(count, steps, len(weight))
        return symbols.scatter_(-1, torch.stack(drawn, 1).unsqueeze(-1), 1.0)

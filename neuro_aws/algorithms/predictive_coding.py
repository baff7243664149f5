"""Predictive coding: activity settles on the prediction errors, then feedback learns from them."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from neuro_aws.algorithms.base import (
    Declared,
    feedback_delta,
    propagate,
    recognition_delta,
)
from neuro_aws.functional.compartments import Fired, pull_back
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.functional.shapes import rows
from neuro_aws.model.network import NO_GAINS, Gains, Network
from neuro_aws.model.state import AcetylcholineSignal, Delta, Deltas, LayerState, NetworkState
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD, NREM, REM, WAKE, Phase
from neuro_aws.protocol import theories_of_energy as sections
from neuro_aws.protocol.model import NetworkSection


class PredictiveCoding:
    """Somata settle where the prediction errors are small; then feedback learns from what is left.

        E = 1/2 sum_{i<N} |e_i|^2 + 1/2 |e_N|^2,   e_i = h_i - psi(G_i h_{i+1}),   e_N = h_N - mu
        wake   h_0 = x;  h_1 ... h_N start as F makes them fire (with noise), then ``steps`` times
                   u_i += rate g_i ( - e_i + G_{i-1}^T (psi'(.) e_{i-1}) ),   h_i = g_i u_i
               dG_i = + < (e_i psi'(.)) h_{i+1}^T >
        amortised: true
               dF_i = + < (h_{i+1} - psi(F_i h_i)) psi'(.) h_i^T >

    < > is the batch mean; h_i the somata, all of which settle at once, u_i what a soma would fire
    but for its gain g_i (1 unless perturbed, 0 where silenced: silent at every step); mu the
    prior's mean; psi' the transposed Jacobian of psi, its pool included. Settling and learning
    both descend E. It is local to the synapse, given the errors in place; G_{i-1}^T carries them up
    by the weights that carry predictions down. A silenced soma is one that is observed to fire 0:
    its error stays, and the layer above explains it. F says only where settling starts: it stays as
    initialised, or (``amortised``) learns to predict where it ended. REM dreams from the prior, one
    pass down. D learns in wake and REM, so that ACh can be read; it has no effect.
    Rao & Ballard 1999; Whittington & Bogacz 2017; amortised: Tschantz et al. 2023.
    """

    changes: ClassVar[Declared] = {
        WAKE: (FEEDFORWARD, FEEDBACK, DISCRIMINATOR),
        REM: (DISCRIMINATOR,),
    }
    gated: ClassVar[tuple[str, ...]] = ()
    return_path = False

    def __init__(self, section: sections.PredictiveCoding, network: NetworkSection) -> None:
        self.steps = section.settling_steps
        self.rate = section.settling_rate
        self.amortised = section.amortised
        if not self.amortised:  # F stays as it is: less than the class declares
            wake = (FEEDBACK, DISCRIMINATOR)
            self.changes = {**type(self).changes, WAKE: wake}  # type: ignore[misc]

    def propagate(
        self, network: Network, stimulus: Tensor, phase: Phase, noise: NoiseSource, gains: Gains
    ) -> NetworkState:
        """Return the activity of one step: settled, with its predictions, in wake; else a dream."""
        if phase is not WAKE:
            return propagate(network, stimulus, phase, noise, gains)
        return network.with_dendrites(self.recognise(network, stimulus, noise, gains))

    def recognise(
        self,
        network: Network,
        stimuli: Tensor,
        noise: NoiseSource | None,
        gains: Gains = NO_GAINS,
        running: bool = False,
    ) -> NetworkState:
        """Return the settled state."""
        start = network.recognise(stimuli, noise, gains, running)
        first, *above = start.layers
        rates = [first.soma]
        for layer in above:
            assert layer.drive is not None
            rates.append(layer.drive.rate)
        settled = settle(network, rates, self.steps, self.rate, gains)
        layers = [first]
        for layer, rate in zip(above, settled[1:], strict=True):
            assert layer.drive is not None
            soma = rate if layer.gain is None else rate * layer.gain
            drive = layer.drive._replace(rate=rate)
            layers.append(LayerState(soma, soma, drive, layer.xi, layer.gain))
        return NetworkState(WAKE, tuple(layers))

    def objective(self, network: Network, stimuli: Tensor, noise: NoiseSource) -> Tensor:
        """Return the energy of the settled state, mean over stimuli; noise off."""
        return energy(network, self.recognise(network, stimuli, None).somas).mean()

    def deltas(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal, phase: Phase
    ) -> Deltas:
        """Return dG and dD in wake, dF too if it is amortised; dD in REM."""
        if phase is NREM:
            return {}
        deltas: Deltas = {DISCRIMINATOR: Delta(network.acetylcholine.plasticity(state, ach))}
        if phase is WAKE:
            deltas[FEEDBACK] = Delta(feedback_delta(network, state, "gaussian"))
            if self.amortised:
                deltas[FEEDFORWARD] = Delta(recognition_delta(network, state, "gaussian"))
        return deltas


def settle(
    network: Network,
    rates: Sequence[Tensor],
    steps: int,
    rate: float,
    gains: Gains = NO_GAINS,
    clamped: tuple[int, ...] = (0,),
) -> list[Tensor]:
    """Return u_0 ... u_N after so many steps down the energy; layers that are clamped stay."""
    settled = list(rates)
    free = [i for i in range(network.depth + 1) if i not in clamped]
    gains = {i: gain for i, gain in gains.items() if i in free}
    for _ in range(steps):
        somas = [u * gains[i] if i in gains else u for i, u in enumerate(settled)]
        slopes = slope(network, somas)
        for i in free:
            down = slopes[i] if i not in gains else slopes[i] * gains[i]
            settled[i] = settled[i].add(down, alpha=-rate)
    return settled


def slope(network: Network, somas: Sequence[Tensor]) -> list[Tensor]:
    """Return dE/dh_i = e_i - G_{i-1}^T (psi'(.) e_{i-1}) of every layer, written out."""
    predictions, errors = _errors(network, somas)
    found = list(errors)
    for i, layer in enumerate(network.layers):
        at_dendrite = pull_back(layer.psi_predicted, errors[i], predictions[i])
        found[i + 1] = found[i + 1] - layer.sent_up(at_dendrite)
    return found


def energy(network: Network, somas: Sequence[Tensor]) -> Tensor:
    """Return E of each sample."""
    _, errors = _errors(network, somas)
    return torch.stack([rows(e).square().sum(1) / 2 for e in errors]).sum(0)


def _errors(network: Network, somas: Sequence[Tensor]) -> tuple[list[Fired], list[Tensor]]:
    """Return what is predicted of h_0 ... h_{N-1}, and e_0 ... e_N."""
    predictions = [
        layer.predict(above) for layer, above in zip(network.layers, somas[1:], strict=True)
    ]
    errors = [h - d.rate for h, d in zip(somas, predictions, strict=False)]
    return predictions, [*errors, somas[-1] - network.prior.mean(somas[-1])]

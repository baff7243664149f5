"""The DDC Helmholtz machine (Vertes & Sahani 2018): posteriors by expectations of many functions.

Sleep teaches recognition, and linear read-outs of all expectations that learning in wake needs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from neuro_aws.algorithms.asked import Memory
from neuro_aws.algorithms.base import Declared
from neuro_aws.functional import ddc
from neuro_aws.functional.compartments import Fired
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.functional.plasticity import batch_of
from neuro_aws.model.network import NO_GAINS, Gains, Network
from neuro_aws.model.state import (
    AcetylcholineSignal,
    Delta,
    Deltas,
    LayerState,
    NetworkState,
)
from neuro_aws.phase import (
    DISCRIMINATOR,
    FEEDBACK,
    FEEDFORWARD,
    LATERAL,
    NREM,
    READOUT,
    REM,
    WAKE,
    Phase,
)
from neuro_aws.protocol import theories_of_expectations as sections
from neuro_aws.protocol.model import NetworkSection

STEPS = "rem_steps"
"""Name in memory of the number of REM steps so far."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a pass up through the code says: r_0 ... r_N of each sample, before gains."""

    codes: list[Tensor]


@dataclass(frozen=True, slots=True)
class Asleep:
    """A dream in code, and what is brought up to date by it.

    dreamt      k_0 ... k_N of what the layers fire
    recognised  r_0 ... r_N: what recognition expects of the dreamt stimulus
    moments     second moments of k_1 ... k_N and of r_0 ... r_{N-1}, this step's included, by name
    """

    dreamt: list[Tensor]
    recognised: list[Tensor]
    moments: dict[str, Tensor]


class DdcHelmholtz:
    """A posterior is a vector of expectations, r_l(x) = E_q[h_l, T_l(h_l), 1]; learning reads it.

    Generative model, z_l the potential of h_l = psi(z_l), h_0 = x, linear at bottom and top:

        z_l | h_{l+1} ~ N(G_l h_{l+1} + c_l, sigma^2 I)          S_l = z_l
        h_N ~ N(theta, I), or Laplace with standard deviation e^theta      S_N = h_N, or |h_N|

    or units that fire 0 or 1, h_l with the probability mu_l = sigmoid(G_l h_{l+1} + c_l), h_N with
    sigmoid(theta); S_l = h_l. Code, with T_l = tanh(s w . h_l + v) fixed and random:

        wake   E h_{l+1} = [F_l, A_l, b_l] r_l,   E T_{l+1} = W_l r_l,   r_0 = [x, T_0(x), 1]
               d[G_0, c_0] = + < x E[h_1; 1]^T - beta_1 r_1 >
               d[G_l, c_l] = + < alpha_l r_l - beta_{l+1} r_{l+1} >                0 < l < N
               dtheta      = + < alpha_N r_N - grad Phi_N(theta) >
        REM    dreams x^s, h_l, and of each its own code k_l = [h_l, T_l(h_l), 1]
               d[F_l, A_l, b_l; W_l] = + < (k_{l+1} - r_{l+1}(x^s)) r_l(x^s)'^T >  (but for the 1)
               dalpha_l = + < (S_l [h_{l+1}; 1]^T - alpha_l k_l) k_l'^T >          l < N
               dalpha_N = + < (|h_N| - alpha_N k_N) k_N'^T >                       Laplace
               dbeta_l  = + < (h_l h_l^T - beta_l k_l) k_l'^T >                    Gaussian
               dbeta_l  = + < (mu_{l-1} [h_l; 1]^T - beta_l k_l) k_l'^T >          0 or 1

    ' decorrelates by C^-1, C the running second moments of what the rule reads (memory;
    ``decorrelated: false`` leaves it as it is); < > is the batch mean; 1 / sigma^2 is part of the
    rate. A Gaussian's mean is linear in G, so its beta_l r_l is [G_{l-1}, c_{l-1}] times what is
    read out of [h_l; 1] [h_l; 1]^T, which does not age as G learns. The expectation of h_l is part
    of the code, so alpha_0 (and alpha_N, but for |h_N|) is the identity, and F_l the block of
    recognition from the units of a layer to those above. h_l in wake is the posterior mean, without
    noise. Gains multiply it, and what feedback learns of it, but not the code's other functions.
    Code and read-outs start from 0, F as everywhere. Grad Phi_N is theta, the mean of |h_N|, or the
    probability; of a Laplace density the change is that of its log-scale.

    Nothing gates, nothing is learnt in NREM. D, read as ACh, has no effect. To the synapse: dG, and
    without ' all of sleep. Eqs. 8, 10, 18 - 23 of Vertes & Sahani 2018 and its appendix.
    """

    changes: ClassVar[Declared] = {
        WAKE: (FEEDBACK, DISCRIMINATOR),
        REM: (FEEDFORWARD, DISCRIMINATOR, READOUT),
    }
    gated: ClassVar[tuple[str, ...]] = ()
    return_path = False

    def __init__(self, section: sections.DdcHelmholtz, network: NetworkSection) -> None:
        self.section = section
        self.binary = network.units == "binary"
        self.sparse = section.sparse(network)
        self.memory: Memory = {}

    def initialise(self, network: Network) -> None:
        """Start code and read-outs from 0: at first nothing is expected beyond what F says."""
        for i in range(1, network.depth + 1):
            for name in sections.code_tensors(i):
                network.parameters(FEEDFORWARD)[name].zero_()
        for readout in network.parameters(READOUT).values():
            readout.zero_()

    def propagate(
        self, network: Network, stimulus: Tensor, phase: Phase, noise: NoiseSource, gains: Gains
    ) -> NetworkState:
        """Return posterior means in wake, and a dream in sleep; in REM with all that it teaches."""
        if phase is WAKE:
            state = self.recognise(network, stimulus, noise, gains)
            seen = network.with_dendrites(state)
            return NetworkState(WAKE, seen.layers, graph=state.graph)
        dreamt = network.dream(self.top(network, stimulus, noise), noise, gains)
        graph = self._asleep(network, dreamt) if phase is REM else None
        return NetworkState(phase, dreamt.layers, graph=graph)

    def top(self, network: Network, drawn: Tensor, noise: NoiseSource) -> Tensor:
        """Return h_N from p(h_N), given draws of the network's own prior, N(0, I)."""
        theta = network.parameters(FEEDBACK)[sections.PRIOR]
        if self.binary:
            return (noise.uniform(drawn.shape) < torch.sigmoid(theta)).to(drawn.dtype)
        return ddc.laplacian_of(drawn) * theta.exp() if self.sparse else drawn + theta

    def recognise(
        self,
        network: Network,
        stimuli: Tensor,
        noise: NoiseSource | None,
        gains: Gains = NO_GAINS,
        running: bool = False,
    ) -> NetworkState:
        """Return the posterior means of all layers, ``graph`` the whole code; nothing is drawn."""
        x = network.admit(stimuli)
        gain = gains.get(0)
        x = x if gain is None else x * gain
        layers, codes = [LayerState(x, x, gain=gain)], [self.code(network, 0, x)]
        sent = codes[0]
        for i in range(1, network.depth + 1):
            code = self.above(network, i, sent)
            mean = code[:, : network.sizes[i]]
            gain = gains.get(i)
            soma = mean if gain is None else mean * gain
            layers.append(LayerState(soma, soma, Fired(mean, mean, mean), None, gain))
            codes.append(code)
            sent = code if gain is None else torch.cat([soma, code[:, network.sizes[i] :]], 1)
        return NetworkState(WAKE, tuple(layers), graph=Expected(codes))

    def code(self, network: Network, layer: int, rates: Tensor) -> Tensor:
        """Return k_l of samples."""
        functions = network.parameters(LATERAL)[sections.functions_tensor(layer)]
        return ddc.code_of(rates, functions, self.section.gain)

    def above(self, network: Network, layer: int, code: Tensor) -> Tensor:
        """Return r_l, given r_{l-1}."""
        return ddc.coded(code @ self._recognition(network, layer).mT)

    def _recognition(self, network: Network, layer: int) -> Tensor:
        """Return [F, A, b; W] into a layer, as one matrix."""
        weights = network.parameters(FEEDFORWARD)
        feedforward = f"{FEEDFORWARD}_into{layer}"
        into_code, from_code = sections.code_tensors(layer)
        threshold = weights[f"{feedforward}_bias"][:, None]
        units = torch.cat([weights[feedforward], weights[from_code], threshold], 1)
        return torch.cat([units, weights[into_code]])

    def _asleep(self, network: Network, dreamt: NetworkState) -> Asleep:
        codes = [self.code(network, i, h) for i, h in enumerate(dreamt.somas)]
        recognised = [codes[0]]
        for i in range(1, network.depth + 1):
            recognised.append(self.above(network, i, recognised[-1]))
        moments: dict[str, Tensor] = {}
        if self.section.decorrelated:
            read = {f"dreamt{i}": code for i, code in enumerate(codes) if i}
            read |= {f"recognised{i}": code for i, code in enumerate(recognised[:-1])}
            moments = {
                name: ddc.followed(self.memory.get(name), code, self.weight(code))
                for name, code in read.items()
            }
        return Asleep(codes, recognised, moments)

    def weight(self, like: Tensor) -> Tensor:
        """Return what this REM step weighs in the moments: 2 / (t + 1), then ``forgetting``."""
        before = self.memory.get(STEPS, like.new_zeros(()))
        return (2 / (before.to(like.dtype) + 2)).clamp(min=self.section.forgetting)

    def track(self, network: Network, state: NetworkState) -> None:
        """Bring the second moments of the codes up to date with a REM step."""
        if isinstance(state.graph, Asleep):
            self.memory.update(state.graph.moments)
            before = self.memory.get(STEPS, state.somas[0].new_zeros(()))
            self.memory[STEPS] = before + 1

    def dream(
        self, network: Network, count: int, noise: NoiseSource, gains: Gains = NO_GAINS
    ) -> NetworkState:
        """Return so many dreams."""
        top = self.top(network, network.prior(count, noise), noise)
        return network.dream(top, noise, gains)

    def objective(self, network: Network, stimuli: Tensor, noise: NoiseSource) -> Tensor:
        """Return what the code expects the stimulus to be worth: E_q of the error, mean over them.

        Rates: E_q |x - G_0 h_1 - c_0|^2 / 2, linear in the code. Units that fire 0 or 1: the cross-
        entropy of x from the posterior means of h_1, nats.
        """
        state = self.recognise(network, stimuli, None)
        assert isinstance(state.graph, Expected)
        x, mean = state.somas[:2]
        weight, bias = network.layers[0].feedback
        predicted = mean @ weight.mT + bias
        if self.binary:
            return (softplus(predicted) - x * predicted).sum(1).mean()
        squares = ddc.square(self._read(network, sections.beta(1), state.graph.codes[1]), mean)
        spread = squares - mean.unsqueeze(-1) * mean.unsqueeze(-2)
        unsure = torch.einsum("ij,ik,bjk->b", weight, weight, spread)
        return ((x - predicted).square().sum(1) + unsure).mean() / 2

    def _read(self, network: Network, name: str, code: Tensor) -> Tensor:
        return code @ network.parameters(READOUT)[name].mT

    def deltas(
        self, network: Network, state: NetworkState, ach: AcetylcholineSignal, phase: Phase
    ) -> Deltas:
        """Return dG (with dtheta) in wake; dF with the code's and dalpha, dbeta in REM; dD."""
        if phase is NREM:
            return {}
        deltas: Deltas = {DISCRIMINATOR: Delta(network.acetylcholine.plasticity(state, ach))}
        if isinstance(state.graph, Expected):
            deltas[FEEDBACK] = Delta(self._feedback(network, state, state.graph))
        elif isinstance(state.graph, Asleep):
            deltas[FEEDFORWARD] = Delta(self._recognising(network, state.graph))
            deltas[READOUT] = Delta(self._reading(network, state, state.graph))
        return deltas

    def _feedback(
        self, network: Network, state: NetworkState, expected: Expected
    ) -> dict[str, Tensor]:
        weights = network.parameters(READOUT)
        changes: dict[str, Tensor] = {}
        means = [code.mean(0) for code in expected.codes]
        for i in range(network.depth):
            above = state.layers[i + 1]
            gain = above.gain
            factor = None if gain is None else ddc.coded(gain.expand(network.sizes[i + 1]))
            if i:
                statistic = weights[sections.alpha(i)] @ means[i]
                statistic = statistic.view(network.sizes[i], -1)
                statistic = statistic if factor is None else statistic * factor
            else:
                x = state.layers[0].soma
                statistic = x.mT @ ddc.coded(above.soma) / batch_of(x)
            second = weights[sections.beta(i + 1)] @ means[i + 1]
            mean = above.soma.mean(0)
            if self.binary:
                second = second.view(network.sizes[i], -1)
                second = second if factor is None else second * factor
                found = ddc.bernoulli_feedback_plasticity(statistic, second)
            else:
                squares = ddc.square(second, mean)
                if gain is not None:
                    squares = squares * gain * gain.expand(len(mean))[:, None]
                weight, bias = network.layers[i].feedback
                found = ddc.gaussian_feedback_plasticity(statistic, squares, mean, weight, bias)
            changes |= network.feedback_changes(i, found)
        return changes | {sections.PRIOR: self._prior(network, state, means[-1])}

    def _prior(self, network: Network, state: NetworkState, code: Tensor) -> Tensor:
        """Return < alpha_N r_N > - grad Phi_N, by theta (of a Laplacian: its log-scale)."""
        theta = network.parameters(FEEDBACK)[sections.PRIOR]
        if self.sparse:
            size = network.parameters(READOUT)[sections.alpha(network.depth)] @ code
            return size / (theta.exp() / 2**0.5) - 1
        mean = state.layers[-1].soma.mean(0)
        return mean - (torch.sigmoid(theta) if self.binary else theta)

    def _recognising(self, network: Network, asleep: Asleep) -> dict[str, Tensor]:
        changes: dict[str, Tensor] = {}
        for i in range(1, network.depth + 1):
            below = self._presynaptic(asleep, f"recognised{i - 1}", asleep.recognised[i - 1])
            target, predicted = asleep.dreamt[i][:, :-1], asleep.recognised[i][:, :-1]
            found = ddc.code_plasticity(target, predicted, below)
            units, n = found[: network.sizes[i]], network.sizes[i - 1]
            into_code, from_code = sections.code_tensors(i)
            changes |= network.feedforward_changes(i - 1, [units[:, :n], units[:, -1]])
            changes |= {into_code: found[network.sizes[i] :], from_code: units[:, n:-1]}
        return changes

    def _reading(self, network: Network, state: NetworkState, asleep: Asleep) -> dict[str, Tensor]:
        changes: dict[str, Tensor] = {}
        for i in range(1, network.depth + 1):
            code = asleep.dreamt[i]
            read = self._presynaptic(asleep, f"dreamt{i}", code)
            for name, target in self.targets(state.layers, i).items():
                predicted = self._read(network, name, code)
                changes[name] = ddc.code_plasticity(target, predicted, read)
        return changes

    def targets(self, layers: Sequence[LayerState], i: int) -> dict[str, Tensor]:
        """Return what the read-outs of layer i are to expect, of each dream, by name."""
        layer, found = layers[i], {}
        if layer.drive is not None:
            found[sections.alpha(i)] = ddc.joint(self._statistic(layer.drive), layers[i + 1].soma)
        elif self.sparse:
            found[sections.alpha(i)] = layer.soma.abs()
        if self.binary:
            below = layers[i - 1].drive
            assert below is not None
            found[sections.beta(i)] = ddc.joint(below.value, layer.soma)
        else:
            found[sections.beta(i)] = ddc.pairs(layer.soma)
        return found

    def _statistic(self, drive: Fired) -> Tensor:
        """Return S_l of a driven layer: what it fires where that is 0 or 1, else its potential."""
        return drive.rate if self.binary else drive.potential

    def _presynaptic(self, asleep: Asleep, name: str, code: Tensor) -> Tensor:
        if name not in asleep.moments:
            return code
        return ddc.decorrelated(code, asleep.moments[name])

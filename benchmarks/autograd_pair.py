"""A pair of wake and REM by autograd: what the written-out rules are timed against.

The same maths (credit `layer`, Adam, gradient penalty by double differentiation), in two forms:

``AutogradPair``   the usual way: modules, a loss for each network, its own backward pass for each,
                   the penalty as the usual function with its own pass of the discriminator
                   (five passes a pair, as in the published code)
``LeanPair``       the same with every pass shared that autograd lets one share

They share no code with the rules but the numbers they start from.
"""

import itertools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, mse_loss

from neuro_aws.functional.discriminator import Weights
from neuro_aws.model.network import Network
from neuro_aws.model.state import Tensors
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD
from neuro_aws.protocol.theories_of_cortex import AdversarialWakeSleep


def rms(v: Tensor) -> Tensor:
    """v / sqrt(mean v^2 + 1e-8)."""
    return v / torch.sqrt((v**2).mean(-1, keepdim=True) + 1e-8)


def linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """Return a module with these weights."""
    module = nn.Linear(weight.shape[1], weight.shape[0], dtype=weight.dtype)
    module.weight.data.copy_(weight)
    module.bias.data.copy_(bias)
    return module


def maps_of(tensors: Tensors) -> nn.ModuleList:
    """Return a module for every weight with its bias, from the bottom up."""
    weights = [name for name in tensors if not name.endswith("_bias")]
    return nn.ModuleList(linear(tensors[name], tensors[f"{name}_bias"]) for name in weights)


class Inference(nn.Module):
    """F: each layer sees the one below with the graph cut (credit `layer`)."""

    def __init__(self, tensors: Tensors, sigma: float) -> None:
        super().__init__()
        self.maps = maps_of(tensors)
        self.sigma = sigma

    def forward(self, x: Tensor, noise: list[Tensor]) -> list[Tensor]:
        """Return h_0 ... h_N."""
        states = [x]
        for i, (layer, xi) in enumerate(zip(self.maps, noise, strict=True)):
            a = layer(states[-1].detach()) + self.sigma * xi
            states.append(a if i == len(self.maps) - 1 else rms(torch.relu(a)))
        return states


class Generator(nn.Module):
    """G: predictions in wake, dreams in REM."""

    def __init__(self, tensors: Tensors, sigma: float) -> None:
        super().__init__()
        self.maps = maps_of(tensors)
        self.sigma = sigma

    def down(self, i: int, above: Tensor, xi: Tensor | None = None) -> Tensor:
        """Return h_i, or the prediction of it, from h_{i+1}."""
        a = self.maps[i](above)
        if xi is not None:
            a = a + self.sigma * xi
        return torch.tanh(a) if i == 0 else rms(torch.relu(a))

    def dream(self, top: Tensor, noise: list[Tensor]) -> list[Tensor]:
        """Return h_0 ... h_N."""
        states = [top]
        for i, xi in zip(reversed(range(len(self.maps))), noise, strict=True):
            states.append(self.down(i, states[-1], xi))
        return states[::-1]


class Discriminator(nn.Module):
    """D: one hidden layer for each pair of neighbours."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        pairs = len(weights.pairs)
        joint = [
            torch.cat([weights.columns(i, i), weights.columns(i, i + 1)], -1) for i in range(pairs)
        ]
        self.hidden = nn.ModuleList(
            linear(w, b) for w, b in zip(joint, weights.bias.chunk(pairs), strict=True)
        )
        self.readouts = nn.ParameterList(r.clone() for r in weights.readout.chunk(pairs))
        self.sizes = [v.shape[-1] for v in weights.reading]

    def by_state(self) -> list[Tensor]:
        """Return the weights as the product keeps them: those that read each state."""
        halves = [
            torch.split(m.weight, self.sizes[i : i + 2], 1)  # type: ignore[arg-type]
            for i, m in enumerate(self.hidden)
        ]
        inner = [torch.cat([a[1], b[0]]) for a, b in itertools.pairwise(halves)]
        return [halves[0][0], *inner, halves[-1][1]]

    def forward(self, states: list[Tensor]) -> Tensor:
        """Return D of each sample."""
        parts = [
            leaky_relu(layer(torch.cat(pair, -1)), 0.1) @ readout
            for layer, readout, pair in zip(
                self.hidden, self.readouts, itertools.pairwise(states), strict=True
            )
        ]
        level: Tensor = torch.stack(parts).sum(0)
        return level


def norm_penalty(level: Tensor, inputs: list[Tensor]) -> Tensor:
    """Return mean (||g|| - 1)^2 of a D that was read from ``inputs``."""
    gradients = torch.autograd.grad(level.sum(), inputs, create_graph=True)
    norm = torch.sqrt(torch.cat(gradients, -1).square().sum(-1) + 1e-12)
    penalty: Tensor = ((norm - 1) ** 2).mean()
    return penalty


class AutogradPair:
    """One network learning by ``loss.backward()``, the usual way."""

    def __init__(self, network: Network, section: AdversarialWakeSleep) -> None:
        self.f = Inference(network.parameters(FEEDFORWARD), network.noise.sigma)
        self.g = Generator(network.parameters(FEEDBACK), network.noise.sigma)
        self.d = Discriminator(network.acetylcholine.weights)
        self.penalty, self.kl = network.acetylcholine.form.penalty, section.kl
        settings = (
            (self.f, section.feedforward),
            (self.g, section.feedback),
            (self.d, section.discriminator),
        )
        self.adam_f, self.adam_g, self.adam_d = (
            torch.optim.Adam(m.parameters(), lr=s.rate, betas=s.betas, eps=s.epsilon)
            for m, s in settings
        )

    def gradient_penalty(self, states: list[Tensor]) -> Tensor:
        """lambda * mean (||g|| - 1)^2, with a pass of D of its own."""
        inputs = [h.detach().requires_grad_() for h in states]
        return self.penalty * norm_penalty(self.d(inputs), inputs)

    def inference_loss(self, states: list[Tensor]) -> Tensor:
        """Mean D + KL of the top layer."""
        variance, mean = states[-1].var(0), states[-1].mean(0)
        kl = 0.5 * (variance + mean**2 - 1 - torch.log(variance + 1e-12)).sum()
        return self.d(states).mean() + self.kl * kl

    def generator_loss(self, states: list[Tensor]) -> Tensor:
        """Squared error of every layer's prediction from the layer above."""
        loss = torch.zeros((), dtype=states[0].dtype)
        for i in range(len(states) - 1):
            predicted = self.g.down(i, states[i + 1])
            loss = loss + 0.5 * mse_loss(predicted, states[i], reduction="sum") / len(states[0])
        return loss

    def pair(self, x: Tensor, up: list[Tensor], top: Tensor, down: list[Tensor]) -> None:
        """Wake, REM, and D's change on both, F learning from the D of the cycle's start."""
        states = self.f(x, up)
        still = [h.detach() for h in states]
        self.adam_f.zero_grad()
        self.inference_loss(states).backward()
        self.adam_f.step()
        self.adam_g.zero_grad()
        self.generator_loss(still).backward()
        self.adam_g.step()
        with torch.no_grad():
            dreamt = self.g.dream(top, down)
        self.adam_d.zero_grad()
        loss = self.d(dreamt).mean() - self.d(still).mean()
        loss = loss + self.gradient_penalty(still) + self.gradient_penalty(dreamt)
        loss.backward()
        self.adam_d.step()

    def parameters(self) -> dict[str, dict[str, Any]]:
        """Return the weights by kind and by the names of ``Network.parameters``."""
        f, g = enumerate(self.f.maps), enumerate(self.g.maps)
        up = [(f"feedforward_into{i + 1}", m) for i, m in f]
        down = [(f"feedback_into{i}", m) for i, m in g]
        reading = {f"discriminator_from{j}": v for j, v in enumerate(self.d.by_state())}
        bias = torch.cat([m.bias for m in self.d.hidden])  # type: ignore[misc]
        return {
            FEEDFORWARD: {n: t for k, m in up for n, t in ((k, m.weight), (f"{k}_bias", m.bias))},
            FEEDBACK: {n: t for k, m in down for n, t in ((k, m.weight), (f"{k}_bias", m.bias))},
            DISCRIMINATOR: {
                **reading,
                "discriminator_bias": bias,
                "discriminator_readout": torch.cat(list(self.d.readouts)),
            },
        }


class LeanPair(AutogradPair):
    """The same, with shared passes: D once a phase, F and G in one backward pass."""

    def pair(self, x: Tensor, up: list[Tensor], top: Tensor, down: list[Tensor]) -> None:
        """Wake, REM, and D's change on both."""
        states = self.f(x, up)
        still = [h.detach() for h in states]
        for p in self.d.parameters():
            p.requires_grad_(False)
        loss = self.inference_loss(states) + self.generator_loss(still)
        for p in self.d.parameters():
            p.requires_grad_(True)
        d_loss = self.discriminator_loss(still, 1.0)
        self.adam_f.zero_grad()
        self.adam_g.zero_grad()
        loss.backward()
        self.adam_f.step()
        self.adam_g.step()
        with torch.no_grad():
            dreamt = self.g.dream(top, down)
        self.adam_d.zero_grad()
        (d_loss + self.discriminator_loss(dreamt, -1.0)).backward()
        self.adam_d.step()

    def discriminator_loss(self, states: list[Tensor], sign: float) -> Tensor:
        """- sign * mean D + penalty, in one pass."""
        inputs = [h.detach().requires_grad_() for h in states]
        level = self.d(inputs)
        return -sign * level.mean() + self.penalty * norm_penalty(level, inputs)

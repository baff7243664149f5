"""A pair of wake and REM in JAX, compiled: what an ML user would write today.

The reference network (ReLU, RMS, tanh at the bottom, credit `layer`, Adam with b1 = 0), twice:

``autograd_pair``   one loss a phase, differentiated by ``jax.grad``
``local_pair``      the written-out rules of the project, transcribed

Both are functions (weights, moments, numbers) -> (weights, moments); ``Runner`` compiles one with a
scan over pairs, and draws stimuli and noise inside by ``jax.random``.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neuro_aws.model.network import Network
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, FEEDFORWARD
from neuro_aws.protocol.theories_of_cortex import AdversarialWakeSleep

Values = Any
"""A nested list or dictionary of JAX arrays."""


Two = tuple[Values, Values]


class Numbers(NamedTuple):
    """Stimuli and noise of one pair."""

    x: Values
    up: Values
    top: Values
    down: Values


class Settings(NamedTuple):
    """What stays the same."""

    sigma: float
    penalty: float
    kl: float
    rates: tuple[float, float, float]
    b2: float
    epsilon: float


def settings_of(network: Network, section: AdversarialWakeSleep) -> Settings:
    """Return the settings of a network and its theory."""
    learning = (section.feedforward, section.feedback, section.discriminator)
    rates = (learning[0].rate, learning[1].rate, learning[2].rate)
    first = learning[0]
    penalty = network.acetylcholine.form.penalty
    return Settings(network.noise.sigma, penalty, section.kl, rates, first.betas[1], first.epsilon)


def weights_of(network: Network) -> Values:
    """Return copies of the weights: F and G as [(weight, bias), ...], D by state, bias, readout."""

    def pairs(kind: str) -> list[tuple[Values, Values]]:
        tensors = [jnp.array(t.numpy().copy()) for t in network.parameters(kind).values()]
        return list(zip(tensors[::2], tensors[1::2], strict=True))

    d = [jnp.array(t.numpy().copy()) for t in network.parameters(DISCRIMINATOR).values()]
    return [pairs(FEEDFORWARD), pairs(FEEDBACK), {"v": d[:-2], "b": d[-2], "r": d[-1]}]


def by_kind(weights: Values) -> dict[str, list[np.ndarray[Any, Any]]]:
    """Return the weights in the order of ``Network.parameters``."""
    f, g, d = weights
    flat = {
        FEEDFORWARD: [t for pair in f for t in pair],
        FEEDBACK: [t for pair in g for t in pair],
        DISCRIMINATOR: [*d["v"], d["b"], d["r"]],
    }
    return {kind: [np.asarray(t) for t in tensors] for kind, tensors in flat.items()}


def rms(v: Values) -> Values:
    """v / sqrt(mean v^2 + 1e-8)."""
    return v / jnp.sqrt((v * v).mean(-1, keepdims=True) + 1e-8)


def recognise(f: Values, x: Values, up: Values, sigma: float) -> list[Values]:
    """h_0 ... h_N; each layer sees the one below with the graph cut (credit `layer`)."""
    states = [x]
    for i, (w, b) in enumerate(f):
        a = jax.lax.stop_gradient(states[-1]) @ w.T + b + sigma * up[i]
        states.append(a if i == len(f) - 1 else rms(jax.nn.relu(a)))
    return states


def down(g: Values, i: int, above: Values, noise: Values = 0.0) -> Values:
    """h_i, or the prediction of it, from h_{i+1}."""
    w, b = g[i]
    a = above @ w.T + b + noise
    return jnp.tanh(a) if i == 0 else rms(jax.nn.relu(a))


def dream(g: Values, top: Values, noise: Values, sigma: float) -> list[Values]:
    """h_0 ... h_N from the top down."""
    states = [top]
    for k, i in enumerate(range(len(g) - 1, -1, -1)):
        states.append(down(g, i, states[-1], sigma * noise[k]))
    return states[::-1]


def spans(d: Values) -> list[slice]:
    """Return which hidden units read each state."""
    pairs = len(d["v"]) - 1
    hidden = d["b"].shape[0] // pairs
    return [slice(max(j - 1, 0) * hidden, min(j + 1, pairs) * hidden) for j in range(pairs + 1)]


def potential(d: Values, states: list[Values]) -> Values:
    """u = sum_j V_j h_j + b."""
    u = jnp.broadcast_to(d["b"], (states[0].shape[0], d["b"].shape[0]))
    for h, v, span in zip(states, d["v"], spans(d), strict=True):
        u = u.at[:, span].add(h @ v.T)
    return u


def level(d: Values, states: list[Values]) -> Values:
    """D of each sample."""
    return jax.nn.leaky_relu(potential(d, states), 0.1) @ d["r"]


def adam(
    weights: Values, delta: Values, second: Values, count: Values, rate: float, s: Settings
) -> Two:
    """Ascend by Adam with b1 = 0."""
    second = jax.tree.map(lambda v, g: s.b2 * v + (1 - s.b2) * g * g, second, delta)
    unbiased = 1 - s.b2**count

    def moved(w: Values, g: Values, v: Values) -> Values:
        return w + rate * g / (jnp.sqrt(v / unbiased) + s.epsilon)

    return jax.tree.map(moved, weights, delta, second), second


def discriminator_loss(d: Values, states: list[Values], sign: float, s: Settings) -> Values:
    """- sign mean D + lambda mean (||g|| - 1)^2."""
    read, back = jax.vjp(lambda h: level(d, h), states)
    (gradient,) = back(jnp.ones_like(read))
    square = sum((g * g).sum(-1) for g in gradient)
    return -sign * read.mean() + s.penalty * ((jnp.sqrt(square + 1e-12) - 1) ** 2).mean()


def wake_loss(f: Values, g: Values, d: Values, n: Numbers, s: Settings) -> Values:
    """The losses of F (given D), of G and of D in wake: each touches its own weights only."""
    states = recognise(f, n.x, n.up, s.sigma)
    still = [jax.lax.stop_gradient(h) for h in states]
    top = states[-1]
    variance = top.var(0, ddof=1)
    kl = 0.5 * (variance + top.mean(0) ** 2 - 1 - jnp.log(variance + 1e-12)).sum()
    inference = level(jax.lax.stop_gradient(d), states).mean() + s.kl * kl
    missed = sum(((still[i] - down(g, i, still[i + 1])) ** 2).sum() for i in range(len(g)))
    return inference + 0.5 * missed / len(n.x) + discriminator_loss(d, still, 1.0, s)


def autograd_pair(weights: Values, seconds: Values, count: Values, n: Numbers, s: Settings) -> Two:
    """Wake, REM, and D's change on both, by automatic differentiation."""
    f, g, d = weights
    descent = jax.grad(wake_loss, (0, 1, 2))(f, g, d, n, s)
    d_f, d_g, d_d = jax.tree.map(jnp.negative, descent)
    f, second_f = adam(f, d_f, seconds[0], count, s.rates[0], s)
    g, second_g = adam(g, d_g, seconds[1], count, s.rates[1], s)
    dreamt = dream(g, n.top, n.down, s.sigma)
    more = jax.grad(discriminator_loss)(d, dreamt, -1.0, s)
    total = jax.tree.map(lambda a, b: a - b, d_d, more)
    d, second_d = adam(d, total, seconds[2], count, s.rates[2], s)
    return [f, g, d], [second_f, second_g, second_d]


def through_rms(t: Values, a: Values, y: Values) -> Values:
    """t psi'(a) of a ReLU with RMS, y its rate."""
    v = jax.nn.relu(a)
    pool = jnp.sqrt((v * v).mean(-1, keepdims=True) + 1e-8)
    return jnp.where(a > 0, (t - y * (t * y).mean(-1, keepdims=True)) / pool, 0.0)


def discriminator_delta(d: Values, states: list[Values], sign: float, s: Settings) -> Two:
    """Return the ascent direction of D, and dD/dh of every state."""
    batch = states[0].shape[0]
    u = potential(d, states)
    steep = jnp.where(u > 0, 1.0, 0.1)
    c = d["r"] * steep
    gradient = [c[:, span] @ v for v, span in zip(d["v"], spans(d), strict=True)]
    norm = jnp.sqrt(sum((g * g).sum(-1, keepdims=True) for g in gradient) + 1e-12)
    share = 2 * s.penalty / batch * (1 - 1 / norm)
    image = jnp.zeros_like(u)
    for g, v, span in zip(gradient, d["v"], spans(d), strict=True):
        image = image.at[:, span].add(g @ v.T)
    signal = c * (sign / batch)
    moved = [
        signal[:, span].T @ (h - share * batch * sign * g)
        for h, g, span in zip(states, gradient, spans(d), strict=True)
    ]
    readout = (u * steep).sum(0) * (sign / batch) - (share * image * steep).sum(0)
    return {"v": moved, "b": signal.sum(0), "r": readout}, gradient


def local_pair(weights: Values, seconds: Values, count: Values, n: Numbers, s: Settings) -> Two:
    """Wake, REM, and D's change on both, by the written-out rules."""
    f, g, d = weights
    batch, depth = len(n.x), len(f)
    states, potentials = [n.x], []
    for i, (w, b) in enumerate(f):
        potentials.append(states[-1] @ w.T + b + s.sigma * n.up[i])
        a = potentials[-1]
        states.append(a if i == depth - 1 else rms(jax.nn.relu(a)))
    d_d, teach = discriminator_delta(d, states, 1.0, s)
    d_g = []
    for i, (w, b) in enumerate(g):
        a = states[i + 1] @ w.T + b
        y = jnp.tanh(a) if i == 0 else rms(jax.nn.relu(a))
        error = states[i] - y
        post = error * (1 - y * y) if i == 0 else through_rms(error, a, y)
        d_g.append((post.T @ states[i + 1] / batch, post.sum(0) / batch))
    top = states[-1]
    mean, variance = top.mean(0), top.var(0, ddof=1)
    pull = mean + (1 - 1 / (variance + 1e-12)) * (top - mean) * (batch / (batch - 1))
    d_f = []
    for i in range(depth):
        if i == depth - 1:
            post = teach[-1] + s.kl * pull
        else:
            post = through_rms(teach[i + 1], potentials[i], states[i + 1])
        d_f.append((-post.T @ states[i] / batch, -post.sum(0) / batch))
    f, second_f = adam(f, d_f, seconds[0], count, s.rates[0], s)
    g, second_g = adam(g, d_g, seconds[1], count, s.rates[1], s)
    more, _ = discriminator_delta(d, dream(g, n.top, n.down, s.sigma), -1.0, s)
    total = jax.tree.map(jnp.add, d_d, more)
    d, second_d = adam(d, total, seconds[2], count, s.rates[2], s)
    return [f, g, d], [second_f, second_g, second_d]


Pair = Callable[..., Two]


class Runner:
    """One form, compiled: so many pairs a call, noise drawn inside."""

    def __init__(self, pair: Pair, network: Network, section: AdversarialWakeSleep) -> None:
        self.settings = settings_of(network, section)
        self.sizes = network.sizes
        self.weights = weights_of(network)
        self.seconds = jax.tree.map(jnp.zeros_like, self.weights)
        self.count = jnp.zeros((), jnp.int32)
        self.form = pair
        self._one = jax.jit(partial(self._given))
        self._many = jax.jit(self._drawn, static_argnums=(4, 5), donate_argnums=(0, 1))

    def pair(self, numbers: Numbers) -> None:
        """Take one pair with given stimuli and noise."""
        state = (self.weights, self.seconds, self.count)
        self.weights, self.seconds, self.count = self._one(*state, numbers)

    def run(self, stimuli: Values, batch: int, pairs: int) -> None:
        """Take so many pairs; wait for their end."""
        state = (self.weights, self.seconds, self.count)
        self.weights, self.seconds, self.count = self._many(*state, stimuli, batch, pairs)
        jax.block_until_ready(self.weights)

    def _given(self, weights: Values, seconds: Values, count: Values, numbers: Numbers) -> Values:
        count = count + 1
        weights, seconds = self.form(weights, seconds, count, numbers, self.settings)
        return weights, seconds, count

    def _drawn(
        self,
        weights: Values,
        seconds: Values,
        count: Values,
        stimuli: Values,
        batch: int,
        pairs: int,
    ) -> Values:
        def step(carried: Values, _: None) -> tuple[Values, None]:
            key = jax.random.fold_in(jax.random.key(0), carried[2])
            given = self._given(
                carried[0], carried[1], carried[2], self._numbers(key, stimuli, batch)
            )
            return given, None

        state, _ = jax.lax.scan(step, (weights, seconds, count), None, length=pairs)
        return state

    def _numbers(self, key: Values, stimuli: Values, batch: int) -> Numbers:
        chosen, *keys = jax.random.split(key, 2 * len(self.sizes))
        x = stimuli[jax.random.randint(chosen, (batch,), 0, len(stimuli))]
        sizes = [*self.sizes[1:], self.sizes[-1], *self.sizes[-2::-1]]
        drawn = [
            jax.random.normal(k, (batch, n), stimuli.dtype)
            for k, n in zip(keys, sizes, strict=False)
        ]
        depth = len(self.sizes) - 1
        return Numbers(x, drawn[:depth], drawn[depth], drawn[depth + 1 :])

"""One step of a chain of stimuli at a temperature: draws from it, and their density.

States are (batch, units), units independent of one another given the state before. A Gaussian one
is in units of the stimulus, a Bernoulli one -1 or 1 in each of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn.functional import softplus

from neuro_aws.functional.noise import NoiseSource

Form = Literal["root", "linear"]
"""How the noise of a Gaussian step grows with temperature."""


class Transition(Protocol):
    """p(s' | s) for a batch of states s."""

    def drawn(self, noise: NoiseSource) -> Tensor:
        """Return s' drawn from it, (batch, units)."""
        ...

    def expected(self) -> Tensor:
        """Return the mean of s'."""
        ...

    def log_density(self, reached: Tensor) -> Tensor:
        """Return log p(s' | s) of each sample, nats, for s' = ``reached``."""
        ...

    def entropy(self) -> Tensor:
        """Return the entropy of s' given s of each sample, nats."""
        ...


@dataclass(frozen=True, slots=True)
class GaussianTransition:
    """p(s' | s) = N(s'; mu, sigma^2);  mu = ``mean``, sigma = ``deviation`` of each unit."""

    mean: Tensor
    deviation: Tensor

    def drawn(self, noise: NoiseSource) -> Tensor:
        """Return mu + sigma xi."""
        return self.mean + self.deviation * noise.normal(self.mean.shape)

    def expected(self) -> Tensor:
        """Return mu."""
        return self.mean

    def log_density(self, reached: Tensor) -> Tensor:
        """Return sum_k - (s'_k - mu_k)^2 / (2 sigma_k^2) - log sigma_k - log(2 pi) / 2."""
        away = (reached - self.mean) / self.deviation
        each = -away.square() / 2 - self.deviation.log()
        return each.sum(1) - reached.shape[1] * math.log(2 * math.pi) / 2

    def entropy(self) -> Tensor:
        """Return sum_k log sigma_k + log(2 pi e) / 2."""
        each = self.deviation.log() + math.log(2 * math.pi * math.e) / 2
        return each.sum(1)


@dataclass(frozen=True, slots=True)
class BernoulliTransition:
    """p(s'_k = 1 | s) = rho_k = 1 / (1 + exp(- a_k)), else s'_k = -1;  a = ``logit``."""

    logit: Tensor

    def drawn(self, noise: NoiseSource) -> Tensor:
        """Return 1 where a uniform number is below rho, else -1."""
        below = noise.uniform(self.logit.shape) < torch.sigmoid(self.logit)
        return torch.where(below, 1.0, -1.0).to(self.logit)

    def expected(self) -> Tensor:
        """Return 2 rho - 1."""
        return 2 * torch.sigmoid(self.logit) - 1

    def log_density(self, reached: Tensor) -> Tensor:
        """Return sum_k log p(s'_k) = - sum_k log(1 + exp(- s'_k a_k))."""
        return -softplus(-reached * self.logit).sum(1)

    def entropy(self) -> Tensor:
        """Return sum_k log(1 + exp(a_k)) - rho_k a_k."""
        return (softplus(self.logit) - torch.sigmoid(self.logit) * self.logit).sum(1)


def gaussian_step(
    state: Tensor,
    aim: Tensor,
    spread: Tensor,
    share: float,
    temperature: Tensor,
    form: Form,
    least: float,
) -> GaussianTransition:
    """Return one Gaussian step of the walk at a temperature (Goyal et al. 2017, Eq. 3.1).

        mu    = (1 - a) s + a F_mu
        sigma = T^(1/2) (sigma_0 + log(1 + exp F_sigma))        ``linear``: T in place of T^(1/2)

    Symbols, in order: a = ``share``; s = ``state``; F_mu = ``aim``; T = ``temperature``, (batch,
    1); sigma_0 = ``least``, in units of the stimulus (0 in the source); F_sigma = ``spread``.
    """
    mean = (1 - share) * state + share * aim
    grown = temperature if form == "linear" else temperature.sqrt()
    return GaussianTransition(mean, grown * (least + softplus(spread)))


def bernoulli_step(
    state: Tensor, aim: Tensor, share: float, temperature: Tensor
) -> BernoulliTransition:
    """Return one Bernoulli step of the walk at a temperature.

        rho = sigmoid( ((1 - a) s + a F_rho) / T )

    Symbols as above, F_rho = ``aim``; s is -1 or 1 (0 or 1 in the source).
    """
    return BernoulliTransition(((1 - share) * state + share * aim) / temperature)


def levels(heating: int, extra: int) -> tuple[int, ...]:
    """Return l_1 ... l_K of a walk: l_t = max(0, t - n - 1), K = ``heating`` + n, n = ``extra``.

    Step t is taken at T = f^l_t: the first n + 1 at T = 1, each later one f times as hot.
    """
    return tuple(max(0, t - extra - 1) for t in range(1, heating + extra + 1))


def along(walk: Sequence[int], batch: int, device: torch.device) -> Tensor:
    """Return the level of each row where the steps of a walk lie one after the other."""
    return torch.cat([torch.full((batch,), level, device=device) for level in walk])

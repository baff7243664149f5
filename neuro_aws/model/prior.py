"""The prior of the top layer: given, or learnt in wake."""

import math

import torch
from torch import Tensor

from neuro_aws.functional.asking import may_ask
from neuro_aws.functional.compartments import Psi, pool_of
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.functional.shapes import last
from neuro_aws.model.memory import Memory

RATE = 0.01
"""Weight of one wake step in the running statistics."""

SHARED = 0.1
"""Share of the pooled covariance in each component's own, so that few samples do for it."""

IDLE = 0.2
"""Weight, over an equal share, below which a component stands idle."""

HALF = (2 / math.pi) ** 0.5
"""Mean of the upper half of N(0, 1)."""

RIDGE = 1e-3
"""Added to the variances, so that roots exist (squared rate)."""


TINY = 1e-30
"""Keeps what does not vary at all from being divided by 0."""


class Prior:
    """p(h_N): independent N(0, 1), fair coins for units that fire 0 or 1, or as it was learnt.

    ``shape`` is that of one sample of h_N, ``psi`` the rate function of its units. Where there is a
    ``memory``, it gives some of the draws.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        psi: Psi,
        learnt: "LearntPrior | None",
        memory: Memory | None = None,
    ) -> None:
        self.shape = shape
        self.psi = psi
        self.learnt = learnt
        self.memory = memory

    def __call__(self, count: int, noise: NoiseSource) -> Tensor:
        """Return ``count`` draws of h_N as rows: what every dream begins from."""
        draws = self.density(count, noise)
        return draws if self.memory is None else self.memory.mixed(draws, noise)

    def density(self, count: int, noise: NoiseSource) -> Tensor:
        """Return draws of the density alone, none of them from memory."""
        if self.learnt is not None:
            return self.learnt.sample(count, noise)
        shape = torch.Size((count, math.prod(self.shape)))
        if self.psi.binary:
            uniform = noise.uniform(shape)
            return (uniform < 0.5).to(uniform.dtype)
        return noise.normal(shape)

    def mean(self, top: Tensor) -> Tensor:
        """Return the density's mean, in the shape of ``top`` or one that is broadcast to it."""
        if self.learnt is not None:
            mean = self.learnt.first.sum(0) / self.learnt.weight.sum()
            return mean.view(-1, *[1] * (top.dim() - 2))
        return top.new_full((1,), 0.5 if self.psi.binary else 0.0)

    def shaped(self, draws: Tensor) -> Tensor:
        """Return draws in the shape of h_N, normalised where h_N is."""
        top = last(draws.view(-1, *self.shape)) if len(self.shape) > 1 else draws
        if self.psi.normalisation == "none":
            return top
        return top / pool_of(top, self.psi.normalisation, self.psi.axis)

    def track(self, top: Tensor) -> None:
        """Let a learnt prior follow the waking states ``top`` (batch, units)."""
        if self.learnt is not None:
            self.learnt.track(top)

    def buffers(self) -> dict[str, Tensor]:
        """Return what was learnt, by name."""
        return {} if self.learnt is None else self.learnt.buffers()


class LearntPrior:
    """h_N ~ sum_k w_k N(m_k, C_k): the generative model's own account of its top layer.

        wake   r_k = w_k N(h_N; m_k, C_k) / sum_k' ...                       responsibilities
               d(n_k, s_k, S_k) = + rate ( <(r_k, r_k h_N, r_k h_N h_N^T)> - (n_k, s_k, S_k) )
               w_k = n_k,   m_k = s_k / n_k,   C_k = S_k / n_k - m_k m_k^T
        REM    k ~ w;   h_N = m_k + L_k z,   z ~ N(0, I),   L_k L_k^T = C_k

    < > is the batch mean: online expectation maximisation. With one component it is the running
    mean and covariance, what lateral connections among the top units would hold; more of them are
    units one layer further up that compete for the state. Single units drawn one by one from
    N(0, 1) miss their correlations and clusters in wake, which the KL of single units does not see.
    In use every C_k is drawn a tenth toward their mean, and 1e-3 is added to the variances. A
    component that nothing falls to any more (a fifth of an equal share) takes over half of the
    heaviest one: without that, 5 of 64 are left in the end.
    """

    def __init__(
        self, components: int, units: int, generator: torch.Generator, dtype: torch.dtype
    ) -> None:
        device = generator.device
        means = torch.zeros(components, units, dtype=dtype, device=device)
        if components > 1:
            means.normal_(generator=generator)
        eye = torch.eye(units, dtype=dtype, device=device)
        self.weight = torch.full((components,), 1 / components, dtype=dtype, device=device)
        self.first = means * self.weight[:, None]
        outer = eye + means[:, :, None] * means[:, None, :]
        self.second = outer * self.weight[:, None, None]

    def buffers(self) -> dict[str, Tensor]:
        """Return the running statistics by name."""
        return {"weight": self.weight, "first": self.first, "second": self.second}

    def sample(self, count: int, noise: NoiseSource) -> Tensor:
        """Return draws of h_N as rows."""
        z = noise.normal(torch.Size((count, self.first.shape[1])))
        means, roots = self._components()
        if len(means) == 1:
            return torch.addmm(means[0], z, roots[0].T)
        uniform = noise.uniform(torch.Size((count,)))
        edges = self.weight.cumsum(0) / self.weight.sum()
        chosen = torch.searchsorted(edges, uniform).clamp_(max=len(means) - 1)
        spread = (roots[chosen] @ z.unsqueeze(-1)).squeeze(-1)
        return means[chosen] + spread

    def track(self, top: Tensor) -> None:
        """Move the statistics toward the waking states ``top`` (batch, units), in place."""
        share = self._responsibilities(top)
        batch = len(top)
        self.weight.lerp_(share.mean(0), RATE)
        self.first.lerp_(share.T @ top / batch, RATE)
        weighted = share.T.unsqueeze(-1) * top  # components, batch, units
        self.second.lerp_(weighted.mT @ top / batch, RATE)
        if len(self.weight) > 1:
            self.employ()

    def employ(self) -> None:
        """Let a component that stands idle take half of the heaviest one.

        That one is split along the axis u on which it varies most (variance l): means m -+ d and
        covariances C - d d^T, with d = 0.8 sqrt(l) u, which leaves the mixture's mean and
        covariance as they were. 0.8 is the mean of half a Gaussian.
        """
        fair = 1 / len(self.weight)
        least, most = torch.aminmax(self.weight)
        due = ~((least > IDLE * fair) | (most < 2 * fair))
        asks = may_ask(due)
        if asks and not due:
            return
        idle, heavy = self.weight.argmin(0, keepdim=True), self.weight.argmax(0, keepdim=True)
        weight = self.weight[heavy].clamp(min=1e-6)[:, None]
        mean = self.first[heavy] / weight
        covariance = self.second[heavy][0] / weight - mean.T * mean
        variance, axis = _widest(covariance) if asks else widest_unasked(covariance)
        step = HALF * variance.clamp(min=0).sqrt() * axis
        half = self.weight[heavy] / 2
        at = mean + torch.stack([step, -step])
        spread = covariance - step[:, None] * step + at[:, :, None] * at[:, None, :]
        both = torch.cat([idle, heavy])
        split = (half.expand(2), half * at, half * spread)
        for kept, new in zip((self.weight, self.first, self.second), split, strict=True):
            kept.index_copy_(0, both, torch.where(due, new, kept[both]))

    def _means(self) -> Tensor:
        return self.first / self.weight.clamp(min=1e-6)[:, None]

    def _covariance(self) -> Tensor:
        """Return each component's own covariance."""
        means = self._means()
        second = self.second / self.weight.clamp(min=1e-6)[:, None, None]
        return second - means[:, :, None] * means[:, None, :]

    def _components(self) -> tuple[Tensor, Tensor]:
        """Return the means and the roots of the covariances."""
        means, covariance = self._means(), self._covariance()
        if len(means) > 1:
            pooled = (covariance * self.weight[:, None, None]).sum(0) / self.weight.sum()
            covariance = torch.lerp(covariance, pooled.expand_as(covariance), SHARED)
        ridge = RIDGE * torch.eye(means.shape[1], dtype=means.dtype, device=means.device)
        root, failed = torch.linalg.cholesky_ex(covariance + ridge)
        if may_ask(failed) and not failed.any():
            return means, root
        diagonal = covariance.diagonal(dim1=1, dim2=2).clamp(min=RIDGE).sqrt()
        return means, torch.where(failed.view(-1, 1, 1) > 0, torch.diag_embed(diagonal), root)

    def _responsibilities(self, top: Tensor) -> Tensor:
        """Return r (batch, components)."""
        if len(self.weight) == 1:
            return top.new_ones(len(top), 1)
        means, roots = self._components()
        white = torch.linalg.solve_triangular(roots, (top - means[:, None]).mT, upper=False)
        volume = roots.diagonal(dim1=1, dim2=2).log().sum(1)
        score = -0.5 * white.square().sum(1) - volume[:, None] + self.weight.log()[:, None]
        return torch.softmax(score, 0).T


def _widest(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest variance along any axis, and that axis."""
    values, axes = torch.linalg.eigh(covariance)
    return values[-1], axes[:, -1]


def widest_unasked(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Return the same without a decomposition, whose errors the host would have to ask for.

    C^65536 is, but for its size, the projection onto that axis. Where a second one is as wide to
    some 1e-4, the axis lies between the two, as wide as either. Its sign may be the other one.
    """
    power = covariance
    for _ in range(4):
        power = torch.linalg.matrix_power(power / power.norm().clamp(min=TINY), 16)
    column = power.index_select(1, power.diagonal().argmax(0, keepdim=True))[:, 0]
    axis = column / column.norm().clamp(min=TINY)
    return axis @ (covariance @ axis), axis

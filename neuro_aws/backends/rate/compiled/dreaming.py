"""Where dreams begin: draws of the top layer, and the learnt prior that follows waking."""

import numpy as np
import torch
from torch import Tensor

from neuro_aws.backends.rate.compiled.drawing import Drawn
from neuro_aws.backends.rate.compiled.memory import Array
from neuro_aws.backends.rate.compiled.prior import Mixture, decompose, sample, track
from neuro_aws.functional.noise import NoiseSource
from neuro_aws.model.network import Network
from neuro_aws.model.prior import LearntPrior

MOST_UNITS = 128
"""Of a top layer whose covariances are decomposed here; those of wider ones LAPACK does faster."""


class Dreams:
    """Draws h_N for the steps of REM and NREM, and lets a learnt prior follow the waking top."""

    def __init__(self, network: Network, batch: int) -> None:
        learnt, units = network.prior.learnt, network.sizes[-1]
        dtype = network.acetylcholine.baseline.dtype
        self._top, self._normals = (torch.zeros(batch, units, dtype=dtype) for _ in range(2))
        self._uniform = torch.zeros(batch, dtype=dtype)
        self._learnt = learnt
        self._mixture: Mixture | None = None
        self._known: tuple[int, ...] | None = None
        if learnt is not None and units <= MOST_UNITS:
            self._mixture = _mixture(learnt, batch)
        chosen = self._mixture is not None and self._mixture.weight.size > 1
        self._drawn = Drawn(
            [self._top if self._mixture is None else self._normals],
            self._uniform if chosen else None,
        )

    def tops(self, source: NoiseSource) -> Array:
        """Return draws of h_N (batch, units), not yet normalised."""
        normals, mixture = self._normals, self._mixture
        if mixture is None and self._learnt is not None:
            self._top.copy_(self._learnt.sample(len(normals), source))
            return _array(self._top)
        self._drawn.fill(source)
        if mixture is None:
            return _array(self._top)
        self._decompose(mixture)
        sample(mixture, normals.numpy(), self._uniform.numpy(), self._top.numpy())
        return _array(self._top)

    def track(self, top: Tensor) -> None:
        """Let a learnt prior follow the waking states (batch, units)."""
        if self._learnt is None:
            return
        if self._mixture is None:
            self._learnt.track(top)
            return
        self._decompose(self._mixture)
        idle = track(self._mixture, top.numpy())
        self._known = None
        if idle:
            self._learnt.employ()

    def _decompose(self, mixture: Mixture) -> None:
        """Decompose the covariances, unless they are those decomposed last.

        Kernels write past torch's count of a tensor's changes; anybody else's writing raises it.
        """
        assert self._learnt is not None
        versions = tuple(tensor._version for tensor in self._learnt.buffers().values())
        if versions != self._known:
            decompose(mixture)
            self._known = versions


def _mixture(learnt: LearntPrior, batch: int) -> Mixture:
    components, n = learnt.first.shape

    def zeros(*shape: int) -> Array:
        return np.zeros(shape, learnt.first.numpy().dtype)

    own = (learnt.weight.numpy(), learnt.first.numpy(), learnt.second.numpy())
    return Mixture(
        *own, zeros(components, n), zeros(n, n, components), zeros(n, n, components),
        zeros(components, n, n), zeros(components), zeros(batch, n, components),
        zeros(batch, components), zeros(batch, components, n),
    )  # fmt: skip


def _array(tensor: Tensor) -> Array:
    found: Array = tensor.numpy()
    return found

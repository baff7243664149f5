"""Random numbers into the memory that kernels read: those that the written-out step draws."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from neuro_aws.functional import twister
from neuro_aws.functional.noise import LEAST_UNIFORM, Draws, NoiseSource, unit_noise
from neuro_aws.functional.plasticity import Density


class Drawn:
    """Pieces of memory, end to end, that fill with unit noise, and then one with U(0, 1).

    In float32 a kernel makes all of them of the stream's seed at once, to rounding what torch
    makes; else torch draws.
    """

    def __init__(
        self,
        noise: Sequence[Tensor],
        uniforms: Tensor | None = None,
        density: Density = "gaussian",
    ) -> None:
        self.noise, self.uniforms, self.density = noise, uniforms, density
        sizes = [part.numel() for part in noise]
        first = noise[0] if noise else torch.empty(0)
        flat = first.as_strided((sum(sizes),), (1,), first.storage_offset())
        self._flat, self._sizes = flat.numpy(), np.array(sizes)
        self._uniform = (first.new_empty(0) if uniforms is None else uniforms).numpy()
        self._of_seed = twister.of_seed(first.dtype, sizes) if density == "gaussian" else None

    def fill(self, source: NoiseSource) -> None:
        """Draw all of it."""
        if type(source) is Draws and self.density == "gaussian":
            if self._of_seed is not None and source.seed is not None:
                given = (source.seed, self._sizes, self._flat, self._uniform, LEAST_UNIFORM)
                self._of_seed(*given)
                return
            for part in self.noise:
                torch.randn(part.shape, generator=source.generator, out=part)
        else:
            for part in self.noise:
                part.copy_(unit_noise(source, part.shape, self.density))
        if self.uniforms is not None:
            self.uniforms.copy_(source.uniform(self.uniforms.shape))

"""Where a step's random numbers come from: a keyed stream, or numbers put in from outside."""

from collections.abc import Iterable
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from neuro_aws.functional import twister
from neuro_aws.functional.plasticity import Density
from neuro_aws.rng import stream_key

LEAST_UNIFORM = 1e-8
"""Uniform numbers are never below it, so that their logarithm stays finite."""


class NoiseSource(Protocol):
    """Unit-variance noise and uniform numbers, drawn in the order the layers fire."""

    def normal(self, shape: torch.Size) -> Tensor:
        """Return draws from N(0, 1)."""
        ...

    def uniform(self, shape: torch.Size) -> Tensor:
        """Return draws from the uniform distribution on (0, 1)."""
        ...


class Draws:
    """A noise source on one torch generator.

    ``seed``: what the generator is seeded with before anything is drawn; None once it has been.
    """

    def __init__(self, generator: torch.Generator, dtype: torch.dtype) -> None:
        self._generator = generator
        self.dtype = dtype
        self.seed: int | None = None

    @property
    def generator(self) -> torch.Generator:
        """Return the generator, to be drawn from."""
        if self.seed is not None:
            self._generator.manual_seed(self.seed)
            self.seed = None
        return self._generator

    def normal(self, shape: torch.Size) -> Tensor:
        """Return draws from N(0, 1)."""
        return self._laid("normal", shape)

    def uniform(self, shape: torch.Size) -> Tensor:
        """Return draws from U(1e-8, 1)."""
        return self._laid("uniform", shape)

    def _laid(self, kind: Literal["normal", "uniform"], shape: torch.Size) -> Tensor:
        """Return draws in the order of memory, which for maps has the channels last."""
        maps = len(shape) == 4
        if maps:
            batch, channels, high, wide = shape
            shape = torch.Size((batch, high, wide, channels))
        numbers = None
        if self.dtype is torch.float32:
            numbers = twister.filled(kind, shape, self.generator, LEAST_UNIFORM)
        if numbers is None:
            how: dict[str, Any] = {"generator": self.generator, "dtype": self.dtype}
            how["device"] = self.generator.device
            if kind == "normal":
                numbers = torch.randn(shape, **how)
            else:
                numbers = torch.rand(shape, **how).clamp_(min=LEAST_UNIFORM)
        return numbers.permute(0, 3, 1, 2) if maps else numbers

    def integers(self, high: int, shape: tuple[int, ...]) -> Tensor:
        """Return integers in [0, high)."""
        return torch.randint(high, shape, generator=self.generator, device=self.generator.device)


class KeyedNoise:
    """Draws of one animal's stream; ``at(step)`` restarts it at the key of that step.

    torch's CPU generator keeps the low 32 bits of a seed: two of some 10^5 steps may share
    their numbers by chance, which couples two unrelated batches and nothing else.
    """

    def __init__(
        self, animal: int, stream: str, dtype: torch.dtype, device: torch.device | str = "cpu"
    ) -> None:
        self.animal = animal
        self.stream = stream
        self._draws = Draws(torch.Generator(device), dtype)

    def at(self, step: int) -> Draws:
        """Return the draws of one step; the same whatever was drawn before."""
        self._draws.seed = stream_key(self.animal, self.stream, step)
        return self._draws


class RecordedNoise:
    """Plays back given numbers, in order: for golden vectors and for reading a step by hand."""

    def __init__(self, normals: Iterable[Tensor] = (), uniforms: Iterable[Tensor] = ()) -> None:
        self._normals = iter(list(normals))
        self._uniforms = iter(list(uniforms))

    def normal(self, shape: torch.Size) -> Tensor:
        """Return the next recorded N(0, 1) draws."""
        return _checked(next(self._normals, None), shape)

    def uniform(self, shape: torch.Size) -> Tensor:
        """Return the next recorded U(0, 1) draws."""
        return _checked(next(self._uniforms, None), shape)


def _checked(recorded: Tensor | None, shape: torch.Size) -> Tensor:
    if recorded is None:
        raise ValueError(f"recorded noise has no more draws; one of shape {tuple(shape)} is wanted")
    if recorded.shape != shape:
        raise ValueError(f"recorded noise has shape {tuple(recorded.shape)}, not {tuple(shape)}")
    return recorded


def unit_noise(source: NoiseSource, shape: torch.Size, density: Density) -> Tensor:
    """Return noise of mean 0 and variance 1 with the given density.

    laplacian: inverse distribution function of a uniform number, scale 1 / sqrt(2).
    """
    if density == "gaussian":
        return source.normal(shape)
    centred = source.uniform(shape) - 0.5
    magnitude = torch.log1p(-2 * centred.abs().clamp(max=0.5 - 1e-7))
    return -centred.sign() * magnitude / 2**0.5

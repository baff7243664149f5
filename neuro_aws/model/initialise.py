"""Initial weights of every projection; each part draws from a random stream of its own.

``network.birth`` names the distribution:

normal   weights N(0, 1 / fan_in), feedback scaled down, biases 0
uniform  all weights, and the biases of F, G, D and R, from U(-1, 1) / sqrt(fan_in), as
         torch's own layers start
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from neuro_aws.functional.discriminator import Weights
from neuro_aws.model.acetylcholine import Acetylcholine
from neuro_aws.model.lateral import Lateral
from neuro_aws.model.layer import Layer
from neuro_aws.model.readout import Readout
from neuro_aws.phase import DISCRIMINATOR
from neuro_aws.protocol.model import NetworkSection
from neuro_aws.protocol.projections import GATES, Projection, Shape, kernel, side

HOLDS = 3.0
"""Initial bias of the update gates of a D over sequences: a memory of some 20 steps."""


class Normal:
    """Draws N(0, 1 / fan_in) in one precision from one stream."""

    def __init__(self, generator: torch.Generator, dtype: torch.dtype) -> None:
        self.generator = generator
        self.dtype = dtype

    def __call__(self, *shape: int, fan_in: float) -> Tensor:
        """Return draws from N(0, 1 / fan_in)."""
        return self._draws(shape) / math.sqrt(fan_in)

    def scaled(self, *shape: int, fan_in: float, by: float = 1.0) -> Tensor:
        """Return by * N(0, 1 / fan_in), rounded once: what the layers start from."""
        return self._draws(shape) * (by / math.sqrt(fan_in))

    def constant(self, value: float, *shape: int) -> Tensor:
        """Return a constant, which draws nothing."""
        return torch.full(shape, value, dtype=self.dtype, device=self.generator.device)

    def _draws(self, shape: tuple[int, ...]) -> Tensor:
        device = self.generator.device
        return torch.randn(shape, generator=self.generator, dtype=self.dtype, device=device)


def dense(section: NetworkSection, i: int, draw: Normal) -> tuple[list[Tensor], list[Tensor]]:
    """Return [F_i, bias] and [G_i, bias]."""
    below, above = section.layers[i : i + 2]
    feedforward = [draw.scaled(above, below, fan_in=below), draw.constant(0.0, above)]
    weight = draw.scaled(below, above, fan_in=above, by=section.feedback_at_birth)
    return feedforward, [weight, draw.constant(0.0, below)]


def convolutional(
    section: NetworkSection, i: int, draw: Normal
) -> tuple[list[Tensor], list[Tensor]]:
    """Return F_i with bias, or scale and shift, or nothing beside it; and [G_i, bias].

    A unit below receives k^2 / s^2 positions of every channel above, or one of each where the maps
    below are as wide as the kernel. (So are those of side 4 under a strided layer, which makes its
    feedback start twice as strong as its fan-in says; every result so far was computed so.)
    """
    below, above = section.layers[i : i + 2]
    k = kernel(section, i)
    feedforward = [draw.scaled(above, below, k, k, fan_in=below * k * k)]
    if section.batch_norm == "none":
        feedforward.append(draw.constant(0.0, above))
    elif section.batch_norm == "affine":
        feedforward += [draw.constant(1.0, above), draw.constant(0.0, above)]
    fan_in = above if side(section, i) == k else above * k * k / 4
    weight = draw.scaled(above, below, k, k, fan_in=fan_in, by=section.feedback_at_birth)
    return feedforward, [weight, draw.constant(0.0, below)]


def discriminator(section: NetworkSection, sizes: Sequence[int], draw: Normal) -> Weights:
    """Return D's weights for h_0 ... h_N of so many units."""
    given = section.discriminator
    pairs, hidden = list(itertools.pairwise(sizes)), given.hidden
    units = hidden * len(pairs)
    joint = [draw(hidden, a + b, fan_in=a + b) for a, b in pairs]
    bias, readout = draw.constant(0.0, units), draw(units, fan_in=hidden)
    left = [w[:, :a] for w, (a, _) in zip(joint, pairs, strict=True)]
    right = [w[:, a:] for w, (a, _) in zip(joint, pairs, strict=True)]
    inner = [torch.cat(both) for both in zip(right[:-1], left[1:], strict=True)]
    reading = [left[0].contiguous(), *inner, right[-1].contiguous()]
    spread = [draw(len(v), fan_in=v.shape[1]) for v in reading] if given.spread else []
    return Weights(reading, bias, readout, spread, [draw.constant(0.0)] if given.pooled else [])


def readout(units: int, draw: Normal) -> tuple[Tensor, Tensor]:
    """Return R's weight for so many units and their spread, and its bias."""
    return draw(units + 1, fan_in=units + 1), draw.constant(0.0)


def lateral(section: NetworkSection, draw: Normal) -> dict[int, Tensor]:
    """Return L_i of every layer that has lateral weights."""
    sizes = {layer: section.layers[layer] for layer in sorted(section.lateral)}
    return {layer: draw(n, n, fan_in=n) for layer, n in sizes.items()}


def gated(section: NetworkSection, draw: Normal) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Return [W, b], [U, c] and [G, bias] of a layer of gated units."""
    symbols, units = section.layers
    feedforward = [
        draw.scaled(units, GATES, symbols, fan_in=symbols),
        draw.constant(0, units, GATES),
    ]
    weight = draw.scaled(symbols, units, fan_in=units, by=section.feedback_at_birth)
    lateral = [draw.scaled(units, GATES, units, fan_in=units), draw.constant(0, units, GATES)]
    return feedforward, lateral, [weight, draw.constant(0, symbols)]


def sequence_discriminator(shapes: Mapping[str, Shape], draw: Normal) -> dict[str, Tensor]:
    """Return the weights of a D over sequences: matrices drawn, biases 0 but those of update gates.

    Those start at ``HOLDS``, so that D hears more than the last steps before it has learnt to. Onto
    rectified units weights are larger by sqrt 2, as half of those units are silent.
    """
    inputs = sum(shape[-1] for name, shape in shapes.items() if "_from" in name)
    found = {}
    for name, shape in shapes.items():
        fan_in = inputs if "_from" in name else shape[-1]
        by = math.sqrt(2) if "_rectified" in name else 1.0
        still = name.endswith("bias")
        drawn = draw.constant(0, *shape) if still else draw.scaled(*shape, fan_in=fan_in, by=by)
        found[name] = drawn
    gates = found[f"{DISCRIMINATOR}_lateral_bias"]
    gates[:, gates.shape[1] // GATES : 2 * gates.shape[1] // GATES] = HOLDS
    return found


def extra(projections: Iterable[Projection], draw: Normal) -> dict[str, Tensor]:
    """Return the weights of projections that a theory asks for: matrices drawn, the rest 0."""
    return {
        name: draw.scaled(*shape, fan_in=math.prod(shape[1:]))
        if len(shape) > 1
        else draw.constant(0.0, *shape)
        for projection in projections
        for name, shape in projection.tensors.items()
    }


def uniform(
    layers: Sequence[Layer],
    ach: Acetylcholine,
    readout: Readout | None,
    generator: torch.Generator,
) -> None:
    """Draw the weights of the layers, of D and of R anew from U(-1, 1) / sqrt(fan_in)."""

    def fill(tensor: Tensor, fan_in: int) -> None:
        bound = 1 / math.sqrt(fan_in)
        tensor.uniform_(-bound, bound, generator=generator)

    for layer in layers:
        positions = math.prod(layer.feedforward[0].shape[2:])
        below, above = layer.shape_below()[0], layer.shape_above()[0]
        fill(layer.feedforward[0], below * positions)
        if len(layer.feedforward) == 2:
            fill(layer.feedforward[1], below * positions)
        # A transposed convolution counts the fan-in of its other end; a dense layer its own.
        fan_in = below * positions if positions > 1 else above
        for tensor in layer.feedback:
            fill(tensor, fan_in)
    weights = ach.weights
    reads = [v.shape[1] + bool(weights.spread) for v in weights.reading]
    for i in range(len(weights.pairs)):
        fan_in = reads[i] + reads[i + 1]
        for j in (i, i + 1):
            fill(weights.columns(i, j), fan_in)
            if weights.spread:
                fill(weights.spread[j][weights.rows_of(i, j)], fan_in)
        fill(weights.bias[weights.pairs[i]], fan_in)
    for tensor in (weights.readout, *weights.offset):
        fill(tensor, len(weights.readout))
    if readout is not None:
        for tensor in (readout.weight, readout.bias):
            fill(tensor, len(readout.weight))


def uniform_lateral(lateral: Lateral, generator: torch.Generator) -> None:
    """Draw lateral weights anew from U(-1, 1) / sqrt(fan_in)."""
    for weight in lateral.weights.values():
        bound = 1 / math.sqrt(len(weight))
        weight.uniform_(-bound, bound, generator=generator)

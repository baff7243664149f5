"""Other initial weights: those of torch's own layers."""

import math
from collections.abc import Sequence

import torch

from neuro_aws.model.acetylcholine import Acetylcholine
from neuro_aws.model.layer import Layer
from neuro_aws.model.readout import Readout


def uniform_birth(
    layers: Sequence[Layer],
    ach: Acetylcholine,
    readout: Readout | None,
    generator: torch.Generator,
) -> None:
    """Draw all weights anew from U(-1, 1) / sqrt(fan_in), as torch's own layers are born."""

    def fill(tensor: torch.Tensor, fan_in: int) -> None:
        bound = 1 / math.sqrt(fan_in)
        tensor.uniform_(-bound, bound, generator=generator)

    for layer in layers:
        kernel = math.prod(layer.feedforward[0].shape[2:])
        below, above = layer.shape_below()[0], layer.shape_above()[0]
        fill(layer.feedforward[0], below * kernel)
        if len(layer.feedforward) == 2:
            fill(layer.feedforward[1], below * kernel)
        # A transposed convolution counts the fan-in of its other end; a dense layer its own.
        heard = below * kernel if kernel > 1 else above
        for tensor in layer.feedback:
            fill(tensor, heard)
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
        for tensor in readout.parameters:
            fill(tensor, len(readout.weight))

"""A convolution seen from both sides: up to the layer above, down to the one below, and learning.

One kernel W (m above, n below, k, k) serves all three, for feedforward and for feedback weights
alike:

    up(h)          a[m, p]    = sum_{n, k} W[m, n, k] h[n, s p + k]       feedforward (convolution)
    down(h)        a[n, q]    = sum_{m, p} W[m, n, q - s p] h[m, p]       feedback (transposed)
    outer(y, x)    dW[m, n, k] = sum_{samples, p} y[m, p] x[n, s p + k]    what either one learns

p and q are positions, s the stride. Maps are (batch, channels, height, width), held in memory with
the channels last. Between a picture of few channels and its first layer the library's kernels are
slow on a CPU; there the products are written as matrix products over patches.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, pad

from neuro_aws.functional.matmul import product
from neuro_aws.functional.shapes import last

FEW_CHANNELS = 4
"""Up to so many channels below, patches and one matrix product are faster (CPU)."""

FEW_POSITIONS = 4
"""Up to so many positions above they are too: the library would reorder the kernels each time."""


class Geometry(NamedTuple):
    """Kernel side, stride and padding; ``low``: products in bfloat16."""

    kernel: int
    stride: int
    padding: int
    low: bool = False


def up(below: Tensor, weight: Tensor, g: Geometry) -> Tensor:
    """Return the potentials above: (batch, m, H / s, W / s)."""
    high, wide = below.shape[-2] // g.stride, below.shape[-1] // g.stride
    below_, weight_ = _low(g, below, weight)
    if _by_patches(weight, g, high * wide, below.device):
        flat = product(_patches(below_, g), _kernels(weight_).T)
        above = flat.view(len(below), high, wide, len(weight)).permute(0, 3, 1, 2)
    else:
        above = conv2d(below_, weight_, stride=g.stride, padding=g.padding)
    return above.to(below.dtype)


def down(above: Tensor, weight: Tensor, g: Geometry, bias: Tensor | None = None) -> Tensor:
    """Return the potentials below: (batch, n, s H, s W)."""
    above_, weight_ = _low(g, above, weight)
    if not _by_patches(weight, g, above.shape[-2:].numel(), above.device):
        bias_ = None if bias is None else bias.to(above_.dtype)
        below = conv_transpose2d(above_, weight_, bias_, g.stride, g.padding)
        return last(below.to(above.dtype))
    patches = product(_positions(above_), _kernels(weight_)).to(above.dtype)
    below = _overlay(patches, above, weight.shape[1])
    return below if bias is None else below.add_(bias.view(-1, 1, 1))


def outer(above: Tensor, below: Tensor, weight: Tensor, g: Geometry) -> Tensor:
    """Return dW (m, n, k, k), summed over samples and positions."""
    above_, below_ = _low(g, above, below)
    if _by_patches(weight, g, above.shape[-2:].numel(), above.device):
        found = product(_positions(above_).T, _patches(below_, g)).to(weight.dtype)
        m, n, k, _ = weight.shape
        return found.view(m, k, k, n).permute(0, 3, 1, 2).contiguous()
    stride, padding = [g.stride] * 2, [g.padding] * 2
    _, found, _ = torch.ops.aten.convolution_backward(
        above_, below_, weight.to(above_.dtype), None, stride, padding, [1, 1], False, [0, 0], 1,
        [False, True, False],
    )  # fmt: skip
    result: Tensor = found.to(weight.dtype)
    return result


def _low(g: Geometry, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    return (a.bfloat16(), b.bfloat16()) if g.low else (a, b)


def _by_patches(weight: Tensor, g: Geometry, positions: int, device: torch.device) -> bool:
    few = weight.shape[1] <= FEW_CHANNELS
    small = positions <= FEW_POSITIONS and not torch.is_grad_enabled()
    halves = g.kernel == 4 and g.stride == 2 and g.padding == 1
    return (few or small) and halves and device.type == "cpu"


def _positions(above: Tensor) -> Tensor:
    """Return every unit's channels as a row, (batch * positions, m)."""
    return above.permute(0, 2, 3, 1).reshape(-1, above.shape[1])


def _kernels(weight: Tensor) -> Tensor:
    """Return every kernel as a row in the order of a patch, (m, k * k * n)."""
    return weight.permute(0, 2, 3, 1).reshape(len(weight), -1)


def _patches(below: Tensor, g: Geometry) -> Tensor:
    """Return the patch under every unit above as a row, (batch * positions, k * k * n)."""
    p = g.padding
    padded = pad(below.permute(0, 2, 3, 1), [0, 0, p, p, p, p])
    windows = padded.unfold(1, g.kernel, g.stride).unfold(2, g.kernel, g.stride)
    return windows.permute(0, 1, 2, 4, 5, 3).reshape(-1, below.shape[1] * g.kernel**2)


def _overlay(patches: Tensor, above: Tensor, n: int) -> Tensor:
    """Add up overlapping patches (kernel 4, stride 2, padding 1); a pixel lies in 2 x 2 of them."""
    batch, _, high, wide = above.shape
    # k = 2 a + r: within its patch, row k of position p is row r of block p + a below.
    blocks = patches.view(batch, high, wide, 2, 2, 2, 2, n)
    padded = patches.new_zeros(batch, high + 1, 2, wide + 1, 2, n)
    for a in range(2):
        for b in range(2):
            padded[:, a : a + high, :, b : b + wide] += blocks[:, :, :, a, :, b].transpose(2, 3)
    whole = padded.view(batch, 2 * high + 2, 2 * wide + 2, n)[:, 1:-1, 1:-1].contiguous()
    return whole.permute(0, 3, 1, 2)

"""Transfer functions phi(a), their slopes phi'(a), and a surrogate slope that is never zero."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from neuro_aws.functional import fused

LEAK, LEAK_OF_GANS = 0.1, 0.2
"""Slopes of the two leaky ReLUs below threshold (dimensionless)."""

SURROGATE_SHARPNESS = 4.0
"""Steepness of the surrogate slope, per unit of potential: sigmoid(4 a) rises within +-0.5."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A unit's transfer function.

    ``value(a)`` is phi(a); ``back(t, a, v)`` is t * phi'(a), a signal on its way back, given
    v = phi(a); ``surrogate(a)`` is the slope that replaces phi' under ``derivative: surrogate``,
    strictly positive so that a silent unit can learn its way back.
    """

    name: str
    value: Callable[[Tensor], Tensor]
    back: Callable[[Tensor, Tensor, Tensor], Tensor]
    surrogate: Callable[[Tensor], Tensor]


def _relu_back(t: Tensor, a: Tensor, v: Tensor) -> Tensor:
    result: Tensor = torch.ops.aten.threshold_backward(t, a, 0)
    return result


def _tanh_back(t: Tensor, a: Tensor, v: Tensor) -> Tensor:
    result: Tensor = torch.ops.aten.tanh_backward(t, v)
    return result


def _sigmoid_back(t: Tensor, a: Tensor, v: Tensor) -> Tensor:
    result: Tensor = torch.ops.aten.sigmoid_backward(t, v)
    return result


def _soft_step(a: Tensor) -> Tensor:
    return torch.sigmoid(SURROGATE_SHARPNESS * a)


def _sigmoid_slope(a: Tensor) -> Tensor:
    s = torch.sigmoid(a)
    return s * (1 - s)


def _leaky(name: str, leak: float) -> Transfer:
    def back(t: Tensor, a: Tensor, v: Tensor) -> Tensor:
        result: Tensor = torch.ops.aten.leaky_relu_backward(t, a, leak, False)
        return result

    return Transfer(
        name,
        lambda a: torch.nn.functional.leaky_relu(a, leak),
        back,
        lambda a: leak + (1 - leak) * _soft_step(a),
    )


TRANSFERS: dict[str, Transfer] = {
    t.name: t
    for t in (
        Transfer("relu", torch.relu, _relu_back, _soft_step),
        _leaky("leaky_relu", LEAK),
        _leaky("leaky_relu_0.2", LEAK_OF_GANS),
        Transfer(
            "softplus",
            torch.nn.functional.softplus,
            lambda t, a, v: t * torch.sigmoid(a),
            torch.sigmoid,
        ),
        Transfer("tanh", torch.tanh, _tanh_back, lambda a: 1 - torch.tanh(a).square()),
        Transfer("sigmoid", torch.sigmoid, _sigmoid_back, _sigmoid_slope),
        Transfer("linear", lambda a: a, lambda t, a, v: t, torch.ones_like),
    )
}
"""Every transfer function by the name a protocol gives it."""


def inverse_relu(rate: Tensor, uniform: Tensor, scale: float) -> Tensor:
    """Replace the zeros of a rectified rate by negative exponential noise.

    u = h where h > 0, else scale * log(U), U uniform on (0, 1): a sample of what the potential
    may have been before the ReLU. ``rate`` and ``uniform`` have the same shape; units as the rate.
    """
    if torch.is_grad_enabled() and rate.requires_grad:
        carried: Tensor = _InverseReLU.apply(rate, uniform, scale)  # type: ignore[no-untyped-call]
        return carried
    compiled = fused.kernels("psi", rate, uniform) if rate.dim() == 4 else None
    if compiled is not None:
        by_log = rate.dtype is torch.float64
        choose = compiled.choose if by_log else compiled.choose_below
        chosen, drawn = torch.empty_like(rate), uniform.log() if by_log else uniform
        rows = map(fused.rows_of, (rate, drawn))
        choose(*rows, scale, fused.rows_of(chosen))
        return chosen
    below = uniform.log()
    # torch.where is far slower on a CPU than the slope of a ReLU, which selects as exactly.
    below = below.mul_(scale)
    below -= torch.ops.aten.threshold_backward(below, rate, 0)
    return below.add_(torch.relu(rate))


class _InverseReLU(Function):
    """``inverse_relu`` under autograd: a gradient passes where the rate is above 0."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Any:
        """Return what the axon carries."""
        rate, uniform, scale = inputs
        ctx.save_for_backward(rate)
        return inverse_relu(rate.detach(), uniform, scale)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Return the gradient at the rate."""
        (rate,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(grads[0], rate.detach(), 0), None, None

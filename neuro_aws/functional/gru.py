"""Gated units (GRU) over a sequence, forward and back through time, written out.

    r_t = sigmoid(W_r x_t + b_r + U_r h_{t-1} + c_r)          reset gate
    z_t = sigmoid(W_z x_t + b_z + U_z h_{t-1} + c_z)          update gate
    a_t = W_n x_t + b_n + r_t (U_n h_{t-1} + c_n)             potential of the candidate
    n_t = tanh(a_t)
    h_t = g ((1 - z_t) n_t + z_t h_{t-1}),   h_0 = 0          g: gain of the units (1; silenced: 0)

and back, from e_t = d/dh_t (with all that comes later) and from a signal s_t at a_t:

    d/da_t           = e_t g (1 - z_t) (1 - n_t^2) + s_t
    d/d(r_t drive)   = d/da_t (U_n h_{t-1} + c_n) r_t (1 - r_t)
    d/d(z_t drive)   = e_t g (h_{t-1} - n_t) z_t (1 - z_t)
    e_{t-1}          = d/dh_{t-1} + e_t g z_t + U^T d/d(r, z, r_t a_t drives)

Cho et al. 2014, in the form of ``torch.nn.GRU``, whose numbers and gradients these are
(tests/functional/test_gru.py). torch's own keeps a graph of every operation of every step; here
what a step needs of its past is computed for all steps at once, and a step back is three
operations. Sequences are (batch, time, units).
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import linear


class Gates(NamedTuple):
    """W, U, b, c as torch has them: gate by gate, (3 units, inputs) and (3 units)."""

    inputs: Tensor
    lateral: Tensor
    input_bias: Tensor
    lateral_bias: Tensor

    @classmethod
    def by_unit(
        cls, inputs: Tensor, input_bias: Tensor, lateral: Tensor, lateral_bias: Tensor
    ) -> "Gates":
        """Return weights that stand unit by unit: (units, 3, inputs), (units, 3)."""
        w, u = (t.transpose(0, 1).flatten(0, 1) for t in (inputs, lateral))
        return cls(w, u, *(t.transpose(0, 1).flatten() for t in (input_bias, lateral_bias)))

    @property
    def units(self) -> int:
        """Return the number of gated units."""
        return self.lateral.shape[1]


class Ran(NamedTuple):
    """Gated units over a sequence: h, a, and h before the gain, each (batch, time, units)."""

    fired: Tensor
    potential: Tensor
    raw: Tensor


def run(x: Tensor, *directions: Gates, gain: Tensor | None = None) -> Ran:
    """Return what gated units do for inputs x_1 ... x_T (batch, T, inputs).

    With two sets of weights the second runs from the end to the start of the sequence, and what
    both do in a step is joined. ``gain`` (units): of all of them.
    """
    forth = x.transpose(0, 1)
    driven = [linear(forth.flip(0) if k else forth, d[0], d[2]) for k, d in enumerate(directions)]
    lateral, bias = (torch.stack([d[k] for d in directions]) for k in (1, 3))
    parts = _Recurrence.apply(torch.stack(driven, 1), lateral, bias, gain)  # type: ignore[no-untyped-call]
    return Ran(*(_joined(part) for part in parts))


def _joined(part: Tensor) -> Tensor:
    """Return (time, directions, batch, units) as (batch, time, directions * units)."""
    ways = [way.flip(0) if k else way for k, way in enumerate(part.unbind(1))]
    return (ways[0] if len(ways) == 1 else torch.cat(ways, -1)).transpose(0, 1)


class _Recurrence(Function):
    """From W x + b (time, directions, batch, 3 units) to h, a and h before the gain."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Any:
        """Run through the steps."""
        driven, lateral, bias, gain = inputs
        steps, ways, batch, three = driven.shape
        n = three // 3
        gates = driven.new_empty(steps, ways, batch, 2 * n)
        carried = torch.empty_like(driven)
        potential, candidate, raw = (driven.new_empty(steps, ways, batch, n) for _ in range(3))
        fired = raw if gain is None else torch.empty_like(raw)
        each = zip(
            *(t.unbind(0) for t in (gates, carried, potential, candidate, raw, fired)),
            *(t.unbind(0) for t in (driven[..., : 2 * n], driven[..., 2 * n :])),
            strict=True,
        )
        h, turned, c = driven.new_zeros(ways, batch, n), lateral.mT, bias[:, None]
        for rz, back, a, new, whole, after, onto_gates, onto_candidate in each:
            torch.baddbmm(c, h, turned, out=back)
            torch.add(onto_gates, back[..., : 2 * n], out=rz).sigmoid_()
            torch.addcmul(onto_candidate, rz[..., :n], back[..., 2 * n :], out=a)
            torch.tanh(a, out=new)
            torch.lerp(new, h, rz[..., n:], out=whole)
            h = whole if gain is None else torch.mul(whole, gain, out=after)
        ctx.save_for_backward(lateral, gates, carried, candidate, fired)
        ctx.gain = gain
        ctx.mark_non_differentiable(*([raw] if gain is not None else []))
        return fired, potential, (raw if gain is not None else fired.detach())

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Go back through the steps."""
        lateral, gates, carried, candidate, fired = ctx.saved_tensors
        e, s = grads[0], grads[1]
        steps, n = fired.shape[0], fired.shape[-1]
        r, z = gates[..., :n], gates[..., n:]
        before = torch.cat([torch.zeros_like(fired[:1]), fired[:-1]])
        open_ = 1 - z if ctx.gain is None else (1 - z) * ctx.gain
        kept = z if ctx.gain is None else z * ctx.gain
        to_a = open_ * (1 - candidate.square())
        onto_r = carried[..., 2 * n :] * r * (1 - r)
        parts = [to_a * onto_r, (before - candidate) * z * open_, to_a * r]
        slopes = torch.stack(parts, -2)  # of the drives through U, by e: (..., 3, units)
        signal = torch.stack([s * onto_r, torch.zeros_like(s), s * r], -2)
        drives, later = torch.empty_like(slopes), torch.empty_like(fired)
        now = e[-1]
        for t in range(steps - 1, -1, -1):
            later[t] = now
            torch.addcmul(signal[t], slopes[t], now.unsqueeze(-2), out=drives[t])
            if t:
                past = torch.addcmul(e[t - 1], now, kept[t])
                now = torch.baddbmm(past, drives[t].flatten(-2), lateral)
        at_drives = drives.flatten(-2)  # (time, ways, batch, 3 units)
        flat = at_drives.transpose(0, 1).flatten(1, 2)
        d_lateral = flat.mT @ before.transpose(0, 1).flatten(1, 2)
        at_inputs = torch.cat([at_drives[..., : 2 * n], later * to_a + s], -1)
        return at_inputs, d_lateral, flat.sum(1), None


class Cell(NamedTuple):
    """Gated units step by step, without a graph, whose input is one of some symbols.

    ``driven`` (symbols, 3 units) is W x + b for each of them.
    """

    driven: Tensor
    turned: Tensor
    bias: Tensor
    gain: Tensor | None = None

    @classmethod
    def of(cls, gates: Gates, sent: Tensor | None = None, gain: Tensor | None = None) -> "Cell":
        """Return the units with these weights; ``sent`` is what each symbol sends, default 1."""
        columns = gates.inputs.T if sent is None else gates.inputs.T * sent[:, None]
        return cls(columns + gates.input_bias, gates.lateral.T, gates.lateral_bias, gain)

    def step(self, driven: Tensor, h: Tensor) -> Tensor:
        """Return h_t for W x_t + b (batch, 3 units) and h_{t-1}."""
        n = h.shape[-1]
        back = torch.addmm(self.bias, h, self.turned)
        rz = torch.sigmoid(driven[:, : 2 * n] + back[:, : 2 * n])
        new = torch.tanh(torch.addcmul(driven[:, 2 * n :], rz[:, :n], back[:, 2 * n :]))
        found = torch.lerp(new, h, rz[:, n:])
        return found if self.gain is None else found * self.gain


def delayed(sequence: Tensor) -> Tensor:
    """Return a sequence one step later: zeros, then all but its last element."""
    return torch.cat([torch.zeros_like(sequence[:, :1]), sequence[:, :-1]], 1)

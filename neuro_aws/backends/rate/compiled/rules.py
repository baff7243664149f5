"""The local rules: dG, and dF by credit. Those of ``functional/plasticity.py``, ``algorithms``."""

from typing import Any

import numpy as np

from neuro_aws.backends.rate.compiled.homeostasis import at_raw, leave_out
from neuro_aws.backends.rate.compiled.layout import (
    BACKPROP,
    DENDRITE,
    FIRING,
    LAYER,
    NORM,
    P_POTENTIAL,
    P_RATE,
    P_RAW,
    P_VALUE,
    POTENTIAL,
    PREDICTED,
    RAW,
    SCALAR,
    SIGNAL,
    SOMA,
    TRANSFER,
    UNGAINED,
    VALUE,
    Plan,
    Space,
    Weights,
    feedback,
    feedforward,
    noise_into,
    rows,
    units,
)
from neuro_aws.backends.rate.compiled.products import product
from neuro_aws.backends.rate.compiled.rate_functions import pull_back
from neuro_aws.functional.compiled.kernel import part
from neuro_aws.functional.densities import LOG_EPSILON

_NO_GAIN = 0
"""Length of the gains of a layer that has none."""


@part
def sum_over_batch(post: Any, out: Any) -> None:
    """out = sum over the batch of post."""
    out[:] = 0
    for s in range(post.shape[0]):
        signal = post[s]
        for k in range(out.size):
            out[k] += signal[k]


@part
def inner_gain(plan: Plan, space: Space, layer: int) -> Any:
    """Return a layer's gains where they act before normalisation, else an empty array."""
    if plan.gain_first and space.gained[layer]:
        return units(space.gains, plan, layer)
    return space.gains[:_NO_GAIN]


@part
def fired(plan: Plan, space: Space, layer: int) -> Any:
    """Return the rate of what drove a layer's somata, before a gain put on the somata."""
    if space.gained[layer] and not plan.gain_first:
        return rows(space, plan, UNGAINED, layer)
    return rows(space, plan, FIRING, layer)


@part
def difference(plan: Plan, target: Any, prediction: Any, out: Any) -> None:
    """out = h - d, or its sign under ``density: laplacian``."""
    for s in range(out.shape[0]):
        error, h, d = out[s], target[s], prediction[s]
        if plan.laplacian:
            for k in range(error.size):
                error[k] = np.sign(h[k] - d[k])
        else:
            for k in range(error.size):
                error[k] = h[k] - d[k]


@part
def missed(plan: Plan, space: Space, layer: int, norm: int, error: Any) -> None:
    """error = <(h - d) psi'(.)>, what a prediction of a layer's somata missed, at its potential."""
    rate, batch = rows(space, plan, P_RATE, layer), error.shape[0]
    difference(plan, rows(space, plan, FIRING, layer), rate, error)
    pull_back(
        plan.layers[TRANSFER, layer],
        norm,
        plan.surrogate,
        error,
        space.gains[:_NO_GAIN],
        rows(space, plan, P_POTENTIAL, layer),
        rows(space, plan, P_VALUE, layer),
        rate,
        space.pools[1, layer],
        plan.factors[layer] / batch,
    )


@part
def feedback_delta(plan: Plan, weights: Weights, space: Space, delta: Any, adapting: bool) -> None:
    """dG_i = < (h_i - d_i) psi'(.) h_{i+1}^T >; a drive that is held has no bias to learn."""
    for i in range(plan.depth):
        error = rows(space, plan, SIGNAL, i)
        missed(plan, space, i, plan.layers[PREDICTED, i], error)
        weight, bias = feedback(delta, plan, i)
        if plan.held[DENDRITE, i]:
            raw = rows(space, plan, P_RAW, i)
            carried = plan.factors[i] / error.shape[0]
            none = space.gains[:_NO_GAIN]
            leave_out(plan, weights, space, DENDRITE, i, error, raw, none, carried)
            at_raw(plan, space, DENDRITE, i, error, raw, adapting)
            bias[:] = 0
        else:
            sum_over_batch(error, bias)
        product(error, True, rows(space, plan, FIRING, i + 1), False, weight, 1.0, 0.0)


@part
def kl_teaching(top: Any, kl: float, out: Any) -> None:
    """out += kl (mean + (1 - 1 / var) (h - mean) B / (B - 1)), of each unit over the batch."""
    batch, size = top.shape
    real = top.dtype.type
    mean, variance = np.zeros(size, top.dtype), np.zeros(size, top.dtype)
    for s in range(batch):
        for k in range(size):
            mean[k] += top[s, k]
    for k in range(size):
        mean[k] /= real(batch)
    for s in range(batch):
        for k in range(size):
            variance[k] += (top[s, k] - mean[k]) ** 2
    for k in range(size):
        pull = real(1) - real(1) / (variance[k] / real(batch - 1) + real(LOG_EPSILON))
        variance[k] = pull * real(batch / (batch - 1.0))
    weight = real(kl)
    for s in range(batch):
        for k in range(size):
            out[s, k] += weight * (mean[k] + variance[k] * (top[s, k] - mean[k]))


@part
def at_psi(plan: Plan, space: Space, layer: int, teach: Any, by_sample: Any) -> None:
    """Take a teaching signal through the somata's gain, times a weight of each sample, in place."""
    if space.gained[layer] and not plan.gain_first:
        gain = units(space.gains, plan, layer)
        for s in range(teach.shape[0]):
            for k in range(gain.size):
                teach[s, k] *= gain[k]
    if by_sample.size:
        for s in range(teach.shape[0]):
            for k in range(teach.shape[1]):
                teach[s, k] *= by_sample[s]


@part
def through_psi(plan: Plan, space: Space, layer: int, teach: Any, scale: float) -> None:
    """teach = scale teach psi'(a) of what drove a layer's somata, in place."""
    pull_back(
        plan.layers[TRANSFER, layer],
        plan.layers[NORM, layer],
        plan.surrogate,
        teach,
        inner_gain(plan, space, layer),
        rows(space, plan, POTENTIAL, layer),
        rows(space, plan, VALUE, layer),
        fired(plan, space, layer),
        space.pools[0, layer],
        scale,
    )


@part
def onto_feedforward(
    plan: Plan, weights: Weights, space: Space, layer: int, post: Any, by_sample: Any, delta: Any,
    add: bool, adapting: bool, corrected: bool,
) -> None:  # fmt: skip
    """dF = sum over the batch of post h^T, db = that of post; ``add`` to what is there.

    ``corrected``: dF leaves out what homeostasis would undo. ``post`` carries ``by_sample`` and
    - 1 / batch already.
    """
    batch = post.shape[0]
    weight, bias = feedforward(delta, plan, layer - 1)
    if not add:
        bias[:] = 0
    for s in range(batch):
        for k in range(bias.size):
            bias[k] += post[s, k]
    raw = rows(space, plan, RAW, layer)
    if corrected:
        leave_out(plan, weights, space, SOMA, layer, post, raw, by_sample, -1.0 / batch)
    at_raw(plan, space, SOMA, layer, post, raw, adapting)
    pre = rows(space, plan, FIRING, layer - 1)
    product(post, True, pre, False, weight, 1.0, 1.0 if add else 0.0)


@part
def feedforward_delta(
    plan: Plan, weights: Weights, space: Space, level: Any, by_sample: Any, delta: Any,
    adapting: bool, teaches: bool,
) -> None:  # fmt: skip
    """dF_i = - < teach_{i+1} psi'(a_i) h_i^T >, teach by ``plan.credit``.

    ``level`` is what ``scalar`` teaches by: ACh - baseline. ``by_sample``, if not empty, multiplies
    each sample. ``teaches``: ACh is not clamped.
    """
    batch, top = level.size, plan.depth
    if plan.credit == BACKPROP:
        backprop_delta(plan, weights, space, by_sample, delta, batch, adapting, teaches)
        return
    for layer in range(1, top + 1):
        teach = rows(space, plan, SIGNAL, layer)
        learns = False
        if plan.credit == LAYER:
            sent = rows(space, plan, space.sent, layer)
            for s in range(batch):
                for k in range(teach.shape[1]):
                    teach[s, k] = sent[s, k]
            learns = True
        elif plan.credit == SCALAR:
            score(plan, noise_into(space, plan, layer, False), level, by_sample, teach)
            onto_feedforward(
                plan, weights, space, layer, teach, by_sample, delta, False, adapting, teaches
            )
        if plan.credit != LAYER:
            teach[:] = 0
        if layer == top and plan.kl != 0:
            kl_teaching(rows(space, plan, FIRING, top), plan.kl, teach)
            learns = True
        if learns:
            at_psi(plan, space, layer, teach, by_sample)
            through_psi(plan, space, layer, teach, -1.0 / batch)
            onto_feedforward(
                plan, weights, space, layer, teach, by_sample, delta, plan.credit == SCALAR,
                adapting, teaches and plan.credit == LAYER,
            )  # fmt: skip
        elif plan.credit != SCALAR:
            weight, bias = feedforward(delta, plan, layer - 1)
            weight[:] = 0
            bias[:] = 0


@part
def score(plan: Plan, xi: Any, level: Any, by_sample: Any, out: Any) -> None:
    """out = - (ACh - baseline) (xi / sigma) / batch; Laplacian noise: sign(xi) sqrt(2) / sigma."""
    real = out.dtype.type
    for s in range(out.shape[0]):
        factor = level[s] * real(-1.0 / (out.shape[0] * plan.sigma))
        if by_sample.size:
            factor *= by_sample[s]
        if plan.laplacian_noise:
            for k in range(out.shape[1]):
                out[s, k] = factor * np.sign(xi[s, k]) * real(np.sqrt(2.0))
        else:
            for k in range(out.shape[1]):
                out[s, k] = factor * xi[s, k]


@part
def backprop_delta(
    plan: Plan, weights: Weights, space: Space, by_sample: Any, delta: Any, batch: int,
    adapting: bool, teaches: bool,
) -> None:  # fmt: skip
    """teach_j = dD/dh_j + F_j^T (teach_{j+1} psi'(a_j)), from the top down."""
    top = plan.depth
    none = by_sample[:0]
    for layer in range(top, 0, -1):
        teach = rows(space, plan, SIGNAL, layer)
        sent = rows(space, plan, space.sent, layer)
        if layer == top:
            teach[:] = sent
            kl_teaching(rows(space, plan, FIRING, top), plan.kl, teach)
        else:  # what the layer above sent down is there already
            teach += sent
        at_psi(plan, space, layer, teach, none)
        through_psi(plan, space, layer, teach, 1.0)
        weighted = np.empty_like(teach)
        share = teach.dtype.type(-1.0 / batch)
        weight, bias = feedforward(delta, plan, layer - 1)
        weigh(teach, by_sample, share, weighted)
        sum_over_batch(weighted, bias)
        raw = rows(space, plan, RAW, layer)
        if teaches:
            leave_out(plan, weights, space, SOMA, layer, teach, raw, none, 1.0)
        at_raw(plan, space, SOMA, layer, teach, raw, adapting)
        weigh(teach, by_sample, share, weighted)
        product(weighted, True, rows(space, plan, FIRING, layer - 1), False, weight, 1.0, 0.0)
        if layer > 1:
            own, _ = feedforward(weights.feedforward, plan, layer - 1)
            below = rows(space, plan, SIGNAL, layer - 1)
            product(teach, False, own, False, below, 1.0, 0.0)


@part
def weigh(signal: Any, by_sample: Any, share: float, out: Any) -> None:
    """out = share * by_sample * signal, sample by sample; share * signal if there is no weight."""
    for s in range(signal.shape[0]):
        factor = share * by_sample[s] if by_sample.size else share
        for k in range(signal.shape[1]):
            out[s, k] = signal[s, k] * factor

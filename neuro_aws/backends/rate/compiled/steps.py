"""The half steps: activity and ACh; then what each kind of projection would change by."""

from typing import Any

from neuro_aws.backends.rate.compiled.discriminator import discriminator_delta, read, send_back
from neuro_aws.backends.rate.compiled.homeostasis import at_raw, hold
from neuro_aws.backends.rate.compiled.layout import (
    DENDRITE,
    DREAM,
    FIRING,
    NORM,
    OFFSET,
    OVER_BATCH,
    P_POTENTIAL,
    P_RATE,
    P_RAW,
    P_VALUE,
    POTENTIAL,
    PREDICTED,
    RAW,
    SIGNAL,
    SLOPE,
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
from neuro_aws.backends.rate.compiled.rate_functions import fire, normalise
from neuro_aws.backends.rate.compiled.rules import (
    feedback_delta,
    feedforward_delta,
    inner_gain,
    missed,
    sum_over_batch,
)
from neuro_aws.functional.compiled.kernel import kernel, part


@part
def drive(
    plan: Plan, weights: Weights, space: Space, layer: int, asleep: bool, adapting: bool
) -> None:
    """Fire a layer's somata: from below in wake, from above (by their dendrites) in REM."""
    what = DREAM if asleep else SOMA
    if asleep:
        weight, bias = feedback(weights.feedback, plan, layer)
        pre = rows(space, plan, FIRING, layer + 1)
        if plan.held[what, layer]:
            bias = bias[:0]
    else:
        weight, bias = feedforward(weights.feedforward, plan, layer - 1)
        pre = rows(space, plan, FIRING, layer - 1)
    # Where the way back does not read the raw drive again, scratch is nearer at hand.
    kept = (plan.over == OVER_BATCH or plan.orthogonal) and plan.held[what, layer]
    raw = rows(space, plan, RAW if kept else SIGNAL, layer)
    product(pre, False, weight, True, raw, 1.0, 0.0)
    hold(plan, weights, space, what, layer, raw, bias, adapting)
    outer = space.gained[layer] and not plan.gain_first
    rate = rows(space, plan, UNGAINED if outer else FIRING, layer)
    sigma = plan.sigma if layer or plan.noisy_bottom else 0.0
    fire(
        plan.layers[TRANSFER, layer],
        plan.layers[NORM, layer],
        raw,
        units(space.holding[SLOPE, what], plan, layer),
        units(space.holding[OFFSET, what], plan, layer),
        noise_into(space, plan, layer, asleep),
        sigma,
        inner_gain(plan, space, layer),
        rows(space, plan, POTENTIAL, layer),
        rows(space, plan, VALUE, layer),
        rate,
        space.pools[0, layer],
    )
    if outer:
        with_gain(plan, space, layer, rate)


@part
def with_gain(plan: Plan, space: Space, layer: int, rate: Any) -> None:
    """h = gain * rate of a layer."""
    batch = rate.shape[0]
    soma, gain = rows(space, plan, FIRING, layer), units(space.gains, plan, layer)
    if space.gained[layer]:
        for s in range(batch):
            for k in range(gain.size):
                soma[s, k] = rate[s, k] * gain[k]
    else:
        soma[:] = rate


@part
def predict(plan: Plan, space: Space, what: int, layer: int, norm: int, raw: Any) -> None:
    """Let a compartment fire by itself, without noise: what it predicts its soma to fire."""
    fire(
        plan.layers[TRANSFER, layer],
        norm,
        raw,
        units(space.holding[SLOPE, what], plan, layer),
        units(space.holding[OFFSET, what], plan, layer),
        raw,
        0.0,
        space.gains[:0],
        rows(space, plan, P_POTENTIAL, layer),
        rows(space, plan, P_VALUE, layer),
        rows(space, plan, P_RATE, layer),
        space.pools[1, layer],
    )


@kernel
def recognise(
    plan: Plan, weights: Weights, space: Space, stimulus: Any, level: Any, adapting: bool
) -> None:
    """Wake: h_0 = x, h_{i+1} = psi(F_i h_i + sigma xi), d_i = psi(G_i h_{i+1}), ACh = D(h)."""
    batch, top = space.hidden.shape[1], plan.depth
    with_gain(plan, space, 0, stimulus)
    for layer in range(1, top + 1):
        drive(plan, weights, space, layer, False, adapting)
    for layer in range(top):
        weight, bias = feedback(weights.feedback, plan, layer)
        if plan.held[DENDRITE, layer]:
            bias = bias[:0]
        kept = (plan.over == OVER_BATCH or plan.orthogonal) and plan.held[DENDRITE, layer]
        raw = rows(space, plan, P_RAW if kept else SIGNAL, layer)
        product(rows(space, plan, FIRING, layer + 1), False, weight, True, raw, 1.0, 0.0)
        hold(plan, weights, space, DENDRITE, layer, raw, bias, adapting)
        predict(plan, space, DENDRITE, layer, plan.layers[PREDICTED, layer], raw)
    read(plan, space, weights.discriminator, level)
    send_back(plan, space, weights.discriminator, batch)


@kernel
def dream(plan: Plan, weights: Weights, space: Space, top: Any, level: Any, adapting: bool) -> None:
    """REM: h_N as drawn, h_i = psi(G_i h_{i+1} + sigma xi), ACh = D(h).

    ``top`` are draws of h_N, which are normalised in place where h_N is.
    """
    batch, last = space.hidden.shape[1], plan.depth
    for s in range(batch):
        normalise(plan.layers[NORM, last], top[s], top[s])
    with_gain(plan, space, last, top)
    for layer in range(last - 1, -1, -1):
        drive(plan, weights, space, layer, True, adapting)
    read(plan, space, weights.discriminator, level)
    send_back(plan, space, weights.discriminator, batch)


@kernel
def wake_deltas(
    plan: Plan, weights: Weights, space: Space, d_feedback: Any, d_discriminator: Any,
    adapting: bool,
) -> None:  # fmt: skip
    """dG and dD of a wake step."""
    batch = space.hidden.shape[1]
    discriminator_delta(plan, space, weights.discriminator, batch, 1.0, d_discriminator)
    feedback_delta(plan, weights, space, d_feedback, adapting)


@kernel
def rem_deltas(plan: Plan, weights: Weights, space: Space, d_discriminator: Any) -> None:
    """dD of a REM step."""
    batch = space.hidden.shape[1]
    discriminator_delta(plan, space, weights.discriminator, batch, -1.0, d_discriminator)


@kernel
def credited(
    plan: Plan, weights: Weights, space: Space, level: Any, release: Any, constant: bool,
    by_sample: Any, excess: Any, delta: Any, adapting: bool,
) -> None:  # fmt: skip
    """dF of a wake step; ``excess`` becomes ACh - baseline, what ``scalar`` teaches by."""
    real = level.dtype.type
    if plan.running_baseline and not constant:
        excess[:] = release
    else:
        mean = real(0)
        for s in range(level.size):
            mean += level[s]
        mean /= real(level.size)
        for s in range(level.size):
            excess[s] = level[s] - mean
    feedforward_delta(plan, weights, space, excess, by_sample, delta, adapting, not constant)


@kernel
def recognition_delta(plan: Plan, weights: Weights, space: Space, delta: Any) -> None:
    """Wake-Sleep in REM: dF_i = < (h_{i+1} - psi(a_i)) psi'(a_i) h_i^T >, a_i without noise.

    Drives that are held are held by their running statistics, which stay as they are.
    """
    for layer in range(1, plan.depth + 1):
        weight, bias = feedforward(weights.feedforward, plan, layer - 1)
        raw = rows(space, plan, SIGNAL, layer)
        pre = rows(space, plan, FIRING, layer - 1)
        product(pre, False, weight, True, raw, 1.0, 0.0)
        hold(plan, weights, space, SOMA, layer, raw, bias, False)
        predict(plan, space, SOMA, layer, plan.layers[NORM, layer], raw)
        missed(plan, space, layer, plan.layers[NORM, layer], raw)
        d_weight, d_bias = feedforward(delta, plan, layer - 1)
        sum_over_batch(raw, d_bias)
        at_raw(plan, space, SOMA, layer, raw, raw, False)
        product(raw, True, pre, False, d_weight, 1.0, 0.0)


@kernel
def follow_baseline(weights: Weights, level: Any, rate: float) -> None:
    """Move the baseline of ACh toward this step's mean D."""
    mean, real = level.dtype.type(0), level.dtype.type
    for s in range(level.size):
        mean += level[s]
    weights.baseline[0] += real(rate) * (mean / real(level.size) - weights.baseline[0])

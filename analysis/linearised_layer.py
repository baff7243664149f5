"""One layer near its operating point: do spikes and rates learn the same feedback weights?

    python analysis/linearised_layer.py                           # 3 animals, 2,000 s each
    python analysis/linearised_layer.py --seconds 40 --seeds 1

Six spiking cells receive from four through fixed F; stimuli move the four around the steepest
point of phi, where it is nearly straight. The spiking rule learns G. The rate rule
(``predictive_plasticity``, linear) learns from the second half of the same run: what a cell fired
in each ms when it was not refractory, and the PSPs its dendrite received. With phi straight,

    G_rate = dp/dV* g_D / (g_L + g_D) G_spiking,    p = 1 - exp(-phi(V*) h)

Prints the angle between the two and their relative difference: |G_rate - theirs| / |G_rate|.
"""

import argparse
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import lfilter

from neuro_aws.backends.spiking.blocks import Drive
from neuro_aws.backends.spiking.brian2_compat import chosen_target
from neuro_aws.backends.spiking.cortex import Cortex
from neuro_aws.backends.spiking.kernels import phi, slope
from neuro_aws.functional.activations import TRANSFERS
from neuro_aws.functional.compartments import Psi, fire
from neuro_aws.functional.plasticity import predictive_plasticity
from neuro_aws.metrics.statistics import estimate
from neuro_aws.protocol import Protocol
from neuro_aws.rng import numpy_generator, stream_key

Array = NDArray[Any]
TEXT = """
schema_version: 3
name: linearised_layer
backend: spiking
stimulus: {source: digits, held_out: 50}
network: {layers: [64, 40]}
algorithm: {name: adversarial_wake_sleep, credit: scalar}
spiking:
  target_rate: 50
  feedforward_at_birth: 1.2
  ach_units: 1
  segment: 20
  learning: {feedback: 3.0e-5, dendrite_bias: 3.0e-4}
schedule: [{name: learning, cycles: 1, phases: [{wake: 1}, {rem: 1}]}]
"""
CELLS, CODE = 4, 6
CENTRE, SPREAD = 0.9, 0.18
"""Drive of the four cells: mean (the steepest point of phi) and spread."""

BATCH, ITERATIONS = 20_000, 3_000


def main() -> None:
    """Compare the two for every animal."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=2000.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--target", choices=("cython", "numpy"), default="cython", help="of Brian2")
    arguments = parser.parse_args()
    errors = []
    for animal in range(arguments.seeds):
        spikes, rates = learnt(animal, arguments.seconds, arguments.target)
        cosine = float((spikes * rates).sum() / np.linalg.norm(spikes) / np.linalg.norm(rates))
        errors.append(float(np.linalg.norm(spikes - rates) / np.linalg.norm(rates)))
        size = np.linalg.norm(spikes) / np.linalg.norm(rates)
        print(f"animal {animal}: cosine {cosine:.3f}, size {size:.3f}, error {errors[-1]:.3f}")
    print(f"error of the weights: {estimate(np.array(errors))}")


def cortex_of(animal: int, seconds: float, target: str) -> Cortex:
    """Return a cortex of four cells below and six above, simulated in two segments or more."""
    changes = [f"spiking.target={target}", f"spiking.segment={min(20, seconds / 2):g}"]
    protocol = Protocol.from_text(TEXT, overrides=changes)
    spec = protocol.spec
    network = spec.network.model_copy(update={"layers": (CELLS, CODE)})
    chosen_target(spec.spiking.target)
    return Cortex(spec.model_copy(update={"network": network}), animal)


def segment(cortex: Cortex, animal: int, index: int) -> Drive:
    """Return steps of wake: stimuli from N(CENTRE, SPREAD^2), the same for no two steps."""
    steps = cortex.section.segment_steps
    draws = numpy_generator(animal, "linearised", index)
    potential = np.zeros((steps, cortex.count))
    potential[:, cortex.layer(0)] = CENTRE + SPREAD * draws.standard_normal((steps, CELLS))
    closed, opened = np.zeros(steps), np.ones(steps)
    gates = {"feedforward": closed, "ach": closed, "feedback": opened, "homeostasis": opened}
    nothing = np.full(steps, np.nan)
    return Drive(opened, potential, np.ones((steps, cortex.count)), gates, nothing)


def learnt(animal: int, seconds: float, target: str) -> tuple[Array, Array]:
    """Return the weights of both rules; the spiking one's are means of the second half.

    They are taken times the slope they act with, so that both are 1/ms for a unit of PSP.
    """
    cortex = cortex_of(animal, seconds, target)
    n, h, steps = cortex.neuron, cortex.section.dt, cortex.section.segment_steps
    length, count = round(steps * cortex.section.step), round(seconds / cortex.section.segment)
    kept, received, fired = [], [], []
    for k in range(max(2, count)):
        spikes = cortex.simulate(segment(cortex, animal, k), stream_key(animal, "linearised", k))
        if k < count // 2:
            continue
        v_star = np.asarray(cortex.objects["cortex"].V_star[:])[cortex.layer(0)]
        kept.append((cortex.weights("feedback", 0), v_star))
        trains = np.zeros((length, cortex.count))
        trains[np.rint(spikes.time).astype(int).clip(0, length - 1), spikes.neuron] = 1
        received.append(psps(trains[:, cortex.layer(1)], n.tau_l, n.tau_s, n.psp_scale))
        fired.append(trains[:, cortex.layer(0)])
    weights, v_star = (np.mean([pair[j] for pair in kept], axis=0) for j in (0, 1))
    steep = slope(n, v_star) * h * np.exp(-phi(n, v_star) * h)
    pre, post = np.concatenate(received), np.concatenate(fired)
    rates = np.stack([regressed(pre, post[:, i], i) for i in range(CELLS)])
    return np.asarray(steep[:, None] * n.prediction * weights), rates


def psps(trains: Array, tau_l: float, tau_s: float, scale: float) -> Array:
    """Return the PSPs that spike trains (ms, cells) evoke, received from the next ms on."""
    late = np.concatenate([np.zeros((1, trains.shape[1])), trains[:-1]])
    slow, fast = (
        lfilter([np.exp(-1 / tau)], [1.0, -np.exp(-1 / tau)], late, axis=0)
        for tau in (tau_l, tau_s)
    )
    return np.asarray(scale * (slow - fast))


def regressed(received: Array, fired: Array, cell: int) -> Array:
    """Let the rate rule predict one cell's firing (1/ms) in the ms when it was not refractory."""
    recent = np.convolve(fired, [0, 1, 1], "full")[: len(fired)]
    free = recent == 0
    x = torch.from_numpy(np.ascontiguousarray(received[free]))
    y = torch.from_numpy(np.ascontiguousarray(fired[free]))[:, None]
    psi = Psi(TRANSFERS["linear"])
    weight, bias = torch.zeros(1, CODE, dtype=x.dtype), y.mean(0).clone()
    centre = x.mean(0)
    draws = torch.Generator().manual_seed(cell)
    total = torch.zeros_like(weight)
    for k in range(ITERATIONS):
        rows = torch.randint(len(x), (BATCH,), generator=draws)
        pre = x[rows] - centre
        d_weight, d_bias = predictive_plasticity(
            y[rows], fire(psi, pre @ weight.T + bias), psi, pre
        )
        weight, bias = weight + 0.1 * d_weight, bias + 0.1 * d_bias
        if k >= ITERATIONS // 2:
            total += weight
    return np.asarray(total[0] / (ITERATIONS - ITERATIONS // 2))


if __name__ == "__main__":
    main()

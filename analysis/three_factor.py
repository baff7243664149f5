"""Does the spiking three-factor rule climb down the gradient of ACh? Its update against theory.

    python analysis/three_factor.py                          # 3 animals, 200 s of wake
    python analysis/three_factor.py --seconds 20 --seeds 1 --out figure.png

ACh learns for a while and is frozen. Then the cortex stays awake, and what the rule would change
(-delta * eligibility, summed, at a rate too small to matter) is compared with the gradient of the
mean of ACh with respect to the weights into layer 1, from the same activity:

    dE[ACh]/dF_ij = < A_i phi'(U_i) c PSP_j >     c = g_t / (g_L + g_t), a soma's share of its drive
    A_i = tau a_i + sum_l F_li c PSP-area phi'(U_l) tau a_l      directly, and through layer 2
    a_i = sum_k r_k [f_k > 0] W_ki / spread_k                    ACh's slope with i's spike trace

tau is the area of the trace of one spike. What passes through refractoriness is left out.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neuro_aws.backends.rate.build import load_dataset
from neuro_aws.backends.spiking.blocks import Drive
from neuro_aws.backends.spiking.brian2_compat import brian2, chosen_target, emptied
from neuro_aws.backends.spiking.cortex import Cortex
from neuro_aws.backends.spiking.inputs import Inputs
from neuro_aws.backends.spiking.kernels import slope
from neuro_aws.metrics.statistics import estimate
from neuro_aws.plots.style import ARM_COLOURS, figure, save, styled
from neuro_aws.protocol import Protocol
from neuro_aws.rng import stream_key

Array = NDArray[Any]
PROTOCOL = Path(__file__).parents[1] / "protocols" / "spiking_ach_sign.yaml"
SLOW = 1e-12
"""A feedforward rate at which the weights stay where they are."""

SAMPLE = 20.0
"""Activity is sampled every so many ms."""

TRAINING = 30
"""Seconds of the run before ACh is frozen."""


def main() -> None:
    """Print the cosine of every animal and draw the two against each other."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=200.0, help="of wake")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--target", choices=("cython", "numpy"), default="cython", help="of Brian2")
    parser.add_argument("--out", type=Path, default=Path("three_factor.png"))
    arguments = parser.parse_args()
    found = [one(animal, arguments.seconds, arguments.target) for animal in range(arguments.seeds)]
    cosines = np.array([cosine(*pair) for pair in found])
    for animal, value in enumerate(cosines):
        print(f"animal {animal}: cosine {value:.3f}")
    print(f"cosine of update and gradient, layer 1, {arguments.seconds:g} s: {estimate(cosines)}")
    draw(*found[0], cosines[0], arguments.out)
    print(arguments.out)


def cosine(a: Array, b: Array) -> float:
    """Return the cosine of the angle between two arrays."""
    return float((a * b).sum() / np.sqrt(np.square(a).sum() * np.square(b).sum()))


def one(animal: int, seconds: float, target: str) -> tuple[Array, Array]:
    """Return minus the summed update and the gradient, (layer 1, layer 0), of one animal."""
    changes = [f"spiking.learning.feedforward={SLOW}", f"spiking.target={target}"]
    protocol = Protocol.load(PROTOCOL, changes)
    plan = protocol.tree.trunks["common"]
    chosen_target(plan.spec.spiking.target)
    b2, cortex = brian2(), Cortex(plan.spec, animal)
    dataset = load_dataset(plan.spec, animal, torch.device("cpu"))
    timeline = Inputs(plan, animal, dataset, cortex)
    every = plan.spec.spiking.segment_steps
    top = cortex.layer(len(cortex.sizes) - 1)
    pool: Array | None = None
    for start in range(0, TRAINING * 10, every):
        drive, _ = timeline.drive(start, start + every, pool)
        spikes = cortex.simulate(drive, stream_key(animal, "three_factor", start), every)
        waking = np.flatnonzero(drive.wake)
        counts = np.zeros((every, cortex.count))
        which = (spikes.time / plan.spec.spiking.step).astype(int).clip(0, every - 1)
        np.add.at(counts, (which, spikes.neuron), 1)
        pool = counts[waking][:, top] * 10
    monitors = {
        "U": b2.StateMonitor(cortex.objects["cortex"], ["U", "A_p", "B_p"], record=True,
                             dt=SAMPLE * b2.ms, when="end", order=50, name="sampled"),
        "f": b2.StateMonitor(cortex.objects["features"], ["f", "variance"], record=True,
                             dt=SAMPLE * b2.ms, when="end", order=50, name="sampled_f"),
    }  # fmt: skip
    cortex.network.add(*monitors.values())
    before = cortex.weights("feedforward", 1)
    gradient, count = np.zeros_like(before), 0
    for k in range(round(seconds * 10 / every)):
        drive = awake(timeline, every, TRAINING * 10 + k * every, cortex)
        cortex.simulate(drive, stream_key(animal, "three_factor/awake", k), every)
        cells, features = monitors["U"], monitors["f"]
        samples = len(cells.t)
        gradient += summed(cortex, *(np.asarray(v) for v in (
            cells.U, cells.A_p, cells.B_p, features.f, features.variance)))  # fmt: skip
        count += samples
        emptied(monitors)
    update = (cortex.weights("feedforward", 1) - before) / SLOW
    return -update, gradient / count


def awake(timeline: Inputs, steps: int, start: int, cortex: Cortex) -> Drive:
    """Return steps of wake alone, with ACh and feedback frozen."""
    closed = np.zeros(steps)
    drive = Drive(
        np.ones(steps),
        np.zeros((steps, cortex.count)),
        np.ones((steps, cortex.count)),
        {"feedforward": np.ones(steps), "feedback": closed, "ach": closed, "homeostasis": closed},
        np.full(steps, np.nan),
    )
    for row in range(steps):
        drive.potential[row, cortex.layer(0)] = timeline.seen(start + row)
    return drive


def summed(cortex: Cortex, u: Array, a: Array, b: Array, f: Array, variance: Array) -> Array:
    """Return the gradient above, summed over samples (arrays are (cells, samples))."""
    n, s, o = cortex.neuron, cortex.section, cortex.objects
    tau = s.dt / (1 - np.exp(-s.dt / s.ach_trace))
    gets = n.teacher / (n.leak + n.teacher)
    area = n.tau_s / n.leak
    one, two = cortex.layer(1), cortex.layer(2)
    reads = np.zeros((len(f), cortex.count))
    reads[np.asarray(o["reads"].j), np.asarray(o["reads"].i)] = np.asarray(o["reads"].w)
    slopes = np.asarray(o["readout"].r)[:, None] * (f > 0) / np.sqrt(variance + 1e-6)
    direct = reads.T @ slopes  # a_i at every sample
    forward = cortex.weights("feedforward", 2)
    through = forward.T @ (gets * area * slope(n, u[two]) * tau * direct[two])
    each = (tau * direct[one] + through) * slope(n, u[one]) * gets
    psp = n.psp_scale * (a[cortex.layer(0)] - b[cortex.layer(0)])
    return np.asarray(each @ psp.T)


def draw(update: Array, gradient: Array, value: float, path: Path) -> None:
    """Draw every synapse."""
    with styled():
        drawn = figure(4.2, 3.8)
        axes = drawn.subplots()
        x, y = (v.ravel() / np.abs(v).max() for v in (gradient, update))
        axes.plot(x, y, ".", ms=2, alpha=0.4, color=ARM_COLOURS[2])
        axes.axhline(0, color="0.8", lw=0.6)
        axes.axvline(0, color="0.8", lw=0.6)
        axes.set(xlabel="gradient of mean ACh (largest: 1)", ylabel="- update (largest: 1)")
        axes.set_title(f"synapses into layer 1, animal 0: cosine {value:.2f}", loc="left")
        save(drawn, path)


if __name__ == "__main__":
    main()

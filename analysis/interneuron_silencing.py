"""Silencing in REM where discriminators are local: which layers change, and how soon?

    python analysis/interneuron_silencing.py                      # 5 animals, 800 pairs, then 200
    python analysis/interneuron_silencing.py --seeds 1 --pairs 100 --out figure.png

A cortex with three hidden layers learns digits; then 30 % of layer 2 is silenced in REM, or not.
Both arms see the same stimuli, noise and priors. Under `interneuron` every layer has discriminators
of its own, under `adversarial_wake_sleep` one D, with one gradient penalty over all layers, teaches
all. For every layer, so many pairs after the silencing began:

    feedforward    |F_silenced - F_control| / |F_control - F at the branch|, weights into the layer
    discriminator  the same of what reads the layer: U, its interneurons; V, D's weights from it
    activity       mean over units of |mean rate - its control's| on held-out stimuli, over the mean
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from neuro_aws.backends.rate.simulator import RateSimulator
from neuro_aws.metrics.statistics import estimate
from neuro_aws.phase import DISCRIMINATOR, FEEDFORWARD, INTERNEURONS
from neuro_aws.plots.style import ARM_COLOURS, figure, save, styled
from neuro_aws.protocol import Protocol
from neuro_aws.recording.writer import Discard

PROTOCOL = """
schema_version: 3
name: interneuron_silencing
stimulus: {source: digits}
network: {layers: [64, 96, 64, 48, 32]}
targets:
  cells: {layer: 2, fraction: 0.3}
schedule:
  - {name: infancy, cycles: 800, phases: [{wake: 1}, {rem: 1}]}
  - {name: critical_period, cycles: 200, branch: true, phases: [{wake: 1}, {rem: 1}]}
arms:
  control: {}
  silenced: {perturb: [{silence: {targets: cells}, during: rem, in: critical_period}]}
"""
LAYERS = (1, 2, 3, 4)
THEORIES = {
    "interneuron": ("algorithm={name: interneuron}", INTERNEURONS),
    "adversarial_wake_sleep": ("algorithm={name: adversarial_wake_sleep}", DISCRIMINATOR),
}
"""What each is set up with, and the kind of the weights that discriminate."""

MEASURES = ("feedforward", "discriminator", "activity")
Found = dict[str, np.ndarray]


def main() -> None:
    """Print the tables and draw the courses."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=800, help="before the silencing")
    parser.add_argument("--silenced", type=int, default=200, help="pairs with it")
    parser.add_argument("--out", type=Path, default=Path("interneuron_silencing.png"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    times = [t for t in (1, 2, 10, 100, 1000) if t < options.silenced] + [options.silenced]
    courses = {
        theory: [one(theory, seed, options.pairs, times) for seed in range(options.seeds)]
        for theory in THEORIES
    }
    for theory, animals in courses.items():
        print(f"{theory}, {options.seeds} animals; columns: layers 1 to 4")
        for name in MEASURES:
            for k, pairs in enumerate(times):
                each = [estimate([a[name][k, j] for a in animals]) for j in range(len(LAYERS))]
                print(f"  {name:<14} {pairs:>4} pairs   " + "   ".join(map(str, each)))
    draw(courses, times, options.out)
    print(options.out)


def one(theory: str, seed: int, pairs: int, times: list[int]) -> Found:
    """Return each measure (times, layers) of one animal under one theory."""
    setting, kind = THEORIES[theory]
    changes = [setting, f"schedule.0.cycles={pairs}", f"schedule.1.cycles={times[-1]}"]
    protocol = Protocol.from_text(PROTOCOL, "interneuron_silencing", changes)
    trunk = RateSimulator(protocol, next(iter(protocol.tree.trunks)), seed)
    start = 2 * pairs
    trunk.advance(0, start, Discard(), bool)
    arms = {}
    for name in protocol.tree.arms:
        arms[name] = RateSimulator(protocol, name, seed)
        arms[name].load_state_dict(trunk.state_dict())
    before = weights(trunk, kind)
    rows: dict[str, list[list[float]]] = {name: [] for name in MEASURES}
    at = start
    for pair in times:
        for arm in arms.values():
            arm.advance(at, start + 2 * pair, Discard(), bool)
        at = start + 2 * pair
        control, silenced = (weights(arms[name], kind) for name in ("control", "silenced"))
        for which in ("feedforward", "discriminator"):
            rows[which].append(
                [apart(silenced[which, j], control[which, j], before[which, j]) for j in LAYERS]
            )
        rates = [arms[name].present(None, noise=False) for name in ("control", "silenced")]
        rows["activity"].append([moved(rates[1][j].values, rates[0][j].values) for j in LAYERS])
    return {name: np.array(values) for name, values in rows.items()}


def weights(simulator: RateSimulator, kind: str) -> dict[tuple[str, int], np.ndarray]:
    """Return F into, and the discriminating weights of, every layer, as one vector each."""
    network, found = simulator.animal.network, {}
    for j in LAYERS:
        own = {
            "feedforward": (FEEDFORWARD, f"{FEEDFORWARD}_into{j}"),
            "discriminator": (kind, f"{kind}_of{j}" if kind == INTERNEURONS else f"{kind}_from{j}"),
        }
        for which, (of, name) in own.items():
            parts = [t for n, t in network.parameters(of).items() if n.startswith(name)]
            found[which, j] = torch.cat([part.flatten() for part in parts]).numpy().copy()
    return found


def apart(silenced: np.ndarray, control: np.ndarray, before: np.ndarray) -> float:
    """Return how far the arms are apart, over how far control has come."""
    return float(np.linalg.norm(silenced - control) / np.linalg.norm(control - before))


def moved(silenced: np.ndarray, control: np.ndarray) -> float:
    """Return the mean change of the units' mean rates, over their mean rate."""
    difference = np.abs(silenced.mean(0) - control.mean(0)).mean()
    return float(difference / np.abs(control).mean())


def draw(courses: dict[str, list[Found]], times: list[int], path: Path) -> None:
    """Draw every layer's course, a column for each measure and a row for each theory."""
    with styled():
        drawn = figure(7.2, 4.0)
        grid = drawn.subplots(len(courses), len(MEASURES), sharex=True, sharey="col")
        for row, (theory, animals) in zip(grid, courses.items(), strict=True):
            for axes, name in zip(row, MEASURES, strict=True):
                values = np.mean([a[name] for a in animals], 0)
                for j, layer in enumerate(LAYERS):
                    axes.plot(times, values[:, j], color=ARM_COLOURS[j], label=f"layer {layer}")
                axes.set_xscale("log")
                axes.set_title(f"{theory}: {name}", loc="left", fontsize=6)
        for axes in grid[-1]:
            axes.set_xlabel("pairs since silencing began")
        for axes in grid[:, 0]:
            axes.set_ylabel("silenced against control")
        grid[0, 0].legend(frameon=False)
        save(drawn, path)


if __name__ == "__main__":
    main()

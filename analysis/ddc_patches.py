"""Do dreams of natural patches come nearer to patches under a DDC Helmholtz machine than others?

    python analysis/ddc_patches.py [--pairs 1500] [--seeds 5] [--out ddc_patches.png]

Whitened patches of 8 x 8 pixels of the embedded photographs. All theories have the same layers,
noise and number of images: the DDC Helmholtz machine with Laplacian causes (and, as a control,
with Gaussian ones, the prior of the others), classic Wake-Sleep, a variational autoencoder.
Printed: squared maximum mean discrepancy of dreams to held-out patches (a Gaussian kernel, as wide
as the median distance of held-out patches; that of training patches is the floor) and, animal by
animal, the three-sample test of each rival against the sparse machine: z above 0, the rival is
farther.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from neuro_aws.algorithms import asked
from neuro_aws.backends.rate.simulator import RateSimulator
from neuro_aws.functional.noise import KeyedNoise
from neuro_aws.metrics.relative_mmd import median_distance, mmd, relative
from neuro_aws.metrics.statistics import estimate
from neuro_aws.plots.style import figure, save, styled
from neuro_aws.protocol import Protocol
from neuro_aws.recording.writer import Discard

PROTOCOL = """
schema_version: 3
name: ddc_patches
seeds: 1
stimulus: {source: patches, size: 8}
network:
  layers: [64, 48, 16]
  transfer: relu
  bottom: linear
  normalisation: none
  prior: standard
  homeostasis: {over: none}
  noise: {scale: 0.1}
algorithm: {name: ddc_helmholtz, causes: laplacian}
schedule:
  - {name: training, cycles: 1500, phases: [{wake: 1}, {rem: 1}]}
arms:
  sparse: {}
  gaussian: {initial: {algorithm.causes: gaussian}}
  wake_sleep:
    initial: {algorithm: {name: wake_sleep, feedforward: {rate: 1.0e-3}}}
  vae:
    initial: {algorithm: {name: vae, stimulus_noise: 0.1, feedforward: {rate: 3.0e-3}}}
measure: []
"""
NAMES = {
    "patches": "patches, held out",
    "sparse": "DDC, Laplacian causes",
    "gaussian": "DDC, Gaussian causes",
    "wake_sleep": "Wake-Sleep",
    "vae": "VAE",
}


def dreams(arm: str, animal: int, pairs: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return as many dreamt patches as are held out, those, and as many of training."""
    protocol = Protocol.from_text(PROTOCOL, "ddc_patches.yaml", (f"schedule.0.cycles={pairs}",))
    simulator = RateSimulator(protocol, arm, animal)
    simulator.advance(0, 2 * pairs, Discard(), lambda: False)
    held_out, train = simulator.animal.dataset.held_out, simulator.animal.dataset.train
    noise = KeyedNoise(animal, "analysis/ddc_patches", held_out.dtype).at(0)
    with torch.inference_mode():
        network, algorithm = simulator.animal.network, simulator.animal.algorithm
        dreamt = asked.dream(algorithm, network, len(held_out), noise).somas[0]
    return dreamt.double(), held_out.double(), train[: len(held_out)].double()


def main() -> None:
    """Print distances and tests, and draw them with dreams of animal 0."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--pairs", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("ddc_patches.png"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    arms = [name for name in NAMES if name != "patches"]
    apart: dict[str, list[float]] = {name: [] for name in NAMES}
    shown: dict[str, Tensor] = {}
    for animal in range(options.seeds):
        found = {arm: dreams(arm, animal, options.pairs) for arm in arms}
        _, held_out, train = found["sparse"]
        width = median_distance(held_out)
        apart["patches"].append(mmd(held_out, train, width))
        print(f"animal {animal}, kernel {width:.2f}: MMD^2 of training {apart['patches'][-1]:.5f}")
        for arm in arms:
            dreamt = found[arm][0]
            test = relative(held_out, dreamt, found["sparse"][0], width)
            apart[arm].append(test.first)
            against = "" if arm == "sparse" else f"   z {test.z:+.1f}, p {test.p:.2g}"
            print(f"  {NAMES[arm]:<24} {test.first:.5f}{against}")
        if not animal:
            shown = {"patches": held_out} | {arm: found[arm][0] for arm in arms}
    print(f"MMD^2, mean and 95 % interval over {options.seeds} animals")
    for name, values in apart.items():
        label = "patches, training" if name == "patches" else NAMES[name]
        print(f"  {label:<24} {estimate(values)}")
    draw(apart, shown, options.out)
    print(options.out)


def draw(apart: dict[str, list[float]], shown: dict[str, Tensor], path: Path) -> None:
    """Draw distances by theory, and sixteen dreams of each."""
    with styled():
        drawn = figure(7.2, 2.8)
        panels = drawn.subplot_mosaic([["distance", name] for name in shown], width_ratios=(2, 3))
        axes = panels["distance"]
        for k, values in enumerate(apart.values()):
            axes.plot([k] * len(values), values, "o", color="#7F7F7F", markersize=3)
            axes.plot([k - 0.3, k + 0.3], [sum(values) / len(values)] * 2, "k-")
        labels = ["training\npatches", "DDC,\nLaplacian", "DDC,\nGaussian", "Wake-\nSleep", "VAE"]
        axes.set_xticks(range(len(apart)), labels)
        axes.set(ylabel="squared MMD to held-out patches")
        axes.set_title("animals (dots), their mean (lines)", loc="left")
        for name, rows in shown.items():
            row = panels[name]
            row.imshow(torch.cat([*rows[:16].view(16, 8, 8)], 1), cmap="Greys_r", vmin=-1, vmax=1)
            row.set(xticks=[x * 8 - 0.5 for x in range(17)], yticks=[])
            row.tick_params(length=0, labelbottom=False)
            row.grid(axis="x", color="w", linewidth=1)
            row.set_title(NAMES[name], loc="left")
        save(drawn, path)


if __name__ == "__main__":
    main()

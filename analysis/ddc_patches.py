"""Do dreams of natural patches come nearer to patches under a DDC Helmholtz machine than others?

    python analysis/ddc_patches.py [--pairs 1000] [--seeds 5] [--out ddc_patches.png]

Whitened patches of 8 x 8 pixels of the embedded photographs. All theories have the same layers,
noise and number of images: the DDC Helmholtz machine with Laplacian causes (and, as a control,
with Gaussian ones, the prior of the others), classic Wake-Sleep, a variational autoencoder.
Printed: squared maximum mean discrepancy of dreams to patches (a Gaussian kernel, as wide as the
median distance of those), and, animal by animal, the three-sample test of each rival against the
sparse machine: z above 0, the rival is farther. Against held-out patches, which come from the foot
of the photographs and have statistics of their own, and against patches of training.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from neuro_aws.algorithms import asked
from neuro_aws.backends.rate.simulator import RateSimulator
from neuro_aws.functional.noise import KeyedNoise
from neuro_aws.metrics.relative_mmd import Relative, median_distance, relative
from neuro_aws.metrics.statistics import estimate
from neuro_aws.plots.style import figure, save, styled
from neuro_aws.protocol import Protocol
from neuro_aws.recording.writer import Discard
from neuro_aws.stimuli.dataset import Dataset

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
algorithm:
  name: ddc_helmholtz
  causes: laplacian
  feedback: {rate: 1.0e-3}
  feedforward: {decay: {factor: 1}}
  readout: {decay: {factor: 1}}
schedule:
  - {name: training, cycles: 1000, phases: [{wake: 1}, {rem: 1}]}
arms:
  sparse: {}
  gaussian: {initial: {algorithm.causes: gaussian}}
  wake_sleep: {initial: {algorithm: {name: wake_sleep}}}
  vae:
    initial:
      algorithm:
        name: vae
        stimulus_noise: 0.1
        feedforward: {rate: 3.0e-3, decay: {factor: 0.5, every: 500, least: 0.125}}
        feedback: {rate: 3.0e-3, decay: {factor: 0.5, every: 500, least: 0.125}}
measure: []
"""
NAMES = {
    "patches": "other patches of training",
    "sparse": "DDC, Laplacian causes",
    "gaussian": "DDC, Gaussian causes",
    "wake_sleep": "Wake-Sleep",
    "vae": "VAE",
}
SHORT = {
    "patches": "training\npatches",
    "sparse": "DDC,\nLaplacian",
    "gaussian": "DDC,\nGaussian",
    "wake_sleep": "Wake-\nSleep",
    "vae": "VAE",
}
ARMS = tuple(name for name in NAMES if name != "patches")
REFERENCES = ("held-out", "training")


def trained(arm: str, animal: int, pairs: int) -> tuple[Tensor, Dataset]:
    """Return as many dreamt patches as are held out, and the dataset."""
    protocol = Protocol.from_text(PROTOCOL, "ddc_patches.yaml", (f"schedule.0.cycles={pairs}",))
    simulator = RateSimulator(protocol, arm, animal)
    simulator.advance(0, 2 * pairs, Discard(), lambda: False)
    dataset = simulator.animal.dataset
    noise = KeyedNoise(animal, "analysis/ddc_patches", dataset.train.dtype).at(0)
    with torch.inference_mode():
        network, algorithm = simulator.animal.network, simulator.animal.algorithm
        dreamt = asked.dream(algorithm, network, len(dataset.held_out), noise).somas[0]
    return dreamt.double(), dataset


def compared(dreamt: dict[str, Tensor], reference: Tensor, other: Tensor) -> dict[str, Relative]:
    """Return every theory, and other patches, against the sparse machine."""
    width = median_distance(reference)
    found = {"patches": relative(reference, other, dreamt["sparse"], width)}
    return found | {
        arm: relative(reference, x, dreamt["sparse"], width) for arm, x in dreamt.items()
    }


def main() -> None:
    """Print distances and tests, and draw them with dreams of animal 0."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--arms", default=",".join(ARMS), help="of these, sparse among them")
    parser.add_argument("--out", type=Path, default=Path("ddc_patches.png"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    apart: dict[str, dict[str, list[float]]] = {where: {} for where in REFERENCES}
    shown: dict[str, Tensor] = {}
    for animal in range(options.seeds):
        dreamt, dataset = {}, None
        for arm in options.arms.split(","):
            dreamt[arm], dataset = trained(arm, animal, options.pairs)
        assert dataset is not None
        n = len(dataset.held_out)
        held_out, train, more = (
            x.double() for x in (dataset.held_out, dataset.train[:n], dataset.train[n : 2 * n])
        )
        print(f"animal {animal}")
        for where, reference, other in zip(
            REFERENCES, (held_out, train), (train, more), strict=True
        ):
            for name, test in compared(dreamt, reference, other).items():
                apart[where].setdefault(name, []).append(test.first)
                against = "" if name == "sparse" else f"   z {test.z:+.1f}, p {test.p:.2g}"
                print(f"  {where}: {NAMES[name]:<24} {test.first:.5f}{against}")
        shown = shown or {"patches": held_out} | dreamt
    print(f"MMD^2, mean and 95 % interval over {options.seeds} animals")
    for where, found in apart.items():
        for name, values in found.items():
            print(f"  {where}: {NAMES[name]:<24} {estimate(values)}")
    draw(apart, shown, options.out)
    print(options.out)


def draw(apart: dict[str, dict[str, list[float]]], shown: dict[str, Tensor], path: Path) -> None:
    """Draw distances by theory, and sixteen dreams of each."""
    with styled():
        drawn = figure(7.2, 2.8)
        panels = drawn.subplot_mosaic([["distance", name] for name in shown], width_ratios=(2, 3))
        axes = panels["distance"]
        for (where, found), shift, colour in zip(
            apart.items(), (-0.15, 0.15), ("#D55E00", "#0072B2"), strict=True
        ):
            for k, values in enumerate(found.values()):
                x = k + shift
                label = f"to {where} patches" if not k else None
                axes.plot([x] * len(values), values, "o", color=colour, markersize=2.5, label=label)
                axes.plot([x - 0.12, x + 0.12], [sum(values) / len(values)] * 2, color=colour)
        axes.set_xticks(range(len(shown)), [SHORT[name] for name in shown])
        axes.set_ylabel("squared MMD of dreams (unitless)\nanimals (dots), their mean (lines)")
        axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
        axes.legend()
        for name, rows in shown.items():
            row = panels[name]
            row.imshow(torch.cat([*rows[:16].view(16, 8, 8)], 1), cmap="Greys_r", vmin=-1, vmax=1)
            row.set(xticks=[x * 8 - 0.5 for x in range(17)], yticks=[])
            row.tick_params(length=0, labelbottom=False)
            row.grid(axis="x", color="w", linewidth=1)
            row.set_title("patches, held out" if name == "patches" else NAMES[name], loc="left")
        save(drawn, path)


if __name__ == "__main__":
    main()

"""The search for the convolutional default: settings in search_dcgan.yaml, one line a checkpoint.

    python benchmarks/search_dcgan.py --data DATA --extractor DATA/mnist_extractor.ts NAME ...

Every line of search_dcgan.jsonl holds a setting, its seed, images seen, the Frechet distance of
10,000 dreams to the 10,000 test images, diversity of the dreams by layer (root of summed variance,
dreams over waking), unexplained variance of each layer given the layer above, the ACh gap, and
linear probes (10,000 training images, test set) where they were taken. ``--initially`` adds a line
with the probes of the network that has learnt nothing, and with ``--images 0`` there is no other.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from neuro_aws.backends.rate import forms
from neuro_aws.backends.rate.build import Animal, build_animal
from neuro_aws.backends.rate.engine import Engine, Streams
from neuro_aws.functional.noise import KeyedNoise
from neuro_aws.functional.shapes import rows
from neuro_aws.metrics.classifier import default_extractor
from neuro_aws.metrics.extractor import Extractor, load_extractor
from neuro_aws.metrics.frechet import frechet
from neuro_aws.metrics.samples import to_bytes
from neuro_aws.model.network import Network
from neuro_aws.perturbations import Slots
from neuro_aws.plots.images import tiled, write_png
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.schedule import Schedule
from neuro_aws.stimuli.dataset import Dataset

HERE = Path(__file__).parent
PROBED = (60_000, 180_000)
DIAGNOSED = (40_000, 60_000, 180_000)
CHECKPOINTS = (7_680, 20_000, 40_000, 60_000, 90_000, 120_000, 150_000, 180_000, 240_000)


def main() -> None:
    """Run the settings named, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("settings", nargs="*")
    parser.add_argument("--file", type=Path, default=HERE / "search_dcgan.yaml")
    parser.add_argument("--data", required=True, help="folder that holds mnist/")
    parser.add_argument("--extractor", required=True, help="TorchScript feature extractor")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE / "search_dcgan.jsonl")
    parser.add_argument("--grids", type=Path, help="folder for grids of dreams")
    parser.add_argument("--states", type=Path, help="folder for the networks at checkpoints")
    parser.add_argument("--initially", action="store_true", help="probe what has learnt nothing")
    parser.add_argument(
        "--validation", action="store_true", help="hold out training images, not test images"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = yaml.safe_load(arguments.file.read_text())
    for name in arguments.settings or table["settings"]:
        run(name, table, arguments)


def run(name: str, table: dict[str, Any], arguments: argparse.Namespace) -> None:
    """Train one setting and append a line at every checkpoint."""
    held_out = f"stimulus.validation={str(arguments.validation).lower()}"
    overrides = [f"stimulus.folder={arguments.data}/mnist", held_out, *overrides_of(table, name)]
    protocol = Protocol.from_text(yaml.safe_dump(table["base"]), "base", overrides)
    spec = protocol.spec
    animal = build_animal(spec, arguments.seed, torch.device("cpu"))
    streams = Streams(arguments.seed, torch.float32, torch.device("cpu"))
    batch = spec.stimulus.batch
    engine = Engine(
        animal.network, animal.algorithm, animal.updates, animal.dataset,
        Schedule(spec.schedule), streams, batch, lambda _: Slots(),
        compiled=forms.chosen(protocol).compiled,
    )  # fmt: skip
    if arguments.initially:
        report(name, arguments, 0, {"probes": probe(animal.network, animal.dataset, running=False)})
    if arguments.images < CHECKPOINTS[0]:
        return
    extractor = load_extractor(arguments.extractor, (1, 32, 32), torch.device("cpu"))
    own = default_extractor(animal.dataset)
    extractors = {"frechet": extractor, "frechet_classifier": own}
    step, cycle, trained = 0, len(engine.schedule.stretches[0].cycle), 0.0
    wakes = sum(phase == "wake" for phase, _ in engine.schedule.stretches[0].cycle)
    for images in (c for c in CHECKPOINTS if c <= arguments.images):
        started = time.monotonic()
        while step // cycle * wakes * batch < images:
            for _ in range(cycle):
                engine.step(step)
                step += 1
        trained += time.monotonic() - started
        line = measure(animal, extractors, step, images)
        line["train_s"] = round(trained, 1)
        report(name, arguments, images, line)
        if arguments.grids:
            grid(animal, arguments.grids / f"{name}-s{arguments.seed}-{images:06d}.png")
        if arguments.states:
            arguments.states.mkdir(parents=True, exist_ok=True)
            kept = arguments.states / f"{name}-s{arguments.seed}-{images:06d}.pt"
            torch.save(animal.network.state_dict(), kept)
        if not line["frechet"] < 5000:
            break


def report(name: str, arguments: argparse.Namespace, images: int, found: dict[str, Any]) -> None:
    """Print and append a line of what was found after so many images."""
    held_out = "validation" if arguments.validation else "test"
    line = {
        "setting": name,
        "seed": arguments.seed,
        "images": images,
        **found,
        "held_out": held_out,
    }
    print(json.dumps(line), flush=True)
    with arguments.out.open("a") as out:
        out.write(json.dumps(line) + "\n")


def overrides_of(table: dict[str, Any], name: str) -> list[str]:
    """Return key=value of a setting, those of the settings it is ``like`` first."""
    setting = dict(table["settings"][name])
    parent = setting.pop("like", None)
    own = [f"{key}={json.dumps(value)}" for key, value in setting.items()]
    return (overrides_of(table, parent) if parent else []) + own


def dreams(animal: Animal, count: int, step: int) -> list[list[torch.Tensor]]:
    """Return dreams in batches of 500, every layer."""
    draws = KeyedNoise(7, "search", torch.float32).at(step)
    network = animal.network
    return [network.dream(network.prior(500, draws), draws).somas for _ in range(count // 500)]


@torch.inference_mode()
def measure(
    animal: Animal, extractors: dict[str, Extractor], step: int, images: int
) -> dict[str, Any]:
    """Return the measures of this moment."""
    network, dataset = animal.network, animal.dataset
    dreamt = dreams(animal, 10_000, step)
    pictures = network.picture(torch.cat([d[0] for d in dreamt]))
    seen = dataset.held_out.view(-1, 1, 32, 32)
    line: dict[str, Any] = {
        what: round(frechet(extractor(pictures), extractor(seen)), 1)
        for what, extractor in extractors.items()
    }
    state = network.with_dendrites(network.recognise(dataset.held_out[:2000], None, running=True))
    waking = [rows(h) for h in state.somas]
    first = [torch.cat([rows(d[j]) for d in dreamt[:4]]) for j in range(len(waking))]
    spread = [
        float(torch.sqrt(d.var(0).sum() / w.var(0).sum()))
        for d, w in zip(first, waking, strict=True)
    ]
    line["diversity"] = [round(s, 3) for s in spread]
    missed = []
    for layer in state.layers[:-1]:
        assert layer.dendrite is not None
        h, d = rows(layer.soma), rows(layer.dendrite.rate)
        missed.append(round(float((h - d).square().sum() / (h - h.mean(0)).square().sum()), 3))
    line["unexplained"] = missed
    if images in DIAGNOSED:
        line["frechet_from"] = from_waking(animal, extractors["frechet"], step)
    level = network.acetylcholine.level
    line["gap"] = float(level(state.somas).mean() - level(dreamt[0]).mean())
    if images in PROBED:
        line["probes"] = probe(network, dataset)
    return line


def from_waking(animal: Animal, extractor: Extractor, step: int) -> list[float]:
    """Return Frechet distances of dreams that start from waking h_1, ... h_N, not the prior.

    Where it jumps, from one start to the next higher one, the dream goes wrong.
    """
    network, draws = animal.network, KeyedNoise(7, "search/wake", torch.float32).at(step)
    found: list[list[torch.Tensor]] = [[] for _ in network.layers]
    for part in torch.split(animal.dataset.held_out, 500):
        waking = network.recognise(part, draws, running=True).somas
        for k in range(1, len(waking)):
            h = waking[k]
            for i in range(k - 1, -1, -1):
                layer = network.layers[i]
                noise = draws if i or network.noise.bottom else None
                drive, _ = layer.feedback_potential(h)
                h = network._fire(i, layer.psi_below, drive, noise, None).soma
            found[k - 1].append(h)
    seen = extractor(animal.dataset.held_out.view(-1, 1, 32, 32))
    return [round(frechet(extractor(network.picture(torch.cat(x))), seen), 1) for x in found]


def probe(network: Network, dataset: Dataset, running: bool = True) -> list[float]:
    """Return test accuracy of logistic regressions on each layer, trained on 10,000 images.

    ``running`` is false before the first step: there are no running statistics yet.
    """

    def somata(images: torch.Tensor) -> list[np.ndarray]:
        portions = torch.split(images, 1000)
        parts = [network.recognise(p, None, running=running).somas for p in portions]
        return [torch.cat([rows(p[j]) for p in parts]).numpy() for j in range(1, len(parts[0]))]

    assert dataset.train_labels is not None
    assert dataset.held_out_labels is not None
    train, test = somata(dataset.train[:10_000]), somata(dataset.held_out)
    y, y_test = dataset.train_labels[:10_000].numpy(), dataset.held_out_labels.numpy()
    scores = []
    for a, b in zip(train, test, strict=True):
        scaler = StandardScaler().fit(a)
        model = LogisticRegression(max_iter=30, tol=1e-2).fit(scaler.transform(a), y)
        scores.append(round(float(model.score(scaler.transform(b), y_test)), 3))
    return scores


def grid(animal: Animal, path: Path) -> None:
    """Draw 100 dreams."""
    with torch.inference_mode():
        images = animal.network.picture(dreams(animal, 500, 1)[0][0][:100])
    write_png(path, tiled(to_bytes(images).numpy(), 10))


if __name__ == "__main__":
    main()

"""How well the learnt prior fits the waking top: online, as in the network, against EM offline.

    python benchmarks/search_dcgan.py --states STATES ... SETTING
    python benchmarks/prior_fit.py --data DATA --extractor FILE SETTING STATES/SETTING-s0-090000.pt

Prints the Frechet distance of dreams that start from waking tops themselves, from the prior of the
saved network, from the prior learnt anew on its waking tops (its network held), and from mixtures
that scikit-learn fits to the same tops; and how many components are in use (perplexity of weights).
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import yaml
from search_dcgan import HERE, overrides_of
from sklearn.mixture import GaussianMixture

from neuro_aws.backends.rate.build import build_animal
from neuro_aws.functional.noise import KeyedNoise
from neuro_aws.functional.shapes import rows
from neuro_aws.metrics.extractor import load_extractor
from neuro_aws.metrics.frechet import frechet
from neuro_aws.model.prior import LearntPrior
from neuro_aws.protocol import Protocol

TOPS, STEPS, BATCH = 25_000, 1400, 64


def in_use(weight: torch.Tensor) -> float:
    """Return the perplexity of a mixture's weights."""
    share = weight / weight.sum()
    return float(torch.exp(-(share * torch.log(share)).sum()))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("setting")
    parser.add_argument("state", type=Path)
    parser.add_argument("--file", type=Path, default=HERE / "search_images.yaml")
    parser.add_argument("--data", required=True, help="folder that holds mnist/")
    parser.add_argument("--extractor", required=True, help="TorchScript feature extractor")
    parser.add_argument("--dreams", type=int, default=5000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = yaml.safe_load(arguments.file.read_text())
    held_out = ["stimulus.validation=true", f"stimulus.folder={arguments.data}/mnist"]
    overrides = [*held_out, *overrides_of(table, arguments.setting)]
    spec = Protocol.from_text(yaml.safe_dump(table["base"]), "base", overrides).spec
    animal = build_animal(spec, 0, torch.device("cpu"))
    network, count = animal.network, arguments.dreams
    network.load_state_dict(torch.load(arguments.state, weights_only=True))
    extractor = load_extractor(arguments.extractor, (1, 32, 32), torch.device("cpu"))
    features = extractor(animal.dataset.held_out.view(-1, 1, 32, 32))
    draws = KeyedNoise(7, "prior_fit", torch.float32).at(0)

    def report(what: str, tops: torch.Tensor, used: float = float("nan")) -> None:
        parts = [network.picture(network.dream(p, draws).somas[0]) for p in torch.split(tops, 500)]
        distance = frechet(extractor(torch.cat(parts)), features)
        print(f"{what:<44} {distance:7.1f}   components in use {used:5.1f}", flush=True)

    with torch.inference_mode():
        images = torch.split(animal.dataset.train[: TOPS + count], 500)
        seen = [rows(network.recognise(x, draws, running=True).somas[-1]) for x in images]
        tops = torch.cat(seen)
        report("waking tops themselves", tops[TOPS:])
        assert network.prior.learnt is not None
        report(
            "prior of the network", network.prior(count, draws), in_use(network.prior.learnt.weight)
        )
        components = len(network.prior.learnt.weight)
        generator = torch.Generator().manual_seed(0)
        online = LearntPrior(components, tops.shape[1], generator, torch.float32)
        for _ in range(STEPS):
            online.track(tops[torch.randint(0, TOPS, (BATCH,), generator=generator)])
        report(f"learnt anew, {STEPS} steps", online.sample(count, draws), in_use(online.weight))
        mixture = GaussianMixture(components, reg_covar=1e-3, max_iter=12, random_state=0)
        mixture.fit(tops[:TOPS].double().numpy())
        offline, _ = mixture.sample(count)
        np.random.default_rng(0).shuffle(offline)
        used = in_use(torch.from_numpy(mixture.weights_))
        report("EM from k-means, offline", torch.from_numpy(offline).float(), used)


if __name__ == "__main__":
    main()

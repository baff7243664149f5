"""A small classifier of the data's labels: the default feature extractor, trained once and kept.

    conv 5x5 /2 (16) - ReLU - conv 5x5 /2 (32) - ReLU - dense 64 - ReLU - dense labels

Its 64 hidden rates are the features. It is named for what it is: distances in its features are
`frechet_classifier`, with its test accuracy and the hash of its weights beside them, never FID.
"""

import hashlib
import logging
import os
from pathlib import Path

import torch
from torch import Tensor, nn

from neuro_aws.metrics.extractor import Extractor
from neuro_aws.stimuli.dataset import Dataset
from neuro_aws.stimuli.resize import cache_folder

FEATURES, BATCH = 64, 128
LEAST_STEPS, EPOCHS = 400, 4
RATE = 2e-3
log = logging.getLogger("neuro_aws")


class Classifier(nn.Module):
    """Maps images to features; ``logits`` maps features to labels."""

    def __init__(self, channels: int, shape: tuple[int, int], labels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, 16, 5, 2, 2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 5, 2, 2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * ((shape[0] + 3) // 4) * ((shape[1] + 3) // 4), FEATURES),
            nn.ReLU(),
        )
        self.logits = nn.Linear(FEATURES, labels)

    def forward(self, images: Tensor) -> Tensor:
        """Return the features."""
        features: Tensor = self.body(images)
        return features


def pictures(rows: Tensor, dataset: Dataset) -> Tensor:
    """Return rows of pixels as images (n, channels, height, width)."""
    high, wide = dataset.shape
    return rows.view(-1, high, wide, dataset.channels).permute(0, 3, 1, 2)


def default_extractor(dataset: Dataset) -> Extractor:
    """Return the classifier of this dataset's labels, from the cache or trained now (seed 0)."""
    assert dataset.train_labels is not None
    assert dataset.held_out_labels is not None
    labels = int(dataset.train_labels.max()) + 1
    device = dataset.train.device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Classifier(dataset.channels, dataset.shape, labels).to(device)
    path = cache_folder() / f"classifier-{_fingerprint(dataset)}.pt"
    if not _restored(network, path):
        log.info("training the default extractor on %d labelled images", len(dataset.train))
        _train(network, dataset)
        _keep(network, path)
    network.eval()
    weights = b"".join(t.cpu().numpy().tobytes() for t in network.state_dict().values())
    accuracy = _accuracy(network, dataset)
    name = "frechet_classifier"
    return Extractor(network, name, hashlib.sha256(weights).hexdigest()[:16], accuracy)


@torch.enable_grad()
def _train(network: Classifier, dataset: Dataset) -> None:
    assert dataset.train_labels is not None
    count = len(dataset.train)
    steps = max(LEAST_STEPS, EPOCHS * count // BATCH)
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    draws = torch.Generator().manual_seed(0)
    order = torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        if len(order) < BATCH:
            order = torch.cat([order, torch.randperm(count, generator=draws)])
        chosen, order = order[:BATCH].to(dataset.train.device), order[BATCH:]
        images = pictures(dataset.train[chosen].float(), dataset)
        logits = network.logits(network(images))
        loss = nn.functional.cross_entropy(logits, dataset.train_labels[chosen])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()


@torch.no_grad()
def _accuracy(network: Classifier, dataset: Dataset) -> float:
    assert dataset.held_out_labels is not None
    images = pictures(dataset.held_out.float(), dataset)
    found = torch.cat(
        [network.logits(network(part)).argmax(1) for part in torch.split(images, 500)]
    )
    return float((found == dataset.held_out_labels).double().mean())


def _fingerprint(dataset: Dataset) -> str:
    assert dataset.train_labels is not None
    digest = hashlib.sha256(dataset.train.float().cpu().contiguous().numpy().tobytes())
    digest.update(dataset.train_labels.cpu().numpy().tobytes())
    digest.update(f"{dataset.shape} {dataset.channels} v1".encode())
    return digest.hexdigest()[:24]


def _restored(network: Classifier, path: Path) -> bool:
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception:  # absent, broken or of another form: it is trained anew
        return False
    return True


def _keep(network: Classifier, path: Path) -> None:
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({k: t.cpu() for k, t in network.state_dict().items()}, temporary)
        temporary.replace(path)
    except OSError as error:
        log.warning("the extractor is not kept (%s)", error)
        temporary.unlink(missing_ok=True)

"""Measures of dreamt images: distances in features, likelihood, neighbours; the paper's SVM."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from neuro_aws.metrics.classifier import default_extractor, pictures
from neuro_aws.metrics.extractor import Extractor
from neuro_aws.metrics.frechet import frechet
from neuro_aws.metrics.representation import refuse_few_labels
from neuro_aws.metrics.subject import Subject, Value, array
from neuro_aws.protocol.measures_of_images import FOLDS

NEIGHBOUR_SAMPLES = 500


def frechet_distance(subject: Subject) -> Iterator[Value]:
    """Frechet distance of dreamt stimuli to held-out ones, in the features of a network.

    Named for the network: ``frechet_classifier`` uses a small classifier of the data's labels
    trained here (``extractor_accuracy`` is its accuracy on held-out stimuli), ``fid`` an Inception
    network given with --extractor, ``frechet_<file>`` any other file. ``..._real`` is that of as
    many training stimuli: the floor. ``frechet_samples`` and ``frechet_reference`` are the
    numbers of dreams and of stimuli.
    """
    extractor = subject.extractor or default_extractor(subject.dataset)
    dataset = subject.dataset
    reference = extractor(pictures(dataset.held_out, dataset))
    count = subject.samples or len(dataset.held_out)
    dreams = extractor(dreamt_images(subject, count))
    train = extractor(pictures(dataset.train[:count], dataset))
    yield Value(extractor.name, frechet(dreams, reference), 0)
    yield Value(f"{extractor.name}_real", frechet(train, reference), 0)
    yield Value("frechet_samples", float(count), 0)
    yield Value("frechet_reference", float(len(reference)), 0)
    if not math.isnan(extractor.accuracy):
        yield Value("extractor_accuracy", extractor.accuracy)


def dreamt_images(subject: Subject, count: int, stream: str = "images") -> Tensor:
    """Return dreams as images (n, channels, height, width) in [-1, 1]."""
    network, draws = subject.network, subject.draws(stream)
    parts = []
    for start in range(0, count, 500):
        n = min(500, count - start)
        x = subject.dream(n, draws).layers[0].soma
        images = x if x.dim() == 4 else pictures(x, subject.dataset)
        parts.append(network.picture(images))
    return torch.cat(parts)


def layer_likelihood(subject: Subject) -> Iterator[Value]:
    """Mean log p(h_i | h_{i+1}) a unit, nats, held-out stimuli, noise off (``log_likelihood``).

    Gaussian with each layer's own residual variance, fitted on training stimuli (rate units), or
    Bernoulli (units of 0 and 1). The sum over layers and units is Eq. 2's U, the part of the ELBO
    that G climbs; it leaves out the prior and the entropy of F, and is no bound on log p(x).
    """
    if subject.network.binary:
        for i, (h, p) in enumerate(
            zip(subject.waking(True), subject.predicted(True), strict=False)
        ):
            q = p.clamp(1e-6, 1 - 1e-6)
            yield Value("log_likelihood", float((h * q.log() + (1 - h) * (1 - q).log()).mean()), i)
        return
    fitted = [
        float((h - p).square().mean())
        for h, p in zip(subject.waking_train(), subject.predicted(train=True), strict=False)
    ]
    for i, (h, p) in enumerate(zip(subject.waking(), subject.predicted(), strict=False)):
        variance = max(fitted[i], 1e-12)
        error = float((h - p).square().mean())
        value = -0.5 * (math.log(2 * math.pi * variance) + error / variance)
        yield Value("log_likelihood", value, i)


def svm_10fold(subject: Subject) -> Iterator[Value]:
    """Linear support vector machine on one layer's somata, ten folds INSIDE the held-out stimuli.

    The paper's own measure (its Figure 2C), comparable with nothing that trains on the training
    set; ``svm_10fold`` is the mean accuracy, ``svm_10fold_spread`` the standard deviation
    over folds.
    """
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    labels = subject.dataset.held_out_labels
    assert labels is not None
    train = subject.waking()
    y = labels[: len(train[0])].cpu().numpy()
    refuse_few_labels(y, "svm_10fold", "held-out", FOLDS)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=subject.seed("folds"))
    for layer in range(1, len(train)):
        machine = make_pipeline(StandardScaler(), LinearSVC(C=1e-3, max_iter=2000))
        x = array(train[layer]).astype(np.float32)
        scores = cross_val_score(machine, x, y, cv=folds)
        yield Value("svm_10fold", float(scores.mean()), layer)
        yield Value("svm_10fold_spread", float(scores.std()), layer)


def nearest_neighbours(subject: Subject) -> Iterator[Value]:
    """How far dreams are from the nearest training stimulus, against what new stimuli are.

    ``neighbour_distance``: mean Euclidean distance of a dream's pixels to the nearest training
    stimulus; ``neighbour_distance_real``: of a held-out stimulus. Far below it, dreams are copies.
    """
    count = min(NEIGHBOUR_SAMPLES, len(subject.dataset.held_out))
    dreams = dreamt_images(subject, count, "neighbours").permute(0, 2, 3, 1).flatten(1)
    train = subject.dataset.train
    for name, x in (
        ("neighbour_distance", dreams),
        ("neighbour_distance_real", subject.dataset.held_out[:count]),
    ):
        yield Value(name, float(nearest(x.to(train), train)[0].mean()), 0)


def nearest(x: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distance to, and the index of, the row of ``train`` nearest to each row of x."""
    distance = torch.full((len(x),), math.inf, dtype=x.dtype, device=x.device)
    index = torch.zeros(len(x), dtype=torch.long, device=x.device)
    for start in range(0, len(train), 10_000):
        found, at = torch.cdist(x, train[start : start + 10_000]).min(1)
        closer = found < distance
        distance = torch.where(closer, found, distance)
        index = torch.where(closer, at + start, index)
    return distance, index


__all__ = ["Extractor", "dreamt_images", "frechet_distance", "layer_likelihood", "svm_10fold"]

"""Distances between waking and dreaming, as distributions. Noise belongs to both and stays on."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neuro_aws.functional.shapes import rows
from neuro_aws.metrics.subject import Subject, Value, array

DIRECTIONS = 200
"""Random unit directions of the sliced distance; the same ones always (seed 0)."""

HIDDEN, EPOCHS = 64, 40
"""Hidden units and epochs of the fresh classifier."""


def sliced(a: Tensor, b: Tensor) -> float:
    """Return mean |difference of sorted projections| over 200 random unit directions.

    ``a`` and ``b`` are samples (n, units) of the same number; the 1-Wasserstein distance of
    their projections, averaged.
    """
    generator = torch.Generator().manual_seed(0)
    axes = torch.randn(a.shape[1], DIRECTIONS, generator=generator, dtype=torch.float64)
    axes = (axes / axes.norm(dim=0)).to(a)
    n = min(len(a), len(b))
    return float((_sorted(a[:n] @ axes) - _sorted(b[:n] @ axes)).abs().mean())


def _sorted(columns: Tensor) -> Tensor:
    """Return each column in ascending order; on a CPU numpy takes a tenth of torch's time."""
    if columns.device.type != "cpu":
        return columns.sort(0)[0]
    return torch.from_numpy(np.sort(columns.detach().numpy(), axis=0))


def sliced_distance(subject: Subject) -> Iterator[Value]:
    """Sliced Wasserstein distance of dreamt stimuli to held-out ones (``sliced_distance``).

    ``sliced_distance_real`` is that of as many training stimuli: the floor.
    """
    data = subject.waking()[0]
    dreams = subject.dreams(len(data))[0]
    yield Value("sliced_distance", sliced(dreams, data), 0)
    n = min(len(data), len(subject.dataset.train))
    train = rows(subject.network.admit(subject.dataset.train[:n]))
    yield Value("sliced_distance_real", sliced(train, data[:n]), 0)


def diversity(subject: Subject) -> Iterator[Value]:
    """Spread of dreams over that of the data (``diversity``, stimulus), and layer by layer.

    Spread = root of the summed variance of the units; 1: as varied as waking, 0: collapsed.
    """
    waking = subject.waking(noisy=True)
    dreams = subject.dreams(len(waking[0]))
    for layer, (h, dream) in enumerate(zip(waking, dreams, strict=True)):
        spread = float(torch.sqrt(dream.var(0).sum() / h.var(0).sum()))
        yield Value("diversity", spread, layer)


def ach_gap(subject: Subject) -> Iterator[Value]:
    """Mean D on held-out stimuli in wake minus mean D in REM (``ach_gap``), nothing perturbed.

    ``ach_gap_perturbed`` is the same with REM under each perturbation of cells, by group: the
    gap that D has to learn from in an arm that perturbs them.
    """
    waking = subject.waking_level()
    wake = float(waking.mean())
    yield Value("ach_gap", wake - float(subject.dreamt_level(len(waking)).mean()))
    for name, gains in subject.dream_gains.items():
        rem = subject.dreamt_level(len(waking), gains).mean()
        yield Value("ach_gap_perturbed", wake - float(rem), -1, name)


def fresh_classifier(subject: Subject) -> Iterator[Value]:
    """How well a new perceptron separates wake from REM (``fresh_classifier``); 0.5 is chance.

    One hidden layer of 64, 40 epochs of Adam, batches of 64, on all layers' somata: as many
    dreams as training stimuli (1,200 at most) to learn from; held-out stimuli and as many
    new dreams to be tested on. Mean over ``repeats`` initialisations.
    """
    train = [h[:1200] for h in subject.waking_train(noisy=True)]
    test = subject.waking(noisy=True)
    learnt = (train, subject.dreams(len(train[0]), "classifier/train"))
    tested = (test, subject.dreams(len(test[0]), "classifier/test"))
    yield Value("fresh_classifier", perceptron_accuracy(subject, learnt, tested, "mlp"))


Phases = tuple[list[Tensor], list[Tensor]]
"""Activity in wake and in REM, by layer, as rows."""


def perceptron_accuracy(subject: Subject, learnt: Phases, tested: Phases, stream: str) -> float:
    """Return how well a new perceptron tells wake from REM, mean over ``repeats`` of them."""
    from sklearn.neural_network import MLPClassifier

    (x, y), (x_test, y_test) = _labelled(*learnt), _labelled(*tested)
    scores = []
    for k in range(subject.repeats):
        classifier = MLPClassifier(
            (HIDDEN,),
            batch_size=min(64, len(x)),
            max_iter=EPOCHS,
            tol=0.0,
            n_iter_no_change=EPOCHS,
            random_state=subject.seed(f"{stream}{k}"),
        )
        scores.append(_quiet_fit(classifier, x, y).score(x_test, y_test))
    return float(np.mean(scores))


def dream_match(subject: Subject) -> Iterator[Value]:
    """Does waking move toward the perturbed dreams?

    At the onset of the arm dreams are kept, unperturbed and under each perturbation of cells.
    ``wake_to_plain_dreams`` and ``wake_to_perturbed_dreams`` are sliced distances of waking
    activity (all layers above the stimulus) to them; ``move_to_perturbed`` is the fall of the
    second minus the fall of the first since onset: above 0, waking moved toward the perturbed.
    """
    waking = torch.cat(subject.waking(noisy=True)[1:], -1)
    plain = sliced(waking, _kept(subject, "plain"))
    for name in subject.dream_gains:
        perturbed = sliced(waking, _kept(subject, name))
        key = f"onset/dream_match/{name}"
        start = subject.memory.setdefault(
            key, torch.tensor([plain, perturbed], dtype=torch.float64)
        )
        fall = start - torch.tensor([plain, perturbed], dtype=torch.float64)
        yield Value("wake_to_plain_dreams", plain, -1, name)
        yield Value("wake_to_perturbed_dreams", perturbed, -1, name)
        yield Value("move_to_perturbed", float(fall[1] - fall[0]), -1, name)


def _kept(subject: Subject, name: str) -> Tensor:
    key = f"dreams/{name}"
    if key not in subject.memory:
        gains = subject.dream_gains.get(name, {})
        count = len(subject.waking()[0])
        dreams = subject.dreams(count, "dream_match", gains)
        subject.memory[key] = torch.cat(dreams[1:], -1).cpu()
    return subject.memory[key].to(subject.dataset.train.device)


def _labelled(wake: list[Tensor], rem: list[Tensor]) -> tuple[np.ndarray, np.ndarray]:
    x = np.concatenate([array(torch.cat(wake, -1)), array(torch.cat(rem, -1))])
    return x, np.repeat([1, 0], [len(wake[0]), len(rem[0])])


def _quiet_fit(classifier: Any, x: np.ndarray, y: np.ndarray) -> Any:
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return classifier.fit(x, y)

"""What can be read of the stimulus from waking activity, and of each layer from the one above."""

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuro_aws.errors import NeuroAWSError
from neuro_aws.functional.corruption import corrupted
from neuro_aws.functional.occlusion import Picture, hidden_by_tiles, occluded
from neuro_aws.metrics.subject import MOST_STIMULI, PORTION, Subject, Value, array, ratio
from neuro_aws.protocol.measures_of_activity import LEAST_PER_LABEL
from neuro_aws.protocol.measures_with_settings import Decoder, FromTop, OccludedDecoder

OCCLUDED = "occluded_probe"
"""Name of the measure, of its values and of its random numbers."""

FIT_SHARE = 0.9
"""Share of the training stimuli that each repeat of the probe is fitted on."""


def refuse_few_labels(labels: NDArray[np.int64], measure: str, which: str, each: int) -> None:
    """Refuse stimuli that no classifier of labels can be fitted on."""
    sizes = np.unique(labels, return_counts=True)[1]
    if len(sizes) < 2 or len(labels) < each * len(sizes) or sizes.min() < 2:
        found = f"{len(labels)} with {len(sizes)} labels, {sizes.min()} of the rarest"
        raise NeuroAWSError(
            f"{measure} needs two labels, {each} {which} stimuli of each; there are {found}",
            where="measure",
            next_step=f"Drop {measure}, or change the stimuli or how many are held out",
        )


def linear_probe(subject: Subject) -> Iterator[Value]:
    """Accuracy of a logistic regression of the labels on one layer's standardised rates.

    Fitted on training stimuli, tested on held-out ones; mean over ``repeats`` random,
    stratified nine tenths of the former. ``linear_probe``: somata, noise off;
    ``linear_probe_noisy``: with the waking noise, one draw a stimulus;
    ``linear_probe_dendrite`` and ``linear_probe_dendrite_noisy``: what feedback predicts of them.
    """
    given = subject.settings
    asked = given if isinstance(given, Decoder) else Decoder(measure="linear_probe")
    yield from _decoded(subject, asked, "linear_probe")


def occluded_probe(subject: Subject) -> Iterator[Value]:
    """The same, tested on held-out stimuli of which tiles are hidden.

    The tiles are drawn for each stimulus, the same in all arms of one animal.
    """
    given = subject.settings
    asked = given if isinstance(given, OccludedDecoder) else OccludedDecoder(measure=OCCLUDED)
    stimuli, shown = subject.dataset.held_out[:MOST_STIMULI], subject.dataset
    picture = Picture(*shown.shape, shown.channels)
    hidden = hidden_by_tiles(
        subject.draws(OCCLUDED),
        len(stimuli),
        picture,
        asked.tile,
        smallest=asked.tile,
        rate=asked.rate,
    )
    behind = occluded(stimuli, hidden, picture, asked.occluder)
    yield from _decoded(subject, asked, OCCLUDED, behind)


def _decoded(
    subject: Subject, asked: Decoder, measure: str, test: Tensor | None = None
) -> Iterator[Value]:
    """Yield the accuracies by layer on stimuli of which the held-out labels are true."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedShuffleSplit
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    labels, held_out = subject.dataset.train_labels, subject.dataset.held_out_labels
    assert labels is not None
    assert held_out is not None
    y, y_test = (t[:MOST_STIMULI].cpu().numpy() for t in (labels, held_out))
    refuse_few_labels(y, measure, "training", LEAST_PER_LABEL)
    splits = StratifiedShuffleSplit(
        subject.repeats, train_size=FIT_SHARE, random_state=subject.seed("probe")
    )
    chosen = [rows for rows, _ in splits.split(np.zeros(len(y)), y)]
    each = groupby(asked.each(subject.network.depth), itemgetter(0, 1))
    for (noisy, compartment), parts in each:
        fitted, tested = _rates(subject, compartment, noisy, test)
        name = f"{measure}{'_dendrite' * (compartment == 'dendrite')}{'_noisy' * noisy}"
        for _, _, layer in parts:
            x, x_test = array(fitted[layer]), array(tested[layer])
            scores = []
            for rows in chosen:
                probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
                scores.append(probe.fit(x[rows], y[rows]).score(x_test, y_test))
            yield Value(name, float(np.mean(scores)), layer)


def _rates(
    subject: Subject, compartment: str, noisy: bool, test: Tensor | None
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the rates of a compartment by layer, on training and on test stimuli.

    ``test`` None: the held-out ones as they are.
    """
    if compartment == "soma":
        tested = subject.waking(noisy) if test is None else subject.waking_on(test, noisy)
        return subject.waking_train(noisy), tested
    predicted = subject.predicted(noisy, stimuli=test)
    return subject.predicted(noisy, train=True), predicted


def reconstruction(subject: Subject) -> Iterator[Value]:
    """Unexplained variance of each layer given the layer above, noise off, held-out stimuli.

    sum (h_i - d_i)^2 / sum (h_i - mean h_i)^2, over units and stimuli: 0 is perfect, 1 as good
    as the mean (``reconstruction``, by layer).
    """
    somata = subject.waking()
    for i, predicted in enumerate(subject.predicted()):
        h = somata[i]
        error = (h - predicted).square().sum()
        spread = (h - h.mean(0)).square().sum()
        yield Value("reconstruction", ratio(float(error), float(spread)), i)


def from_top(subject: Subject) -> Iterator[Value]:
    """Unexplained variance of held-out stimuli given the top layer alone; units' noise off.

    h_N by a pass up, d_N = h_N, d_i = psi(G_i d_{i+1}) down to d_0: sum (x - d_0)^2 / sum (x - mean
    x)^2, over units and stimuli. ``from_top``: x was shown; ``from_top_corrupted``: a corrupted x.
    """
    given = subject.settings
    asked = given if isinstance(given, FromTop) else FromTop(measure="from_top")
    stimuli = subject.dataset.held_out[:MOST_STIMULI]
    seen = corrupted(stimuli, subject.draws("from_top"), asked.corruption, asked.masked)
    spread = float((stimuli - stimuli.mean(0)).square().sum())
    for name, shown in (("from_top", stimuli), ("from_top_corrupted", seen)):
        error = 0.0
        for part, wanted in zip(*(torch.split(t, PORTION) for t in (shown, stimuli)), strict=True):
            h = subject.recognise(part, None).somas[-1]
            for layer in reversed(subject.network.layers):
                h = layer.predict(h).rate
            error += float((subject.network.admit(wanted) - h).square().sum())
        yield Value(name, ratio(error, spread), 0)


def ocular_dominance(subject: Subject) -> Iterator[Value]:
    """Dominance of the eyes over layer 1: (left - right) / (left + right), -1 to 1.

    ``ocular_dominance``: of the summed |feedforward weights| from each eye;
    ``ocular_dominance_response``: of the mean rectified drive of layer 1's cells when that eye
    alone sees held-out stimuli (the drive, since normalisation would even out the eyes).
    A left eye that was closed and lost pulls the index below 0.
    """
    weights = subject.network.layers[0].feedforward[0].abs()
    half = weights.shape[1] // 2
    left, right = float(weights[:, :half].sum()), float(weights[:, half:].sum())
    yield Value("ocular_dominance", ratio(left - right, left + right), 1)
    rates = []
    for closed in (slice(half, None), slice(0, half)):
        seen = subject.dataset.held_out[:MOST_STIMULI].clone()
        seen[:, closed] = 0
        drive, _ = subject.network.layers[0].feedforward_potential(seen)
        rates.append(float(torch.relu(drive).mean()))
    response = ratio(rates[0] - rates[1], rates[0] + rates[1])
    yield Value("ocular_dominance_response", response, 1)


def class_representation(subject: Subject) -> Iterator[Value]:
    """How much of layer 1 stands for each label; noise off, held-out stimuli, group = label.

    ``preferring_share``: share of the cells that ever fire whose mean rate is highest for the
    label; ``class_response``: layer 1's mean rate for the label over that for all stimuli;
    ``class_distance``: length of (the label's mean activity - the mean activity) over the
    root of the summed variance: how far the class stands out.
    """
    labels = subject.dataset.held_out_labels
    assert labels is not None
    labels = labels[:MOST_STIMULI]
    h = subject.waking()[1]
    classes = torch.unique(labels)
    means = torch.stack([h[labels == c].mean(0) for c in classes])
    active = (h > 0).any(0)
    preferred = means.argmax(0)[active]
    total = float(h.mean())
    spread = float(h.var(0).sum().sqrt())
    for k, c in enumerate(classes.tolist()):
        group = f"label{c}"
        share = float((preferred == k).double().mean()) if len(preferred) else float("nan")
        yield Value("preferring_share", share, 1, group)
        yield Value("class_response", ratio(float(means[k].mean()), total), 1, group)
        distance = float((means[k] - h.mean(0)).norm())
        yield Value("class_distance", ratio(distance, spread), 1, group)

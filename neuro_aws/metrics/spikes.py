"""Measures of spike counts: rates, predictions, dreams, ACh, labels. numpy in, values out.

A measure looks back on the last steps of wake and of REM (``spiking.window``); nothing is run for
it. Counts are spikes of one cell in one step.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from neuro_aws.metrics.subject import Value, ratio
from neuro_aws.protocol.targets import Targets

Array = NDArray[Any]
FOLDS = 5


@dataclass
class Window:
    """The last steps of one phase: counts and expected counts (steps, cells), ACh, labels."""

    counts: Array
    expected: Array
    level: Array
    label: Array

    def __len__(self) -> int:
        return len(self.counts)

    @classmethod
    def empty(cls, cells: int) -> "Window":
        """Return a window on nothing."""
        return cls(np.zeros((0, cells), "u2"), np.zeros((0, cells), "f4"), np.zeros(0), np.zeros(0))

    def at(self, steps: list[int]) -> "Window":
        """Return some of the steps."""
        return Window(*(getattr(self, f)[steps] for f in SEEN))

    def then(self, later: "Window", most: int) -> "Window":
        """Return this window moved on, at most so many steps long."""
        if not len(later):
            return self
        joined = (
            np.concatenate([getattr(self, name), getattr(later, name)])[-most:] for name in SEEN
        )
        return Window(*joined)


SEEN = tuple(f.name for f in fields(Window))


@dataclass
class SpikeSubject:
    """One animal at one moment."""

    wake: Window
    rem: Window
    layers: list[slice]
    seconds: float
    """Duration of a step (s)."""
    targets: dict[str, Targets]
    memory: dict[str, Array]
    """What was found first (``first/...``) or at the branch (``onset``), to compare with."""
    first_weights: Callable[[], Array] | None = None
    """F into layer 1, (post, pre), of a stimulus with two eyes."""
    seed: int = 0
    onset: bool = False
    """Whether this is the moment at which the arms part."""

    def relative(self, name: str, layer: int, value: float) -> float:
        """Return a value over the first one of its kind in this branch."""
        first = self.memory.setdefault(f"first/{name}/{layer}", np.array(value))
        return ratio(value, float(first))


def spike_rates(subject: SpikeSubject) -> Iterator[Value]:
    """Mean rate of each layer (Hz): ``wake_rate``, ``rem_rate``."""
    for name, window in (("wake_rate", subject.wake), ("rem_rate", subject.rem)):
        if len(window):
            for i, cells in enumerate(subject.layers):
                yield Value(name, float(window.counts[:, cells].mean()) / subject.seconds, i)


def spike_prediction(subject: SpikeSubject) -> Iterator[Value]:
    """Mean squared error of a waking step's count against what the dendrite expected.

    ``prediction_error`` (spikes^2), by layer below the top; ``..._relative`` to the first one
    measured; ``count_variance`` is what predicting each cell's own mean would leave.
    """
    for i, cells in enumerate(subject.layers[:-1]):
        counts, expected = subject.wake.counts[:, cells], subject.wake.expected[:, cells]
        if len(counts) < 2:
            return
        error = float(np.square(counts - expected).mean())
        yield Value("prediction_error", error, i)
        yield Value("prediction_error_relative", subject.relative("error", i, error), i)
        yield Value("count_variance", float(counts.var(0).mean()), i)


def spike_dreams(subject: SpikeSubject) -> Iterator[Value]:
    """Compare dreams with waking, by layer.

    ``dream_rate_correlation`` of the cells' mean rates; ``dream_rate_distance``, root mean square
    (Hz), and relative to the first measured; ``dream_covariance_correlation`` of the covariances
    of pairs of cells, and ``dream_covariance_size``, their norm in dreams over that in waking.
    """
    if len(subject.wake) < 3 or len(subject.rem) < 3:
        return
    for i, cells in enumerate(subject.layers):
        wake, rem = (w.counts[:, cells].astype(float) for w in (subject.wake, subject.rem))
        a, b = wake.mean(0), rem.mean(0)
        distance = float(np.sqrt(np.square(a - b).mean())) / subject.seconds
        yield Value("dream_rate_correlation", correlation(a, b), i)
        yield Value("dream_rate_distance", distance, i)
        relative = subject.relative("distance", i, distance)
        yield Value("dream_rate_distance_relative", relative, i)
        pairs = np.triu_indices(wake.shape[1], 1)
        if len(pairs[0]) > 2:
            c, d = np.cov(wake.T)[pairs], np.cov(rem.T)[pairs]
            yield Value("dream_covariance_correlation", correlation(c, d), i)
            size = ratio(float(np.linalg.norm(d)), float(np.linalg.norm(c)))
            yield Value("dream_covariance_size", size, i)


def spike_ach(subject: SpikeSubject) -> Iterator[Value]:
    """How well ACh separates wake from REM, step by step (its mean over a step).

    ``ach_auc``: area under the ROC curve, 0.5 not at all; ``ach_wake``, ``ach_rem``: mean logit.
    ``wake_rem_probe``: accuracy of a fresh logistic regression that separates wake from REM by the
    counts of all cells, five folds, so that a slow ACh is not mistaken for a matched dream.
    """
    wake, rem = subject.wake.level, subject.rem.level
    awake = np.concatenate([np.ones(len(wake)), np.zeros(len(rem))])
    if len(wake) and len(rem):
        yield Value("ach_auc", float(roc_auc_score(awake, np.concatenate([wake, rem]))))
        yield Value("ach_wake", float(wake.mean()))
        yield Value("ach_rem", float(rem.mean()))
    if min(len(wake), len(rem)) >= FOLDS:
        counts = np.concatenate([subject.wake.counts, subject.rem.counts])
        yield Value("wake_rem_probe", _probe(subject, counts, awake))


def spike_probe(subject: SpikeSubject) -> Iterator[Value]:
    """Accuracy of a logistic regression of the labels on one layer's waking counts.

    Five stratified folds within the window; chance is the share of the commonest label.
    """
    labels = subject.wake.label.astype(int)
    kinds, sizes = np.unique(labels, return_counts=True)
    if len(kinds) < 2 or sizes.min() < FOLDS:
        return
    for i, cells in enumerate(subject.layers):
        yield Value("spike_probe", _probe(subject, subject.wake.counts[:, cells], labels), i)


def _probe(subject: SpikeSubject, counts: Array, labels: Array) -> float:
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=subject.seed % 2**32)
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    return float(cross_val_score(probe, counts.astype(float), labels, cv=folds).mean())


def spike_targets(subject: SpikeSubject) -> Iterator[Value]:
    """Waking rate of target cells (Hz), and of target and non-target cells relative to the onset.

    The onset is the window before the arms parted; non-target are the other cells of the layer.
    """
    if not len(subject.wake):
        return
    rates = subject.wake.counts.mean(0) / subject.seconds
    if subject.onset:
        subject.memory["onset"] = rates
    onset = subject.memory.get("onset")
    for name, target in subject.targets.items():
        cells = subject.layers[target.layer]
        mine = np.zeros(cells.stop - cells.start, bool)
        mine[list(target.ids)] = True
        now = rates[cells]
        yield Value("target_rate", float(now[mine].mean()), target.layer, name)
        if onset is None:
            continue
        before = onset[cells]
        yield Value(
            "target_rate_relative", ratio(float(now[mine].mean()), float(before[mine].mean())),
            target.layer, name,
        )  # fmt: skip
        if not mine.all():
            others = ratio(float(now[~mine].mean()), float(before[~mine].mean()))
            yield Value("spared_rate_relative", others, target.layer, name)


def spike_ocular_dominance(subject: SpikeSubject) -> Iterator[Value]:
    """(left - right) / (left + right) of the summed |F| from each eye, mean over layer 1."""
    assert subject.first_weights is not None
    w = np.abs(subject.first_weights())
    half = w.shape[1] // 2
    left, right = w[:, :half].sum(1), w[:, half:].sum(1)
    yield Value("ocular_dominance", float(((left - right) / (left + right)).mean()), 1)


def correlation(a: Array, b: Array) -> float:
    """Return Pearson's r; nan where one of the two does not vary."""
    if len(a) < 3 or a.std() == 0 or b.std() == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])

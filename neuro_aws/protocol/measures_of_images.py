"""Measures of convolutional networks and of the images they dream."""

from typing import TYPE_CHECKING

from neuro_aws.protocol.entry import RATE, table
from neuro_aws.protocol.measure import (
    ValueInfo,
    few,
    labelled_for_features,
    measure,
    no_sequences,
    two_labels,
)
from neuro_aws.protocol.stimulus_counts import distinct_labels, held_out_of

if TYPE_CHECKING:
    from neuro_aws.protocol.schema import ProtocolSpec

FOLDS = 10
"""Of the support vector machine; each has to have every label."""


def ten_folds(spec: "ProtocolSpec") -> str | None:
    """Need as many held-out stimuli of each label, on average, as there are folds."""
    held_out = held_out_of(spec.stimulus)
    if few(held_out, FOLDS, spec):
        labels = distinct_labels(spec.stimulus) or 0
        return (
            f"needs {FOLDS} held-out stimuli of each label for its folds: {FOLDS * labels} of "
            f"{labels} labels, and {held_out} are held out; raise stimulus.held_out"
        )
    return None


def a_memory(spec: "ProtocolSpec") -> str | None:
    """Need a memory, which stores top states whether or not dreams begin from them."""
    if spec.network.memory is None:
        return "needs stored states; give network.memory (with share: 0 no dream begins from them)"
    return None


V = ValueInfo
_IMAGES = "neuro_aws.metrics.images"

OF_IMAGES = table(
    measure(
        "frechet_distance",
        "Frechet distance of dreamt images to held-out ones in some features",
        V(
            "frechet_classifier",
            "Frechet distance of dreamt images to held-out ones in the 64 features of a small "
            "classifier that the program trains on the training labels, kept in the cache; with "
            "`evaluate --extractor FILE` in that network's, named `frechet_<file>`, and `fid` only "
            "for an Inception network",
            "feature units squared",
            0,
        ),
        V(
            "frechet_classifier_real",
            "as many training stimuli, the floor",
            "feature units squared",
            0,
            main=False,
        ),
        V("frechet_samples", "number of dreams", "images", 0, main=False),
        V("frechet_reference", "number of held-out stimuli", "images", 0, main=False),
        V(
            "extractor_accuracy",
            "the classifier's accuracy on held-out stimuli",
            "accuracy",
            0,
            1,
            main=False,
        ),
        needs=(no_sequences, labelled_for_features),
        noise="on",
        seconds=15.0,
        code={RATE: f"{_IMAGES}:frechet_distance"},
    ),
    measure(
        "nearest_neighbours",
        "distance of dreamt images to the nearest training stimulus",
        V(
            "neighbour_distance",
            "mean distance of a dream to the nearest training stimulus, in pixels",
            "distance over pixels",
            0,
        ),
        V(
            "neighbour_distance_real",
            "of a held-out stimulus; far below it, dreams are copies",
            "distance over pixels",
            0,
            main=False,
        ),
        noise="on",
        code={RATE: f"{_IMAGES}:nearest_neighbours"},
    ),
    measure(
        "memory_distance",
        "distance of the dreamt top layer to the nearest state that is stored in memory",
        V(
            "memory_distance",
            "mean distance of a dream's h_N to the nearest stored one, over that of waking h_N on "
            "held-out stimuli; 0 is recall, 1 as new as waking",
            "held-out waking = 1",
            0,
        ),
        needs=(a_memory,),
        noise="on",
        code={RATE: "neuro_aws.metrics.memory:memory_distance"},
    ),
    measure(
        "log_likelihood",
        "log p(h_i | h_{i+1}) of each layer given the one above, nats a unit",
        V(
            "log_likelihood",
            "mean log p(h_i given h_{i+1}) a unit: Gaussian with each layer's residual variance on "
            "the training stimuli, or Bernoulli; the part of the ELBO that G climbs, no bound on "
            "log p(x)",
            "nats per unit",
        ),
        needs=(no_sequences,),
        noise="off",
        code={RATE: f"{_IMAGES}:layer_likelihood"},
    ),
    measure(
        "svm_10fold",
        "linear SVM on each layer, ten folds inside the held-out stimuli (as the paper)",
        V(
            "svm_10fold",
            "accuracy of a linear support vector machine on each layer, ten folds inside the "
            "held-out stimuli (the paper's Figure 2C; it sees no training stimulus)",
            "accuracy",
            0,
            1,
            gained=True,
        ),
        V("svm_10fold_spread", "standard deviation over folds", "accuracy", 0, main=False),
        needs=(two_labels, ten_folds),
        noise="off",
        seconds=30.0,
        code={RATE: f"{_IMAGES}:svm_10fold"},
    ),
)

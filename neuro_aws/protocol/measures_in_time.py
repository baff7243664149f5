"""Measures of recurrent networks: how free running differs from teacher forcing."""

from pydantic import Field

from neuro_aws.protocol.entry import RATE, table
from neuro_aws.protocol.measure import TrainedMeasure, ValueInfo, in_time, measure


class FreeRunning(TrainedMeasure):
    """How many free runs, how long, and which statistics of what they draw."""

    repeats: int = Field(1, ge=1, le=100)
    """Initialisations of the classifier that its accuracy is averaged over."""
    runs: int = Field(300, ge=10, le=100_000)
    """Free runs."""
    lengths: int = Field(5, ge=1, le=100)
    """How many times as long as in training they run."""
    states: int = Field(1500, ge=100, le=20_000)
    """States of single steps that are compared."""
    longest: int = Field(8, ge=1, le=16)
    """Length of n-grams; shorter where there were more than 30,000 different ones."""
    lags: int = Field(16, ge=1, le=512)
    """Steps that lie between the two symbols of a pair, at most."""


V = ValueInfo


def _of_states(name: str, what: str) -> tuple[ValueInfo, ...]:
    """Return the values of one way to look at hidden states."""
    return (
        V(
            f"{name}_distance",
            f"sliced Wasserstein distance of free runs to teacher-forced held-out ones: {what}",
            "distance",
            0,
        ),
        V(
            f"{name}_distance_real",
            "of teacher-forced training sequences: the floor",
            "distance",
            0,
            main=False,
        ),
        V(
            f"{name}_nearest",
            "mean Euclidean distance of a teacher-forced one to the nearest of free runs",
            "distance",
            0,
            main=False,
        ),
        V(
            f"{name}_nearest_real",
            "to the nearest of teacher-forced training sequences",
            "distance",
            0,
            main=False,
        ),
        V(
            f"{name}_classifier",
            "accuracy of a new perceptron (64 hidden, 40 epochs) that tells free runs from "
            f"teacher-forced sequences by {what}; 0.5 is perfect matching",
            "accuracy",
            0,
            1,
        ),
    )


IN_TIME = table(
    measure(
        "free_running",
        "free runs against teacher forcing: hidden states, and statistics of what is drawn",
        *_of_states("state", "hidden states of single steps, drawn at random"),
        *_of_states("course", "means and standard deviations over the steps of every hidden unit"),
        V(
            "ngram_distance",
            "total variation distance of the n-grams (`longest`) of free runs to those of training "
            "sequences",
            "share",
            0,
            1,
        ),
        V(
            "ngram_distance_longer",
            "the same at the end of runs `lengths` times as long as in training, their last length",
            "share",
            0,
            1,
        ),
        V("ngram_distance_real", "of held-out sequences: the floor", "share", 0, 1, main=False),
        V(
            "pair_distance",
            "total variation distance of pairs of symbols 1 to `lags` steps apart, mean over lags",
            "share",
            0,
            1,
        ),
        V("pair_distance_longer", "the same at the end of longer runs", "share", 0, 1),
        V("pair_distance_real", "of held-out sequences: the floor", "share", 0, 1, main=False),
        base=FreeRunning,
        needs=(in_time,),
        noise="on",
        seconds=3.0,
        code={RATE: "neuro_aws.metrics.in_time:free_running"},
    ),
)

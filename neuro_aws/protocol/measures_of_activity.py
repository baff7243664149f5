"""Measures of the activity and weights of rate networks, and of what their dreams are like."""

from typing import TYPE_CHECKING

from neuro_aws.phase import FEEDFORWARD
from neuro_aws.protocol.entry import CORTEX, RATE, table
from neuro_aws.protocol.measure import (
    TrainedMeasure,
    ValueInfo,
    cells,
    few,
    measure,
    no_sequences,
    perturbed_dreams,
    single_pictures,
    two_eyes,
    two_labels,
)
from neuro_aws.protocol.measures_with_settings import (
    Decoder,
    FromTop,
    OccludedDecoder,
    ReceptiveField,
)
from neuro_aws.protocol.stimulus_counts import distinct_labels, trained_on

if TYPE_CHECKING:
    from neuro_aws.protocol.schema import ProtocolSpec

LEAST_PER_LABEL = 10
"""Training stimuli that the probe needs for each label, on average: a tenth is left out."""


def enough_to_fit(spec: "ProtocolSpec") -> str | None:
    """Need training stimuli of each label to fit a probe on."""
    count = trained_on(spec.stimulus)
    if few(count, LEAST_PER_LABEL, spec):
        return (
            f"needs {LEAST_PER_LABEL} training stimuli of each label: "
            f"{LEAST_PER_LABEL * (distinct_labels(spec.stimulus) or 0)}, and {count} are left to "
            "train on; lower stimulus.held_out or add stimuli"
        )
    return None


V = ValueInfo
_CELLS = "neuro_aws.metrics.cells"
_DISTANCES = "neuro_aws.metrics.distances"
_FIELDS = "neuro_aws.metrics.receptive_fields"
_REPRESENTATION = "neuro_aws.metrics.representation"
_SPIKES = "neuro_aws.metrics.spikes"

OF_ACTIVITY = table(
    measure(
        "target_cells",
        "waking activity of the target cells and of the non-target ones, against onset",
        V("target_activity", "mean soma of the targets", "rate", 0, main=False),
        V("target_activity_relative", "over the arm's own onset", "onset = 1", 0),
        V(
            "target_activity_relative_noisy",
            "the same with waking noise",
            "onset = 1",
            0,
            main=False,
        ),
        V("spared_activity_relative", "the same of the layer's other cells", "onset = 1", 0),
        V("target_spared_ratio", "one over the other", "ratio", 0, main=False),
        V("target_potential", "mean F h + b", "drive", main=False),
        V("target_never_active", "share silent for every stimulus", "share of cells", 0, 1),
        V(
            "spared_never_active",
            "the same of the layer's other cells",
            "share of cells",
            0,
            1,
            main=False,
        ),
        V("target_dendrite", "mean prediction by feedback", "rate", 0, main=False),
        V(
            "target_feedforward",
            "length of their feedforward weights over onset",
            "onset = 1",
            0,
            main=False,
        ),
        needs=(cells,),
        noise="off / on",
        against_onset=True,
        code={RATE: f"{_CELLS}:target_cells"},
    ),
    measure(
        "receptive_field",
        "how the feedforward weights of chosen cells turned and grew; draws them before and after",
        V(
            "receptive_field_cosine",
            "cosine of a cell's feedforward weights with those at the arm's own onset, mean over "
            "the cells, and over the layer's other cells (group `NAME_others`)",
            "cosine",
            -1,
            1,
        ),
        V("receptive_field_length", "their length over that at the onset", "onset = 1", 0),
        V(
            "receptive_field_common",
            "share of the squared change since the onset that is the same in all these cells",
            "share of change",
            0,
            1,
            main=False,
        ),
        base=ReceptiveField,
        against_onset=True,
        of_weights=True,
        seconds=0.001,
        code={RATE: f"{_FIELDS}:receptive_field"},
    ),
    measure(
        "dream_match",
        "distance of waking activity to the perturbed and the unperturbed dreams",
        V(
            "wake_to_plain_dreams",
            "sliced distance of waking activity (all layers above 0) to dreams kept at onset, "
            "unperturbed",
            "distance",
            0,
            main=False,
        ),
        V(
            "wake_to_perturbed_dreams",
            "and under each perturbation of cells",
            "distance",
            0,
            main=False,
        ),
        V(
            "move_to_perturbed",
            "fall of the second since onset minus fall of the first, above 0 when waking moved to "
            "the perturbed dreams",
            "distance",
        ),
        needs=(perturbed_dreams,),
        noise="on",
        against_onset=True,
        seconds=0.08,
        code={RATE: f"{_DISTANCES}:dream_match"},
    ),
    measure(
        "ach_gap",
        "mean D in wake minus mean D in REM",
        V("ach_gap", "nothing perturbed", "D"),
        V(
            "ach_gap_perturbed",
            "the same with REM under each perturbation of cells, the gap D learns with in that arm",
            "D",
            main=False,
        ),
        noise="on",
        code={RATE: f"{_DISTANCES}:ach_gap"},
    ),
    measure(
        "fresh_classifier",
        "a new perceptron trained on wake against REM: accuracy, 0.5 is perfect matching",
        V(
            "fresh_classifier",
            "accuracy of a new perceptron (64 hidden, 40 epochs) given wake and REM, on held-out "
            "stimuli and new dreams; 0.5 is perfect matching, 1.0 that of an untrained network",
            "accuracy",
            0,
            1,
        ),
        base=TrainedMeasure,
        noise="on",
        seconds=1.1,
        code={RATE: f"{_DISTANCES}:fresh_classifier"},
    ),
    measure(
        "linear_probe",
        "logistic regression of the labels on waking activity, by layer and compartment",
        V(
            "linear_probe",
            "accuracy of a logistic regression on each layer's standardised soma, fitted on nine "
            "tenths of the training stimuli (`repeats` splits), tested on held-out ones",
            "accuracy",
            0,
            1,
            gained=True,
        ),
        V("linear_probe_noisy", "the same with waking noise", "accuracy", 0, 1, gained=True),
        V(
            "linear_probe_dendrite",
            "on what feedback predicts of it (`compartments: [soma, dendrite]`)",
            "accuracy",
            0,
            1,
        ),
        V("linear_probe_dendrite_noisy", "the same with waking noise", "accuracy", 0, 1),
        base=Decoder,
        needs=(two_labels, enough_to_fit),
        noise="off / on",
        seconds=0.2,
        code={RATE: f"{_REPRESENTATION}:linear_probe"},
    ),
    measure(
        "occluded_probe",
        "the same logistic regression, tested on held-out stimuli that are partly hidden",
        V(
            "occluded_probe",
            "accuracy of a logistic regression on each layer's standardised soma, fitted on whole "
            "training stimuli as `linear_probe` is, tested on held-out ones behind tiles (each of "
            "`tile` pixels a side is hidden with the probability `rate`, in the grey `occluder`)",
            "accuracy",
            0,
            1,
            gained=True,
        ),
        V("occluded_probe_noisy", "the same with waking noise", "accuracy", 0, 1, gained=True),
        V("occluded_probe_dendrite", "on what feedback predicts of it", "accuracy", 0, 1),
        V("occluded_probe_dendrite_noisy", "the same with waking noise", "accuracy", 0, 1),
        base=OccludedDecoder,
        needs=(two_labels, enough_to_fit, single_pictures),
        noise="off / on",
        seconds=0.2,
        code={RATE: f"{_REPRESENTATION}:occluded_probe"},
    ),
    measure(
        "reconstruction",
        "unexplained variance of each layer given the layer above",
        V(
            "reconstruction",
            "unexplained variance of each layer given the layer above; 0 perfect, 1 as good as "
            "the mean",
            "share of variance",
            0,
        ),
        noise="off",
        code={RATE: f"{_REPRESENTATION}:reconstruction"},
    ),
    measure(
        "from_top",
        "unexplained variance of the stimulus given the top layer alone, shown clean or corrupted",
        V(
            "from_top",
            "unexplained variance of the stimulus after a pass up and one down, each layer "
            "predicted from the prediction above; 1 is as good as the mean",
            "share of variance",
            0,
        ),
        V(
            "from_top_corrupted",
            "the same of the stimulus as it was, from a corrupted one (`corruption`, `masked`)",
            "share of variance",
            0,
        ),
        base=FromTop,
        needs=(no_sequences,),
        noise="off",
        code={RATE: f"{_REPRESENTATION}:from_top"},
    ),
    measure(
        "objective",
        "what the theory itself descends, on held-out stimuli",
        V(
            "objective",
            "mean over held-out stimuli, in units of the theory's own (docs/theories.md): to be "
            "compared with its own value earlier",
            "of the theory",
        ),
        noise="as the theory has it",
        code={RATE: "neuro_aws.metrics.objective:objective"},
    ),
    measure(
        "sliced_distance",
        "sliced Wasserstein distance of dreamt stimuli to held-out ones",
        V(
            "sliced_distance",
            "mean difference of sorted projections on 200 random directions, dreams against "
            "held-out stimuli",
            "stimulus units",
            0,
        ),
        V(
            "sliced_distance_real",
            "training stimuli against held-out ones, the floor",
            "stimulus units",
            0,
            main=False,
        ),
        noise="on",
        seconds=0.03,
        code={RATE: f"{_DISTANCES}:sliced_distance"},
    ),
    measure(
        "diversity",
        "spread of dreams over the spread of the data (1: as varied; 0: collapsed)",
        V(
            "diversity",
            "spread of dreams over the spread of waking, by layer; near 0 is mode collapse",
            "data = 1",
            0,
        ),
        noise="on",
        code={RATE: f"{_DISTANCES}:diversity"},
    ),
    measure(
        "collapse",
        "variety of dreams and of inference: what `watch` looks at",
        V(
            "dream_spread",
            "spread of dreams over that of waking, noise off",
            "waking = 1",
            0,
        ),
        V("waking_rank", "effective rank of waking activity", "dimensions", 0, main=False),
        noise="off",
        code={RATE: "neuro_aws.metrics.collapse:collapse"},
    ),
    measure(
        "ocular_dominance",
        "(left - right) / (left + right) of the first layer's weights",
        V(
            "ocular_dominance",
            "(left - right) / (left + right) of the summed feedforward weights into layer 1",
            "index",
            -1,
            1,
            weights_of=FEEDFORWARD,
        ),
        V(
            "ocular_dominance_response",
            "of the rectified drive of layer 1 by each eye alone (rate network only)",
            "index",
            -1,
            1,
            main=False,
        ),
        needs=(two_eyes,),
        noise="off",
        of_weights=True,
        code={
            RATE: f"{_REPRESENTATION}:ocular_dominance",
            CORTEX: f"{_SPIKES}:spike_ocular_dominance",
        },
    ),
    measure(
        "class_representation",
        "share of the cells that prefer each label, and their response",
        V(
            "preferring_share",
            "share of layer 1's active cells that prefer each label",
            "share of cells",
            0,
            1,
        ),
        V(
            "class_response",
            "response to the label over the mean response",
            "mean response = 1",
            0,
            main=False,
        ),
        V("class_distance", "how far the class stands out", "distance", 0, main=False),
        needs=(two_labels,),
        noise="off",
        code={RATE: f"{_REPRESENTATION}:class_representation"},
    ),
)

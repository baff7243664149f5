"""Measures of spiking networks and of the single spiking neuron."""

from neuro_aws.protocol.entry import CORTEX, NEURON, table
from neuro_aws.protocol.measure import ValueInfo, cells, measure, two_labels

V = ValueInfo
_SPIKES = "neuro_aws.metrics.spikes"

OF_SPIKES = table(
    measure(
        "spike_rates",
        "mean rate of each layer in wake and in REM, Hz",
        V("wake_rate", "mean rate of each layer in wake", "Hz", 0),
        V("rem_rate", "and in REM", "Hz", 0, main=False),
        code={CORTEX: f"{_SPIKES}:spike_rates"},
    ),
    measure(
        "spike_prediction",
        "squared error of spike counts against what the dendrite expected",
        V(
            "prediction_error",
            "mean squared difference of a waking count and what the dendrite expected of its cell, "
            "by layer",
            "spikes squared",
            0,
            main=False,
        ),
        V("prediction_error_relative", "over the first one measured", "first = 1", 0),
        V(
            "count_variance",
            "what predicting every cell's own mean would leave",
            "spikes squared",
            0,
            main=False,
        ),
        code={CORTEX: f"{_SPIKES}:spike_prediction"},
    ),
    measure(
        "spike_dreams",
        "rates and covariances of dreams against waking, layer by layer",
        V(
            "dream_rate_correlation",
            "of the cells' mean rates in REM and in wake",
            "correlation",
            -1,
            1,
        ),
        V("dream_rate_distance", "their root mean square difference", "Hz", 0, main=False),
        V("dream_rate_distance_relative", "to the first measured", "first = 1", 0, main=False),
        V(
            "dream_covariance_correlation",
            "of the covariances of pairs of cells",
            "correlation",
            -1,
            1,
        ),
        V(
            "dream_covariance_size",
            "their norm in REM over that in wake",
            "wake = 1",
            0,
            main=False,
        ),
        code={CORTEX: f"{_SPIKES}:spike_dreams"},
    ),
    measure(
        "spike_ach",
        "how well ACh tells wake from REM: area under the ROC curve",
        V(
            "ach_auc",
            "how well ACh (its mean over a step) tells wake from REM, area under the ROC curve",
            "area under ROC",
            0,
            1,
        ),
        V("ach_wake", "its mean in wake", "logit", main=False),
        V("ach_rem", "and in REM", "logit", main=False),
        V(
            "wake_rem_probe",
            "accuracy of a fresh logistic regression on all counts, the control for a slow ACh",
            "accuracy",
            0,
            1,
            main=False,
        ),
        code={CORTEX: f"{_SPIKES}:spike_ach"},
    ),
    measure(
        "spike_probe",
        "logistic regression of the labels on each layer's waking spike counts",
        V(
            "spike_probe",
            "accuracy of a logistic regression of the labels on a layer's waking counts, five "
            "folds",
            "accuracy",
            0,
            1,
            gained=True,
        ),
        needs=(two_labels,),
        code={CORTEX: f"{_SPIKES}:spike_probe"},
    ),
    measure(
        "spike_targets",
        "waking rate of the target cells and of the non-target ones, against onset",
        V("target_rate", "waking rate of the target cells", "Hz", 0, main=False),
        V("target_rate_relative", "over the window before the arms parted", "onset = 1", 0),
        V("spared_rate_relative", "the same of the layer's other cells", "onset = 1", 0),
        needs=(cells,),
        against_onset=True,
        code={CORTEX: f"{_SPIKES}:spike_targets"},
    ),
    measure(
        "single_neuron",
        "dendritic prediction against the soma of the neuron of Urbanczik & Senn",
        V("match", "correlation of V* and U, teacher on", "correlation", -1, 1),
        V(
            "match_teacher_off",
            "of U alone with the mean U of the patterns with the teacher",
            "correlation",
            -1,
            1,
        ),
        V("match_error", "mean squared difference of V* and U", "(15 mV)^2", 0, main=False),
        V("match_error_relative", "to the first measured", "first = 1", 0),
        code={NEURON: ""},
    ),
)

"""The names a protocol may use, with one line about each. No torch in here.

The modules that own the things (algorithms, metrics, ...) hold the tables behind these names; a
test keeps both in step.
"""

ALGORITHMS: dict[str, str] = {
    "adversarial_wake_sleep": "the theory: feedforward learning driven by ACh, in wake",
    "doubly_adversarial": "AWS mixed with a GAN: a second discriminator on the layer below the top",
    "wake_sleep": "classic Wake-Sleep: feedforward learns in REM, ACh only watches",
    "frozen": "a null: no feedforward learning at all",
}

CREDITS: dict[str, str] = {
    "layer": "dD/dh of each unit, from the sub-discriminators that read it (default)",
    "layer_random": "the same through fixed random weights: control for weight transport",
    "backprop": "the gradient of D through all of F: the published experiment",
    "scalar": "a three-factor rule: one global number per sample",
    "none": "0: only the KL of the top layer is left (KL only)",
}

STIMULI: dict[str, str] = {
    "digits": "scikit-learn's 1,797 digits, 8 x 8 or enlarged, embedded",
    "patches": "whitened patches of natural photographs, one eye or two, embedded or your own",
    "images": "a folder of your own images, whole, grey or in colour, resized",
    "array": "arrays of your own in a .npy or .npz file, with labels or without",
    "mnist": "MNIST in idx format from a folder, checked by md5",
    "fashion_mnist": "Fashion-MNIST in idx format from a folder",
    "spike_pattern": "a frozen pattern of spikes and a teacher, for a single neuron (spiking)",
    "cifar10": "CIFAR-10 in its python format, read without running code from it",
}

PERTURBATIONS: dict[str, str] = {
    "silence": "put the somatic rate of chosen cells to 0",
    "scale": "multiply the somatic rate of chosen cells (0.5 partial silencing, 2 activation)",
    "clamp": "hold released ACh constant: nothing is taught; D goes on (or is held)",
    "block": "block the effect of ACh: gate 0, D intact",
    "pair": "multiply the gate for stimuli of chosen labels",
    "yoke": "replace the teaching signal by another sample's, or by random numbers of its size",
    "plasticity": "multiply the weight changes of a projection (0: frozen)",
    "lid_suture": "one eye sees noise of its own instead of the scene",
    "inactivate_eye": "one eye is silent",
    "attenuate_eye": "one eye's input is scaled down",
    "deprive_sleep": "longer wake blocks, with or without rebound sleep",
}

MEASURES: dict[str, str] = {
    "target_cells": "waking activity of the target cells and of the spared ones, against onset",
    "dream_match": "distance of waking activity to the perturbed and the unperturbed dreams",
    "ach_gap": "mean D in wake minus mean D in REM",
    "fresh_classifier": "a new perceptron told wake from REM: accuracy, 0.5 is perfect matching",
    "linear_probe": "logistic regression of the labels on each layer's waking activity",
    "reconstruction": "unexplained variance of each layer given the layer above",
    "sliced_distance": "sliced Wasserstein distance of dreamt stimuli to held-out ones",
    "diversity": "spread of dreams over the spread of the data (1: as varied; 0: collapsed)",
    "frechet_distance": "Frechet distance of dreamt images to held-out ones in some features",
    "nearest_neighbours": "distance of dreamt images to the nearest stimulus of the life",
    "log_likelihood": "log p(h_i | h_{i+1}) of each layer given the one above, nats a unit",
    "svm_10fold": "linear SVM on each layer, ten folds inside the held-out stimuli (as the paper)",
    "ocular_dominance": "(left - right) / (left + right) of the first layer's weights",
    "class_representation": "share of the cells that prefer each label, and their response",
    "spike_rates": "mean rate of each layer in wake and in REM, Hz",
    "spike_prediction": "squared error of spike counts against what the dendrite expected",
    "spike_dreams": "rates and covariances of dreams against waking, layer by layer",
    "spike_ach": "how well ACh tells wake from REM: area under the ROC curve",
    "spike_probe": "logistic regression of the labels on each layer's waking spike counts",
    "spike_targets": "waking rate of the target cells and of the spared ones, against onset",
    "single_neuron": "dendritic prediction against the soma of the neuron of Urbanczik & Senn",
}

SPIKING_MEASURES: dict[str, tuple[str, ...]] = {
    "spike_rates": ("cortex",),
    "spike_prediction": ("cortex",),
    "spike_dreams": ("cortex",),
    "spike_ach": ("cortex",),
    "spike_probe": ("cortex",),
    "spike_targets": ("cortex",),
    "ocular_dominance": ("cortex",),
    "single_neuron": ("neuron",),
}
"""Measures of the spiking backend, and whether they need the cortex or the single neuron."""

OF_WEIGHTS = ("ocular_dominance",)
"""Those that look at weights, not at spikes."""

VALUES: dict[str, str] = {
    "target_activity": "target_cells",
    "target_activity_relative": "target_cells",
    "spared_activity_relative": "target_cells",
    "target_spared_ratio": "target_cells",
    "target_potential": "target_cells",
    "target_never_active": "target_cells",
    "spared_never_active": "target_cells",
    "target_dendrite": "target_cells",
    "target_feedforward": "target_cells",
    "wake_to_plain_dreams": "dream_match",
    "wake_to_perturbed_dreams": "dream_match",
    "move_to_perturbed": "dream_match",
    "ach_gap": "ach_gap",
    "ach_gap_perturbed": "ach_gap",
    "fresh_classifier": "fresh_classifier",
    "linear_probe": "linear_probe",
    "linear_probe_noisy": "linear_probe",
    "reconstruction": "reconstruction",
    "sliced_distance": "sliced_distance",
    "sliced_distance_real": "sliced_distance",
    "diversity": "diversity",
    "frechet_classifier": "frechet_distance",
    "frechet_classifier_real": "frechet_distance",
    "frechet_samples": "frechet_distance",
    "frechet_reference": "frechet_distance",
    "extractor_accuracy": "frechet_distance",
    "neighbour_distance": "nearest_neighbours",
    "neighbour_distance_real": "nearest_neighbours",
    "log_likelihood": "log_likelihood",
    "svm_10fold": "svm_10fold",
    "svm_10fold_spread": "svm_10fold",
    "ocular_dominance": "ocular_dominance",
    "ocular_dominance_response": "ocular_dominance",
    "preferring_share": "class_representation",
    "class_response": "class_representation",
    "class_distance": "class_representation",
    "wake_rate": "spike_rates",
    "rem_rate": "spike_rates",
    "prediction_error": "spike_prediction",
    "prediction_error_relative": "spike_prediction",
    "count_variance": "spike_prediction",
    "dream_rate_correlation": "spike_dreams",
    "dream_rate_distance": "spike_dreams",
    "dream_rate_distance_relative": "spike_dreams",
    "dream_covariance_correlation": "spike_dreams",
    "dream_covariance_size": "spike_dreams",
    "ach_auc": "spike_ach",
    "ach_wake": "spike_ach",
    "ach_rem": "spike_ach",
    "wake_rem_probe": "spike_ach",
    "spike_probe": "spike_probe",
    "target_rate": "spike_targets",
    "target_rate_relative": "spike_targets",
    "spared_rate_relative": "spike_targets",
    "match": "single_neuron",
    "match_teacher_off": "single_neuron",
    "match_error": "single_neuron",
    "match_error_relative": "single_neuron",
}
"""Every value in a table of results, with the measure that gives it."""

AGAINST_ONSET = ("target_cells", "dream_match", "spike_targets")
"""Measures that compare with the onset of the arm, and keep something then."""

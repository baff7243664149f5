"""Measures, each a function from a subject to values; the table of all of them."""

from neuro_aws.metrics.cells import target_cells
from neuro_aws.metrics.distances import (
    ach_gap,
    diversity,
    dream_match,
    fresh_classifier,
    sliced_distance,
)
from neuro_aws.metrics.images import (
    frechet_distance,
    layer_likelihood,
    nearest_neighbours,
    svm_10fold,
)
from neuro_aws.metrics.representation import (
    class_representation,
    linear_probe,
    ocular_dominance,
    reconstruction,
)
from neuro_aws.metrics.subject import Measure, Memory, Subject, Value

MEASURES: dict[str, Measure] = {
    "target_cells": target_cells,
    "dream_match": dream_match,
    "ach_gap": ach_gap,
    "fresh_classifier": fresh_classifier,
    "linear_probe": linear_probe,
    "reconstruction": reconstruction,
    "sliced_distance": sliced_distance,
    "diversity": diversity,
    "frechet_distance": frechet_distance,
    "nearest_neighbours": nearest_neighbours,
    "log_likelihood": layer_likelihood,
    "svm_10fold": svm_10fold,
    "ocular_dominance": ocular_dominance,
    "class_representation": class_representation,
}
"""Every measure by the name a protocol gives it."""

__all__ = ["MEASURES", "Measure", "Memory", "Subject", "Value"]

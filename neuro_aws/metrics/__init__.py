"""Measures, each a function from a subject to values; ``function`` finds the one that is named."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from neuro_aws.metrics.subject import Measure, Memory, Subject, Value
from neuro_aws.protocol import measures
from neuro_aws.protocol.entry import RATE


def function(
    measure: measures.Measure | str, simulator: str = RATE
) -> Callable[[Any], Iterable[Value]]:
    """Return the function of a measure on a simulator; a user's own comes with its options."""
    if isinstance(measure, measures.OwnMeasure):
        return partial(measure.loaded(), **measure.options)
    name = measure if isinstance(measure, str) else measure.measure
    found: Callable[[Any], Iterable[Value]] = measures.MEASURES[name].load(simulator)
    return found


__all__ = ["Measure", "Memory", "Subject", "Value", "function"]

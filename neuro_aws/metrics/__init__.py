"""Measures, each a function from a subject to values; ``function`` finds the one that is named."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from neuro_aws.metrics.subject import Measure, Memory, Subject, Value
from neuro_aws.protocol.entry import RATE
from neuro_aws.protocol.measure import Measure as Settings
from neuro_aws.protocol.measure import OwnMeasure
from neuro_aws.protocol.measures import MEASURES


def function(measure: Settings | str, simulator: str = RATE) -> Callable[[Any], Iterable[Value]]:
    """Return the function of a measure on a simulator; a user's own comes with its options."""
    if isinstance(measure, OwnMeasure):
        return partial(measure.loaded(), **measure.options)
    name = measure if isinstance(measure, str) else measure.measure
    found: Callable[[Any], Iterable[Value]] = MEASURES[name].load(simulator)
    return found


__all__ = ["Measure", "Memory", "Subject", "Value", "function"]

"""Taking measures: a simulator's values, into the recording."""

from collections.abc import Iterable
from typing import Any

from neuro_aws.backends.base import Simulator
from neuro_aws.metrics.subject import Value
from neuro_aws.protocol.agenda import Moment
from neuro_aws.protocol.schema import Measure
from neuro_aws.recording.writer import Writer


def settings_of(measure: Measure) -> dict[str, Any]:
    """Return the settings of a measure, without its name and when it is taken."""
    return measure.model_dump(exclude={"measure", "every"})


def take(simulator: Simulator, measures: Iterable[Measure], at: Moment, out: Writer) -> list[Value]:
    """Take measures at a moment and record them; return what was found."""
    taken: list[Value] = []
    for measure in measures:
        values = list(simulator.measure(measure.measure, at, settings_of(measure)))
        taken += values
        for v in values:
            out.measured(at.step, at.period, at.cycle, v.name, v.layer, v.group, v.value)
    return taken

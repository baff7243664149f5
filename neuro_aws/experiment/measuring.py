"""Taking measures: a simulator's values, into the recording."""

from collections.abc import Iterable

from neuro_aws.backends.base import Simulator
from neuro_aws.metrics.subject import Value
from neuro_aws.protocol.agenda import Moment
from neuro_aws.protocol.measure import Measure
from neuro_aws.recording.writer import Writer


def take(simulator: Simulator, measures: Iterable[Measure], at: Moment, out: Writer) -> list[Value]:
    """Take measures at a moment and record them; return what was found."""
    taken: list[Value] = []
    for measure in measures:
        values = list(simulator.measure(measure, at))
        taken += values
        for v in values:
            out.measured(at.step, at.period, at.cycle, v.name, v.layer, v.group, v.value)
    return taken

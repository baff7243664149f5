"""Whether the expectations of a protocol can be judged: arms, periods, values that it has."""

from collections.abc import Iterator

from neuro_aws.protocol.backends import backend_of
from neuro_aws.protocol.base import KeyPath
from neuro_aws.protocol.faults import nearest
from neuro_aws.protocol.measure import OwnMeasure
from neuro_aws.protocol.measures import VALUES, against_onset
from neuro_aws.protocol.schedule import Schedule
from neuro_aws.protocol.schema import Expectation, ProtocolSpec

Found = Iterator[tuple[KeyPath, str]]


def values_of(spec: ProtocolSpec) -> dict[str, str]:
    """Return the values of the table of results, and the measure that gives each."""
    own = {v: m.measure for m in spec.measure if isinstance(m, OwnMeasure) for v in m.values}
    return {**{name: entry.name for name, entry in VALUES.items()}, **own}


def check_expectations(
    spec: ProtocolSpec, schedule: Schedule, *, measures_changed: bool = False
) -> Found:
    """Yield every fault of `expect`; ``measures_changed``: by --set, so that some may be gone."""
    periods = {period.name: period for period in spec.schedule}
    taken, values = {m.measure for m in spec.measure}, values_of(spec)
    for i, expectation in enumerate(spec.expect):
        path = ("expect", i)
        if expectation.value not in values:
            hint = nearest(expectation.value, list(values))
            yield (*path, "value"), f"no value {expectation.value!r}{hint}"
        elif values[expectation.value] not in taken and not measures_changed:
            yield (*path, "value"), f"needs the measure {values[expectation.value]!r}"
        for key in ("arm", "relative_to"):
            arm = getattr(expectation, key)
            if arm is not None and arm not in spec.arms:
                yield (*path, key), f"no arm {arm!r}{nearest(arm, list(spec.arms))}"
        if expectation.period not in periods:
            hint = nearest(expectation.period, list(periods))
            yield (*path, "period"), f"no period {expectation.period!r}{hint}"
        for message in _no_initial_value(spec, schedule, expectation):
            yield (*path, "since"), message


def _no_initial_value(spec: ProtocolSpec, schedule: Schedule, e: Expectation) -> Iterator[str]:
    """Yield why there is no value at initialisation, where one is asked for."""
    if e.since is None:
        return
    if against_onset(values_of(spec).get(e.value, "")):
        yield f"{e.value} is measured from the onset of the arm on; drop `since`"
    if not backend_of(spec).batches and schedule.learns_from == 0:
        yield (
            "spikes are counted over time: begin with a period without plasticity "
            "(feedforward_plasticity: 0, feedback_plasticity: 0)"
        )

"""Averages over animals around what begins and ends, and around switches of phase."""

from collections.abc import Sequence

import numpy as np

from neuro_aws.metrics.statistics import estimate
from neuro_aws.phase import Phase
from neuro_aws.plots import events
from neuro_aws.plots.event_panels import ACH, REFERENCE, SIZE_COLOURS
from neuro_aws.plots.events import AFTER, AROUND, BEFORE, SIZES, Event, Locked, Tables
from neuro_aws.plots.hypnogram import PHASE_NAMES
from neuro_aws.plots.scatters import layers
from neuro_aws.plots.style import PHASE_COLOURS, readable
from neuro_aws.recording.reader import Run
from neuro_aws.report.document import Chart, Section, Table, Words
from neuro_aws.report.interactive.courses import Course, courses
from neuro_aws.report.wording import listed

MOST_EVENTS = 6
"""Events that are drawn."""

OVER_REM = ACH.replace("\n", " ")

HOW = (
    "Mean over animals with its 95 % interval (Student's t; none for one animal). ACh is counted "
    "from the animal's mean in REM before; sizes of teaching, raw and applied change are shares of "
    "their mean in the steps in which F learns"
)


def section(tables: Tables) -> Section:
    """Return the section."""
    title, run = "Averages around events", tables.run
    names = layers(tables(run.animals[0], run.arms[0]))
    if not names:
        words = "Left out: this recording has no change of feedforward weights step by step."
        return Section("locked", title, [Words([words])])
    every = events.events(run)
    apart = events.chosen(every, len(every))
    shown, left = apart[:MOST_EVENTS], apart[MOST_EVENTS:]
    charts = [_event(tables, event, names, k) for k, event in enumerate(shown)]
    switches = _switches(run, tables)
    said = [] if shown else ["Nothing begins or ends in these arms, or several things at once do."]
    if left:
        others = listed([f"the {event} ({readable(event.arm)})" for event in left])
        said = [f"Left out to keep the page small: {others}; `neuro-aws plot RUN --csv` has them."]
    return Section(
        "locked",
        title,
        [
            *([Words(said)] if said else []),
            *charts,
            *([switches] if switches is not None else []),
        ],
    )


def _event(tables: Tables, event: Event, names: Sequence[str], number: int) -> Chart:
    arms = list(dict.fromkeys([event.reference, event.arm]))
    found = {arm: events.around(tables, event, arm) for arm in arms}
    rows = [(OVER_REM, _ach(found, event)), *((_title(n), _sizes(found, event, n)) for n in names)]
    beside = f", {readable(event.reference)} in grey" if len(arms) > 1 else ""
    legend = [(PHASE_NAMES[p], c) for p, c in PHASE_COLOURS.items()]
    legend += [(SIZES[s], c) for s, c in SIZE_COLOURS.items()]
    legend += [(readable(event.reference), REFERENCE)] if len(arms) > 1 else []
    return Chart(
        f"event-{number}",
        f"{event} in {readable(event.arm)}",
        f"Step {event.step:,} is 0; from {BEFORE} steps before to {AFTER} after{beside}. "
        f"{HOW} before, in {readable(event.reference)}.",
        courses(rows, "steps since"),
        _change(found, event),
        legend,
    )


def _title(layer: str) -> str:
    return f"{layer.replace('layer', 'layer ')}: size (mean before = 1)"


def _ach(found: dict[str, Locked], event: Event) -> list[Course]:
    return [
        Course(
            f"{readable(arm)}, ACh in {PHASE_NAMES[phase]}",
            _colour(arm, event, found, PHASE_COLOURS[phase]),
            *events.course(locked.lags, values),
        )
        for arm, locked in found.items()
        for phase, values in locked.ach.items()
        if np.isfinite(values).any()
    ]


def _sizes(found: dict[str, Locked], event: Event, layer: str) -> list[Course]:
    return [
        Course(
            f"{readable(arm)}, {SIZES[signal]}",
            _colour(arm, event, found, SIZE_COLOURS[signal]),
            *events.course(locked.lags, locked.sizes[layer, signal]),
        )
        for arm, locked in found.items()
        for signal in SIZES
        if np.isfinite(locked.sizes[layer, signal]).any()
    ]


def _colour(arm: str, event: Event, found: dict[str, Locked], colour: str) -> str:
    return REFERENCE if arm == event.reference and len(found) > 1 else colour


def _change(found: dict[str, Locked], event: Event) -> Table:
    """Return what the steps after an event bring: ACh minus before, sizes as shares of before."""
    rows = []
    for arm, locked in found.items():
        ach, sizes = events.change(locked, 0, AFTER)
        for phase, values in ach.items():
            if np.isfinite(values).any():
                what = f"ACh in {PHASE_NAMES[phase]}, minus before (D)"
                rows.append((readable(arm), what, str(estimate(values))))
        for (layer, signal), values in sizes.items():
            if np.isfinite(values).any():
                what = f"{SIZES[signal]}, {layer.replace('layer', 'layer ')} (before = 1)"
                rows.append((readable(arm), what, str(estimate(values))))
    caption = f"{event}: mean of the {AFTER} steps after it, over animals, with 95 % interval"
    return Table(caption, ("arm", "what", "mean [95 % interval]"), rows)


def _switches(run: Run, tables: Tables) -> Chart | None:
    arm = run.protocol.tree.arms[run.arms[0]].reference
    arm = arm if arm in run.arms else run.arms[0]
    start = run.protocol.tree.arms[arm].branch
    found = events.switches(tables, arm, start)
    if not found:
        return None
    rows, table = [], []
    for (old, new), locked in found.items():
        title = f"{PHASE_NAMES[old]} to {PHASE_NAMES[new]}"
        mine = []
        for phase in map(str, Phase):
            values = locked.ach[phase]
            if np.isfinite(values).any():
                lags, means = events.course(locked.lags, values)
                label = f"ACh in {PHASE_NAMES[phase]}"
                mine.append(Course(label, PHASE_COLOURS[phase], lags, means, dashes=True))
                table += [
                    (title, f"{lag:+d}", label, str(mean))
                    for lag, mean in zip(lags, means, strict=True)
                ]
        for signal in SIZES:
            values = locked.sizes["", signal]
            if np.isfinite(values).any():
                lags, means = events.course(locked.lags, values)
                table += [
                    (title, f"{lag:+d}", SIZES[signal], str(mean))
                    for lag, mean in zip(lags, means, strict=True)
                ]
        rows.append((f"{title}: {OVER_REM}", mine))
    return Chart(
        "switches",
        f"Around switches of phase in {readable(arm)}",
        f"{AROUND} steps before a switch and {AROUND} from it on, over all switches from step "
        f"{start:,} on. {HOW}; they are among the numbers behind this figure.",
        courses(rows, "steps since the switch"),
        Table("Around switches of phase", ("switch", "step", "what", "mean [interval]"), table),
        [(PHASE_NAMES[p], c) for p, c in PHASE_COLOURS.items()],
    )

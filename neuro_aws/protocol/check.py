"""What a schema cannot see: whether the parts fit together. Refuses, never repairs."""

import math
import re
from collections.abc import Collection, Iterator

from neuro_aws.protocol.actions_on_cells import Cells
from neuro_aws.protocol.actions_on_learning import NO_LATERAL, Dose, Pair
from neuro_aws.protocol.actions_on_stimuli import OfEye
from neuro_aws.protocol.backends import backend_of
from neuro_aws.protocol.base import KeyPath
from neuro_aws.protocol.branches import TRUNK, branch_index, deprivations, in_force
from neuro_aws.protocol.check_expectations import check_expectations, values_of
from neuro_aws.protocol.check_in_time import check_sequence, check_theory, phases_of
from neuro_aws.protocol.entry import NEURON, RATE
from neuro_aws.protocol.faults import nearest
from neuro_aws.protocol.measures import MEASURES
from neuro_aws.protocol.perturb import Perturbation
from neuro_aws.protocol.schedule import Schedule, length
from neuro_aws.protocol.schema import MAX_CYCLE, MAX_STEPS, Arm, ProtocolSpec
from neuro_aws.protocol.short import changes
from neuro_aws.protocol.stimuli_built_in import Patches
from neuro_aws.protocol.targets import named

Found = Iterator[tuple[KeyPath, str]]


def check(
    spec: ProtocolSpec,
    overridden: Collection[KeyPath] = (),
    of_arm: str | None = None,
    *,
    was_run: bool = False,
) -> Found:
    """Yield every fault as (key path, message); ``overridden`` are the keys that --set changed.

    ``of_arm``: the settings are those of one arm; the perturbations of others do not concern them.
    ``was_run``: what its measures need was known when it was run, maybe by an older version.
    """
    too_long = list(_lengths(spec))
    if too_long:
        yield from too_long
        return
    yield from _network(spec)
    yield from backend_of(spec).check(spec)
    yield from _schedule(spec)
    for name, cells in spec.targets.items():
        yield from _cells(spec, cells, ("targets", name))
    schedule = Schedule(spec.schedule)
    for name in spec.arms if of_arm is None else [of_arm]:
        yield from _arm(spec, schedule, name, settled=_settled(spec.arms[name], of_arm))
    yield from _activity(spec)
    if not was_run:
        yield from _measures(spec)
        yield from _idle(spec)
    yield from _kept(spec)
    if not changes(overridden):
        measures_changed = any(path[0] == "measure" for path in overridden)
        yield from check_expectations(spec, schedule, measures_changed=measures_changed)


def _activity(spec: ProtocolSpec) -> Found:
    layers = [record.layer for record in spec.record.activity]
    for i, record in enumerate(spec.record.activity):
        path: KeyPath = ("record", "activity", i)
        if record.layer in layers[:i]:
            yield (*path, "layer"), f"layer {record.layer} is recorded twice; list its ids together"
        found = list(_layer(spec, record.layer, (*path, "layer")))
        yield from found
        if not found:
            units = spec.network.layers[record.layer]
            for unit in record.ids or ():
                if unit >= units:
                    message = f"layer {record.layer} has units 0 to {units - 1}, not {unit}"
                    yield (*path, "ids"), message


def _network(spec: ProtocolSpec) -> Found:
    for key, message in spec.stimulus.faults():
        yield ("stimulus", key), message
    pixels, source = spec.stimulus.pixels, spec.stimulus.source
    if spec.network.dcgan is not None:
        yield from _image(spec)
    elif spec.network.recurrent is not None or spec.stimulus.sequence is not None:
        yield from check_sequence(spec)
    elif pixels is not None and spec.network.layers[0] != pixels:
        found, *above = spec.network.layers
        written = "layers" in spec.network.model_fields_set
        named = getattr(spec.stimulus, "file", None) or getattr(spec.stimulus, "folder", None)
        yield (
            ("network", "layers") if written else ("stimulus", "source"),
            f"layer 0 has {found} units, but {named or source} as set up here has {pixels} pixels; "
            f"write `network: {{layers: {[pixels, *above]}}}`",
        )
    yield from check_theory(spec)
    yield from spec.algorithm.misfits(spec.network)
    if (memory := spec.network.memory) is not None:
        for path, message in memory.misfits(spec.network.units, spec.stimulus.batch):
            yield ("network", "memory", *path), message
    if (does := spec.algorithm.needs_pictures()) and spec.stimulus.picture is None:
        yield ("algorithm", "name"), f"{does}; {source} as set up here has no single pictures"
    if spec.network.inverse_relu and spec.network.transfer != "relu":
        message = f"is the inverse of a ReLU; the transfer is {spec.network.transfer}"
        yield ("network", "inverse_relu"), message
    if isinstance(spec.stimulus, Patches) and spec.stimulus.eyes == "monocular":
        changed = {"disparity", "correlation"} & spec.stimulus.model_fields_set
        for key in sorted(changed):
            yield ("stimulus", key), "has a meaning with `eyes: binocular` only"


def _image(spec: ProtocolSpec) -> Found:
    dcgan, pixels = spec.network.dcgan, spec.stimulus.pixels
    assert dcgan is not None
    shape = (dcgan.side, dcgan.side, dcgan.channels)
    picture = spec.stimulus.picture
    if pixels is not None and (math.prod(shape) != pixels or picture not in (None, shape)):
        size = f"{dcgan.channels} x {dcgan.side} x {dcgan.side}"
        message = f"images of {size}, but {spec.stimulus.source} as set up here has {pixels} pixels"
        if picture is not None:
            message += " ({2} x {0} x {1})".format(*picture)
        yield ("network", "dcgan"), message


def _schedule(spec: ProtocolSpec) -> Found:
    names = [period.name for period in spec.schedule]
    for i, name in enumerate(names):
        if name in names[:i]:
            yield ("schedule", i, "name"), f"two periods are called {name!r}"
        if spec.schedule[i].lateral_plasticity != 1 and not spec.network.has_lateral:
            yield ("schedule", i, "lateral_plasticity"), NO_LATERAL
    branches = [i for i, period in enumerate(spec.schedule) if period.branch]
    for i in branches[1:]:
        yield ("schedule", i, "branch"), "arms part once only; another period has `branch: true`"


def _lengths(spec: ProtocolSpec) -> Found:
    total = 0
    for i, period in enumerate(spec.schedule):
        steps = length(period.phases)
        total += steps * period.cycles
        if steps > MAX_CYCLE:
            path: KeyPath = ("schedule", i, "phases")
            yield path, f"{steps} steps in a cycle; at most {MAX_CYCLE} are allowed"
    cycles = sum(length(period.phases) for period in spec.schedule)
    if cycles > MAX_CYCLE:
        yield ("schedule",), f"{cycles} steps in all periods' cycles; at most {MAX_CYCLE}"
    if total > MAX_STEPS:
        yield ("schedule",), f"{total} steps in a run; at most {MAX_STEPS} are allowed"


def _layer(spec: ProtocolSpec, layer: int, path: KeyPath) -> Found:
    top = len(spec.network.layers) - 1
    if layer > top:
        yield path, f"there is no layer {layer}; layers count from 0 (the stimulus) to {top}"


def _cells(spec: ProtocolSpec, cells: Cells, path: KeyPath) -> Found:
    if cells.targets is not None:
        if cells.targets not in spec.targets:
            hint = nearest(cells.targets, list(spec.targets))
            known = ", ".join(spec.targets) or "none are defined"
            yield (*path, "targets"), f"no set {cells.targets!r}{hint} Sets: {known}"
        elif path[0] == "targets":
            yield path, "a set is defined by cells, not by another set"
        return
    assert cells.layer is not None
    found = list(_layer(spec, cells.layer, (*path, "layer")))
    yield from found
    if not found and cells.ids is not None:
        units = spec.network.layers[cells.layer]
        for unit in cells.ids:
            if unit >= units:
                yield (*path, "ids"), f"layer {cells.layer} has units 0 to {units - 1}, not {unit}"


def _settled(arm: Arm, of_arm: str | None) -> bool:
    """Say whether these are the settings that an arm runs under: those with its own changes."""
    return of_arm is not None or not (arm.initial or arm.set)


def _arm(spec: ProtocolSpec, schedule: Schedule, name: str, *, settled: bool) -> Found:
    arm, path = spec.arms[name], ("arms", name)
    if re.fullmatch(rf"{TRUNK}(_\d+)?", name):
        yield path, f"{TRUNK!r} is kept for the run that arms share"
    if arm.reference is not None and arm.reference not in spec.arms:
        hint = nearest(arm.reference, list(spec.arms))
        yield (*path, "reference"), f"no arm {arm.reference!r}{hint} Arms: {', '.join(spec.arms)}"
    for i, perturbation in enumerate(arm.perturb):
        here = (*path, "perturb", i)
        yield from _perturbation(spec, schedule, arm, perturbation, here, settled=settled)
        if settled:
            for key, message in perturbation.rule.misfits(spec):
                yield (*here, perturbation.action, *key), message
    yield from _overlaps(spec, arm, path)
    deprived = {name for p in arm.perturb if p.deprive_sleep for name in p.periods}
    for i, p in enumerate(arm.perturb):
        if deprived & set(p.periods) and (p.cycles.start or p.cycles.until):
            message = "counts cycles of a period that deprive_sleep cuts anew; drop `cycles`"
            yield (*path, "perturb", i, "cycles"), message
    known = {p.name for p in spec.schedule}
    if deprived and all(set(p.periods) <= known for p in arm.perturb):
        try:
            Schedule(spec.schedule, deprivations(arm.perturb), schedule)
        except ValueError as error:
            i = next(i for i, p in enumerate(arm.perturb) if p.deprive_sleep)
            yield (*path, "perturb", i, "deprive_sleep"), str(error)


def _perturbation(
    spec: ProtocolSpec,
    schedule: Schedule,
    arm: Arm,
    p: Perturbation,
    path: KeyPath,
    *,
    settled: bool,
) -> Found:
    names = [period.name for period in spec.schedule]
    common = names[: branch_index(spec)]
    for period in p.periods:
        if period not in names:
            hint = nearest(period, names)
            yield (*path, "in"), f"no period {period!r}{hint} Periods: {', '.join(names)}"
        elif period in common:
            yield (*path, "in"), f"{period!r} lies before the branch, where all arms share one run"
        else:
            yield from _window(schedule, p, period, path)
    if p.cells is not None:
        yield from _cells(spec, p.cells, (*path, p.action))
    if p.deprive_sleep and (p.cycles.start or p.cycles.until or "during" in p.model_fields_set):
        yield path, "deprive_sleep takes whole periods; drop `during` and `cycles`"
    phases = p.rule.acts_in or phases_of(spec, arm, p, settled)
    if not set(phases) & set(p.during):
        only = " and ".join(phases)
        yield (*path, "during"), f"{p.action} acts in {only} only, so this would never happen"


def _idle(spec: ProtocolSpec) -> Found:
    for name, arm in spec.arms.items():
        for i, p in enumerate(arm.perturb):
            for key, message in p.rule.idle():
                yield ("arms", name, "perturb", i, p.action, *key), message


def _window(schedule: Schedule, p: Perturbation, name: str, path: KeyPath) -> Found:
    stretch = schedule.stretches[schedule.index(name)]
    stop = p.cycles.until if p.cycles.until is not None else stretch.cycles
    if stop > stretch.cycles:
        yield (*path, "cycles", "until"), f"{name!r} has {stretch.cycles} cycles, not {stop}"
    if p.cycles.start >= stop:
        yield (*path, "cycles"), f"empty window: from {p.cycles.start} until {stop}"
    if not any(stretch.count(phase) for phase in p.during):
        phases = ", ".join(p.during)
        yield (*path, "during"), f"{name!r} has no {phases}, so this would never happen"


def _overlaps(spec: ProtocolSpec, arm: Arm, path: KeyPath) -> Found:
    for i, p in enumerate(arm.perturb):
        for q in arm.perturb[:i]:
            if _same_target(spec, p, q) and _same_time(spec, p, q):
                message = f"overlaps another {q.action} of the same target at the same time"
                yield (*path, "perturb", i), message
                break


def _same_target(spec: ProtocolSpec, p: Perturbation, q: Perturbation) -> bool:
    if p.cells is not None and q.cells is not None:
        known = all(c.targets is None or c.targets in spec.targets for c in (p.cells, q.cells))
        if not known:
            return False
        a, b = named(p.cells, spec), named(q.cells, spec)
        if a.layer != b.layer:
            return False
        if a.ids is not None and b.ids is not None:
            return bool(set(a.ids) & set(b.ids))
        return True
    if isinstance(p.rule, OfEye) and isinstance(q.rule, OfEye):
        return p.rule.eye == q.rule.eye
    if isinstance(p.rule, Dose | Pair) and isinstance(q.rule, Dose | Pair):
        apart = p.rule.labels and q.rule.labels and not set(p.rule.labels) & set(q.rule.labels)
        return p.action == q.action and not apart
    if p.apply is not None and q.apply is not None:
        return p.apply.code == q.apply.code
    return p.action == q.action


def _same_time(spec: ProtocolSpec, p: Perturbation, q: Perturbation) -> bool:
    if p.deprive_sleep and q.deprive_sleep:
        return bool(set(p.periods) & set(q.periods))
    shared = set(p.periods) & set(q.periods)
    starts = (p.cycles.start, q.cycles.start)
    return any(
        in_force(p, period, cycle, phase) and in_force(q, period, cycle, phase)
        for period in shared
        for cycle in starts
        for phase in set(p.during) & set(q.during)
    )


def measure_faults(spec: ProtocolSpec, name: str) -> Iterator[str]:
    """Yield why a measure cannot be taken in this experiment."""
    entry, simulator = MEASURES.get(name), backend_of(spec).name
    if entry is None:
        if simulator == NEURON:
            yield "a single neuron has no measures but its own"
        return
    if simulator in entry.code:
        yield from entry.unmet(spec)
    elif simulator == RATE:
        yield f"{name} measures spikes"
    else:
        known = [m.name for m in MEASURES.values() if simulator in m.code]
        yield f"{name} does not measure spikes here; " + ", ".join(known)


def _measures(spec: ProtocolSpec) -> Found:
    names = [m.measure for m in spec.measure]
    for i, name in enumerate(names):
        if name in names[:i]:
            yield ("measure", i), f"{name} is listed twice"
        found = list(measure_faults(spec, name))
        for message in found:
            yield ("measure", i), message
        for key, message in () if found else spec.measure[i].misfits(spec):
            yield ("measure", i, *key), message


def _kept(spec: ProtocolSpec) -> Found:
    best, values = spec.keep.best, values_of(spec)
    if best is not None and best not in values:
        yield ("keep", "best"), f"no value {best!r}{nearest(best, list(values))}"
    elif best is not None and values[best] not in {m.measure for m in spec.measure}:
        yield ("keep", "best"), f"needs the measure {values[best]!r}"

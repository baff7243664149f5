"""Measuring again: the final state of every arm of a run, by any measure that fits."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from neuro_aws.backends.base import make
from neuro_aws.backends.rate.build import device_of, load_dataset
from neuro_aws.errors import NeuroAWSError, in_a_line
from neuro_aws.experiment.states import NEXT, refuse_step, state_file, take_up
from neuro_aws.metrics.classifier import default_extractor
from neuro_aws.metrics.extractor import Extractor, load_extractor
from neuro_aws.metrics.subject import Value
from neuro_aws.protocol.agenda import Agenda, Moment
from neuro_aws.protocol.backends import backend_of
from neuro_aws.protocol.check import measure_faults
from neuro_aws.protocol.columns import picture_shape
from neuro_aws.protocol.data import required_root, using_data
from neuro_aws.protocol.measures import MEASURES, against_onset
from neuro_aws.recording import checkpoint
from neuro_aws.recording.checkpoint import Place
from neuro_aws.recording.reader import Run

Settings = dict[str, Any]
"""What measures are set to: repeats, samples, extractor."""


@dataclass(frozen=True)
class Options:
    """How much is measured, and in what.

    ``repeats`` of trained measures; ``samples`` dreams for distances of images (None: as many as
    held-out stimuli); ``extractor`` a TorchScript file to take their features.
    """

    repeats: int = 3
    samples: int | None = None
    extractor: str | None = None
    device: str = "cpu"
    state: str = "final"
    """Which state: final, best, or the step of one that was kept."""
    data: str | None = None
    """Folder that holds mnist/ and other data sets; None: the one that the run used."""


def evaluate(
    run: Run,
    measures: list[str] | None = None,
    arm: str | None = None,
    options: Options | None = None,
    *,
    initially: bool = False,
) -> pd.DataFrame:
    """Return one row a value: animal, arm, period, cycle, step, name, layer, group, value.

    ``initially``: measures of which random weights give much are also taken, at step 0, of the
    network of rates that the arm began with. Where features were taken, the column
    ``extractor_hash`` names the weights of their network.
    """
    options = options or Options()
    run.protocol.refuse_unloaded()
    chosen = _chosen(run, measures, options)
    if arm is not None and arm not in run.arms:
        raise NeuroAWSError(f"no arm {arm!r}", next_step="Arms: " + ", ".join(run.arms))
    settings: Settings = {"repeats": options.repeats, "samples": options.samples}
    if options.extractor is not None:
        settings["extractor"] = _extractor(run, options.extractor, options.device)
    rows = []
    with (
        threadpool_limits(1),  # as in the run: the same sums in the same order
        using_data(options.data or run.provenance.get("data")),
    ):
        required_root(run.protocol.tree.arms[a].spec.stimulus for a in ([arm] if arm else run.arms))
        for animal in run.animals:
            for name in [arm] if arm else run.arms:
                rows += _one(run, animal, name, chosen, options, dict(settings))
            if initially:
                found = _initially(run, animal, [arm] if arm else run.arms, chosen, options)
                rows += [(*row, rows[-1][-1]) for row in found]
    columns = ["animal", "arm", "period", "cycle", "step", "name", "layer", "group", "value"]
    table = pd.DataFrame(rows, columns=[*columns, "extractor_hash"])
    return table if table["extractor_hash"].any() else table[columns]


def _extractor(run: Run, path: str, device: str) -> Extractor:
    shape = picture_shape(run.protocol.spec)
    if shape is None:
        raise NeuroAWSError("stimuli are no single pictures", where="--extractor")
    high, wide, channels = shape
    return load_extractor(path, (channels, high, wide), device_of(device))


def _chosen(run: Run, measures: list[str] | None, options: Options) -> list[str]:
    spec = run.protocol.spec
    if options.extractor is not None and measures is None:
        measures = ["frechet_distance"]
    kept = {m.measure for m in spec.measure}
    own = kept - MEASURES.keys()
    if measures is None:
        fitting = [m for m in MEASURES if not list(measure_faults(spec, m))]
        return [*(m for m in fitting if m in kept or not against_onset(m)), *sorted(own)]
    for name in measures:
        if name in own:
            continue
        if name not in MEASURES:
            raise NeuroAWSError(
                f"no measure {name!r}", where="--measure", next_step="One of " + ", ".join(MEASURES)
            )
        for fault in measure_faults(spec, name):
            if name == "frechet_distance" and options.extractor is not None:
                continue
            raise NeuroAWSError(fault, where="--measure")
        if against_onset(name) and name not in kept:
            raise NeuroAWSError(
                f"{name} compares with the onset of the arm, and this run kept nothing of it",
                where="--measure",
                next_step=f"Put {name} into the protocol's `measure` and run it again",
            )
    return measures


def _initially(
    run: Run, animal: int, arms: list[str], measures: list[str], options: Options
) -> list[tuple[object, ...]]:
    """Return the initial values of arms, under the name of the run that they share, if they do."""
    wanted = [m for m in measures if m in MEASURES and any(v.gained for v in MEASURES[m].values)]
    if not wanted or not backend_of(run.protocol.spec).batches:
        return []
    plans = [run.protocol.tree.arms[arm] for arm in arms]
    rows: list[tuple[object, ...]] = []
    for name in dict.fromkeys(plan.trunk if plan.branch else plan.name for plan in plans):
        simulator = make(run.protocol, name, animal, device=options.device)
        at = Agenda(run.protocol.tree.plan(name), ()).onset().moment
        for measure in wanted:
            for v in simulator.measure(measure, at, {"repeats": options.repeats}):
                where = (animal, name, at.period, at.cycle, at.step)
                rows.append((*where, v.name, v.layer, v.group, v.value))
    return rows


def _one(
    run: Run, animal: int, arm: str, measures: list[str], options: Options, settings: Settings
) -> list[tuple[object, ...]]:
    path = state_file(Place(run.folder, animal, arm), options.state)
    state, facts = checkpoint.load(path)
    plan = run.protocol.tree.arms[arm]
    refuse_step(facts["step"], plan.first, plan.stop, path)
    dataset = None
    if "frechet_distance" in measures:
        dataset = load_dataset(plan.spec, animal, device_of(options.device))
        settings.setdefault("extractor", default_extractor(dataset))
    simulator = make(run.protocol, arm, animal, device=options.device, dataset=dataset)
    take_up(simulator, state, path)
    for weights, found in simulator.weights(int(facts["step"])).items():
        if not np.isfinite(found).all():
            raise NeuroAWSError(
                f"{weights} holds numbers that are not finite: nothing can be measured",
                where=str(path),
                next_step="Evaluate an earlier state (--state), if the run kept some",
            )
    period = plan.schedule.stretches[-1]
    at = Moment(int(facts["step"]), period.name, period.cycles)
    written = {m.measure: m for m in run.protocol.spec.measure}
    values: list[Value] = []
    for measure in measures:
        try:
            values += simulator.measure(written.get(measure, measure), at, settings)
        except (ValueError, LookupError) as error:  # what it kept since onset may not fit
            said = f"{measure} cannot be measured ({in_a_line(error)})"
            raise NeuroAWSError(said, where=str(path), next_step=NEXT) from error
    extractor = settings.get("extractor")
    named = extractor.hash if extractor is not None else ""
    return [
        (animal, arm, at.period, at.cycle, at.step, v.name, v.layer, v.group, v.value, named)
        for v in values
    ]

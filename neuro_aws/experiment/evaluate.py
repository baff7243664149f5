"""Measuring again: the final state of every arm of a run, by any measure that fits."""

from dataclasses import dataclass

import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from neuro_aws.backends.rate.build import build_animal, device_of
from neuro_aws.backends.rate.simulator import Place
from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.measuring import Measurer
from neuro_aws.metrics import function
from neuro_aws.metrics.classifier import default_extractor
from neuro_aws.metrics.extractor import Extractor, load_extractor
from neuro_aws.protocol.check import measure_faults
from neuro_aws.protocol.columns import picture_shape
from neuro_aws.protocol.measures import MEASURES, against_onset
from neuro_aws.recording import checkpoint
from neuro_aws.recording.reader import Run


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


def evaluate(
    run: Run,
    measures: list[str] | None = None,
    arm: str | None = None,
    options: Options | None = None,
) -> pd.DataFrame:
    """Return one row a value: animal, arm, period, cycle, step, name, layer, group, value.

    Where features were taken, the column ``extractor_hash`` names the weights of their network.
    """
    options = options or Options()
    if run.protocol.spec.backend == "spiking":
        raise NeuroAWSError(
            "spiking lives are measured as they go, from their own spikes",
            where=str(run.folder),
            next_step="See metrics.csv, or put more into the protocol's `measure`",
        )
    chosen = _chosen(run, measures, options)
    if arm is not None and arm not in run.arms:
        raise NeuroAWSError(f"no arm {arm!r}", next_step="Arms: " + ", ".join(run.arms))
    device = device_of(options.device)
    extractor = _extractor(run, options, device)
    rows = []
    with threadpool_limits(1):  # as in the run: the same sums in the same order
        for animal in run.animals:
            for name in [arm] if arm else run.arms:
                rows += _one(run, animal, name, chosen, options, extractor, device)
    columns = ["animal", "arm", "period", "cycle", "step", "name", "layer", "group", "value"]
    table = pd.DataFrame(rows, columns=[*columns, "extractor_hash"])
    return table if table["extractor_hash"].any() else table[columns]


def _extractor(run: Run, options: Options, device: torch.device) -> Extractor | None:
    if options.extractor is None:
        return None
    shape = picture_shape(run.protocol.spec)
    if shape is None:
        raise NeuroAWSError("stimuli are no single pictures", where="--extractor")
    high, wide, channels = shape
    return load_extractor(options.extractor, (channels, high, wide), device)


def _chosen(run: Run, measures: list[str] | None, options: Options) -> list[str]:
    spec = run.protocol.spec
    if options.extractor is not None and measures is None:
        measures = ["frechet_distance"]
    kept = {m.measure for m in spec.measure}
    if measures is None:
        fitting = [m for m in MEASURES if not list(measure_faults(spec, m))]
        return [m for m in fitting if m in kept or not against_onset(m)]
    for name in measures:
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


def _one(
    run: Run,
    animal: int,
    arm: str,
    measures: list[str],
    options: Options,
    extractor: Extractor | None,
    device: torch.device,
) -> list[tuple[object, ...]]:
    path = Place(run.folder, animal, arm).final
    if options.state != "final":
        name = f"{int(options.state):08d}" if options.state.isdigit() else options.state
        path = path.with_name(f"{arm}.{name}.pt")
        if not path.exists():
            kept = sorted(p.name.split(".")[1] for p in path.parent.glob(f"{arm}.*.pt"))
            raise NeuroAWSError(
                f"no state {options.state!r} of {arm} was kept",
                where="--state",
                next_step="Kept: " + (", ".join(kept) or "only the final one (see `keep:`)"),
            )
    if not path.exists():
        raise NeuroAWSError(
            f"animal {animal} has not finished {arm}",
            where=str(run.folder),
            next_step=f"neuro-aws run --resume {run.folder}",
        )
    plan = run.protocol.tree.arms[arm]
    saved = checkpoint.load(path, device)
    living = build_animal(plan.spec, animal, device)
    living.network.load_state_dict(saved["network"])
    measurer = Measurer(run.protocol, plan, animal, living)
    measurer.memory = dict(saved["memory"])
    step = int(saved["step"])
    last = plan.schedule.stretches[-1]
    subject = measurer.subject(step)
    subject.repeats, subject.samples = options.repeats, options.samples
    if extractor is None and "frechet_distance" in measures:
        extractor = default_extractor(living.dataset)
    subject.extractor, named = extractor, extractor.hash if extractor is not None else ""
    with torch.no_grad():
        values = [v for name in measures for v in function(name)(subject)]
    return [
        (animal, arm, last.name, last.cycles, step, v.name, v.layer, v.group, v.value, named)
        for v in values
    ]

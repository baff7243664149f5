"""Measuring again: the final state of every arm of a run, by any measure that fits."""

import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from neuro_aws import checkpoint
from neuro_aws.build import build_animal, device_of
from neuro_aws.errors import NeuroAWSError
from neuro_aws.life import Place
from neuro_aws.measuring import Measurer
from neuro_aws.metrics import AGAINST_ONSET, MEASURES
from neuro_aws.protocol.check import measure_faults
from neuro_aws.recording.reader import Run


def evaluate(
    run: Run, measures: list[str] | None = None, arm: str | None = None, repeats: int = 3
) -> pd.DataFrame:
    """Return one row a value: animal, arm, period, cycle, step, name, layer, group, value."""
    chosen = _chosen(run, measures)
    if arm is not None and arm not in run.arms:
        raise NeuroAWSError(f"no arm {arm!r}", next_step="Arms: " + ", ".join(run.arms))
    device = device_of("cpu")
    rows = []
    with threadpool_limits(1):
        for animal in run.animals:
            for name in [arm] if arm else run.arms:
                rows += _one(run, animal, name, chosen, repeats, device)
    columns = ["animal", "arm", "period", "cycle", "step", "name", "layer", "group", "value"]
    return pd.DataFrame(rows, columns=columns)


def _chosen(run: Run, measures: list[str] | None) -> list[str]:
    spec = run.protocol.spec
    kept = {m.measure for m in spec.measure}
    if measures is None:
        fitting = [m for m in MEASURES if not list(measure_faults(spec, m))]
        return [m for m in fitting if m in kept or m not in AGAINST_ONSET]
    for name in measures:
        if name not in MEASURES:
            raise NeuroAWSError(
                f"no measure {name!r}", where="--measure", next_step="One of " + ", ".join(MEASURES)
            )
        for fault in measure_faults(spec, name):
            raise NeuroAWSError(fault, where="--measure")
        if name in AGAINST_ONSET and name not in kept:
            raise NeuroAWSError(
                f"{name} compares with the onset of the arm, and this run kept nothing of it",
                where="--measure",
                next_step=f"Put {name} into the protocol's `measure` and run it again",
            )
    return measures


def _one(
    run: Run, animal: int, arm: str, measures: list[str], repeats: int, device: torch.device
) -> list[tuple[object, ...]]:
    path = Place(run.folder, animal, arm).final
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
    subject.repeats = repeats
    return [
        (animal, arm, last.name, last.cycles, step, v.name, v.layer, v.group, v.value)
        for name in measures
        for v in MEASURES[name](subject)
    ]

"""Has a theory learnt, by its own criterion? What has not is marked, and not compared."""

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from neuro_aws.experiment.matrix.expand import CONTROL, RunPlan
from neuro_aws.experiment.matrix.run import Study
from neuro_aws.metrics.initial import initial_values
from neuro_aws.metrics.statistics import Estimate, estimate, last_values
from neuro_aws.recording.reader import Run

OBJECTIVE = "objective"


class Question(NamedTuple):
    """One part of a criterion, and what was found."""

    block: str
    theory: str
    part: str
    """Such as: linear_probe, layer 2, gain."""
    wanted: str
    """above 0 or below 0; empty: beside the criterion, to be seen."""
    found: Estimate
    initially: float
    met: bool | None
    """None: not asked, or one animal only."""


def questions(study: Study, plans: list[RunPlan]) -> list[Question]:
    """Return what was asked of every theory that was run."""
    found: list[Question] = []
    for plan in plans:
        run = study.run_of(plan)
        if run is not None:
            found += _asked(study, plan, run)
    return found


def learnt(study: Study, asked: list[Question]) -> dict[str, bool | None]:
    """Return whether each theory met all that it was asked; None: exempt, or not known."""
    verdict: dict[str, bool | None] = {}
    for theory, column in study.matrix.spec.theories.items():
        mine = [q.met for q in asked if q.theory == theory and q.wanted]
        known = mine and None not in mine and not column.criterion.exempt
        verdict[theory] = all(mine) if known else None
    return verdict


def comparable(study: Study, verdict: dict[str, bool | None]) -> list[str]:
    """Return the theories that are compared: those that learnt, and nulls."""
    theories = study.matrix.spec.theories
    return [t for t, column in theories.items() if column.criterion.exempt or verdict[t]]


def _asked(study: Study, plan: RunPlan, run: Run) -> Iterator[Question]:
    criterion = study.matrix.spec.theories[plan.theory].criterion
    asked, metrics = study.matrix.spec.blocks[plan.block].asked, run.metrics
    last, first = last_values(metrics), initial_values(metrics, run.protocol.tree, [CONTROL])
    top = len(run.protocol.tree.arms[CONTROL].spec.network.layers) - 1

    def gain(name: str, layer: int, wanted: str, words: str) -> Iterator[Question]:
        began, ended = _of(first, CONTROL, name, layer), _of(last, CONTROL, name, layer)
        if len(began) and len(ended):
            found = estimate(ended - began)
            met = _met(found, wanted)
            yield Question(plan.block, plan.theory, words, wanted, found, float(began.mean()), met)

    if "probe" in asked:
        for name in ("linear_probe", "linear_probe_noisy"):
            wanted = "above 0" if name == criterion.probe and not criterion.exempt else ""
            yield from gain(name, top, wanted, f"gain of {name}, top layer")
    if "objective" in asked:
        wanted = "" if criterion.exempt else "below 0"
        yield from gain(OBJECTIVE, -1, wanted, "gain of its objective")
    for lesion, arm in plan.lesions.items():
        name = criterion.lesions[lesion].value
        whole, without = _of(last, CONTROL, name, top), _of(last, arm, name, top)
        found = estimate(without - whole)
        words = f"{name}, top layer, {lesion} minus whole"
        met = _met(found, "below 0")
        yield Question(plan.block, plan.theory, words, "below 0", found, float(whole.mean()), met)


def _met(found: Estimate, wanted: str) -> bool | None:
    if not wanted or found.n < 2:
        return None
    return found.low > 0 if wanted == "above 0" else found.high < 0


def _of(table: pd.DataFrame, arm: str, name: str, layer: int) -> pd.Series:
    rows = table[(table["arm"] == arm) & (table["name"] == name)]
    rows = rows[rows["layer"] == layer] if layer >= 0 else rows
    found: pd.Series = rows.groupby("animal")["value"].mean()
    return found

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
    runs = ((plan, study.run_of(plan)) for plan in plans)
    known = {(plan.block, plan.theory): _ends(run) for plan, run in runs if run is not None}
    for plan in plans:
        ends = known.get((plan.block, plan.theory))
        if ends is not None:
            null = study.matrix.spec.theories[plan.theory].criterion.beyond
            found += _asked(study, plan, ends, known.get((plan.block, null or "")))
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


class _Ends(NamedTuple):
    """What a run measured at initialisation of the unperturbed arm, and at the end of every arm."""

    first: pd.DataFrame
    last: pd.DataFrame
    top: int
    """The top layer."""


def _ends(run: Run) -> _Ends:
    first = initial_values(run.metrics, run.protocol.tree, [CONTROL])
    top = len(run.protocol.tree.arms[CONTROL].spec.network.layers) - 1
    return _Ends(first, last_values(run.metrics), top)


def _asked(study: Study, plan: RunPlan, ends: _Ends, null: _Ends | None) -> Iterator[Question]:
    criterion = study.matrix.spec.theories[plan.theory].criterion
    asked, last, top = study.matrix.spec.blocks[plan.block].asked, ends.last, ends.top

    def question(part: str, wanted: str, values: pd.Series, initially: float) -> Question:
        found = estimate(values)
        met = _met(found, wanted)
        return Question(plan.block, plan.theory, part, wanted, found, initially, met)

    def gain(name: str, layer: int, wanted: str, words: str) -> Iterator[Question]:
        began, gained = _gain(ends, name, layer)
        if len(gained):
            yield question(f"gain of {words}", wanted, gained, began)
        if criterion.beyond and wanted == "above 0":
            part = f"gain of {words}, beyond {criterion.beyond}"
            beyond = (
                pd.Series(dtype=float) if null is None else gained - _gain(null, name, layer)[1]
            )
            yield question(part, wanted, beyond.dropna(), began)

    if "probe" in asked:
        for name in ("linear_probe", "linear_probe_noisy"):
            wanted = "above 0" if name == criterion.probe and not criterion.exempt else ""
            yield from gain(name, top, wanted, f"{name}, top layer")
    if "objective" in asked:
        wanted = "" if criterion.exempt else "below 0"
        yield from gain(OBJECTIVE, -1, wanted, "its objective")
    for lesion, arm in plan.lesions.items():
        name = criterion.lesions[lesion].value
        whole, without = _of(last, CONTROL, name, top), _of(last, arm, name, top)
        part = f"{name}, top layer, {lesion} minus whole"
        yield question(part, "below 0", without - whole, float(whole.mean()))


def _gain(ends: _Ends, name: str, layer: int) -> tuple[float, pd.Series]:
    """Return a value's mean at initialisation, and each unperturbed animal's gain since then."""
    began = _of(ends.first, CONTROL, name, layer)
    gained = _of(ends.last, CONTROL, name, layer) - began
    return float(began.mean()) if len(began) else float("nan"), gained.dropna()


def _met(found: Estimate, wanted: str) -> bool | None:
    if not wanted or found.n < 2:
        return None
    return found.low > 0 if wanted == "above 0" else found.high < 0


def _of(table: pd.DataFrame, arm: str, name: str, layer: int) -> pd.Series:
    rows = table[(table["arm"] == arm) & (table["name"] == name)]
    rows = rows[rows["layer"] == layer] if layer >= 0 else rows
    found: pd.Series = rows.groupby("animal")["value"].mean()
    return found

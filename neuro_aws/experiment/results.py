"""From measures to the table of results, and whether a protocol's expectations are met."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from neuro_aws.metrics.initial import gains, initial_values
from neuro_aws.metrics.statistics import (
    STUDENT,
    Estimate,
    differences,
    estimate,
    kind_of,
    last_values,
)
from neuro_aws.protocol.schema import Expectation
from neuro_aws.recording.reader import Run


class Verdict(NamedTuple):
    """One expectation against what was found."""

    expectation: Expectation
    found: Estimate
    met: bool | None
    """None: it was not judged."""
    why: str = ""
    """Why it was not."""
    initially: Estimate = Estimate(math.nan, math.nan, math.nan, 0)
    """The value at initialisation, or the difference of two arms then."""
    met_initially: bool | None = None
    """Whether a network that has learnt nothing meets it too; None: not known."""

    @property
    def mark(self) -> str:
        """Return met, not met, or in a word why it was not judged."""
        if self.met is None:
            return self.why.partition(":")[0] or "not judged"
        return "met" if self.met else "not met"


COLLAPSED = 0.3
"""Dreams with less than this share of the data's spread raise an alarm."""

KEYS = ["arm", "period", "cycle", "step", "name", "layer", "group"]


def summary(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return mean and 95 % interval over animals of every measure at every moment."""
    rows = []
    for key, group in metrics.groupby(KEYS, sort=False):
        name = str(key[KEYS.index("name")])
        rows.append((*key, *estimate(group["value"].to_numpy(), name), kind_of(name)))
    return pd.DataFrame(rows, columns=[*KEYS, *Estimate._fields, "interval"])


def at_end(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the rows measured last in each arm's last period."""
    return last_values(metrics)


def references(run: Run) -> dict[str, str]:
    """Return the arm that each arm is compared with."""
    return {arm: run.protocol.tree.arms[arm].reference for arm in run.arms}


def against_reference(run: Run, metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the paired difference of every arm to its reference, at the end of both."""
    return differences(last_values(metrics), references(run))


def since_initialisation(run: Run, metrics: pd.DataFrame) -> pd.DataFrame:
    """Return every arm's mean value at initialisation, and the paired difference at the end."""
    return gains(last_values(metrics), initial_values(metrics, run.protocol.tree, run.arms))


def _about(table: pd.DataFrame, e: Expectation, arm: str) -> pd.DataFrame:
    """Return the rows of an arm that an expectation is about, at any moment."""
    chosen = (table["arm"] == arm) & (table["name"] == e.value)
    if e.layer is not None:
        chosen &= table["layer"] == e.layer
    if e.targets is not None:
        chosen &= table["group"] == e.targets
    return table[chosen]


def _by_animal(table: pd.DataFrame) -> pd.Series:
    found: pd.Series = table.groupby("animal")["value"].mean()
    return found


def select(metrics: pd.DataFrame, expectation: Expectation, arm: str | None = None) -> pd.Series:
    """Return the value of each animal that an expectation is about, indexed by animal."""
    e = expectation
    table = _about(metrics, e, arm or e.arm)
    table = table[table["period"] == e.period]
    if e.cycle is not None:
        table = table[table["cycle"] <= e.cycle]
    return _by_animal(table[table["step"] == table["step"].max()])


def _against_arm(
    values: Callable[[str], pd.Series], e: Expectation, name: str | None = None
) -> Estimate:
    """Return the mean over animals of an arm's values, or of their difference to another's.

    ``name`` where the values are no differences: it says what interval suits them.
    """
    if e.relative_to is None:
        return estimate(values(e.arm).to_numpy(), name)
    return estimate((values(e.arm) - values(e.relative_to)).to_numpy())


def judge(metrics: pd.DataFrame, initial: pd.DataFrame, e: Expectation, refused: str) -> Verdict:
    """Hold one expectation against what was found, and against what there was initially."""

    def before(arm: str) -> pd.Series:
        return _by_animal(_about(initial, e, arm))

    def after(arm: str) -> pd.Series:
        return select(metrics, e, arm) - (before(arm) if e.since else 0.0)

    def within(mean: float) -> bool:
        return e.between[0] <= mean <= e.between[1]

    found = _against_arm(after, e, None if e.since else e.value)
    initially = _against_arm(before, e, e.value)
    why = refused or ("" if found.n else "not measured")
    untrained = 0.0 if e.since else initially.mean
    return Verdict(
        e,
        found,
        None if why else within(found.mean),
        why,
        initially,
        within(untrained) if initially.n else None,
    )


def verdicts(run: Run, metrics: pd.DataFrame) -> list[Verdict]:
    """Hold every expectation of the arms that were run against the mean over animals.

    None is judged where --set changed what is run: they belong to the protocol as it is written.
    """
    changed = run.protocol.changes
    refused = f"not judged: --set changed {', '.join(changed)}" if changed else ""
    initial = initial_values(metrics, run.protocol.tree, run.arms)
    return [
        judge(metrics, initial, e, refused) for e in run.protocol.spec.expect if e.arm in run.arms
    ]


def alarms(metrics: pd.DataFrame) -> list[str]:
    """Return one line for each branch whose dreams have lost their variety (mode collapse)."""
    spread = metrics[(metrics["name"] == "diversity") & (metrics["layer"] == 0)]
    low = spread[spread["value"] < COLLAPSED]
    return [
        f"mode collapse: animal {row['animal']}, {row['arm']}: dreams have {row['value']:.2f} "
        f"of the data's spread at step {row['step']}"
        for _, row in low.iterrows()
    ]


def write(run: Run) -> tuple[pd.DataFrame, list[Verdict]]:
    """Write metrics.csv and metrics.json; return the summary at the end and the verdicts."""
    metrics = run.metrics
    metrics.to_csv(run.folder / "metrics.csv", index=False)
    table = summary(metrics)
    judged = verdicts(run, metrics)
    document: dict[str, Any] = {
        "protocol": run.protocol.spec.name,
        "animals": run.animals,
        "interval": "95 % over animals, of the kind each row names; none for one animal",
        "summary": json.loads(table.to_json(orient="records")),
        "differences": {
            "interval": f"{STUDENT}, of the paired difference to the reference arm, at the end",
            "rows": json.loads(against_reference(run, metrics).to_json(orient="records")),
        },
        "since_initialisation": {
            "interval": f"{STUDENT}, of the paired difference to the initial value, at the end",
            "rows": json.loads(since_initialisation(run, metrics).to_json(orient="records")),
        },
        "expectations": [
            {
                **v.expectation.model_dump(mode="json", exclude_none=True),
                "found": v.found.mean if v.found.n else None,
                "animals": v.found.n,
                "met": v.met,
                **({"why": v.why} if v.why else {}),
                "initially": v.initially.mean if v.initially.n else None,
                "met_initially": v.met_initially,
            }
            for v in judged
        ],
    }
    Path(run.folder / "metrics.json").write_text(
        json.dumps(document, indent=1) + "\n", encoding="utf-8"
    )
    return at_end(table), judged

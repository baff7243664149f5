"""From measures to the table of results, and whether a protocol's expectations are met."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

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


def select(metrics: pd.DataFrame, expectation: Expectation, arm: str | None = None) -> pd.Series:
    """Return the value of each animal that an expectation is about, indexed by animal."""
    e = expectation
    table = metrics[
        (metrics["arm"] == (arm or e.arm))
        & (metrics["name"] == e.value)
        & (metrics["period"] == e.period)
    ]
    if e.layer is not None:
        table = table[table["layer"] == e.layer]
    if e.targets is not None:
        table = table[table["group"] == e.targets]
    if e.cycle is not None:
        table = table[table["cycle"] <= e.cycle]
    if table.empty:
        return pd.Series(dtype=float)
    table = table[table["step"] == table["step"].max()]
    values: pd.Series = table.groupby("animal")["value"].mean()
    return values


def verdicts(run: Run, metrics: pd.DataFrame) -> list[Verdict]:
    """Hold every expectation of the arms that were run against the mean over animals.

    None is judged where --set changed what is run: they belong to the protocol as it is written.
    """
    found, changed = [], run.protocol.changes
    refused = f"not judged: --set changed {', '.join(changed)}" if changed else ""
    for e in run.protocol.spec.expect:
        if e.arm not in run.arms:
            continue
        values = select(metrics, e)
        if e.relative_to is None:
            result = estimate(values.to_numpy(), e.value)
        else:
            result = estimate((values - select(metrics, e, e.relative_to)).to_numpy())
        low, high = e.between
        why = refused or ("" if result.n else "not measured")
        found.append(Verdict(e, result, None if why else low <= result.mean <= high, why))
    return found


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
        "expectations": [
            {
                **v.expectation.model_dump(mode="json", exclude_none=True),
                "found": v.found.mean if v.found.n else None,
                "animals": v.found.n,
                "met": v.met,
                **({"why": v.why} if v.why else {}),
            }
            for v in judged
        ],
    }
    Path(run.folder / "metrics.json").write_text(
        json.dumps(document, indent=1) + "\n", encoding="utf-8"
    )
    return at_end(table), judged

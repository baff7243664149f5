"""What the analysis scripts share: arguments, values by animal, tables of tests."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from neuro_aws.errors import NeuroAWSError
from neuro_aws.metrics.statistics import PairedTest, estimate, paired
from neuro_aws.recording.reader import Run, open_run


def arguments(text: str | None, *, several: bool = False) -> argparse.ArgumentParser:
    """Return a parser for RUN (or several) and --out."""
    parser = argparse.ArgumentParser(description=(text or "").split("\n", 1)[0])
    parser.add_argument("run", nargs="+" if several else None, help="run folder")
    parser.add_argument("--out", type=Path, help="figure file; default: in the run's figures/")
    return parser


def opened(path: str) -> Run:
    """Open a run, or end with one line."""
    try:
        return open_run(path)
    except NeuroAWSError as error:
        raise SystemExit(str(error)) from error


def values(
    metrics: pd.DataFrame,
    arm: str,
    name: str,
    period: str | None = None,
    cycle: int | None = None,
    group: str | None = None,
    layer: int | None = None,
) -> pd.Series:
    """Return one value an animal: the last in the period, or the last up to a cycle of it."""
    rows = metrics[(metrics["arm"] == arm) & (metrics["name"] == name)]
    if period is not None:
        rows = rows[rows["period"] == period]
    if cycle is not None:
        rows = rows[rows["cycle"] <= cycle]
    if group is not None:
        rows = rows[rows["group"] == group]
    if layer is not None:
        rows = rows[rows["layer"] == layer]
    if rows.empty:
        return pd.Series(dtype=float)
    last = rows[rows["step"] == rows["step"].max()]
    found: pd.Series = last.groupby("animal")["value"].mean()
    return found


def probability(p: float) -> str:
    """Return a p value as it is printed."""
    if np.isnan(p):
        return "-"
    return "< 1e-6" if p < 1e-6 else f"{p:.2g}"


def test_line(label: str, test: PairedTest) -> str:
    """Return one line about a paired comparison."""
    return f"  {label:<58} {test.difference!s:<28} t = {test.t:7.2f}  p {probability(test.p)}"


def arm_table(
    metrics: pd.DataFrame, arms: list[str], names: list[str], period: str | None, group: str | None
) -> pd.DataFrame:
    """Return mean [95 % interval] of several values for every arm."""
    rows = []
    for arm in arms:
        cells: list[object] = [arm]
        for name in names:
            found = values(metrics, arm, name, period, group=group)
            cells.append(str(estimate(found.to_numpy())) if len(found) else "-")
        rows.append(cells)
    return pd.DataFrame(rows, columns=["arm", *names])


def against_reference(
    run: Run, metrics: pd.DataFrame, name: str, period: str | None, group: str | None
) -> list[str]:
    """Return the paired test of every arm against its reference, same animals, same age."""
    lines = []
    for arm in run.arms:
        reference = run.protocol.tree.arms[arm].reference
        if reference == arm or reference not in run.arms:
            continue
        a, b = (values(metrics, x, name, period, group=group) for x in (arm, reference))
        if len(a) and len(b):
            lines.append(test_line(f"{arm} - {reference}", paired(a, b)))
    return lines

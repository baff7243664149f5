"""Tables of results."""

import math

import pandas as pd
from rich.console import Console
from rich.table import Table

from neuro_aws.experiment.results import Verdict


def console() -> Console:
    """Return the console; wide enough for a table where output goes to a file."""
    found = Console()
    return found if found.is_terminal else Console(width=140)


def number(mean: float, low: float, high: float) -> str:
    """Return a mean with half its interval: mean +-half."""
    if math.isnan(mean):
        return "-"
    if math.isnan(low):
        return f"{mean:.3g}"
    return f"{mean:.3g} ±{high - mean:.2g}"


def results(table: pd.DataFrame, arms: list[str], animals: int) -> Table:
    """Return the last measures of every arm side by side."""
    drawn = Table(title=f"end of each arm, mean ± 95 % interval over {animals} animals")
    drawn.add_column("measure")
    for arm in arms:
        drawn.add_column(arm.replace("_", " "), justify="right")
    keys = table[["name", "layer", "group"]].drop_duplicates()
    for name, layer, group in keys.itertuples(index=False, name=None):
        row = table[(table.name == name) & (table.layer == layer) & (table.group == group)]
        if not set(row["arm"]) & set(arms):
            continue
        label = name.replace("_", " ")
        where = ", ".join(filter(None, [f"layer {layer}" if layer >= 0 else "", group]))
        cells = []
        for arm in arms:
            found = row[row["arm"] == arm]
            cells.append(number(*found[["mean", "low", "high"]].iloc[0]) if len(found) else "-")
        drawn.add_row(f"{label} ({where})" if where else label, *cells)
    return drawn


def expectations(verdicts: list[Verdict]) -> Table:
    """Return what the protocol expected and what was found."""
    drawn = Table(title="expected numbers (mean over animals)")
    for heading in ("arm", "value", "when", "expected", "found", ""):
        drawn.add_column(heading)
    for e, found, met, why in verdicts:
        when = f"end of {e.period}" if e.cycle is None else f"{e.period}, cycle {e.cycle}"
        against = f" minus {e.relative_to}" if e.relative_to else ""
        where = f" (layer {e.layer})" if e.layer is not None else ""
        verdict = {True: "met", False: "NOT MET", None: why.partition(":")[0]}[met]
        drawn.add_row(
            e.arm + against,
            e.value + where,
            when,
            f"{e.between[0]:g} to {e.between[1]:g}",
            str(found) if found.n else "-",
            verdict,
        )
    drawn.caption = next((why for *_, why in verdicts if ":" in why), None)
    return drawn

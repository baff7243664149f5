"""The size of each step's feedforward change against ACh and against teaching, raw and applied."""

from typing import Any

import numpy as np
import pandas as pd

from neuro_aws.metrics.correlation import correlation
from neuro_aws.phase import FEEDFORWARD
from neuro_aws.plots.style import ARM_COLOURS, Figure
from neuro_aws.protocol.schema import ProtocolSpec

KINDS = {"raw": f"{FEEDFORWARD}_raw", "applied": f"{FEEDFORWARD}_applied"}
SIGNALS = {"ach": "ACh (D, batch mean)", "teaching": "teaching |dD/dh| (D per rate)"}

FACTOR = "feedforward_factor"
"""Column of the factor that the period puts on feedforward change."""

POINTS = 1500
"""At most so many points a layer; the correlation is of all."""

ROOM = 0.14
"""Of a panel's height, for a line of its legend."""

HIGHEST = 99.5
"""Percentile of the changes that the axes show."""


def layers(frame: pd.DataFrame) -> list[str]:
    """Return the layers whose feedforward changes were recorded, as their columns begin."""
    suffix = f"_{KINDS['raw']}"
    return [c.removesuffix(suffix) for c in frame.columns if c.endswith(suffix)]


def sizes(frame: pd.DataFrame, layer: str, kind: str) -> pd.Series:
    """Return the sizes of a layer's changes, of the steps in which it changed.

    Applied changes are divided by the factor of their period, which is no part of ACh's doing.
    """
    found = frame[f"{layer}_{KINDS[kind]}"]
    found = found[found > 0]
    return found / frame.loc[found.index, FACTOR] if kind == "applied" else found


def pairs(frame: pd.DataFrame, layer: str, signal: str, kind: str) -> tuple[Any, Any]:
    """Return a signal and the size of a layer's change, of the steps in which it changed."""
    change = sizes(frame, layer, kind)
    x = frame.loc[change.index, "ach" if signal == "ach" else f"{layer}_teaching"]
    return x.to_numpy(float), change.to_numpy(float)


def correlations(frame: pd.DataFrame) -> pd.DataFrame:
    """Return r, its null and n of ACh and teaching with raw and applied |dF| of every layer."""
    rows = []
    for kind in KINDS:
        for layer in layers(frame):
            for signal in SIGNALS:
                found = correlation(*pairs(frame, layer, signal, kind))
                name = layer.replace("layer", "layer ")
                rows.append((kind, name, signal, found.r, found.low, found.high, found.n))
    columns = ["change", "layer", "signal", "r", "null_low", "null_high", "n"]
    return pd.DataFrame(rows, columns=columns)


def draw(drawn: Figure, place: Any, frame: pd.DataFrame) -> None:
    """Draw raw changes above applied ones, against ACh and teaching, over each layer's mean.

    All share one scale: how far the one varies and the other does not is to be seen.
    """
    grid = drawn_axes(drawn, place)
    found = {
        (kind, signal, layer): pairs(frame, layer, signal, kind)
        for kind in KINDS
        for signal in SIGNALS
        for layer in layers(frame)
    }
    shares = [y / y.mean() for _, y in found.values() if len(y)]
    top = max([1.5, *(float(np.nanpercentile(y, HIGHEST)) for y in shares)])
    top *= 1.1 + ROOM * len(layers(frame))
    for row, kind in enumerate(KINDS):
        for column, (signal, label) in enumerate(SIGNALS.items()):
            axes, n = grid[row][column], 0
            for k, layer in enumerate(layers(frame)):
                x, y = found[kind, signal, layer]
                r = correlation(x, y)
                n = max(n, r.n)
                every = max(1, len(x) // POINTS)
                text = f"{layer.replace('layer', 'layer ')}: {r}"
                axes.plot(
                    x[::every],
                    y[::every] / y.mean() if len(y) else y,
                    ".",
                    ms=1.5,
                    alpha=0.35,
                    color=ARM_COLOURS[k],
                    label=text,
                )
            axes.set(ylim=(0, top), xlabel=label)
            axes.set_ylabel(f"{kind} |dF|\n(layer's mean = 1)")
            legend = axes.legend(loc="upper right", handletextpad=0.2, borderaxespad=0)
            for handle in legend.legend_handles:
                handle.set(markersize=5, alpha=1)
            axes.set_title(f"n = {n:,} steps", loc="right")


def drawn_axes(drawn: Figure, place: Any) -> list[list[Any]]:
    """Return the axes: a row for each kind of change, a column for each signal."""
    grid = place.subgridspec(len(KINDS), len(SIGNALS))
    return [
        [drawn.add_subplot(grid[row, column]) for column in range(len(SIGNALS))]
        for row in range(len(KINDS))
    ]


def variation(frame: pd.DataFrame) -> str:
    """Return how far the sizes of raw and applied changes vary, in words."""
    words = []
    for kind in KINDS:
        ratios = []
        for layer in layers(frame):
            found = sizes(frame, layer, kind)
            if len(found):
                low, high = np.percentile(found, [2.5, 97.5])
                ratio = high / low
                ratios.append(f"{ratio:.3g}" if ratio < 1000 else f"{ratio:,.0f}")
        if ratios:
            words.append(f"{kind} {', '.join(ratios)}")
    if not words:
        return ""
    ratios_of = "Largest over smallest |dF| (97.5th over 2.5th percentile; layers from the bottom)"
    factors = "; applied changes over the factor of their period" * (frame[FACTOR].nunique() > 1)
    return f"{ratios_of}: {'; '.join(words)}{factors}."


def optimiser(spec: ProtocolSpec) -> str:
    """Return what the optimiser of F does to the size of its changes, in a line."""
    learning = spec.algorithm.learning(FEEDFORWARD)
    if learning is None:
        return ""
    if learning.optimiser == "sgd":
        return (
            f"Optimiser of F: sgd. The applied change is the rate ({learning.rate:g}) times the "
            "raw one, times gate and factors."
        )
    return (
        "Optimiser of F: Adam divides each change by the root of its running square, so that the "
        "size of the applied change hardly varies, however strong the teaching; raw |dF| is before "
        "that. Under `optimiser: sgd` the applied change is the rate times the raw one."
    )

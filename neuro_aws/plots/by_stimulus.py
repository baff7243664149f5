"""Which stimuli teach: the length of each one's teaching signal against its ACh, in wake."""

from typing import Any

import numpy as np

from neuro_aws.metrics.correlation import (
    NORMAL,
    Correlation,
    by_batch,
    within_batches,
    without_groups,
)
from neuro_aws.metrics.statistics import FISHER, estimate
from neuro_aws.plots.scatters import ROOM
from neuro_aws.plots.style import ARM_COLOURS, Axes, Figure, readable
from neuro_aws.recording.reader import Run

Samples = Any
"""What ``Run.samples`` returns."""

BINS = 24
"""Points of a course over a run."""

POINTS = 1500
"""At most so many points a layer; r is of all."""


def recorded(run: Run, animal: int, arm: str) -> Samples | None:
    """Return what was recorded of single stimuli; None where nothing was."""
    if not run.protocol.tree.plan(arm).spec.record.samples.every:
        return None
    found = run.samples(animal, arm)
    return found if found.sizes["step"] else None


def layers(samples: Samples) -> dict[str, Any]:
    """Return the length of each sample's teaching signal by layer, (batches, samples)."""
    names = sorted(str(n) for n in samples.data_vars if str(n).endswith("_teaching"))
    return {
        n.removesuffix("_teaching").replace("layer", "layer "): samples[n].to_numpy() for n in names
    }


def relation(samples: Samples, teaching: Any) -> Correlation:
    """Return r within batches of teaching with ACh."""
    return within_batches(samples["ach"].to_numpy(), teaching)


def relation_within_labels(samples: Samples, teaching: Any) -> Correlation | None:
    """Return the same between stimuli of one label; None where stimuli have none.

    Both are taken as deviations from the batch, less the mean deviation of their label.
    """
    labels = samples["label"].to_numpy()
    if (labels < 0).all():
        return None
    x, y = (
        without_groups(values - values.mean(1, keepdims=True), labels)
        for values in (samples["ach"].to_numpy().astype(float), np.asarray(teaching, dtype=float))
    )
    return within_batches(x, y)


def draw(drawn: Figure, place: Any, samples: Samples) -> None:
    """Draw each stimulus against its batch, and r of every batch over the run."""
    grid = place.subgridspec(1, 2)
    left, right = (drawn.add_subplot(grid[0, k]) for k in range(2))
    ach = samples["ach"].to_numpy().astype(float)
    steps = samples["step"].to_numpy()
    most, batch = 0, ach.shape[1]
    deviation = ach - ach.mean(1, keepdims=True)
    for k, (layer, teaching) in enumerate(layers(samples).items()):
        found = relation(samples, teaching)
        most = max(most, found.n)
        every = max(1, ach.size // POINTS)
        mean = teaching.mean(1, keepdims=True)
        share = np.divide(teaching, mean, out=np.full(ach.shape, np.nan), where=mean > 0)
        left.plot(
            deviation.ravel()[::every],
            share.ravel()[::every],
            ".",
            ms=1.5,
            alpha=0.35,
            color=ARM_COLOURS[k],
            label=f"{layer}: {found}",
        )
        right.plot(steps, by_batch(ach, teaching), ".", ms=2, color=ARM_COLOURS[k], label=layer)
    legend = left.legend(loc="upper right", handletextpad=0.2, borderaxespad=0)
    for handle in legend.legend_handles:
        handle.set(markersize=5, alpha=1)  # type: ignore[union-attr]
    low, high = left.get_ylim()
    left.set_ylim(low, high + ROOM * len(layers(samples)) * (high - low))
    left.set(xlabel="ACh of a stimulus - batch mean (D)")
    left.set_ylabel("its |teaching|\n(batch mean = 1)")
    left.set_title("single stimuli in wake", loc="left")
    left.set_title(f"n = {most // batch} batches of {batch}", loc="right")
    half = NORMAL / np.sqrt(batch - 1)
    right.axhspan(-half, half, color="#E3E3E3", linewidth=0, zorder=0)
    right.set(ylim=(-1.05, 1.05), xlabel="step (one batch in one phase)")
    right.set_ylabel("r of ACh and |teaching|\nwithin a batch")
    right.set_title("every batch; grey: its null", loc="left")


def course(run: Run, arm: str) -> tuple[Any, dict[str, Any]]:
    """Return the edges of equal parts of a run, and r within a batch: layer -> (animals, parts)."""
    edges = np.linspace(0, run.protocol.tree.arms[arm].schedule.steps, BINS + 1)
    found: dict[str, list[Any]] = {}
    for animal in run.animals:
        samples = recorded(run, animal, arm)
        if samples is None:
            continue
        place = np.digitize(samples["step"].to_numpy(), edges) - 1
        for layer, teaching in layers(samples).items():
            r = by_batch(samples["ach"].to_numpy(), teaching)
            parts = [r[(place == k) & np.isfinite(r)] for k in range(BINS)]
            found.setdefault(layer, []).append([p.mean() if len(p) else np.nan for p in parts])
    return edges, {layer: np.array(rows) for layer, rows in found.items()}


def over_time(axes: Axes, run: Run, arm: str) -> Axes:
    """Draw r within a batch over a run, mean and interval over animals, above its null."""
    edges, found = course(run, arm)
    middle = (edges[1:] + edges[:-1]) / 2
    for k, (layer, rows) in enumerate(found.items()):
        values = [estimate(column, kind=FISHER) for column in rows.T]
        colour = ARM_COLOURS[k % len(ARM_COLOURS)]
        axes.plot(middle, [v.mean for v in values], ".-", ms=3, color=colour, label=layer)
        low, high = [v.low for v in values], [v.high for v in values]
        axes.fill_between(middle, low, high, color=colour, alpha=0.2, linewidth=0)
    samples = recorded(run, run.animals[0], arm)
    batches, batch = (1, 2) if samples is None else samples["ach"].shape
    count = max(1, batches // BINS)
    half = NORMAL / np.sqrt(count * (batch - 1))
    axes.axhspan(-half, half, color="#E3E3E3", linewidth=0, zorder=0)
    axes.set(xlabel="step (one batch in one phase)", ylabel="r within a batch")
    axes.set_title(f"{readable(arm)}, over the run; {count} batches of {batch} a point", loc="left")
    return axes

"""The figures every run draws: measures by arm, and ACh against plasticity."""

import logging
from pathlib import Path
from textwrap import fill
from typing import Any, cast

from matplotlib.lines import Line2D

from neuro_aws.metrics.initial import initial_values, only_gained
from neuro_aws.metrics.statistics import caption
from neuro_aws.plots import outcomes, receptive_fields, traces
from neuro_aws.plots.images import show, tiled
from neuro_aws.plots.style import WIDTH, Figure, arm_styles, figure, readable, save, styled
from neuro_aws.protocol import registry
from neuro_aws.protocol.backends import backend_of
from neuro_aws.protocol.measures_with_settings import ReceptiveField
from neuro_aws.protocol.registry import load
from neuro_aws.recording.reader import Run

MOST_PANELS = 12
log = logging.getLogger("neuro_aws")


def outcome_figure(run: Run) -> Figure | None:
    """Draw every main value by arm, each beside its paired difference to the reference arm.

    Values of the user's own come first. None where nothing was measured.
    """
    if run.protocol.spec.network.dcgan is not None:
        return image_figure(run)
    metrics = run.metrics
    initial = only_gained(initial_values(metrics, run.protocol.tree, run.arms))
    main = outcomes.main_panels(metrics, run.arms)
    wanted = main[:MOST_PANELS]
    if not wanted:
        return None
    references = outcomes.references(run)
    compared = any(arm != reference for arm, reference in references.items())
    columns = min(2 if compared else 3, len(wanted))
    rows = -(-len(wanted) // columns)
    high = max(1.7, 0.7 + 0.21 * len(run.arms))
    drawn = figure(WIDTH * (columns / 2 if compared else 1), high * rows + 0.7)
    grid = drawn.add_gridspec(rows, columns)
    start = outcomes.onset_step(run)
    for k, (name, layer, group) in enumerate(wanted):
        place = grid[k // columns, k % columns]
        data = outcomes.chosen(metrics, name, layer, group)
        data = data[data["arm"].isin(run.arms)]
        began = outcomes.chosen(initial, name, layer, group)
        within = place.subgridspec(1, 2, width_ratios=[1.5, 1]) if compared else None
        axes = drawn.add_subplot(place if within is None else within[0])
        over_time = data["step"].nunique() > 2
        if over_time:
            outcomes.over_time(axes, data, name, run.arms, start)
            outcomes.mark_periods(axes, run, start)
            outcomes.mark_initially(axes, began, name)
        else:
            outcomes.at_end(axes, data, name, run.arms)
            outcomes.mark_initially_by_arm(axes, began, name, run.arms)
        where = ", ".join(filter(None, [f"layer {layer}" if layer >= 0 else "", readable(group)]))
        axes.set_title(where, loc="left")
        if within is not None:
            right = drawn.add_subplot(within[1])
            outcomes.against_reference(right, data, name, run.arms, references, run.arms)
            right.set_title("at the end", loc="left")
            right.set_yticks([])
    names = [name for name, _, _ in wanted]
    _arm_legend(drawn, run.arms, bool(set(initial["name"]) & set(names)))
    return _titled(drawn, run, names, compared, len(main) - len(wanted))


def _arm_legend(drawn: Figure, arms: list[str], initially: bool) -> None:
    """Draw the legend of the arms, and of the values they began with, below the panels."""
    styles = arm_styles(arms)
    shown = arms if len(arms) > 1 or initially else []
    handles = [Line2D([], [], color=styles[a][0], ls=cast(Any, styles[a][1])) for a in shown]
    labels = [readable(arm) for arm in shown]
    if initially:
        handles.append(Line2D([], [], **outcomes.INITIAL))
        labels.append("before anything was learnt, mean")
    if labels:
        drawn.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)))


IMAGE_LAYERS = ("linear_probe", "reconstruction", "diversity", "log_likelihood", "svm_10fold")
"""Measures drawn by layer for a convolutional network."""

IMAGE_TIMES = ("frechet_classifier", "ach_gap", "sliced_distance")
"""And those drawn over time."""


def image_figure(run: Run) -> Figure | None:
    """Draw measures of images over time and by layer, and the latest dreams; None without any."""
    metrics = run.metrics
    names = set(metrics["name"])
    times, layers = ([n for n in wanted if n in names] for wanted in (IMAGE_TIMES, IMAGE_LAYERS))
    for name in sorted(name for name in names if registry.of_the_users_own(name)):
        (layers if metrics[metrics["name"] == name]["layer"].max() >= 0 else times).append(name)
    if not times and not layers:
        return None
    count = len(times) + len(layers) + 1
    columns = min(3, count)
    drawn = figure(WIDTH, 2.1 * -(-count // columns) + 0.6)
    grid = list(drawn.subplots(-(-count // columns), columns, squeeze=False).flat)
    start = outcomes.onset_step(run)
    initial = only_gained(initial_values(metrics, run.protocol.tree, run.arms))
    for axes, name in zip(grid, times, strict=False):
        mine = metrics[(metrics["name"] == name) & metrics["arm"].isin(run.arms)]
        if mine["step"].nunique() > 2:
            outcomes.over_time(axes, metrics, name, run.arms, start)
        else:
            outcomes.at_end(axes, metrics, name, run.arms)
    for axes, name in zip(grid[len(times) :], layers, strict=False):
        outcomes.by_layer(axes, metrics, name, run.arms)
        outcomes.mark_initially_by_layer(axes, initial, name)
    pictures = run.pictures(run.animals[0], run.arms[0]).isel(step=-1)
    show(grid[count - 1], tiled(pictures.dreams.to_numpy(), 8), f"dreams, {readable(run.arms[0])}")
    for axes in grid[count:]:
        axes.set_visible(False)
    _arm_legend(drawn, run.arms, bool(set(initial["name"]) & set(layers)))
    return _titled(drawn, run, [*times, *layers], compared=False)


def _titled(drawn: Figure, run: Run, names: list[str], compared: bool, left_out: int = 0) -> Figure:
    """Say what was run, in how many animals, what bands, bars and points are, what is left out."""
    n = len(run.animals)
    lines = [f"{run.protocol.spec.name}: {caption(names, n, differences=compared and n > 1)}"]
    if compared:
        lines.append("right of each panel: arm minus its reference, a point an animal")
    if left_out:
        lines.append(f"{left_out} more in metrics.csv")
    drawn.suptitle("\n".join(fill(line, 100) for line in lines))
    return drawn


def traces_figure(run: Run, animal: int, arm: str, wanted: list[str]) -> Figure:
    """Draw ACh against plasticity for one arm of one animal; of spikes, who fires when."""
    with styled():
        drawing = backend_of(run.protocol.spec)
        if drawing.seconds:
            return load(drawing.figure)(run, animal, arm)  # type: ignore[no-any-return]
        return traces.draw(run, animal, arm, wanted)


def fields_figure(run: Run, animal: int, arms: list[str]) -> Figure:
    """Draw the receptive fields of cells of layer 1, before and after; refuse other stimuli."""
    with styled():
        return receptive_fields.refuse_none(receptive_fields.draw(run, animal, arms))


def draw_run(run: Run) -> list[Path]:
    """Draw the figures of a finished run; return where they are."""
    folder = run.folder / "figures"
    written = []
    with styled():
        outcome = outcome_figure(run)
        if outcome is not None:
            written.append(save(outcome, folder / "outcomes.png"))
        animal = run.animals[0]
        drawing = backend_of(run.protocol.spec)
        name = "spikes" if drawing.seconds else "traces"
        for arm in run.arms[:2]:
            drawn = load(drawing.figure)(run, animal, arm)
            written.append(save(drawn, folder / f"{name}_{arm}.png"))
        if any(isinstance(measure, ReceptiveField) for measure in run.protocol.spec.measure):
            fields = receptive_fields.draw(run, animal, run.arms)
            if fields is not None:
                written.append(save(fields, folder / "receptive_fields.png"))
    return written

"""The figures every run draws: measures by arm, and ACh against plasticity."""

import logging
from pathlib import Path

from neuro_aws.plots import outcomes, traces
from neuro_aws.plots.images import show, tiled
from neuro_aws.plots.style import Figure, figure, readable, save, styled
from neuro_aws.protocol.backends import backend_of
from neuro_aws.protocol.registry import load
from neuro_aws.recording.reader import Run

MOST_PANELS = 12
log = logging.getLogger("neuro_aws")

LEADING = (
    "target_activity_relative",
    "spared_activity_relative",
    "target_never_active",
    "move_to_perturbed",
    "ocular_dominance",
    "preferring_share",
    "ach_gap",
    "fresh_classifier",
    "linear_probe",
    "linear_probe_noisy",
    "sliced_distance",
    "diversity",
    "reconstruction",
    "target_rate_relative",
    "spared_rate_relative",
    "ach_auc",
    "prediction_error_relative",
    "dream_rate_correlation",
    "dream_covariance_correlation",
    "spike_probe",
    "match",
    "match_teacher_off",
    "match_error_relative",
)
"""The measures that are drawn, the most telling first."""


def outcome_figure(run: Run) -> Figure | None:
    """Draw every leading measure by arm; None where nothing was measured."""
    if run.protocol.spec.network.dcgan is not None:
        return image_figure(run)
    metrics = run.metrics
    wanted = sorted(
        (p for p in outcomes.panels(metrics) if p[0] in LEADING),
        key=lambda p: (LEADING.index(p[0]), p[2], p[1]),
    )[:MOST_PANELS]
    if not wanted:
        return None
    columns = min(3, len(wanted))
    rows = -(-len(wanted) // columns)
    many = len(run.arms) > 5
    drawn = figure(3.1 * columns + (1.6 if many else 0.3), 2.3 * rows + 0.8)
    grid = drawn.subplots(rows, columns, squeeze=False)
    start = outcomes.onset_step(run)
    for axes, (name, layer, group) in zip(grid.flat, wanted, strict=False):
        data = outcomes.chosen(metrics, name, layer, group)
        arms = [arm for arm in run.arms if arm in set(data["arm"])]
        if data[data["arm"].isin(arms)]["step"].nunique() > 2:
            outcomes.over_time(axes, data, name, run.arms, start)
            axes.set_xlabel("steps since the arms parted" if start else "steps lived")
        else:
            outcomes.at_end(axes, data, name, arms)
        where = ", ".join(filter(None, [f"layer {layer}" if layer >= 0 else "", readable(group)]))
        axes.set_title(where, loc="left")
    for axes in list(grid.flat)[len(wanted) :]:
        axes.set_visible(False)
    handles, labels = next(
        (a.get_legend_handles_labels() for a in grid.flat if a.get_legend_handles_labels()[0]),
        ([], []),
    )
    if handles and many:
        drawn.legend(handles, labels, loc="outside right upper", ncols=1)
    elif handles:
        drawn.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return _titled(drawn, run)


IMAGE_LAYERS = ("linear_probe", "reconstruction", "diversity", "log_likelihood", "svm_10fold")
"""Measures drawn by layer for a convolutional network."""

IMAGE_TIMES = ("frechet_classifier", "ach_gap", "sliced_distance")
"""And those drawn over time."""


def image_figure(run: Run) -> Figure | None:
    """Draw measures of images over time and by layer, and the latest dreams; None without any."""
    metrics = run.metrics
    names = set(metrics["name"])
    times, layers = ([n for n in wanted if n in names] for wanted in (IMAGE_TIMES, IMAGE_LAYERS))
    if not times and not layers:
        return None
    count = len(times) + len(layers) + 1
    columns = min(3, count)
    drawn = figure(3.1 * columns + 0.3, 2.5 * -(-count // columns) + 0.8)
    grid = list(drawn.subplots(-(-count // columns), columns, squeeze=False).flat)
    start = outcomes.onset_step(run)
    for axes, name in zip(grid, times, strict=False):
        mine = metrics[(metrics["name"] == name) & metrics["arm"].isin(run.arms)]
        if mine["step"].nunique() > 2:
            outcomes.over_time(axes, metrics, name, run.arms, start)
            axes.set_xlabel("steps since the arms parted" if start else "steps lived")
        else:
            outcomes.at_end(axes, metrics, name, run.arms)
    for axes, name in zip(grid[len(times) :], layers, strict=False):
        outcomes.by_layer(axes, metrics, name, run.arms)
    pictures = run.pictures(run.animals[0], run.arms[0]).isel(step=-1)
    show(grid[count - 1], tiled(pictures.dreams.to_numpy(), 8), f"dreams, {readable(run.arms[0])}")
    for axes in grid[count:]:
        axes.set_visible(False)
    legends = [axes.get_legend_handles_labels() for axes in grid[: count - 1]]
    handles, labels = max(legends, key=lambda legend: len(legend[1]))
    if labels:
        drawn.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 6))
    return _titled(drawn, run)


def _titled(drawn: Figure, run: Run) -> Figure:
    """Say what was run, in how many animals, and what the bars are."""
    n = len(run.animals)
    drawn.suptitle(
        f"{run.protocol.spec.name}: mean over {n} animal{'s' if n > 1 else ''}"
        + (", band or bar: 95 % interval" if n > 1 else ""),
        fontsize=9,
    )
    return drawn


def traces_figure(run: Run, animal: int, arm: str, wanted: list[str]) -> Figure:
    """Draw ACh against plasticity for one arm of one animal; of spikes, who fires when."""
    with styled():
        drawing = backend_of(run.protocol.spec)
        if drawing.seconds:
            return load(drawing.figure)(run, animal, arm)  # type: ignore[no-any-return]
        return traces.draw(run, animal, arm, wanted)


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
    return written

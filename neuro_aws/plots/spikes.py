"""Figures of spiking runs: who fires when, what ACh makes of it, and what dreams resemble."""

import numpy as np
import pandas as pd

from neuro_aws.phase import REM, WAKE
from neuro_aws.plots.hypnogram import hypnogram, shade
from neuro_aws.plots.style import ARM_COLOURS, PHASE_COLOURS, WIDTH, Axes, Figure, figure, readable
from neuro_aws.plots.traces import running
from neuro_aws.protocol.columns import PHASE_CODES
from neuro_aws.recording.reader import Run

RASTER_SECONDS = 3.0
LAST_STEPS = 200
POTENTIAL_MS = 600.0


def branch_figure(run: Run, animal: int, arm: str) -> Figure:
    """Draw one arm of one animal."""
    spec = run.protocol.tree.arms[arm].spec
    drawn = figure(WIDTH, 5.6)
    grid = drawn.add_gridspec(3, 1, height_ratios=[0.3, 2.2, 3.2])
    top, raster = drawn.add_subplot(grid[0]), drawn.add_subplot(grid[1])
    lower = grid[2].subgridspec(1, 2, width_ratios=[1.5, 1])
    sizes, step = spec.network.layers, spec.spiking.step
    last = int(run.read(animal, arm, "neuromodulators/step")[-1]) + 1
    first = max(0, last - round(RASTER_SECONDS * 1000 / step))
    hypnogram(top, run.intervals(animal, arm, "phases"), first, last)
    top.tick_params(labelbottom=False)
    top.set_title("the last seconds", loc="right")
    if spec.spiking.spikes:
        _raster(raster, run, animal, arm, (first, last), step / 1000)
    _ach(drawn.add_subplot(lower[0]), run, animal, arm)
    _rates(drawn.add_subplot(lower[1]), run, animal, arm, step / 1000)
    drawn.suptitle(
        f"{run.protocol.spec.name}: {readable(arm)}, animal {animal}, "
        f"{'-'.join(map(str, sizes))} spiking neurons",
    )
    return drawn


def _raster(
    axes: Axes, run: Run, animal: int, arm: str, span: tuple[int, int], seconds: float
) -> None:
    time = run.read(animal, arm, "spikes/time") / 1000
    cell = run.read(animal, arm, "spikes/neuron")
    a, b = span[0] * seconds, span[1] * seconds
    shown = (time >= a) & (time < b)
    sizes = run.protocol.tree.arms[arm].spec.network.layers
    starts = np.cumsum([0, *sizes])
    for i in range(len(sizes)):
        mine = shown & (cell >= starts[i]) & (cell < starts[i + 1])
        axes.plot(
            time[mine], cell[mine], "|", ms=2, mew=0.6, color=ARM_COLOURS[i % len(ARM_COLOURS)]
        )
        axes.axhline(starts[i + 1] - 0.5, color="0.8", lw=0.5)
    middle = [(starts[i] + starts[i + 1]) / 2 for i in range(len(sizes))]
    axes.set_yticks(middle, [f"layer {i}" for i in range(len(sizes))])
    axes.set(xlim=(a, b), ylim=(-1, starts[-1]), xlabel="biological time (s)")


def _ach(axes: Axes, run: Run, animal: int, arm: str) -> None:
    traces = run.traces(animal, arm)
    phase, step = traces["phase"].to_numpy(), traces["step"].to_numpy()
    seconds = run.protocol.tree.arms[arm].spec.spiking.step / 1000
    for name, code in PHASE_CODES.items():
        mine = phase == code
        if mine.any():
            values = traces["ach"].to_numpy()[mine]
            axes.plot(
                step[mine] * seconds,
                running(pd.Series(values)),
                color=PHASE_COLOURS[name],
                label=name,
            )
    perturbed = run.intervals(animal, arm, "perturbations")
    shade(axes, perturbed.assign(start=perturbed.start * seconds, stop=perturbed.stop * seconds))
    title = "running mean by phase" + (
        "; shaded: window of a perturbation" if len(perturbed) else ""
    )
    axes.set_title(title, loc="left")
    axes.set(xlabel="biological time (s)", ylabel="ACh (logit of wake)")
    axes.legend(loc="best")


def _rates(axes: Axes, run: Run, animal: int, arm: str, seconds: float) -> None:
    sizes = run.protocol.tree.arms[arm].spec.network.layers
    phase = run.read(animal, arm, "neuromodulators/phase")
    last = 0
    for i in range(len(sizes)):
        counts = run.read(animal, arm, f"counts/layer{i}")
        wake, rem = (counts[phase == PHASE_CODES[name]][-LAST_STEPS:] for name in (WAKE, REM))
        if not len(wake) or not len(rem):
            continue
        last = max(last, len(wake), len(rem))
        wake, rem = wake.mean(0) / seconds, rem.mean(0) / seconds
        axes.plot(wake, rem, ".", ms=4, color=ARM_COLOURS[i % len(ARM_COLOURS)], label=f"layer {i}")
    most = max(axes.get_xlim()[1], axes.get_ylim()[1])
    axes.plot([0, most], [0, most], color="0.7", lw=0.8, zorder=0)
    axes.set(xlabel="rate in wake (Hz)", ylabel="rate in REM (Hz)")
    axes.set_title(f"every cell, last {last * seconds:g} s of each phase", loc="left")
    axes.legend(loc="best")


def neuron_figure(run: Run, animal: int, arm: str) -> Figure:
    """Draw one arm of a single neuron: the soma, its prediction, and their difference."""
    time = run.read(animal, arm, "potentials/time")
    data = {n: run.read(animal, arm, f"potentials/{n}") for n in ("soma", "dendrite", "teacher")}
    with_teacher = run.read(animal, arm, "potentials/taught").astype(bool)
    drawn = figure(WIDTH, 4.4)
    grid = drawn.subplots(2, 2)
    off = np.flatnonzero(~with_teacher)
    moments = [("at the start, teacher on", 0.0, "teacher")]
    if with_teacher.any():
        end = time[with_teacher][-1] + (time[1] - time[0])
        moments.append(("at the end, teacher on", end - POTENTIAL_MS, "teacher"))
    if len(off):
        moments.append(("at the end, teacher off", time[off[-1]] - POTENTIAL_MS, ""))
    for axes, (title, begin, teacher) in zip(grid.flat, moments, strict=False):
        shown = (time >= begin) & (time < begin + POTENTIAL_MS)
        lines = [
            ("soma", "U, soma", "0.7", 3.0),
            ("dendrite", "V*, its prediction", ARM_COLOURS[1], 1.0),
        ]
        if teacher:
            lines.append(("teacher", "teacher alone", ARM_COLOURS[2], 1.0))
        for key, label, colour, width in lines:
            axes.plot(time[shown] / 1000, data[key][shown], color=colour, lw=width, label=label)
        axes.set(xlabel="biological time (s)", ylabel="potential (units of 15 mV)")
        axes.set_title(title, loc="left")
    handles, labels = grid.flat[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=3)
    axes = grid.flat[3]
    fine = round(run.protocol.spec.spiking.step / run.protocol.spec.spiking.dt)
    error = np.square(data["soma"] - data["dendrite"]).reshape(-1, fine).mean(1)
    on = with_teacher.reshape(-1, fine)[:, 0]
    at = time.reshape(-1, fine)[:, 0] / 1000
    axes.plot(at[on], error[on], ".", ms=2, color=ARM_COLOURS[1])
    axes.set(
        xlabel="biological time (s)",
        ylabel="mean (U - V*)$^2$ (units of (15 mV)$^2$)",
        yscale="log",
    )
    axes.set_title("every pattern with the teacher on", loc="left")
    drawn.suptitle(f"{run.protocol.spec.name}: animal {animal}")
    return drawn

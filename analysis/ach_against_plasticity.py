"""ACh and the teaching signal against plasticity, over animals: when do weights change, by what?

    python analysis/ach_against_plasticity.py RUN [RUN ...] [--out figure.png]

a  ACh, teaching, raw and applied |dF| around every switch of phase, step by step.
b  The same around what begins or ends in an arm (silencing, a clamp), beside the reference arm.
c  Pearson's r of ACh and of teaching with |dF| of each layer over the steps in which F changes,
   from the branch on. Null: 95 % of r when one of the two is shifted in a circle by random steps.
d  Where single stimuli were recorded (record.samples): do those with high ACh teach more? r of the
   length of a stimulus' teaching signal with its ACh, within a batch. Null: the batch shuffled.

a, b and d are of the first run, c of all.
"""

import itertools
from collections.abc import Iterator
from dataclasses import astuple
from textwrap import fill

import numpy as np
import pandas as pd
from common import animals, arguments, opened, refusal, script

from neuro_aws.metrics.correlation import OF_SHIFTS, OF_SHUFFLES
from neuro_aws.metrics.statistics import FISHER, WILSON, estimate
from neuro_aws.plots import by_stimulus, event_panels, events, scatters
from neuro_aws.plots.style import ARM_COLOURS, WIDTH, Axes, Figure, figure, readable, save, styled
from neuro_aws.plots.traces import table
from neuro_aws.recording.reader import Run

MOST_EVENTS = 4
"""Columns of the figure."""

MOST_LAYERS = 3
"""Layers, from the bottom, drawn around events."""

AT_FIRST = 104
"""Steps after an event that its row of the table is about."""

MORE = ["r_of_label", "spread"]
"""Of single stimuli: r between those of one label, and how far their teaching varies."""


def one_branch(run: Run, animal: int, arm: str) -> Iterator[dict[str, object]]:
    """Yield one row for each layer, signal and kind of change, from the branch on."""
    frame = table(run, animal, arm)
    frame = frame[frame["step"] >= run.protocol.tree.arms[arm].branch]
    shares = {}
    for kind, suffix in scatters.KINDS.items():
        for layer in scatters.layers(frame):
            changes = frame[f"{layer}_{suffix}"].astype(float)
            total = changes.sum()
            wake = changes[frame["phase"] == "wake"].sum()
            shares[kind, layer.replace("layer", "layer ")] = wake / total if total else np.nan
    for row in scatters.correlations(frame).to_dict("records"):
        where: dict[str, object] = {"run": run.protocol.spec.name, "arm": arm, "animal": animal}
        share = shares[row["change"], row["layer"]]
        yield where | {str(k): v for k, v in row.items()} | {"wake_share": share}


def correlations_of(runs: list[Run]) -> pd.DataFrame:
    """Return the rows of every arm of every animal."""
    return pd.DataFrame(
        [
            row
            for run in runs
            for arm in run.arms
            for animal in run.animals
            for row in one_branch(run, animal, arm)
        ]
    )


def report(rows: pd.DataFrame) -> None:
    """Print where F changes, and what its changes correlate with."""
    keys = ["run", "arm"]
    print("share of applied feedforward change that happens in wake (the rest in REM);")
    print("mean and 95 % interval over animals (Wilson; none for one animal)")
    applied = rows[(rows["change"] == "applied") & (rows["signal"] == "ach")]
    for key, part in applied.groupby(keys, sort=False):
        shares = part.groupby("animal")["wake_share"].mean()
        print(f"  {' / '.join(map(str, key)):<56} {estimate(shares, kind=WILSON)}")
    print(
        "\nr with |dF|: mean and 95 % interval over animals, both through Fisher's z (none for\n"
        "one animal); null: mean range; beyond: animals whose r lies outside their own null"
    )
    for key, part in rows.groupby([*keys, "layer", "change", "signal"], sort=False):
        beyond = int(((part["r"] < part["null_low"]) | (part["r"] > part["null_high"])).sum())
        low, high = part["null_low"].mean(), part["null_high"].mean()
        print(
            f"  {' / '.join(map(str, key[:2])):<44} {key[2]} {key[3]:<8} {key[4]:<9} "
            f"{estimate(part['r'], kind=FISHER)!s:<28} null {low:+.2f} to {high:+.2f}  "
            f"beyond {beyond} of {len(part)}, n = {part['n'].mean():.0f}"
        )


def report_events(tables: events.Tables, found: list[events.Event]) -> None:
    """Print what every beginning and end does at first, in the arm and in its reference."""
    if not found:
        return
    print(
        f"\nthe {AT_FIRST} steps after an event: ACh in D, minus its mean before; teaching, raw\n"
        "and applied |dF| over the reference's mean before; mean and 95 % interval over animals"
    )
    for event in found:
        print(f"  {event.arm}, {event}, step {event.step}")
        for arm in dict.fromkeys([event.arm, event.reference]):
            ach, sizes = events.change_at_first(events.around(tables, event, arm), AT_FIRST)
            words = [f"{p} {estimate(v)}" for p, v in ach.items() if np.isfinite(v).any()]
            print(f"    {arm}: ACh in {'; in '.join(words)}")
            for layer in scatters.layers(tables(tables.run.animals[0], arm)):
                words = [f"{n} x {estimate(sizes[layer, s])}" for s, n in events.SIZES.items()]
                print(f"      {layer.replace('layer', 'layer ')}: {'; '.join(words)}")


def of_stimuli(run: Run) -> pd.DataFrame:
    """Return r of teaching with ACh within batches, from the branch on: a row an arm and layer."""
    rows = []
    for arm in run.arms:
        for animal in run.animals:
            samples = by_stimulus.recorded(run, animal, arm)
            if samples is None:
                continue
            samples = samples.sel(step=slice(run.protocol.tree.arms[arm].branch, None))
            for layer, teaching in by_stimulus.layers(samples).items():
                found = by_stimulus.relation(samples, teaching)
                inner = by_stimulus.relation_within_labels(samples, teaching)
                spread = np.median(teaching.std(1) / np.maximum(teaching.mean(1), 1e-30))
                within = np.nan if inner is None else inner.r
                rows.append((arm, animal, layer, *astuple(found), within, spread))
    columns = ["arm", "animal", "layer", "r", "null_low", "null_high", "n", *MORE]
    return pd.DataFrame(rows, columns=columns)


def report_stimuli(rows: pd.DataFrame) -> None:
    """Print whether stimuli with high ACh teach more."""
    if rows.empty:
        return
    print(
        "\nsingle stimuli in wake: r of |teaching| with ACh within a batch, from the branch on;\n"
        "mean and 95 % interval over animals; null: the batch shuffled; then r between stimuli of\n"
        "one label; then the spread of |teaching| in a batch, over its mean"
    )
    for (arm, layer), part in rows.groupby(["arm", "layer"], sort=False):
        if part["r"].isna().all():
            print(f"  {arm:<28} {layer} nothing teaches")
            continue
        beyond = int((part["r"].abs() > part["null_high"]).sum())
        print(
            f"  {arm:<28} {layer} {estimate(part['r'], kind=FISHER)!s:<24} "
            f"null +-{part['null_high'].mean():.3f}  beyond {beyond} of "
            f"{len(part)}, n = {part['n'].mean():.0f}; one label "
            f"{estimate(part['r_of_label'], kind=FISHER)}; {estimate(part['spread'])}"
        )


class Page:
    """The figure: blocks from top to bottom, each with a letter and a heading."""

    def __init__(self, heights: list[float]) -> None:
        self.drawn = figure(WIDTH, sum(heights) + 0.4)
        self._places = self.drawn.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)
        self._next = 0

    def block(self, heading: str) -> Figure:
        """Return the next block."""
        place = self._places[self._next, 0]
        place.suptitle(f"{'abcd'[self._next]}   {heading}", x=0.01, ha="left", fontsize=7.5)
        self._next += 1
        return place  # type: ignore[no-any-return]


def draw(
    rows: pd.DataFrame, tables: events.Tables, found: list[events.Event], stimuli: pd.DataFrame
) -> Figure:
    """Draw all there is to see on one page."""
    run = tables.run
    layers = scatters.layers(tables(run.animals[0], run.arms[0]))[:MOST_LAYERS]
    shown = events.chosen(found, MOST_EVENTS)
    arms = list(dict.fromkeys(zip(rows["run"], rows["arm"], strict=True)))
    heights = [2.2, *([0.7 + 0.85 * (1 + len(layers))] if shown else [])]
    heights += [1.25 + 0.16 * len(arms), *([] if stimuli.empty else [1.9])]
    page, usual = Page(heights), unperturbed(run)
    place = page.block(f"Around every switch of phase, {readable(usual)}")
    start = run.protocol.tree.arms[usual].branch
    event_panels.draw_switches(place, events.switches(tables, usual, start))
    if shown:
        place = page.block("Around what begins or ends in an arm")
        event_panels.draw_events(place, tables, shown, layers)
    _correlations(page.block("Over the steps in which F changes; grey: the null"), rows, arms)
    if not stimuli.empty:
        place = page.block("Do stimuli with high ACh teach more? Within a batch; grey: the null")
        _stimuli(place, run, usual, stimuli)
    many = "mean and 95 % interval over" if len(run.animals) > 1 else "no interval,"
    page.drawn.suptitle(f"{run.protocol.spec.name}: ACh against plasticity; {many} {animals(run)}")
    nulls = f"Null in c: {OF_SHIFTS}."
    nulls += "" if stimuli.empty else f" In d: {OF_SHUFFLES}."
    below = [fill(line, 140) for line in (scatters.optimiser(run.protocol.spec), nulls)]
    page.drawn.supxlabel("\n".join(below), fontsize=6)
    return page.drawn


def unperturbed(run: Run) -> str:
    """Return the arm that the first one is compared with."""
    reference = run.protocol.tree.arms[run.arms[0]].reference
    return reference if reference in run.arms else run.arms[0]


def _points(axes: Axes, groups: list[tuple[str, pd.DataFrame]]) -> None:
    """Draw r of every animal by layer over the null, a line a group."""
    for i, (_, group) in enumerate(groups):
        for k, (layer, part) in enumerate(group.groupby("layer")):
            y, colour = i + 0.3 * k - 0.15, ARM_COLOURS[k % len(ARM_COLOURS)]
            null = [part["null_low"].mean(), part["null_high"].mean()]
            axes.plot(null, [y, y], color="#C8C8C8", lw=3, solid_capstyle="butt", zorder=0)
            axes.plot(part["r"], [y] * len(part), ".", ms=3.5, color=colour, label=str(layer))
        if group["r"].isna().all():
            axes.text(0, i, "does not vary", ha="center", va="center", fontsize=5.5, color="0.5")
    axes.axvline(0, color="#BBBBBB", lw=0.6, zorder=0)
    axes.set_yticks(range(len(groups)), [readable(name) for name, _ in groups], fontsize=6)
    axes.set_ylim(len(groups) - 0.5, -0.5)


def _layer_legend(place: Figure, axes: Axes) -> None:
    found = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    event_panels.beside(place, list(found.values()), list(found))


def _correlations(place: Figure, rows: pd.DataFrame, arms: list[tuple[str, str]]) -> None:
    panels = place.subplots(1, 4, sharey=True)
    several = len({run for run, _ in arms}) > 1
    for axes, (change, signal) in zip(
        panels, itertools.product(scatters.KINDS, scatters.SIGNALS), strict=True
    ):
        part = rows[(rows["change"] == change) & (rows["signal"] == signal)]
        groups = [
            (f"{run}\n{arm}" if several else arm, part[(part["run"] == run) & (part["arm"] == arm)])
            for run, arm in arms
        ]
        _points(axes, groups)
        name = "ACh" if signal == "ach" else "teaching"
        axes.set(xlim=(-1.05, 1.05), xlabel=f"r of {name} with\n{change} |dF|")
    n = f"{rows['n'].max():,} steps"
    panels[0].set_title(f"from the branch on, n = {n}; a point an animal", loc="left")
    _layer_legend(place, panels[0])


def _stimuli(place: Figure, run: Run, usual: str, stimuli: pd.DataFrame) -> None:
    left, right = place.subplots(1, 2)
    by_stimulus.over_time(left, run, usual)
    arms = dict.fromkeys(stimuli["arm"])
    _points(right, [(arm, stimuli[stimuli["arm"] == arm]) for arm in arms])
    most = max(0.3, 1.15 * float(stimuli["r"].abs().max()))
    right.set(xlim=(-most, most), xlabel="r of ACh and |teaching|")
    right.set_title(f"from the branch on; n = {stimuli['n'].max():,} stimuli an animal", loc="left")
    _layer_legend(place, left)


def main() -> None:
    """Print the tables and draw the figure."""
    options = arguments(__doc__, several=True).parse_args()
    runs = [opened(path) for path in options.run]
    for run in runs:
        if run.protocol.spec.backend != "rate":
            raise refusal(
                run, "records no plasticity by layer and step", "runs of the rate backend"
            )
    rows = correlations_of(runs)
    tables = events.Tables(runs[0])
    found = events.events(runs[0])
    stimuli = of_stimuli(runs[0])
    report(rows)
    report_events(tables, found)
    report_stimuli(stimuli)
    with styled():
        path = options.out or runs[0].folder / "figures" / "ach_against_plasticity.png"
        print("\nfigure", save(draw(rows, tables, found, stimuli), path))


if __name__ == "__main__":
    script(main)

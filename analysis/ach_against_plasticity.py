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
from neuro_aws.plots import by_arm, by_stimulus, event_panels, events, scatters
from neuro_aws.plots.hypnogram import PHASE_NAMES
from neuro_aws.plots.page import Page
from neuro_aws.plots.style import Figure, readable, save, styled
from neuro_aws.plots.traces import table
from neuro_aws.recording.reader import Run

MOST_EVENTS = 4
"""Columns of the figure."""

MOST_LAYERS = 3
"""Layers, from the bottom, drawn around events."""

WINDOWS = ((0, 104), (520, 624))
"""Steps after an event that the table is about."""

Switches = dict[tuple[str, str], events.Locked]

LINE = 0.08
"""Inches of a layer's points in an arm."""

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
        where = f"{' / '.join(map(str, key[:2])):<44} {key[2]} {key[3]:<8} {key[4]:<9}"
        if part["r"].isna().all():
            print(f"  {where} does not vary")
            continue
        beyond = int(((part["r"] < part["null_low"]) | (part["r"] > part["null_high"])).sum())
        low, high = part["null_low"].mean(), part["null_high"].mean()
        print(
            f"  {where} {estimate(part['r'], kind=FISHER)!s:<28} null {low:+.2f} to {high:+.2f}  "
            f"beyond {beyond} of {len(part)}, n = {part['n'].mean():.0f}"
        )


def report_switches(found: Switches, arm: str) -> None:
    """Print ACh and the sizes in the step after each switch of phase."""
    print(
        f"\n{arm}, the step after a switch of phase: ACh in D over its mean in REM; teaching, raw\n"
        "and applied |dF| over their mean where F learns; mean and 95 % interval over animals"
    )
    for (old, new), locked in found.items():
        after = int(np.flatnonzero(locked.lags == 0)[0])
        words = [f"ACh {estimate(locked.ach[new][:, after])}"]
        words += [
            f"{name} {estimate(locked.sizes['', signal][:, after])}"
            for signal, name in events.SIZES.items()
        ]
        print(f"  {PHASE_NAMES[old]} to {PHASE_NAMES[new]}: {'; '.join(words)}")


def report_events(tables: events.Tables, found: list[events.Event]) -> None:
    """Print what every beginning and end does, at first and later, beside the reference."""
    if not found:
        return
    print(
        "\nsteps after an event: ACh in D, minus its mean before; teaching, raw and applied |dF|\n"
        "over the reference's mean before; mean and 95 % interval over animals"
    )
    printed: set[tuple[str, int]] = set()
    for event in found:
        print(f"  {event.arm}, {event}, step {event.step}")
        for arm in dict.fromkeys([event.arm, event.reference]):
            if (arm, event.step) in printed:
                continue  # a reference of several arms
            printed.add((arm, event.step))
            locked = events.around(tables, event, arm)
            for start, stop in WINDOWS:
                ach, sizes = events.change(locked, start, stop)
                words = [
                    f"{PHASE_NAMES[p]} {estimate(v)}"
                    for p, v in ach.items()
                    if np.isfinite(v).any()
                ]
                if not words:
                    continue  # beyond the run
                print(f"    {arm}, {start} to {stop - 1}: ACh in {'; in '.join(words)}")
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


def report_ages(run: Run, arm: str) -> None:
    """Print the same over the whole run."""
    edges, found = by_stimulus.course(run, arm)
    for layer, values in found.items():
        ages = [estimate(column, kind=FISHER) for column in values.T]
        print(f"  {arm}, {layer}, mean in each {len(ages)}th of its {edges[-1]:.0f} steps:")
        print("    " + " ".join(f"{age.mean:+.2f}" for age in ages))


def draw(
    rows: pd.DataFrame,
    tables: events.Tables,
    turns: Switches,
    found: list[events.Event],
    stimuli: pd.DataFrame,
) -> Figure:
    """Draw all there is to see on one page."""
    run = tables.run
    layers = scatters.layers(tables(run.animals[0], run.arms[0]))[:MOST_LAYERS]
    shown = events.chosen(found, MOST_EVENTS)
    arms = list(dict.fromkeys(zip(rows["run"], rows["arm"], strict=True)))
    heights = [2.2, *([0.7 + 0.85 * (1 + len(layers))] if shown else [])]
    rowed = LINE * len(arms) * rows["layer"].nunique()
    heights += [1.25 + rowed, *([] if stimuli.empty else [max(1.9, 0.8 + rowed)])]
    page, usual = Page(heights), unperturbed(run)
    place = page.block(f"Around every switch of phase, {readable(usual)}")
    event_panels.draw_switches(place, turns)
    if shown:
        place = page.block("Around what begins or ends in an arm")
        event_panels.draw_events(place, tables, shown, layers)
    _correlations(
        page.block("Correlation over the steps in which F changes; grey: the null"), rows, arms
    )
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
        by_arm.points(axes, groups)
        name = "ACh" if signal == "ach" else "teaching"
        axes.set(xlim=(-1.05, 1.05), xlabel=f"r of {name} with\n{change} |dF|")
    n = f"{rows['n'].max():,} steps"
    panels[0].set_title(f"from the branch on, n = {n}; a point an animal", loc="left")
    by_arm.layer_legend(place, panels[0])


def _stimuli(place: Figure, run: Run, usual: str, stimuli: pd.DataFrame) -> None:
    left, right = place.subplots(1, 2)
    by_stimulus.over_time(left, run, usual)
    arms = dict.fromkeys(stimuli["arm"])
    by_arm.points(right, [(arm, stimuli[stimuli["arm"] == arm]) for arm in arms])
    most = max(0.3, 1.15 * float(stimuli["r"].abs().max()))
    right.set(xlim=(-most, most), xlabel="r of ACh and |teaching|")
    right.set_title(f"from the branch on; n = {stimuli['n'].max():,} stimuli an animal", loc="left")
    by_arm.layer_legend(place, left)


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
    usual = unperturbed(runs[0])
    turns = events.switches(tables, usual, runs[0].protocol.tree.arms[usual].branch)
    report(rows)
    report_switches(turns, usual)
    report_events(tables, found)
    report_stimuli(stimuli)
    report_ages(runs[0], usual)
    with styled():
        path = options.out or runs[0].folder / "figures" / "ach_against_plasticity.png"
        print("\nfigure", save(draw(rows, tables, turns, found, stimuli), path))


if __name__ == "__main__":
    script(main)

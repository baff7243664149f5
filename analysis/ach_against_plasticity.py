"""ACh and the teaching signal against plasticity, over animals: when do weights change, by what?

    python analysis/ach_against_plasticity.py RUN [RUN ...] [--out figure.png]

For every arm: the share of feedforward change that happens in wake and in REM, and Pearson's r of
ACh and of the teaching signal with |dF| of each layer, step by step. The null of a correlation is
the 95 % range of r when one of the two is shifted in a circle by a random number of steps.
"""

import numpy as np
import pandas as pd
from common import arguments, opened, refusal, script

from neuro_aws.metrics.statistics import FISHER, WILSON, estimate
from neuro_aws.plots.style import WIDTH, Figure, figure, save, styled
from neuro_aws.plots.traces import correlation, table
from neuro_aws.recording.reader import Run

KINDS = {"applied": "_feedforward_applied", "raw": "_feedforward_raw"}


def one_branch(run: Run, animal: int, arm: str) -> list[dict[str, object]]:
    """Return one row for each layer, signal and kind of change, from the branch on."""
    frame = table(run, animal, arm)
    frame = frame[frame["step"] >= run.protocol.tree.arms[arm].branch]
    rows: list[dict[str, object]] = []
    for kind, suffix in KINDS.items():
        for column in [c for c in frame.columns if c.endswith(suffix)]:
            layer = column.removesuffix(suffix)
            total = frame[column].sum()
            wake = frame.loc[frame["phase"] == "wake", column].sum()
            changing = frame[frame[column] > 0]
            for signal in ("ach", f"{layer}_teaching"):
                found = correlation(
                    changing[signal].to_numpy(float), changing[column].to_numpy(float)
                )
                rows.append(
                    {
                        "run": run.protocol.spec.name,
                        "arm": arm,
                        "animal": animal,
                        "layer": layer.replace("layer", "layer "),
                        "change": kind,
                        "signal": "ACh" if signal == "ach" else "teaching",
                        "r": found.r,
                        "null_low": found.low,
                        "null_high": found.high,
                        "wake_share": wake / total if total else np.nan,
                    }
                )
    return rows


def report(rows: pd.DataFrame) -> None:
    """Print the tables."""
    keys = ["run", "arm"]
    print("share of applied feedforward change that happens in wake (the rest in REM);")
    print("mean and 95 % interval over animals (Wilson; none for one animal)")
    applied = rows[(rows["change"] == "applied") & (rows["signal"] == "ACh")]
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
            f"beyond {beyond} of {len(part)}"
        )


def draw(rows: pd.DataFrame) -> Figure:
    """Draw r of every animal against the null, by arm."""
    arms = list(dict.fromkeys(zip(rows["run"], rows["arm"], strict=True)))
    drawn = figure(WIDTH, 1.8 + 0.32 * len(arms))
    panels = drawn.subplots(1, 4, sharey=True)
    for axes, (change, signal) in zip(
        panels,
        [("raw", "ACh"), ("raw", "teaching"), ("applied", "ACh"), ("applied", "teaching")],
        strict=True,
    ):
        part = rows[(rows["change"] == change) & (rows["signal"] == signal)]
        for i, (run, arm) in enumerate(arms):
            mine = part[(part["run"] == run) & (part["arm"] == arm)]
            for k, (layer, group) in enumerate(mine.groupby("layer")):
                y = i + 0.3 * k - 0.15
                axes.plot(
                    [group["null_low"].mean(), group["null_high"].mean()],
                    [y, y],
                    color="#C8C8C8",
                    lw=5,
                    solid_capstyle="butt",
                    zorder=0,
                )
                axes.plot(
                    group["r"],
                    [y] * len(group),
                    ".",
                    ms=4,
                    color=("#0072B2", "#D55E00")[k % 2],
                    label=str(layer) if i == 0 else None,
                )
        axes.axvline(0, color="#BBBBBB", lw=0.6, zorder=0)
        axes.set(xlim=(-1.05, 1.05), xlabel=f"correlation of {signal}\nwith {change} |dF|")
    labels = [f"{arm}" if len({a[0] for a in arms}) == 1 else f"{run}\n{arm}" for run, arm in arms]
    panels[0].set_yticks(
        range(len(arms)), [label.replace("_", " ") for label in labels], fontsize=6
    )
    panels[0].invert_yaxis()
    handles, names = panels[0].get_legend_handles_labels()
    drawn.legend(handles, names, loc="outside lower center", ncols=4)
    drawn.suptitle(
        "ACh and teaching against |dF|, step by step: points animals, grey the shuffled "
        "null (95 %)",
    )
    return drawn


def main() -> None:
    """Print the tables and draw the figure."""
    options = arguments(__doc__, several=True).parse_args()
    runs = [opened(path) for path in options.run]
    for run in runs:
        if run.protocol.spec.backend != "rate":
            raise refusal(
                run, "records no plasticity by layer and step", "runs of the rate backend"
            )
    rows = pd.DataFrame(
        [
            row
            for run in runs
            for arm in run.arms
            for animal in run.animals
            for row in one_branch(run, animal, arm)
        ]
    )
    report(rows)
    with styled():
        path = options.out or runs[0].folder / "figures" / "ach_against_plasticity.png"
        print("\nfigure", save(draw(rows), path))


if __name__ == "__main__":
    script(main)

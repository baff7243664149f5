"""Dose and response: waking activity against how many cells were scaled in REM, and by how much.

python analysis/rem_silencing_dose.py RUN [--out figure.png]
"""

import numpy as np
import pandas as pd
from common import animals, arguments, opened, refusal, script, values
from matplotlib.colors import TwoSlopeNorm

from neuro_aws.metrics.statistics import estimate
from neuro_aws.plots.style import WIDTH, Figure, figure, save, styled
from neuro_aws.recording.reader import Run

NAME = "target_activity_relative"


def doses(run: Run, metrics: pd.DataFrame) -> pd.DataFrame:
    """Return fraction, factor, and mean, interval of the targets' activity over control's."""
    rows = []
    for arm in run.arms:
        for p in run.protocol.tree.arms[arm].perturb:
            if p.cells is None or p.cells.targets is None:
                continue
            fraction = run.protocol.spec.targets[p.cells.targets].fraction
            if fraction is None:
                continue
            mine = values(metrics, arm, NAME, group=p.cells.targets)
            control = values(metrics, "control", NAME, group=p.cells.targets)
            others = values(metrics, arm, "spared_activity_relative", group=p.cells.targets)
            e = estimate(mine / control)
            rows.append((fraction, p.factor, e.mean, e.low, e.high, estimate(others).mean))
    columns = ["fraction", "factor", "mean", "low", "high", "non_target"]
    return pd.DataFrame(rows, columns=columns).sort_values(["fraction", "factor"])


def draw(run: Run, table: pd.DataFrame) -> Figure:
    """Draw the surface and the curves."""
    drawn = figure(WIDTH, 3.0)
    left, right = drawn.subplots(1, 2)
    grid = table.pivot_table(index="fraction", columns="factor", values="mean")
    scale = TwoSlopeNorm(1.0, 0.0, max(2.0, float(grid.to_numpy().max())))
    image = left.imshow(grid.to_numpy(), aspect="auto", origin="lower", cmap="RdBu_r", norm=scale)
    left.set_xticks(range(grid.shape[1]), [f"{f:g}" for f in grid.columns])
    left.set_yticks(range(grid.shape[0]), [f"{f:.0%}" for f in grid.index])
    left.set(xlabel="factor on REM activity", ylabel="share of layer 1 scaled")
    for (i, j), value in np.ndenumerate(grid.to_numpy()):
        dark = abs(scale(value) - 0.5) > 0.3
        colour = "white" if dark else "black"
        left.text(j, i, f"{value:.2f}", ha="center", va="center", color=colour)
    drawn.colorbar(image, ax=left, label="waking activity (control = 1)")
    unscaled = {"factor": 1.0, "mean": 1.0, "low": 1.0, "high": 1.0}
    for fraction, rows in table.groupby("fraction"):
        part = pd.concat([rows, pd.DataFrame([unscaled])]).sort_values("factor")
        errors = (part["mean"] - part["low"], part["high"] - part["mean"])
        right.errorbar(
            part["factor"],
            part["mean"],
            errors,
            marker=".",
            capsize=2,
            label=f"{fraction:.0%} of layer 1",
        )
    right.plot([1], [1], "k+", label="control (factor 1)")
    right.set(xlabel="factor on REM activity", ylabel="waking activity of targets\n(control = 1)")
    right.legend()
    bars = ", bars 95 % intervals over animals (Student's t)" if len(run.animals) > 1 else ""
    drawn.suptitle(f"Mean of {animals(run)}{bars}")
    return drawn


def main() -> None:
    """Print the table and draw the figure."""
    options = arguments(__doc__).parse_args()
    made_for = "protocols/rem_silencing_dose.yaml, or one like it"
    run = opened(options.run, made_for=made_for, arms=["control"], values=[NAME])
    table = doses(run, run.metrics)
    if table["fraction"].nunique() < 2 or table["factor"].nunique() < 2:
        raise refusal(run, "scales no cells by several factors and in several shares", made_for)
    print(f"{run.folder}: {animals(run)}; activity of targets over control's, Student's t")
    print(table.to_string(index=False, float_format="%.3f"))
    with styled():
        path = options.out or run.folder / "figures" / "rem_silencing_dose.png"
        print("\nfigure", save(draw(run, table), path))


if __name__ == "__main__":
    script(main)

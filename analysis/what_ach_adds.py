"""What ACh adds: every credit mode and both nulls, paired over animals.

    python analysis/what_ach_adds.py RUN [--out figure.png]

RUN is a run of protocols/what_ach_adds.yaml. Tests are paired differences to `frozen`: the KL alone
(`none`) is no harmless null, as it undoes the top layer.
`gain`: minus the same animal's value before anything was learnt.
"""

from textwrap import fill

import pandas as pd
from common import Report, arguments, described, initially, opened, script, values

from neuro_aws.metrics.initial import initial_values, only_gained
from neuro_aws.metrics.statistics import estimate, paired
from neuro_aws.plots import outcomes
from neuro_aws.plots.style import WIDTH, Figure, figure, save, styled
from neuro_aws.protocol import registry
from neuro_aws.recording.reader import Run

VALUES = [
    ("fresh_classifier", -1),
    ("ach_gap", -1),
    ("sliced_distance", 0),
    ("diversity", 0),
    ("reconstruction", 0),
    ("reconstruction", 1),
    ("linear_probe", 1),
    ("linear_probe", 2),
    ("linear_probe_noisy", 1),
    ("linear_probe_noisy", 2),
]
NULL = "frozen"


def tables(run: Run, metrics: pd.DataFrame) -> Report:
    """Return the tables."""
    report = Report()
    report.say(f"{run.folder}: {described(run, [name for name, _ in VALUES])}")
    for stretch in run.protocol.tree.arms[run.arms[0]].schedule.stretches:
        report.say(f"\nafter {stretch.stop // 2:,} pairs")
        rows = []
        for name, layer in VALUES:
            rows.append([f"{name}{f' {layer}' if layer >= 0 else ''}"])
            found = [values(metrics, arm, name, stretch.name, layer=layer) for arm in run.arms]
            rows[-1] += [str(estimate(of, name)) for of in found]
            if registry.value(name).gained:
                began = [initially(run, metrics, arm, name, layer) for arm in run.arms]
                rows.append(["  initially", *(str(estimate(of, name)) for of in began)])
                gains = [estimate(a - b) for a, b in zip(found, began, strict=True)]
                rows.append(["  gain", *map(str, gains)])
        report.say(pd.DataFrame(rows, columns=["value", *run.arms]).to_string(index=False))
        report.say(f"fresh classifier, paired difference to {NULL}; below 0: closer to a match")
        base = values(metrics, NULL, "fresh_classifier", stretch.name)
        for arm in run.arms:
            if arm != NULL:
                mine = values(metrics, arm, "fresh_classifier", stretch.name)
                report.test(f"{arm} - {NULL}", paired(mine, base))
    return report


def draw(run: Run, metrics: pd.DataFrame) -> Figure:
    """Draw every value at the end of each period."""
    chosen = [VALUES[i] for i in (0, 1, 2, 8)]
    stretches = run.protocol.tree.arms[run.arms[0]].schedule.stretches
    drawn = figure(WIDTH, (0.9 + 0.2 * len(run.arms)) * len(stretches) + 0.4)
    grid = drawn.subplots(len(stretches), len(chosen), squeeze=False)
    began = only_gained(initial_values(metrics, run.protocol.tree, run.arms))
    for row, stretch in zip(grid, stretches, strict=True):
        for axes, (name, layer) in zip(row, chosen, strict=True):
            part = metrics[(metrics["period"] == stretch.name) & (metrics["layer"] == layer)]
            part = part[part["step"] == stretch.stop]
            outcomes.at_end(axes, part, name, run.arms)
            outcomes.mark_initially_by_arm(axes, began[began["layer"] == layer], name, run.arms)
            where = f", layer {layer}" if layer >= 0 else ""
            axes.set_title(f"{stretch.stop // 2:,} pairs{where}", loc="left")
            if axes is not row[0]:
                axes.set_yticklabels([])
    names = [name for name, _ in chosen]
    about = described(run, names, differences=False)
    points = "points: animals; diamonds: before anything was learnt, mean"
    drawn.suptitle(fill(f"What ACh adds: {about}; {points}", 100))
    return drawn


def main() -> None:
    """Print the tables and draw the figure."""
    options = arguments(__doc__).parse_args()
    run = opened(
        options.run,
        made_for="protocols/what_ach_adds.yaml",
        arms=[NULL],
        values=sorted({name for name, _ in VALUES}),
    )
    metrics = run.metrics
    print(tables(run, metrics))
    with styled():
        path = options.out or run.folder / "figures" / "what_ach_adds.png"
        print("\nfigure", save(draw(run, metrics), path))


if __name__ == "__main__":
    script(main)

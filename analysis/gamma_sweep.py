"""Between a GAN and pure Adversarial Wake-Sleep: the paper's Figure 2.

python analysis/gamma_sweep.py RUN [--out figure.png]
"""

import numpy as np
import pandas as pd
from common import animals, arguments, initially, opened, refusal, script, values

from neuro_aws.plots.style import WIDTH, Figure, figure, save, styled
from neuro_aws.protocol import registry
from neuro_aws.protocol.theories_of_cortex import DoublyAdversarial
from neuro_aws.recording.reader import Run

MADE_FOR = "protocols/gamma_sweep.yaml"
NAMES = ["reconstruction", "frechet_classifier", "diversity", "svm_10fold", "linear_probe"]


def table_of(run: Run) -> pd.DataFrame:
    """Return gamma and, for each arm, every value of interest, mean over animals."""
    metrics = run.metrics
    rows = []
    for arm in run.arms:
        spec = run.protocol.tree.arms[arm].spec
        if not isinstance(spec.algorithm, DoublyAdversarial):
            raise refusal(run, f"has an arm that is not doubly_adversarial: {arm}", MADE_FOR)
        row: dict[str, float] = {"gamma": spec.algorithm.gamma}
        for i in range(len(spec.network.layers) - 1):
            row[f"unexplained {i}"] = values(metrics, arm, "reconstruction", layer=i).mean()
        row["frechet"] = values(metrics, arm, "frechet_classifier", layer=0).mean()
        row["diversity"] = values(metrics, arm, "diversity", layer=0).mean()
        below_top = len(spec.network.layers) - 2
        for name in ("svm_10fold", "svm_10fold_spread", "linear_probe"):
            row[name] = values(metrics, arm, name, layer=below_top).mean()
            if registry.value(name).gained:
                row[f"{name} initially"] = initially(run, metrics, arm, name, below_top).mean()
        rows.append(row)
    return pd.DataFrame(rows).sort_values("gamma", ignore_index=True)


def draw(table: pd.DataFrame, run: Run) -> Figure:
    """Draw reconstruction by layer, Frechet distance, and decodability against gamma."""
    drawn = figure(WIDTH, 2.6)
    left, middle, right = drawn.subplots(1, 3)
    at = np.arange(len(table))
    layers = [c for c in table.columns if c.startswith("unexplained")]
    for column in layers:
        left.plot(at, table[column], marker=".", label=f"layer {column.split()[1]}")
    left.axhline(1.0, color="0.7", linewidth=0.8)
    left.set_ylabel("unexplained variance (share),\none layer up and down")
    left.legend(ncols=2)
    middle.plot(at, table["frechet"], marker=".", color="#D55E00")
    middle.set_ylabel("Frechet distance (squared units of\nthe default classifier's features)")
    middle.set_yscale("log")
    bars = table["svm_10fold_spread"]
    right.errorbar(at, table["svm_10fold"], bars, marker=".", capsize=2, label="SVM, 10 folds (sd)")
    right.plot(at, table["linear_probe"], marker=".", label="probe, training to held-out")
    for name, colour in (("svm_10fold", "C0"), ("linear_probe", "C1")):
        right.plot(at, table[f"{name} initially"], ":", color=colour)
    right.plot([], [], ":", color="0.5", label="before anything was learnt")
    right.set_ylabel("accuracy (share correct) on the\nlayer below the top")
    right.legend()
    for axes in (left, middle, right):
        axes.set_xticks(at, [f"{g:g}" for g in table["gamma"]])
        axes.set_xlabel("gamma (0 WGAN-GP, 1 pure AWS)")
    mean = "mean over " if len(run.animals) > 1 else ""
    drawn.suptitle(f"{run.protocol.spec.name}, {mean}{animals(run)}; bars: sd over folds")
    return drawn


def main() -> None:
    """Print the table and draw the figure."""
    options = arguments(__doc__).parse_args()
    run = opened(options.run, made_for=MADE_FOR, values=NAMES)
    table = table_of(run)
    print(f"{run.folder}: {animals(run)}")
    print(table.to_string(index=False, float_format="%.3f"))
    with styled():
        path = options.out or run.folder / "figures" / "gamma_sweep.png"
        print("\nfigure", save(draw(table, run), path))


if __name__ == "__main__":
    script(main)

"""What networks dream and what they predict of what they see: the paper's Figures 1 B-D and 4.

python analysis/samples.py RUN [RUN ...] [--out figure.png]
"""

from common import arguments, opened, refusal, script, values

from neuro_aws.plots.images import show, strip, tiled
from neuro_aws.plots.style import Figure, figure, save, styled
from neuro_aws.recording.reader import Run

COLUMNS = 8


def branches(runs: list[Run]) -> list[tuple[Run, str]]:
    """Return every arm of every run that has pictures; refuse runs that have none."""
    found = [(run, arm) for run in runs for arm in run.arms]
    for run, arm in found:
        if not run.protocol.tree.arms[arm].spec.network.dcgan:
            made_for = "runs of convolutional networks, such as protocols/digits_dcgan.yaml"
            raise refusal(run, f"has no pictures in {arm}: no convolutional network", made_for)
    return found


def draw(found: list[tuple[Run, str]]) -> Figure:
    """Draw a column for each arm: dreams at the end, and predictions by depth."""
    drawn = figure(2.6 * len(found) + 0.6, 5.0)
    grid = drawn.subplots(2, len(found), squeeze=False, height_ratios=[1.0, 0.85])
    for column, (run, arm) in enumerate(found):
        pictures = run.pictures(run.animals[0], arm).isel(step=-1)
        spec = run.protocol.tree.arms[arm].spec
        name = spec.name if len(run.arms) == 1 else f"{spec.name}\n{arm}"
        steps = f"{int(pictures.step):,} steps"
        show(grid[0, column], tiled(pictures.dreams.to_numpy(), COLUMNS), f"{name}\n{steps}")
        sheet = strip(pictures.predicted.to_numpy())
        depth = pictures.predicted.shape[1] - 1
        show(grid[1, column], sheet, "stimuli and what is predicted of them")
        rows = ["stimulus", *(f"{k} layer{'s' * (k > 1)}" for k in range(1, depth + 1))]
        axes, high = grid[1, column], sheet.shape[0] / len(rows)
        axes.set_yticks([(k + 0.5) * high for k in range(len(rows))], rows, fontsize=6)
        axes.tick_params(length=0)
    grid[0, 0].set_ylabel("dreams")
    grid[1, 0].set_ylabel("up and down again")
    return drawn


def main() -> None:
    """Print what is known of the samples and draw them."""
    options = arguments(__doc__, several=True).parse_args()
    found = branches([opened(path) for path in options.run])
    print("dreams at the end (diversity: spread over the data's; distance: see docs/measures.md)")
    for run, arm in found:
        metrics = run.metrics
        line = f"{run.protocol.spec.name:28s} {arm:12s}"
        for name in ("diversity", "frechet_classifier", "frechet_classifier_real"):
            value = values(metrics, arm, name, layer=0)
            line += f" {name} {value.mean():.3g}" if len(value) else ""
        print(line)
    with styled():
        path = options.out or found[0][0].folder / "figures" / "samples.png"
        print("\nfigure", save(draw(found), path))


if __name__ == "__main__":
    script(main)

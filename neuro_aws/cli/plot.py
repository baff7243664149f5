"""neuro-aws plot."""

from pathlib import Path

import click

from neuro_aws.cli.say import say
from neuro_aws.errors import NeuroAWSError, clipped


@click.command("plot")
@click.argument("run")
@click.option(
    "--traces", help="Comma-separated: ach, release, gate, teaching, plasticity, raw, ..."
)
@click.option(
    "--receptive-fields",
    is_flag=True,
    help="Feedforward weights into cells of layer 1 as pictures, at the branch and at the end.",
)
@click.option("--animal", type=int, help="Animal; default: the first.")
@click.option("--arm", help="Arm; default: the first.")
@click.option("--csv", "csv_path", type=click.Path(dir_okay=False), help="Export what is drawn.")
@click.option("--out", type=click.Path(dir_okay=False), help="Figure file; default: in the run.")
def command(
    run: str,
    traces: str | None,
    receptive_fields: bool,
    animal: int | None,
    arm: str | None,
    csv_path: str | None,
    out: str | None,
) -> None:
    """Draw the figures of RUN: measures by arm, and ACh against plasticity.

    With --arm, --animal or --traces: one arm of one animal. Time courses under a hypnogram, the
    scatter of ACh and of the teaching signal against raw and applied |dF| by layer with its
    correlation and null and, where single stimuli were recorded, each one's teaching against its
    ACh. --csv writes animal, arm, period, phase, step, and the traces.

    \b
    neuro-aws plot runs/quickstart/20260101-120000-s0
    neuro-aws plot RUN --traces ach,gate,plasticity --arm rem_silenced --csv traces.csv
    neuro-aws plot RUN --receptive-fields --animal 1
    """
    from neuro_aws.plots import figures, scatters
    from neuro_aws.plots import traces as drawing
    from neuro_aws.plots.style import save
    from neuro_aws.recording.reader import open_run

    opened = open_run(run)
    if receptive_fields and (traces or csv_path):
        raise NeuroAWSError(
            "stands without --traces and --csv",
            where="--receptive-fields",
            next_step="Draw them one after the other",
        )
    chosen = receptive_fields or arm or csv_path or out or animal is not None
    if traces is None and not chosen:
        for path in figures.draw_run(opened):
            say(path)
        return
    animal = opened.animals[0] if animal is None else animal
    arms, arm = (opened.arms, opened.arms[0]) if arm is None else ([arm], arm)
    if arm not in opened.arms:
        raise NeuroAWSError(
            f"no arm {clipped(arm)!r}",
            where="--arm",
            next_step="Arms: " + clipped(", ".join(opened.arms), 400),
        )
    if receptive_fields:
        default = Path(run) / "figures" / f"receptive_fields_s{animal}.png"
        pictured = figures.fields_figure(opened, animal, arms)
        say(save(pictured, Path(out) if out else default))
        return
    wanted = [t.strip() for t in traces.split(",")] if traces else drawing.DEFAULT_TRACES
    drawn = figures.traces_figure(opened, animal, arm, wanted)
    default = Path(run) / "figures" / f"traces_s{animal}_{arm}.png"
    say(save(drawn, Path(out) if out else default))
    frame = drawing.table(opened, animal, arm)
    plastic = bool(drawing.series(frame, "plasticity"))
    if csv_path:
        kept = (
            drawing.drawn_columns(frame, wanted) if plastic else frame.drop(columns=scatters.FACTOR)
        )
        kept.to_csv(csv_path, index=False)
        say(csv_path)
    if plastic:
        say(scatters.correlations(frame).to_string(index=False, float_format="%.3f"))

"""neuro-aws evaluate."""

import click


@click.command("evaluate")
@click.argument("run")
@click.option("--measure", "measures", help="Comma-separated; default: all that fit the stimulus.")
@click.option("--arm", help="One arm; default: all.")
@click.option(
    "--repeats",
    default=3,
    show_default=True,
    type=click.IntRange(1),
    help="Splits or starts of trained measures.",
)
def command(run: str, measures: str | None, arm: str | None, repeats: int) -> None:
    """Measure the final states of RUN (noise and plasticity off, held-out stimuli).

    Rows go to evaluation.csv in the run folder.

    \b
    neuro-aws evaluate RUN
    neuro-aws evaluate RUN --measure linear_probe,fresh_classifier --arm control
    """
    from neuro_aws import evaluation, results
    from neuro_aws.commands import tables
    from neuro_aws.recording.reader import open_run

    opened = open_run(run)
    names = [m.strip() for m in measures.split(",")] if measures else None
    rows = evaluation.evaluate(opened, names, arm, repeats)
    path = opened.folder / "evaluation.csv"
    rows.to_csv(path, index=False)
    console = tables.console()
    arms = [a for a in opened.arms if a in set(rows["arm"])]
    console.print(tables.results(results.summary(rows), arms, len(opened.animals)))
    console.print(f"rows        {path}", highlight=False, soft_wrap=True)

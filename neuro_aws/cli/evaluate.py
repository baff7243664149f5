"""neuro-aws evaluate."""

import click

from neuro_aws.cli.ranges import REPEATS, SAMPLES
from neuro_aws.cli.say import show


@click.command("evaluate")
@click.argument("run")
@click.option("--measure", "measures", help="Comma-separated; default: all that fit the stimulus.")
@click.option("--arm", help="One arm; default: all.")
@click.option(
    "--repeats",
    default=3,
    show_default=True,
    type=REPEATS,
    help="Splits or starts of trained measures.",
)
@click.option(
    "--extractor", help="TorchScript features for Frechet distances; default: a classifier."
)
@click.option("--samples", type=SAMPLES, help="Dreams for Frechet distances.")
@click.option("--device", default="cpu", show_default=True, help="auto, cpu or cuda.")
@click.option(
    "--data", type=click.Path(), help="Folder that holds mnist/ and other data; default: the run's."
)
@click.option("--allow-code", is_flag=True, help="Import code of your own that the run names.")
@click.option("--state", default="final", show_default=True, help="final, best, or a kept step.")
def command(
    run: str,
    measures: str | None,
    arm: str | None,
    repeats: int,
    extractor: str | None,
    samples: int | None,
    device: str,
    data: str | None,
    allow_code: bool,
    state: str,
) -> None:
    """Measure the final states of RUN (plasticity off, held-out stimuli).

    Probes are taken of the initial network too: random weights already give much of them. Rows go
    to evaluation.csv and evaluation.json in the run folder.

    \b
    neuro-aws evaluate RUN
    neuro-aws evaluate RUN --measure linear_probe,fresh_classifier --arm control
    neuro-aws evaluate RUN --extractor inception.ts --samples 10000
    """
    from neuro_aws.cli import tables
    from neuro_aws.cli.consent import consented
    from neuro_aws.experiment import evaluate as evaluation
    from neuro_aws.experiment import results
    from neuro_aws.recording.reader import open_run

    opened = open_run(run)
    if consented(opened.protocol, opened.provenance["protocol"], allow_code):
        opened = open_run(run, allow_code=True)
    names = [m.strip() for m in measures.split(",")] if measures else None
    options = evaluation.Options(repeats, samples, extractor, device, state, data)
    rows = evaluation.evaluate(opened, names, arm, options, initially=True)
    path = opened.folder / "evaluation.csv"
    rows.to_csv(path, index=False)
    rows.to_json(path.with_suffix(".json"), orient="records", indent=1)
    console = tables.console()
    arms = [a for a in opened.arms if a in set(rows["arm"])]
    gains = results.since_initialisation(opened, rows)
    table = results.at_end(results.summary(rows))
    console.print(tables.results(table, arms, len(opened.animals), gains=gains))
    show(console, f"rows        {path}")

"""neuro-aws report."""

import click

from neuro_aws.cli.say import say


@click.command("report")
@click.argument("run")
@click.option("--animal", type=int, help="Whose time courses are drawn; default: the first.")
@click.option(
    "--output", type=click.Path(dir_okay=False), help="The page; default: report.html in the run."
)
def command(run: str, animal: int | None, output: str | None) -> None:
    """Write one page about RUN that can be sent: HTML that needs nothing but a browser.

    What was asked and found in sentences, measures by arm, time courses to zoom, averages around
    events, dreams, receptive fields, provenance, how to reproduce it. Needs bokeh:
    pip install 'neuro-aws[report]'.

    \b
    neuro-aws report runs/quickstart/20260101-120000-s0
    neuro-aws report RUN --animal 3 --output page.html
    """
    from neuro_aws.report.make import report

    say(report(run, output, animal))

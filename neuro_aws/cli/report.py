"""neuro-aws report."""

from functools import partial

import click

from neuro_aws.cli import options
from neuro_aws.cli.say import say


@click.command("report")
@click.argument("folder")
@click.option(
    "--animal", type=int, help="Of a run: whose time courses are drawn; default: the first."
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False),
    help="The page; default: report.html in the folder.",
)
@options.allow_code
def command(folder: str, animal: int | None, output: str | None, allow_code: bool) -> None:
    """Write one page about FOLDER that can be sent: HTML that needs nothing but a browser.

    FOLDER is a run, a sweep or a matrix. What was asked and found in sentences, figures to point
    at with their numbers behind them, provenance, how to reproduce it. Needs bokeh:
    pip install 'neuro-aws[report]'.

    \b
    neuro-aws report runs/quickstart/20260101-120000-s0
    neuro-aws report runs/prediction_matrix/20260101-120000-s0
    neuro-aws report sweeps/quickstart/0123abcd --output page.html
    """
    from neuro_aws.cli.consent import matrix_with_code
    from neuro_aws.report.make import report

    consent = partial(matrix_with_code, allow_code=allow_code)
    say(report(folder, output, animal, consent=consent))

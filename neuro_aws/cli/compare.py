"""neuro-aws compare."""

import click

from neuro_aws.cli.say import say


@click.command("compare")
@click.argument("first")
@click.argument("second")
def command(first: str, second: str) -> None:
    """Compare runs FIRST and SECOND: settings, recordings bit by bit, and measures.

    \b
    neuro-aws compare runs/quickstart/20260101-120000-s0 runs/quickstart/20260101-130000-s0
    """
    from neuro_aws.cli import tables
    from neuro_aws.experiment.compare import bits, measures, settings
    from neuro_aws.recording.reader import open_run

    a, b = open_run(first), open_run(second)
    changed = settings(a, b)
    say("settings: " + ("the same" if not changed else f"{len(changed)} differ"))
    for line in changed:
        say(f"  {line}")
    for line in bits(a, b):
        say(line)
    table = measures(a, b)
    if len(table):
        tables.console().print(tables.comparison(table))

"""neuro-aws merge."""

import click

from neuro_aws.cli import options
from neuro_aws.cli.say import say, show


@click.command("merge")
@click.argument("runs", nargs=-1, required=True)
@options.out
def command(runs: tuple[str, ...], out: str) -> None:
    """Join finished RUNS of one protocol into a new run: other animals, or other arms.

    \b
    neuro-aws merge runs/quickstart/20260101-120000-s0 runs/quickstart/20260101-130000-s8
    """
    from neuro_aws.cli import tables
    from neuro_aws.cli.show_results import show_results
    from neuro_aws.experiment.merge import merge, notes
    from neuro_aws.recording.reader import open_run

    merged = merge(runs, out)
    for note in notes([open_run(folder) for folder in runs]):
        say(note, err=True)
    console = tables.console()
    show_results(console, merged)
    show(console, f"run folder  {merged.folder}")

"""What a run found, shown in a terminal: values by arm, alarms, and what was expected."""

from rich.console import Console

from neuro_aws.cli import tables
from neuro_aws.cli.say import show
from neuro_aws.experiment import results
from neuro_aws.recording.reader import Run


def show_results(console: Console, run: Run) -> None:
    """Print the table of results of a run, finished or not."""
    metrics = run.metrics
    table = results.at_end(results.summary(metrics))
    apart = results.against_reference(run, metrics)
    gains = results.since_initialisation(run, metrics)
    console.print(tables.results(table, run.arms, len(run.animals), apart, gains))
    for line in results.alarms(metrics):
        show(console, line, "bold red")
    judged = results.verdicts(run, metrics)
    if judged:
        console.print(tables.expectations(judged))

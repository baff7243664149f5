"""neuro-aws new."""

from importlib import resources
from pathlib import Path

import click

from neuro_aws.cli.say import say
from neuro_aws.errors import NeuroAWSError


@click.command("new")
@click.argument("path", type=click.Path(dir_okay=False))
def command(path: str) -> None:
    """Write a commented protocol to PATH, ready to run and to change.

    \b
    neuro-aws new my_experiment.yaml
    neuro-aws run my_experiment.yaml
    """
    target = Path(path)
    if target.exists():
        raise NeuroAWSError("exists already", where=path, next_step="Choose another name")
    text = resources.files("neuro_aws.protocol").joinpath("template.yaml").read_text("utf-8")
    try:
        with target.open("x", encoding="utf-8") as handle:
            handle.write(text)
    except OSError as error:
        raise NeuroAWSError(f"cannot write ({error.strerror})", where=path) from error
    say(f"{path} written; next: neuro-aws validate {path}")

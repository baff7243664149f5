"""neuro-aws new."""

from importlib import resources
from pathlib import Path

import click

from neuro_aws.cli.say import say
from neuro_aws.errors import NeuroAWSError


@click.command("new")
@click.argument("path", type=click.Path(dir_okay=False))
@click.option("--from", "model", metavar="NAME", help="Copy this one: see `list protocols`.")
def command(path: str, model: str | None) -> None:
    """Write a commented protocol to PATH, ready to run and to change.

    \b
    neuro-aws new my_experiment.yaml
    neuro-aws new my_experiment.yaml --from critical_period
    neuro-aws new my_matrix.yaml --from prediction_matrix
    neuro-aws run my_experiment.yaml
    """
    from neuro_aws.protocol.load import is_matrix, read
    from neuro_aws.protocol.shipped import file_of

    target = Path(path)
    if target.exists():
        raise NeuroAWSError("exists already", where=path, next_step="Choose another name")
    if model is None:
        text = resources.files("neuro_aws.protocol").joinpath("template.yaml").read_text("utf-8")
    else:
        text = read(file_of(model))
    next_step = f"matrix {path} --short" if is_matrix(text, path) else f"validate {path}"
    try:
        with target.open("x", encoding="utf-8") as handle:
            handle.write(text)
    except OSError as error:
        raise NeuroAWSError(f"cannot write ({error.strerror})", where=path) from error
    say(f"{path} written; next: neuro-aws {next_step}")

"""neuro-aws upgrade."""

from pathlib import Path

import click

from neuro_aws.cli.say import say
from neuro_aws.errors import NeuroAWSError


@click.command("upgrade")
@click.argument("files", nargs=-1, required=True)
def command(files: tuple[str, ...]) -> None:
    """Rewrite protocols FILES of an older version in place, and print what was changed.

    Comments and layout stay. What cannot be kept as it was is refused, and nothing is written.

    \b
    neuro-aws upgrade my_experiment.yaml
    neuro-aws upgrade experiments/*.yaml
    """
    from neuro_aws.protocol import Protocol
    from neuro_aws.protocol.load import read
    from neuro_aws.protocol.rewrite import upgraded

    for file in files:
        text, notes = upgraded(read(Path(file)), file)
        Protocol.from_text(text, file)
        try:
            Path(file).write_text(text, encoding="utf-8")
        except OSError as error:
            raise NeuroAWSError(f"cannot write ({error.strerror})", where=file) from error
        for note in notes:
            say(f"{file}: {note}")

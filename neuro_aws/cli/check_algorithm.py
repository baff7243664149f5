"""neuro-aws check-algorithm."""

from pathlib import Path

import click

from neuro_aws.cli.say import say
from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.entry import OWN


@click.command("check-algorithm")
@click.argument("name", metavar="MODULE:CLASS")
@click.option("--options", default="{}", show_default=True, help="Arguments of the class, as YAML.")
def command(name: str, options: str) -> None:
    """Hold an algorithm of your own, MODULE:CLASS, to the laws that every algorithm obeys.

    The module is looked for in this folder, then among the installed ones, and is imported. Prints
    one line a law; the exit code is 1 when one is broken.

    \b
    neuro-aws check-algorithm my_rules:Hebb
    neuro-aws check-algorithm my_rules:Hebb --options '{gain: 2.0}'
    """
    if not OWN.fullmatch(name):
        raise NeuroAWSError(f"{name!r} is no module:Class", next_step="e.g. my_rules:Hebb")
    from neuro_aws.experiment.conformance import PROTOCOL, maker, verdicts
    from neuro_aws.protocol import Protocol
    from neuro_aws.protocol.own_code import fetch

    fetch(name, Path.cwd())
    settings = [f"algorithm.name={name}", f"algorithm.options={options}"]
    protocol = Protocol.from_text(PROTOCOL, "check-algorithm", settings, allow_code=True)
    broken = 0
    for law, said in verdicts(maker(protocol)):
        broken += said is not None
        say(f"{'holds ' if said is None else 'BROKEN'}  {law}" + (f": {said}" if said else ""))
    if broken:
        raise NeuroAWSError(
            f"{name} breaks {broken} of the laws", next_step="See docs/extending.md"
        )

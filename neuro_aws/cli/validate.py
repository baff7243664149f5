"""neuro-aws validate. Must not import torch: a schedule is checked in the blink of an eye."""

import os

import click


@click.command("validate")
@click.argument("protocol")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="First animal.")
@click.option("--seeds", type=click.IntRange(1), help="Number of animals; default: the protocol's.")
@click.option(
    "--jobs", type=click.IntRange(1), help="Processes to reckon with; default: all cores."
)
@click.option("--set", "sets", multiple=True, metavar="KEY.PATH=VALUE", help="Change a setting.")
@click.option("--short", is_flag=True, help="Its short form, as `run --short` takes it.")
@click.option("--json-schema", is_flag=True, help="Print the JSON Schema of protocols and stop.")
def command(
    protocol: str,
    seed: int,
    seeds: int | None,
    jobs: int | None,
    sets: tuple[str, ...],
    short: bool,
    json_schema: bool,
) -> None:
    """Check PROTOCOL and print the resolved schedule, the targets, run time and file size.

    Targets are the very cells that `run` will use; layers, cells and cycles count from 0.

    \b
    neuro-aws validate protocols/critical_period.yaml
    neuro-aws validate protocols/quickstart.yaml --seed 7 --set seeds=1
    """
    from neuro_aws.protocol import Protocol
    from neuro_aws.protocol.cost import estimate
    from neuro_aws.protocol.describe import describe
    from neuro_aws.protocol.json_schema import text

    if json_schema:
        click.echo(text())
        return
    loaded = Protocol.load(protocol, sets, short=short)
    animals = loaded.animals(seed, seeds)
    for line in describe(loaded, animals):
        click.echo(line)
    lives = len(animals) * len(loaded.tree.arms)
    workers = jobs or min(os.cpu_count() or 1, lives)
    expected = estimate(loaded, len(animals), None, workers)
    click.echo(f"\nestimate: {expected}; {len(animals)} animals, {workers} processes, CPU")
    click.echo(f"{protocol}: valid")

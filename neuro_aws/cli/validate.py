"""neuro-aws validate. Must not import torch: a schedule is checked at once."""

import os

import click

from neuro_aws.cli.ranges import JOBS, SEED, SEEDS
from neuro_aws.cli.say import say


@click.command("validate")
@click.argument("protocol")
@click.option("--seed", default=0, show_default=True, type=SEED, help="First animal.")
@click.option("--seeds", type=SEEDS, help="Number of animals; default: the protocol's.")
@click.option("--jobs", type=JOBS, help="Processes to assume; default: all cores.")
@click.option("--set", "sets", multiple=True, metavar="KEY.PATH=VALUE", help="Change a setting.")
@click.option("--short", is_flag=True, help="Its short form, as `run --short` takes it.")
@click.option("--data", type=click.Path(), help="Folder that holds mnist/ and other data.")
@click.option("--allow-code", is_flag=True, help="Import code of your own that it names.")
@click.option("--json-schema", is_flag=True, help="Print the JSON Schema of protocols and stop.")
def command(
    protocol: str,
    seed: int,
    seeds: int | None,
    jobs: int | None,
    sets: tuple[str, ...],
    short: bool,
    data: str | None,
    allow_code: bool,
    json_schema: bool,
) -> None:
    """Check PROTOCOL and print the resolved schedule, the targets, run time and file size.

    Targets are the very cells that `run` will use; layers, cells and cycles count from 0. Valid
    means that it starts: data that is not there, modules that are missing and code of your own
    that does not fit are found here.

    \b
    neuro-aws validate critical_period
    neuro-aws validate my_experiment.yaml --allow-code
    neuro-aws validate quickstart --seed 7 --set seeds=1
    """
    from neuro_aws.backends.rate.forms import chosen
    from neuro_aws.cli.consent import with_code
    from neuro_aws.experiment.startable import refuse_what_would_not_start
    from neuro_aws.protocol import Protocol
    from neuro_aws.protocol.backends import backend_of
    from neuro_aws.protocol.consent import Request
    from neuro_aws.protocol.cost import estimate
    from neuro_aws.protocol.describe import describe
    from neuro_aws.protocol.json_schema import text
    from neuro_aws.protocol.start import fitting_processes

    if json_schema:
        say(text())
        return
    loaded = Protocol.load(protocol, sets, short=short)
    for line in Request.of(loaded, loaded.source).lines():
        say(f"code of your own: {line}")
    loaded = with_code(loaded, allow_code)
    loaded.refuse_unloaded()
    animals = loaded.animals(seed, seeds)
    branches = len(animals) * len(loaded.tree.arms)
    specs = (plan.initial for plan in loaded.tree.arms.values())
    workers = jobs or fitting_processes(specs, min(os.cpu_count() or 1, branches))
    refuse_what_would_not_start(loaded, data, min(workers, branches))
    for line in describe(loaded, animals):
        say(line)
    form = chosen(loaded)
    say(f"\nstep: {form}" if backend_of(loaded.spec).batches else "")
    expected = estimate(loaded, len(animals), None, workers, form.relative_time)
    say(f"estimate: {expected}; {len(animals)} animals, {workers} processes, CPU")
    say(f"{protocol}: valid")

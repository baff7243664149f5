"""Options that several commands take, each in the same words."""

import click

from neuro_aws.cli.ranges import JOBS, SAVE_EVERY, SEED, SEEDS
from neuro_aws.experiment.run import SAVE_SECONDS

FORMS = click.Choice(["auto", "compiled", "written-out"])

seed = click.option("--seed", default=0, show_default=True, type=SEED, help="First animal.")
seeds = click.option("--seeds", type=SEEDS, help="Number of animals; default: the protocol's.")
arms = click.option("--arms", help="Only these arms, separated by commas.")
jobs = click.option("--jobs", type=JOBS, help="Processes on this machine; default: all cores.")
device = click.option("--device", default="cpu", show_default=True, help="cpu, cuda or auto.")
data = click.option("--data", type=click.Path(), help="Folder that holds mnist/ and other data.")
out = click.option("--out", default="runs", show_default=True, help="Folder that holds the runs.")
short = click.option("--short", is_flag=True, help="The short form of the file: some seconds.")
allow_code = click.option(
    "--allow-code", is_flag=True, help="Import code of your own that it names."
)
sets = click.option(
    "--set", "sets", multiple=True, metavar="KEY.PATH=VALUE", help="Change a setting."
)
save_every = click.option(
    "--save-every",
    default=SAVE_SECONDS,
    show_default=True,
    type=SAVE_EVERY,
    help="Seconds between checkpoints.",
)

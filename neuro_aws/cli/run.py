"""neuro-aws run."""

import os
from dataclasses import replace
from pathlib import Path

import click

from neuro_aws.cli.ranges import JOBS, SEED, SEEDS
from neuro_aws.cli.say import show
from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.run import SAVE_SECONDS, Options


@click.command("run")
@click.argument("protocol", required=False)
@click.option("--resume", "resumed", metavar="RUN", help="Go on with a stopped or killed run.")
@click.option("--seed", default=0, show_default=True, type=SEED, help="First animal.")
@click.option("--seeds", type=SEEDS, help="Number of animals; default: the protocol's.")
@click.option("--arms", help="Only these arms, separated by commas.")
@click.option("--jobs", type=JOBS, help="Processes; default: all cores.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or auto.")
@click.option("--data", type=click.Path(), help="Folder that holds mnist/ and other data.")
@click.option("--out", default="runs", show_default=True, help="Folder that holds the runs.")
@click.option("--short", is_flag=True, help="The protocol's short form: some seconds.")
@click.option("--set", "sets", multiple=True, metavar="KEY.PATH=VALUE", help="Change a setting.")
@click.option("--allow-code", is_flag=True, help="Import code of your own that it names.")
@click.option(
    "--accept-loss", is_flag=True, help="With --resume: go on without lost parts of the recording."
)
@click.option(
    "--step",
    type=click.Choice(["auto", "compiled", "written-out"]),
    help="Form of the step; default: auto, compiled where it covers all arms.",
)
@click.option(
    "--save-every",
    default=SAVE_SECONDS,
    show_default=True,
    type=click.FloatRange(0.1),
    help="Seconds between checkpoints.",
)
def command(
    protocol: str | None,
    resumed: str | None,
    seed: int,
    seeds: int | None,
    arms: str | None,
    jobs: int | None,
    device: str,
    data: str | None,
    out: str,
    short: bool,
    sets: tuple[str, ...],
    allow_code: bool,
    accept_loss: bool,
    step: str | None,
    save_every: float,
) -> None:
    """Run PROTOCOL: all its arms in all its animals. It is a file, or a name of `list protocols`.

    \b
    neuro-aws run critical_period
    neuro-aws run critical_period --short
    neuro-aws run my_experiment.yaml --seeds 4 --jobs 2
    neuro-aws run quickstart --arms control --set network.noise.scale=0.3
    neuro-aws run --resume runs/quickstart/20260101-120000-s0
    neuro-aws run mnist_aws --data ~/data
    torchrun --nproc-per-node 2 -m neuro_aws run mnist_aws --data ~/data
    """
    from neuro_aws.backends.rate.build import device_of
    from neuro_aws.cli import tables
    from neuro_aws.cli.consent import consented, with_code
    from neuro_aws.cli.progress import Bar
    from neuro_aws.cli.show_results import show_results
    from neuro_aws.experiment import run as runner
    from neuro_aws.protocol import Protocol
    from neuro_aws.recording.reader import open_run

    if (protocol is None) == (resumed is None):
        raise NeuroAWSError("give a PROTOCOL, or --resume RUN", where="run")
    chosen = tuple(a.strip() for a in arms.split(",")) if arms else ()
    if accept_loss and resumed is None:
        raise NeuroAWSError("goes with --resume RUN only", where="--accept-loss")
    options = Options(
        seed=seed,
        seeds=seeds,
        jobs=jobs,
        device=str(device_of(device)),
        out=out,
        arms=chosen,
        save_seconds=save_every,
        data=data,
        accept_loss=accept_loss,
        step=step or "auto",
    )
    console = tables.console()
    bar = Bar(console)
    if resumed is not None:
        if sets or arms or seeds or seed or short or step:
            raise NeuroAWSError("a run keeps its settings; only --jobs and --data go with --resume")
        stopped = open_run(resumed)
        allowed = consented(stopped.protocol, stopped.provenance["protocol"], allow_code)
        options = replace(options, allow_code=allowed)
        finished = runner.resume(resumed, options=options, progress=bar)
    else:
        assert protocol is not None
        loaded = Protocol.load(protocol, sets, short=short)
        loaded = with_code(loaded, allow_code)
        finished = runner.run(loaded, options=options, progress=bar)
    if int(os.environ.get("RANK", "0")):
        return  # process 0 of a team reports
    show_results(console, finished)
    for figure in sorted(Path(finished.folder / "figures").glob("*.png")):
        show(console, f"figure      {figure}")
    show(console, f"run folder  {finished.folder}")

"""neuro-aws run."""

import os
from dataclasses import replace
from pathlib import Path

import click

from neuro_aws.cli import options
from neuro_aws.cli.say import show
from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.run import Options


@click.command("run")
@click.argument("protocol", required=False)
@click.option("--resume", "resumed", metavar="RUN", help="Go on with a stopped or killed run.")
@options.seed
@options.seeds
@options.arms
@options.jobs
@options.device
@options.data
@options.out
@options.short
@options.sets
@options.allow_code
@click.option(
    "--accept-loss", is_flag=True, help="With --resume: go on without lost parts of the recording."
)
@click.option(
    "--step",
    type=options.FORMS,
    help="Form of the step; default: auto, compiled where it covers all arms.",
)
@options.save_every
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
    named = tuple(a.strip() for a in arms.split(",")) if arms else ()
    if accept_loss and resumed is None:
        raise NeuroAWSError("goes with --resume RUN only", where="--accept-loss")
    chosen = Options(
        seed=seed,
        seeds=seeds,
        jobs=jobs,
        device=str(device_of(device)),
        out=out,
        arms=named,
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
        chosen = replace(chosen, allow_code=allowed)
        finished = runner.resume(resumed, options=chosen, progress=bar)
    else:
        assert protocol is not None
        loaded = Protocol.load(protocol, sets, short=short)
        loaded = with_code(loaded, allow_code)
        finished = runner.run(loaded, options=chosen, progress=bar)
    if int(os.environ.get("RANK", "0")):
        return  # process 0 of a team reports
    show_results(console, finished)
    for figure in sorted(Path(finished.folder / "figures").glob("*.png")):
        show(console, f"figure      {figure}")
    show(console, f"run folder  {finished.folder}")

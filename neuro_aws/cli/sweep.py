"""neuro-aws sweep."""

from collections.abc import Sequence
from pathlib import Path

import click

from neuro_aws.cli import options
from neuro_aws.cli.ranges import POINTS
from neuro_aws.cli.say import say, show
from neuro_aws.errors import NeuroAWSError, clipped

MOST_SAID = 20


@click.command("sweep")
@click.argument("protocol")
@click.option("--seeds", metavar="RANGE", help="Animals: 0-31, or 0,3,8-11; default: its own.")
@click.option(
    "--set", "sets", multiple=True, metavar="KEY.PATH=VALUE,...", help="Values of a setting."
)
@click.option("--zip", "zipped", is_flag=True, help="First values together, second ones, ...")
@click.option("--random", type=POINTS, metavar="N", help="N points of the grid, at random.")
@options.arms
@options.jobs
@click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler to use: tcp://host:8786.")
@options.device
@options.data
@click.option("--out", default="sweeps", show_default=True, help="Folder that holds the sweeps.")
@options.short
@options.allow_code
@click.option(
    "--step",
    default="auto",
    show_default=True,
    type=options.FORMS,
    help="Form of the step.",
)
@options.save_every
def command(
    protocol: str,
    seeds: str | None,
    sets: tuple[str, ...],
    zipped: bool,
    random: int | None,
    arms: str | None,
    jobs: int | None,
    scheduler: str | None,
    device: str,
    data: str | None,
    out: str,
    short: bool,
    allow_code: bool,
    step: str,
    save_every: float,
) -> None:
    """Run PROTOCOL at every point of a grid of settings, in every animal.

    A list is separated by commas; a value that has commas stands in brackets. What is finished is
    not run again, what fails is reported and the rest is finished: the same command goes on.

    \b
    neuro-aws sweep quickstart --seeds 0-31 --set network.noise.scale=0.1,0.2,0.3
    neuro-aws sweep quickstart --set 'network.layers=[64,32],[64,32,16]'
    neuro-aws sweep quickstart --scheduler tcp://127.0.0.1:8786 --seeds 0-7
    """
    from neuro_aws.cli import tables
    from neuro_aws.cli.consent import with_code
    from neuro_aws.cli.progress import Counted
    from neuro_aws.experiment import sweep, sweep_plan, sweep_table
    from neuro_aws.experiment.cluster import refuse_missing
    from neuro_aws.protocol import Protocol, grid
    from neuro_aws.protocol.load import read
    from neuro_aws.protocol.shipped import file_of

    if scheduler is not None and jobs is not None:
        raise NeuroAWSError("goes without --scheduler, which has its workers", where="--jobs")
    refuse_missing()
    path = file_of(protocol)
    text = read(path)  # once: the same for all points, whoever edits it meanwhile

    def load(overrides: Sequence[str]) -> Protocol:
        return with_code(Protocol.from_text(text, str(path), overrides, short=short), allow_code)

    how = sweep_plan.Options(
        out=out,
        jobs=jobs,
        scheduler=scheduler,
        data=data,
        device=device,
        save_seconds=save_every,
    )
    planned = sweep_plan.plan(
        grid.grid(sets, zipped=zipped, random=random),
        load,
        animals=None if seeds is None else grid.animals(seeds),
        arms=tuple(a.strip() for a in arms.split(",")) if arms else (),
        step=step,
        options=how,
    )
    console = tables.console()
    bar = Counted(console)

    def begun(folder: Path, left: int) -> None:
        show(console, f"sweep folder  {folder}")
        points, animals = len(planned.grid.points), len(planned.animals)
        show(console, f"runs          {points} points x {animals} animals, {left} to make")
        bar.begin(left)

    try:
        done = sweep.run(planned, how, begun=begun, report=lambda row: bar.add(row.ended))
    finally:
        bar.end()
    for name in (sweep_table.CSV, sweep_table.PARQUET, sweep_table.FIGURE):
        if (done.folder / name).exists():
            show(console, f"{Path(name).stem:<14}{done.folder / name}")
    finished, failed = len(done.finished), done.failed
    show(console, f"finished      {finished}, {done.skipped} of them before; failed {len(failed)}")
    for row in failed[:MOST_SAID]:
        where = f"animal {row.run.animal}, {sweep_plan.words(row.point)}"
        say(f"failed: {clipped(where, 200)}: {clipped(row.outcome.error, 300)}", err=True)
    if failed:
        raise NeuroAWSError(
            f"{len(failed)} of {len(done.rows)} runs failed; the others are finished",
            where=str(done.folder),
            next_step="The same command tries them again; manifest.json has all of them",
        )

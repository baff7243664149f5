"""neuro-aws matrix."""

from functools import partial

import click

from neuro_aws.cli import options
from neuro_aws.cli.ranges import SEED, SEEDS
from neuro_aws.cli.say import show
from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.run import Options


@click.command("matrix")
@click.argument("matrix", required=False)
@click.option(
    "--resume", "resumed", metavar="FOLDER", help="Go on with a matrix, or show it again."
)
@click.option("--seed", type=SEED, help="First animal; default: 0.")
@click.option("--seeds", type=SEEDS, help="Number of animals; default: the matrix's.")
@click.option("--theories", help="Run only these now, in this order, separated by commas.")
@options.jobs
@options.out
@options.data
@options.short
@options.sets
@click.option(
    "--compare", nargs=2, metavar="THEORY THEORY", help="Which experiment separates these two?"
)
@options.save_every
@options.allow_code
def command(
    matrix: str | None,
    resumed: str | None,
    seed: int | None,
    seeds: int | None,
    theories: str | None,
    jobs: int | None,
    out: str,
    data: str | None,
    short: bool,
    sets: tuple[str, ...],
    compare: tuple[str, str] | None,
    save_every: float,
    allow_code: bool,
) -> None:
    """Run MATRIX: theories by manipulations; then say which experiment separates two theories.

    Every block under every theory is an ordinary run below the folder of the matrix. Tables
    (matrix.csv and others) and figures lie in that folder. Cells of theories that have not been
    run yet are shown as such.

    \b
    neuro-aws matrix prediction_matrix
    neuro-aws matrix prediction_matrix --short
    neuro-aws matrix my_matrix.yaml --seeds 4 --jobs 2
    neuro-aws matrix --resume runs/prediction_matrix/20260101-120000-s0 --compare vae wake_sleep
    """
    from neuro_aws.cli import tables
    from neuro_aws.cli.consent import matrix_with_code
    from neuro_aws.cli.matrix_tables import show_matrix
    from neuro_aws.cli.progress import Bar
    from neuro_aws.experiment.matrix import run as runner
    from neuro_aws.experiment.matrix.expand import chosen, expand
    from neuro_aws.experiment.matrix.results import compared, write
    from neuro_aws.protocol.matrix import Matrix

    consent = partial(matrix_with_code, allow_code=allow_code)
    if (matrix is None) == (resumed is None):
        raise NeuroAWSError("give a MATRIX, or --resume FOLDER", where="matrix")
    if resumed is not None:
        if short or sets or seed is not None or seeds is not None:
            raise NeuroAWSError(
                "keeps its settings; --theories, --jobs, --data, --compare and --allow-code go "
                "with --resume"
            )
        study = runner.take_up(resumed, consent)
        pair = compared(study.matrix, compare)
        plans = expand(study.matrix)
        now = chosen(plans, theories)
    else:
        assert matrix is not None
        loaded = consent(Matrix.load(matrix, sets, short=short))
        pair = compared(loaded, compare)
        plans = expand(loaded)
        now = chosen(plans, theories)
        study = runner.begin(loaded, seed=seed or 0, seeds=seeds, out=out)
    console = tables.console()
    show(console, f"matrix      {study.folder}")
    how = Options(jobs=jobs, data=data, save_seconds=save_every)
    runner.carry_out(
        study,
        now,
        how,
        Bar(console),
        lambda at, of, plan, what: show(console, f"{at} of {of}     {plan.name}: {what}"),
    )
    found = write(study, plans, pair)
    show_matrix(console, study, found)

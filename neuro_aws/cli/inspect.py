"""neuro-aws inspect."""

from typing import TYPE_CHECKING

import click

from neuro_aws.cli.say import say
from neuro_aws.errors import NeuroAWSError

if TYPE_CHECKING:
    from neuro_aws.recording.reader import Run


MOST_ANIMALS, MOST_DAMAGED = 20, 20
"""Animals, and damaged files, that are listed."""


@click.command("inspect")
@click.argument("run")
@click.option("--datasets", is_flag=True, help="List every dataset of one branch.")
@click.option("--verify", is_flag=True, help="Read every file of it; name those that are damaged.")
@click.option("--results", "table", is_flag=True, help="The table of results, as `run` printed it.")
def command(run: str, datasets: bool, verify: bool, table: bool) -> None:
    """Show what RUN holds: how it was made, how it ended, what was recorded.

    Works on a finished run and on one that was killed.

    \b
    neuro-aws inspect runs/quickstart/20260101-120000-s0
    neuro-aws inspect RUN --datasets
    neuro-aws inspect RUN --results
    neuro-aws inspect RUN --verify
    """
    from neuro_aws.recording.reader import open_run

    opened = open_run(run)
    if verify:
        _verify(opened)
        return
    for line in _lines(opened, datasets):
        say(line)
    if table:
        from neuro_aws.cli.show_results import show_results
        from neuro_aws.cli.tables import console

        show_results(console(), opened)


def _lines(opened: "Run", datasets: bool) -> list[str]:
    """Return what is said of a run: all of it, or an error."""
    from neuro_aws.experiment.run_folder import outcome
    from neuro_aws.recording.reader import group_name

    data = opened.provenance
    git = data["git"]["commit"] or "none"
    dirty = " (with changes)" if data["git"]["dirty"] else ""
    lines = [
        f"{opened.protocol.spec.name}: {outcome(opened)}",
        f"started {data['started']}, neuro-aws {data['neuro_aws']}, commit {git}{dirty}",
        "command " + " ".join(data["command"]),
    ]
    if data.get("short"):
        lines.append("short   the protocol's short form")
    if data["overrides"]:
        lines.append("set     " + ", ".join(data["overrides"]))
    shown = False
    for animal in opened.animals[:MOST_ANIMALS]:
        names = [t for t in opened.protocol.tree.trunks if opened.protocol.tree.trunks[t].stop]
        for branch in [*names, *opened.arms]:
            steps, listed = opened.held(animal, branch)
            lines.append(f"  {group_name(animal, branch)}: {steps} steps recorded")
            if datasets and not shown:
                shown = bool(listed)
                lines += [f"    {line}" for line in listed]
    if len(opened.animals) > MOST_ANIMALS:
        lines.append(f"  and so on, {len(opened.animals):,} animals")
    return lines


def _verify(run: "Run") -> None:
    """Print what was checked; end with an error where something is damaged."""
    from neuro_aws.experiment.verify import verified

    checked = list(verified(run))
    damaged = [one for one in checked if one.fault]
    for one in damaged[:MOST_DAMAGED]:
        say(f"{one.path.relative_to(run.folder)}: {one.fault}")
    if damaged:
        raise NeuroAWSError(
            f"{len(damaged)} of {len(checked)} files are damaged",
            where=str(run.folder),
            next_step="Restore them from a copy, or run it again",
        )
    say(f"{run.folder}: {len(checked)} files are whole")

"""neuro-aws inspect."""

import click


@click.command("inspect")
@click.argument("run")
@click.option("--datasets", is_flag=True, help="List every dataset of one branch.")
def command(run: str, datasets: bool) -> None:
    """Show what RUN holds: how it was made, how it ended, what was recorded.

    Works on a finished run and on one that was killed.

    \b
    neuro-aws inspect runs/quickstart/20260101-120000-s0
    neuro-aws inspect RUN --datasets
    """
    from neuro_aws.recording.reader import group_name, open_run

    opened = open_run(run)
    data = opened.provenance
    git = data["git"]["commit"] or "none"
    dirty = " (with changes)" if data["git"]["dirty"] else ""
    click.echo(f"{opened.protocol.spec.name}: {data['outcome']}")
    click.echo(f"started {data['started']}, neuro-aws {data['neuro_aws']}, commit {git}{dirty}")
    click.echo("command " + " ".join(data["command"]))
    if data.get("short"):
        click.echo("short   the protocol's short form")
    if data["overrides"]:
        click.echo("set     " + ", ".join(data["overrides"]))
    shown = False
    for animal in opened.animals:
        names = [t for t in opened.protocol.tree.trunks if opened.protocol.tree.trunks[t].stop]
        for branch in [*names, *opened.arms]:
            steps, listed = opened.held(animal, branch)
            click.echo(f"  {group_name(animal, branch)}: {steps} steps recorded")
            if datasets and listed and not shown:
                shown = True
                for line in listed:
                    click.echo(f"    {line}")

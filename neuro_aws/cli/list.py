"""neuro-aws list."""

from pathlib import Path

import click

from neuro_aws.protocol import vocabulary

WHAT = ("protocols", "algorithms", "credits", "stimuli", "perturbations", "measures")


@click.command("list")
@click.argument("what", required=False, type=click.Choice(WHAT))
@click.option("--folder", default="protocols", show_default=True, help="Where protocols lie.")
def command(what: str | None, folder: str) -> None:
    """List WHAT there is to choose from; everything if nothing is said.

    \b
    neuro-aws list
    neuro-aws list measures
    """
    tables = {
        "algorithms": vocabulary.ALGORITHMS,
        "credits": vocabulary.CREDITS,
        "stimuli": vocabulary.STIMULI,
        "perturbations": vocabulary.PERTURBATIONS,
        "measures": vocabulary.MEASURES,
    }
    for name in [what] if what else WHAT:
        click.echo(name)
        rows = _protocols(folder) if name == "protocols" else tables[name]
        width = max((len(key) for key in rows), default=0)
        for key, text in rows.items():
            click.echo(f"  {key:<{width}}  {text}")


def _protocols(folder: str) -> dict[str, str]:
    from neuro_aws.errors import NeuroAWSError
    from neuro_aws.protocol import Protocol

    rows = {}
    for path in sorted(Path(folder).glob("*.yaml")):
        try:
            text = " ".join(Protocol.load(path).spec.description.split())
        except NeuroAWSError:
            text = "(not valid; neuro-aws validate says why)"
        rows[str(path)] = text if len(text) < 100 else text[:97] + "..."
    return rows or {f"none in {folder}/": "--folder names another folder"}

"""neuro-aws list."""

from collections.abc import Iterator
from pathlib import Path

import click

from neuro_aws.cli.say import say
from neuro_aws.protocol import registry

WHAT = ("protocols", "algorithms", "credits", "stimuli", "perturbations", "measures")


@click.command("list")
@click.argument("what", required=False, type=click.Choice(WHAT))
@click.option("--folder", help="Of your own protocols; default: those that come with neuro-aws.")
def command(what: str | None, folder: str | None) -> None:
    """List WHAT there is to choose from; everything if nothing is said.

    Protocols go by these names in all commands. Under a measure stand its values, with unit and
    range.

    \b
    neuro-aws list
    neuro-aws list measures
    neuro-aws list protocols --folder experiments
    """
    for name in [what] if what else WHAT:
        say(name)
        for line in _protocols(folder) if name == "protocols" else _entries(name):
            say(f"  {line}")


def _entries(what: str) -> Iterator[str]:
    if what == "credits":
        yield from _aligned(registry.CREDITS)
        return
    tables: dict[str, dict[str, registry.Entry]] = {
        "algorithms": {**registry.THEORIES},
        "stimuli": {**registry.STIMULI},
        "perturbations": {**registry.PERTURBATIONS},
        "measures": {**registry.MEASURES},
    }
    for line, entry in zip(
        _aligned({name: entry.help for name, entry in tables[what].items()}),
        tables[what].values(),
        strict=True,
    ):
        yield line
        if isinstance(entry, registry.MeasureEntry):
            yield from (f"    {line}" for line in _aligned(_values(entry)))


def _values(entry: registry.MeasureEntry) -> dict[str, str]:
    return {
        v.name: f"[{', '.join(filter(None, [v.unit, v.range]))}] {v.help}" for v in entry.values
    }


def _aligned(rows: dict[str, str]) -> Iterator[str]:
    width = max((len(key) for key in rows), default=0)
    for key, text in rows.items():
        yield f"{key:<{width}}  {text}"


def _protocols(folder: str | None) -> Iterator[str]:
    from neuro_aws.errors import NeuroAWSError
    from neuro_aws.protocol import Protocol
    from neuro_aws.protocol.matrix import Matrix
    from neuro_aws.protocol.shipped import shipped

    files = shipped()
    if folder is not None:
        files = {str(path): path for path in sorted(Path(folder).glob("*.yaml"))}
    rows = {}
    for name, path in files.items():
        try:
            text = " ".join(Protocol.load(path).spec.description.split())
        except NeuroAWSError:
            try:
                text = "matrix: " + " ".join(Matrix.load(path).spec.description.split())
            except NeuroAWSError:
                text = "(not valid; neuro-aws validate says why)"
        rows[name] = text if len(text) < 100 else text[:97] + "..."
    return _aligned(rows or {f"none in {folder}/": "--folder names another folder"})

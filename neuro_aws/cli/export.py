"""neuro-aws export."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from neuro_aws.cli.ranges import STEP_SECONDS
from neuro_aws.cli.say import say
from neuro_aws.errors import NeuroAWSError, clipped

if TYPE_CHECKING:
    from neuro_aws.recording.export.chosen import Chosen
    from neuro_aws.recording.export.nwb import People
    from neuro_aws.recording.reader import Run

FORMATS = ("nwb", "csv", "parquet", "sonata")


@click.command("export")
@click.argument("run")
@click.option("--format", "kind", type=click.Choice(FORMATS), default="nwb", show_default=True)
@click.option("--out", type=click.Path(file_okay=False), help="Folder; default: export in the run.")
@click.option("--animal", type=int, help="One animal; default: all.")
@click.option("--arm", help="One arm; default: all.")
@click.option(
    "--step-duration",
    type=STEP_SECONDS,
    help="s that a step is declared to last: nominal, for rates (1). NWB.",
)
@click.option("--experimenter", multiple=True, help="'Last, First', for archives. NWB.")
@click.option("--institution", help="For archives. NWB.")
@click.option("--inspect", "inspecting", is_flag=True, help="Say what nwbinspector finds. NWB.")
def command(
    run: str,
    kind: str,
    out: str | None,
    animal: int | None,
    arm: str | None,
    step_duration: float | None,
    experimenter: tuple[str, ...],
    institution: str | None,
    inspecting: bool,
) -> None:
    """Export RUN: one NWB file for each animal and arm, or tidy tables, or its spikes.

    The tables are measures, traces and intervals; sonata has the spikes of each animal and arm.
    Nothing that is there is overwritten. Of a run
    that is not finished, what is recorded is exported, and said to be so.

    \b
    neuro-aws export runs/critical_period/20260101-120000-s0 --format nwb --inspect
    neuro-aws export RUN --format nwb --arm control --step-duration 0.1
    neuro-aws export RUN --format parquet --out tables
    neuro-aws export SPIKING_RUN --format sonata
    """
    from neuro_aws.recording.export.chosen import choose
    from neuro_aws.recording.reader import open_run

    given = {
        "--step-duration": step_duration,
        "--experimenter": experimenter,
        "--institution": institution,
        "--inspect": inspecting,
    }
    if kind != "nwb" and (other := [name for name, value in given.items() if value]):
        raise NeuroAWSError(
            f"stands with --format nwb, not with {kind}",
            where=other[0],
            next_step="Leave it out",
        )
    opened = open_run(run)
    _refuse_under_way(opened)
    chosen = choose(opened, animal, arm)
    folder = Path(out) if out else opened.folder / "export"
    if kind == "sonata":
        _sonata(chosen, folder)
        return
    if kind != "nwb":
        _tables(chosen, kind, folder)
        return
    from neuro_aws.recording.export.chosen import require

    require(("pynwb", "nwbinspector") if inspecting else ("pynwb",), "nwb")
    from neuro_aws.recording.export.nwb import People

    written = _nwb(chosen, folder, step_duration, People(experimenter, institution))
    if inspecting:
        _inspect(written)


def _refuse_under_way(run: "Run") -> None:
    from neuro_aws.experiment.workers import is_held

    if is_held(run.folder / "run.lock"):
        raise NeuroAWSError(
            "is under way", where=str(run.folder), next_step="Export it when it has ended"
        )


def _tables(chosen: "Chosen", kind: str, folder: Path) -> None:
    from neuro_aws.recording.export import tables
    from neuro_aws.recording.export.chosen import refuse_existing, require

    if kind == "parquet":
        require(("pyarrow",), "tables")
    paths = {name: folder / f"{name}.{kind}" for name in tables.TABLES}
    refuse_existing(list(paths.values()))
    _say_unfinished(chosen.run)
    for name, path in paths.items():
        frame = tables.table(chosen, name)
        if len(frame):
            tables.write(frame, path)
            say(f"{path}: {len(frame):,} rows")
        else:
            say(f"no {name}: none are recorded")


def _sonata(chosen: "Chosen", folder: Path) -> None:
    from neuro_aws.recording.export import sonata
    from neuro_aws.recording.export.chosen import refuse_existing

    sonata.refuse_rates(chosen.run)
    wanted = _files(chosen, folder, "_spikes.h5")
    refuse_existing(list(wanted.values()))
    _say_unfinished(chosen.run)
    for (animal, arm), path in wanted.items():
        number = sonata.write(chosen.run, animal, arm, path)
        say(f"{path}: {number:,} spikes" if number else f"no {path.name}: no spike is recorded")


def _files(chosen: "Chosen", folder: Path, suffix: str) -> dict[tuple[int, str], Path]:
    return {
        (animal, arm): folder / f"s{animal}_{arm}{suffix}"
        for animal in chosen.animals
        for arm in chosen.arms
    }


def _nwb(
    chosen: "Chosen", folder: Path, step_duration: float | None, people: "People"
) -> list[Path]:
    from neuro_aws.recording.export import nwb
    from neuro_aws.recording.export.chosen import refuse_existing, steps_recorded
    from neuro_aws.recording.export.signals import seconds

    run = chosen.run
    wanted = _files(chosen, folder, ".nwb")
    refuse_existing(list(wanted.values()))
    times = {seconds(run.protocol.tree.arms[a].spec, step_duration).words for a in chosen.arms}
    for words in sorted(times):
        say(words)
    _say_unfinished(run)
    written = []
    for (animal, arm), path in wanted.items():
        if not steps_recorded(run, animal, arm):
            say(f"no {path.name}: nothing of it is recorded")
            continue
        nwb.write(run, animal, arm, path, step_duration, people)
        written.append(path)
        say(path)
    return written


def _say_unfinished(run: "Run") -> None:
    if run.provenance["outcome"] != "finished":
        say("The run is not finished: what is recorded of it is exported", err=True)


MOST_FINDINGS = 20
"""Kinds of findings that are printed."""


def _inspect(paths: list[Path]) -> None:
    """Print each kind of finding once, and in how many files; grave ones end in an error."""
    from neuro_aws.recording.export.inspection import Finding, inspected

    kinds: dict[tuple[str, str, str], list[Finding]] = {}
    for path in paths:
        for found in inspected(path):
            key = (found.importance, found.check, found.where)
            kinds.setdefault(key, []).append(found)
    for (importance, check, where), same in list(kinds.items())[:MOST_FINDINGS]:
        number = len({one.file for one in same})
        files = "a file" if number == 1 else f"{number} files"
        say(f"{importance}: {check} at {where} in {files}: {clipped(same[0].message, 200)}")
    grave = sum(one.grave for same in kinds.values() for one in same)
    if grave:
        raise NeuroAWSError(
            f"nwbinspector finds {grave} critical points or errors, above",
            where=str(paths[0].parent),
            next_step="Please report it",
        )
    say(f"{len(paths)} inspected: nothing critical, no error")

"""What failed in a sweep, where it comes from, and how to make it again."""

import shlex
from pathlib import Path

from neuro_aws.errors import NeuroAWSError
from neuro_aws.plots.style import readable
from neuro_aws.protocol.grid import Grid, grid
from neuro_aws.recording.provenance import version
from neuro_aws.report.document import Section, Table, Verbatim, Words
from neuro_aws.report.origin import shared_facts
from neuro_aws.report.sweep.asked import spans
from neuro_aws.report.sweep.manifest import Reported
from neuro_aws.report.wording import settings

MOST_RUNS = 500
"""Runs that are listed."""


def failures(found: Reported) -> Section:
    """Return which runs failed, and why."""
    rows = [
        (", ".join(f"{k} = {v}" for k, v in run.point.items()) or "-", str(run.animal), run.error)
        for run in found.failed[:MOST_RUNS]
    ]
    if not rows:
        return Section("failed", "What failed", [Words(["Nothing failed."])])
    left = len(found.failed) - len(rows)
    caption = "Runs that failed" + (f"; {left:,} more are in the manifest" if left else "")
    said = "The same command tries them again; the other runs are finished, or go on."
    return Section(
        "failed",
        "What failed",
        [Words([said]), Table(caption, ("settings", "animal", "why"), rows)],
    )


def provenance(found: Reported) -> Section:
    """Return how the sweep was made."""
    said = {"format", "constant", "axes", "animals", "arms", "runs"}
    rows = [("sweep folder", found.folder.resolve().name)]
    rows += [(readable(k), settings(v)) for k, v in found.facts.items() if k not in said]
    shown = found.finished[:MOST_RUNS]
    rows += shared_facts([found.open(run).provenance for run in shown])
    left = len(found.finished) - len(shown)
    caption = "Finished runs, from the sweep's folder" + (f"; {left:,} more" if left else "")
    runs = [
        (", ".join(run.point.values()) or "-", str(run.animal), run.step, run.folder)
        for run in shown
    ]
    text = f"This page was written by neuro-aws {version()} from manifest.json and table.csv."
    return Section(
        "provenance",
        "Provenance",
        [
            Table("How the sweep was made", ("fact", "value"), rows),
            Table(caption, ("values", "animal", "form of the step", "folder"), runs),
            Words([text]),
        ],
    )


def reproduce(found: Reported) -> Section:
    """Return the command that makes the sweep again."""
    example = found.example
    name = Path(str(found.facts.get("source") or "protocol.yaml")).name
    words = ["neuro-aws", "sweep", name, "--seeds", spans(found.animals)]
    for key, values in found.grid.axes.items():
        words += ["--set", f"{key}={','.join(values)}"]
    for key, value in found.grid.constant.items():
        words += ["--set", f"{key}={value}"]
    words += _how(found.grid)
    if example is None or list(found.arms) != list(example.protocol.tree.arms):
        words += ["--arms", ",".join(found.arms)]
    words += ["--short"] * bool(found.facts.get("short"))
    if example is not None and example.provenance.get("allow_code"):
        words += ["--allow-code"]
    steps = {run.step for run in found.runs}
    words += ["--step", steps.pop()] if len(steps) == 1 else []
    said = (
        "Same protocol, settings, animals, version and libraries give the same numbers, bit for "
        "bit on the same machine; runs that are finished are not made again. The protocol is in "
        "every run's folder, and above."
    )
    label = "In a folder with that protocol:"
    return Section(
        "reproduce", "How to reproduce it", [Words([said]), Verbatim(label, shlex.join(words))]
    )


def _how(found: Grid) -> list[str]:
    """Return the option that makes these points of the axes."""
    sets = [f"{key}={','.join(values)}" for key, values in found.axes.items()]
    points = [dict(point) for point in found.points]
    for options in ([], ["--zip"], ["--random", str(len(points))]):
        try:
            made = grid(
                sets,
                zipped=options == ["--zip"],
                random=len(points) if options[:1] == ["--random"] else None,
            )
        except NeuroAWSError:
            continue
        if [dict(point) for point in made.points] == points:
            return list(options)
    return []

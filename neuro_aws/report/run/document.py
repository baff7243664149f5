"""The report of a run: its sections in order."""

import pandas as pd

from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.run_folder import outcome
from neuro_aws.plots.events import Tables
from neuro_aws.plots.style import readable
from neuro_aws.protocol.backends import backend_of
from neuro_aws.protocol.columns import Column
from neuro_aws.recording.checkpoint import Place
from neuro_aws.recording.reader import Run
from neuro_aws.report.document import Document, Section, Words
from neuro_aws.report.run import asked, courses, found, locked, measured, origin, pictures
from neuro_aws.report.run.courses import Recorded
from neuro_aws.report.wording import counted, listed


def document(run: Run, animal: int | None = None) -> Document:
    """Return the report of a run, finished or not; ``animal`` is whose time courses are drawn.

    What every animal and arm must have come to its end for is left out of a run that has not.
    """
    whole = [a for a in run.animals if all(_ended(run, a, arm) for arm in run.arms)]
    if animal is not None and animal not in run.animals:
        raise NeuroAWSError(
            f"no animal {animal}",
            where="--animal",
            next_step="Animals: " + ", ".join(map(str, run.animals[:20])),
        )
    drawn = animal if animal is not None else (whole or run.animals)[0]
    metrics = run.metrics
    seconds = backend_of(run.protocol.spec).seconds
    tables = Tables(run)
    recorded = _recorded(tables, drawn)
    told = [] if seconds else found.learning({r.arm: r.frame for r in recorded}, drawn)
    left_out = run.arms[courses.MOST_ARMS :]
    sections = [
        asked.section(run),
        found.section(run, metrics, told),
        measured.section(run, metrics),
        courses.section(recorded, left_out),
    ]
    ready = run.provenance["outcome"] == "finished" and len(whole) == len(run.animals)
    if not ready:
        sections.append(_missing())
    elif seconds:
        words = "Left out: this recording has no change of feedforward weights step by step."
        sections.append(Section("locked", "Averages around events", [Words([words])]))
    else:
        sections.append(locked.section(tables))
    if drawn in whole:
        sections += [pictures.dreams(run, drawn), pictures.fields(run, drawn)]
        sections += [pictures.spikes(run, drawn)] if seconds else []
    sections += [origin.provenance(run), origin.reproduce(run)]
    return Document(
        f"{run.protocol.spec.name}: report of a run", _lead(run, whole, metrics), sections
    )


def _ended(run: Run, animal: int, arm: str) -> bool:
    return Place(run.folder, animal, arm).final.exists()


def _recorded(tables: Tables, animal: int) -> list[Recorded]:
    """Read the arms that have begun, and of which single steps were recorded."""
    begun = [arm for arm in tables.run.arms if _steps(tables.run, animal, arm)]
    return [Recorded.of(tables, animal, arm) for arm in begun[: courses.MOST_ARMS]]


def _steps(run: Run, animal: int, arm: str) -> int:
    """Return how many steps of an arm of its own are recorded one by one."""
    if not any(column.path == "neuromodulators/step" for column in _columns(run, arm)):
        return 0
    return run.held(animal, arm)[0]


def _columns(run: Run, arm: str) -> list[Column]:
    spec = run.protocol.tree.arms[arm].spec
    return backend_of(spec).columns(spec)


def _missing() -> Section:
    words = "Left out: they need every animal and arm to have come to its end."
    return Section("locked", "Averages around events", [Words([words])])


def _lead(run: Run, whole: list[int], metrics: pd.DataFrame) -> list[str]:
    data = run.provenance
    lines = [
        f"Run {run.folder.name}, started {data['started']}: {counted(len(run.animals), 'animal')}, "
        f"{counted(len(run.arms), 'arm')}."
    ]
    if data["outcome"] != "finished":
        lines.append(
            f"This run is unfinished ({outcome(run)}). {len(whole)} of its "
            f"{counted(len(run.animals), 'animal')} came to the end of every arm; what is said "
            "below is of what there is."
        )
    lost = [
        readable(arm)
        for arm in run.arms
        for animal in whole
        if len(run.intervals(animal, arm, "losses"))
    ]
    if lost:
        lines.append(f"Parts of the recording were lost, in {listed(list(dict.fromkeys(lost)))}.")
    return lines

"""The report of a sweep: its sections in order."""

from neuro_aws.report.document import Document
from neuro_aws.report.sweep import asked, found, origin, values
from neuro_aws.report.sweep.manifest import Reported
from neuro_aws.report.wording import counted


def document(reported: Reported) -> Document:
    """Return the report of a sweep, finished or not."""
    points, animals = len(reported.grid.points), len(reported.animals)
    lines = [
        f"Sweep {reported.folder.resolve().name}: {counted(points, 'point')}, "
        f"{counted(animals, 'animal')}, {counted(len(reported.arms), 'arm')}."
    ]
    left = len(reported.runs) - len(reported.finished)
    if left:
        lines.append(
            f"This sweep is unfinished: {left} of its {counted(len(reported.runs), 'run')} are not "
            "finished; what is said below is of the others."
        )
    sections = [
        asked.section(reported),
        found.section(reported),
        values.section(reported),
        origin.failures(reported),
        origin.provenance(reported),
        origin.reproduce(reported),
    ]
    return Document(f"{reported.facts.get('protocol')}: report of a sweep", lines, sections)

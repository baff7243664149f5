"""The report of a matrix: its sections in order."""

from neuro_aws.report.document import Document
from neuro_aws.report.matrix import animals, asked, criteria, found, grid, origin, power
from neuro_aws.report.matrix.tables import Reported
from neuro_aws.report.wording import counted


def document(reported: Reported) -> Document:
    """Return the report of a matrix, finished or not."""
    study = reported.study
    theories = counted(len(reported.spec.theories), "theory", "theories")
    lines = [
        f"Matrix {study.folder.name}: {theories}, "
        f"{counted(len(reported.places), 'manipulation')}, {counted(study.seeds, 'animal')}."
    ]
    left = len(reported.unfinished)
    if left:
        lines.append(
            f"This matrix is unfinished: {left} of its {counted(len(reported.plans), 'run')} have "
            "not come to their end; what is said below is of the others."
        )
    sections = [
        asked.section(reported),
        found.section(reported),
        grid.section(reported),
        animals.section(reported),
        power.section(reported),
        criteria.section(reported),
        origin.provenance(reported),
        origin.reproduce(reported),
    ]
    return Document(f"{reported.spec.name}: report of a prediction matrix", lines, sections)

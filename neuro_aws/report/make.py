"""A report of whatever a path names: a run, a sweep, a prediction matrix."""

from pathlib import Path

from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment import sweep_manifest as sweep
from neuro_aws.experiment.matrix import run as matrix
from neuro_aws.experiment.matrix.run import Consent, as_it_is
from neuro_aws.recording.reader import open_run
from neuro_aws.report import page
from neuro_aws.report.document import Document
from neuro_aws.report.interactive import library

NAME = "report.html"


def report(
    path: str | Path,
    output: str | Path | None = None,
    animal: int | None = None,
    *,
    consent: Consent = as_it_is,
) -> Path:
    """Write the report of a folder; return where it is.

    A matrix with code of the user's own needs that code to know its cells: ``consent`` is given the
    matrix, and may return it with ``allow_code=True`` (``dataclasses.replace``).
    """
    library.refuse_missing()
    folder = Path(path)
    where = folder / NAME if output is None else Path(output)
    if folder.is_dir():  # what is wrong with another path, whoever reads it says
        page.refuse_foreign(where, chosen=output is not None)
    return page.write(page.html(_document(folder, animal, consent)), where)


def _document(folder: Path, animal: int | None, consent: Consent) -> Document:
    if (folder / matrix.FACTS).exists():
        from neuro_aws.report.matrix import document as of_matrix
        from neuro_aws.report.matrix.tables import read

        _refuse_animal(animal, "a matrix")
        return of_matrix.document(read(folder, consent))
    if (folder / sweep.MANIFEST).exists():
        from neuro_aws.report.sweep import document as of_sweep
        from neuro_aws.report.sweep import manifest

        _refuse_animal(animal, "a sweep")
        return of_sweep.document(manifest.read(folder))
    from neuro_aws.report.run import document as of_run

    return of_run.document(open_run(folder), animal)


def _refuse_animal(animal: int | None, what: str) -> None:
    if animal is not None:
        raise NeuroAWSError(
            f"the report of {what} shows all animals", where="--animal", next_step="Drop it"
        )

"""A report of whatever a path names; to report something else, its document and a line here."""

from pathlib import Path

from neuro_aws.recording.reader import open_run
from neuro_aws.report import page
from neuro_aws.report.interactive import library
from neuro_aws.report.run import document as of_run


def report(path: str | Path, output: str | Path | None = None, animal: int | None = None) -> Path:
    """Write the report of a run folder; return where it is."""
    library.refuse_missing()
    run = open_run(path)
    where = of_run.default_path(run) if output is None else Path(output)
    page.refuse_foreign(where, chosen=output is not None)
    return page.write(page.html(of_run.document(run, animal)), where)

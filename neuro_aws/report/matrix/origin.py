"""Where a matrix comes from, and how to make it again."""

import json
import shlex
from typing import Any

from neuro_aws.experiment.matrix.run import FACTS, TEXT
from neuro_aws.plots.style import readable
from neuro_aws.recording.provenance import version
from neuro_aws.report.document import Section, Table, Verbatim, Words
from neuro_aws.report.matrix.tables import Reported
from neuro_aws.report.origin import shared_facts
from neuro_aws.report.wording import settings


def provenance(found: Reported) -> Section:
    """Return how the matrix was made."""
    facts: dict[str, Any] = json.loads((found.study.folder / FACTS).read_text(encoding="utf-8"))
    rows = [("matrix folder", found.study.folder.name)]
    rows += [(readable(key), settings(value)) for key, value in facts.items()]
    rows += shared_facts(list(found.runs.values()))
    runs = []
    for plan in found.plans:
        data = found.runs.get(plan.name)
        where = f"runs/{plan.name}/{data['folder']}" if data else "-"
        outcome = str(data["outcome"]) if data else "not run"
        times = (str(data["started"]), str(data.get("ended") or "-")) if data else ("-", "-")
        runs.append((readable(plan.theory), readable(plan.block), outcome, *times, where))
    head = ("theory", "block", "outcome", "started", "ended", "folder")
    words = "Each run has a report of its own by neuro-aws report RUN. This page was written by "
    return Section(
        "provenance",
        "Provenance",
        [
            Table("How the matrix was made", ("fact", "value"), rows),
            Table("Its runs", head, runs),
            Words([f"{words}neuro-aws {version()} from the tables (csv) in the matrix's folder."]),
        ],
    )


def reproduce(found: Reported) -> Section:
    """Return the command that makes the matrix again."""
    study = found.study
    words = ["neuro-aws", "matrix", TEXT, "--seed", str(study.seed), "--seeds", str(study.seeds)]
    words += ["--short"] * study.matrix.short
    for given in study.matrix.overrides:
        words += ["--set", given]
    words += ["--allow-code"] * study.matrix.allow_code
    said = (
        "Same file, seeds, version and libraries give the same numbers, bit for bit on the same "
        "machine. The file is in the matrix's folder, and above."
    )
    return Section(
        "reproduce",
        "How to reproduce it",
        [Words([said]), Verbatim(f"In a folder with that {TEXT}:", shlex.join(words))],
    )

"""Where a run comes from, and how to make it again."""

import shlex
from typing import Any

from neuro_aws.recording.provenance import version
from neuro_aws.recording.reader import Run
from neuro_aws.report.document import Section, Table, Verbatim, Words
from neuro_aws.report.origin import commit
from neuro_aws.report.wording import settings

SAID_APART = {"libraries", "git", "animals", "arms", "outcome"}
"""Facts that have rows of their own, or stand elsewhere."""


def provenance(run: Run) -> Section:
    """Return how the run was made."""
    data = run.provenance
    rows = [("run folder", run.folder.name), ("outcome", str(data["outcome"]))]
    rows += [("commit of neuro-aws", commit(data))]
    rows += [
        (key.replace("_", " "), _told(key, value))
        for key, value in data.items()
        if key not in SAID_APART
    ]
    libraries: Any = data.get("libraries")
    versions = (
        [(str(k), settings(v)) for k, v in libraries.items()] if isinstance(libraries, dict) else []
    )
    return Section(
        "provenance",
        "Provenance",
        [
            Table("How the run was made (provenance.json)", ("fact", "value"), rows),
            Table("Libraries it ran with", ("library", "version"), versions),
            Words([f"This page was written by neuro-aws {version()} from recording.h5."]),
        ],
    )


def _told(key: str, value: Any) -> str:
    return shlex.join(map(str, value)) if key == "command" else settings(value)


def reproduce(run: Run) -> Section:
    """Return the commands that make the run again, and compare the two."""
    first, count = run.animals[0], len(run.animals)
    words = ["neuro-aws", "run", "protocol.yaml", "--seed", str(first), "--seeds", str(count)]
    data = run.provenance
    if run.arms != list(run.protocol.tree.arms):
        words += ["--arms", ",".join(run.arms)]
    for given in data["overrides"]:
        words += ["--set", given]
    words += ["--short"] * bool(data.get("short"))
    words += ["--allow-code"] * bool(data.get("allow_code"))
    words += ["--device", data["device"]] if data["device"] != "cpu" else []
    words += ["--step", data["step"]] if data.get("step") else []
    lines = [shlex.join(words), f"neuro-aws compare {shlex.quote(run.folder.name)} NEW_RUN"]
    apart = run.animals != list(range(first, first + count))
    return Section(
        "reproduce",
        "How to reproduce it",
        [
            Words(
                [
                    "Same protocol, seeds, version and libraries give the same numbers, bit for "
                    "bit on the same machine. The protocol is in the run folder, and above.",
                    *(["The animals of this run are not in a row: give each of them."] * apart),
                ]
            ),
            Verbatim("In a folder with that protocol.yaml:", "\n".join(lines)),
        ],
    )

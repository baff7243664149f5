"""All kinds of cases, and one case played in a folder that is gone afterwards."""

import shutil
import time
import traceback
from pathlib import Path

from tests.hostile import cases, kills
from tests.hostile.bases import Bases
from tests.hostile.journal import Entry

PLAYS: dict[str, cases.Play] = {
    "protocol": cases.protocol,
    "assignment": cases.assignment,
    "facts": cases.facts_of_a_run,
    "line": cases.wrong_line,
    "study_line": cases.wrong_study,
    "damaged_copied": cases.damaged_copied,
    "damaged": cases.damaged,
    "damaged_spiking": cases.damaged_spiking,
    "command": cases.command,
    "kill": kills.kill,
}


def play(case: cases.Case, place: Path, bases: Bases) -> Entry:
    """Play one case in a new folder of ``place``."""
    folder = place / f"{case.kind}_{case.number}"
    shutil.rmtree(folder, ignore_errors=True)
    began = time.monotonic()
    try:
        ended = PLAYS[case.kind](case, folder, bases)
    except Exception:  # a fault of the test, to be told like any other
        ended = cases.Ended("FAILED", (traceback.format_exc()[-1500:],), "the case itself")
    shutil.rmtree(folder, ignore_errors=True)
    seconds = round(time.monotonic() - began, 3)
    return Entry(
        case.kind, case.number, case.seed, ended.outcome, seconds, ended.what, ended.faults
    )

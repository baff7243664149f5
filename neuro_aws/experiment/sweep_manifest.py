"""The manifest of a sweep: what was asked, and of every run how it ended and what it recorded."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment import sweep_runs
from neuro_aws.experiment.run import absolute
from neuro_aws.experiment.sweep_plan import Plan, Row
from neuro_aws.experiment.sweep_runs import Outcome
from neuro_aws.recording import provenance
from neuro_aws.recording.parts import replace_file

MANIFEST = "manifest.json"
FORMAT = 1


def hashes(folder: Path) -> dict[str, str]:
    """Return the hash of every recording that the manifest knows, by the key of its run."""
    path = folder / MANIFEST
    if not path.exists():
        return {}
    try:
        runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
        return {str(run["key"]): str(run["sha256"]) for run in runs if run["sha256"]}
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise NeuroAWSError(
            "cannot be read",
            where=str(path),
            next_step="Delete it: finished runs are found without it, their hashes are not checked",
        ) from error


def write(plan: Plan, folder: Path, rows: Sequence[Row]) -> None:
    """Write the manifest in one step."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "protocol": plan.protocol.spec.name,
        "source": absolute(plan.protocol.source),
        "protocol_sha256": hashlib.sha256(plan.protocol.text.encode()).hexdigest(),
        "neuro_aws": provenance.version(),
        "written": provenance.now(),
        "constant": dict(plan.grid.constant),
        "axes": {key: list(values) for key, values in plan.grid.axes.items()},
        "animals": list(plan.animals),
        "arms": list(plan.arms),
        "short": plan.protocol.short,
        "device": plan.device,
        "runs": [
            {
                "key": row.run.key,
                "point": dict(row.point),
                "animal": row.run.animal,
                "step": row.run.step,
                "outcome": _said(row.outcome),
                "folder": sweep_runs.relative(row.outcome.folder, folder) if row.ended else "",
                "sha256": row.outcome.sha256,
            }
            for row in rows
        ],
    }
    temporary = folder / "manifest.tmp"
    temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    replace_file(temporary, folder / MANIFEST)


def _said(outcome: Outcome) -> str:
    if outcome.error:
        return f"failed: {outcome.error}"
    return "finished" if outcome.sha256 else "waiting"

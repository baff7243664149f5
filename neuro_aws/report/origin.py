"""What several runs have in common of how they were made."""

from collections.abc import Mapping, Sequence
from typing import Any

from neuro_aws.report.wording import settings


def commit(data: Mapping[str, Any]) -> str:
    """Return the commit a run was made by, and whether there were changes beside it."""
    git = data["git"]
    dirty = ", with changes that are not committed" if git["dirty"] else ""
    return f"{git['commit'] or 'none (not in a checkout)'}{dirty}"


def shared_facts(runs: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return facts of several runs: versions, commit, machine; where they differ, each."""
    told = {
        "commit of neuro-aws": [commit(data) for data in runs],
        "neuro-aws of the runs": [settings(data.get("neuro_aws")) for data in runs],
        "device": [settings(data.get("device")) for data in runs],
        "form of the step": [settings(data.get("step")) for data in runs],
        "libraries": [settings(data.get("libraries")) for data in runs],
    }
    return [(name, " | ".join(dict.fromkeys(values))) for name, values in told.items() if values]

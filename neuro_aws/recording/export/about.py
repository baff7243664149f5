"""What a file says of the run it comes from: in words, no data."""

import uuid
from datetime import datetime

from neuro_aws.errors import NeuroAWSError
from neuro_aws.recording import provenance
from neuro_aws.recording.export.chosen import intervals, steps_recorded
from neuro_aws.recording.export.signals import Seconds
from neuro_aws.recording.reader import Run


def texts(run: Run, animal: int, arm: str, time: Seconds) -> dict[str, str]:
    """Return the texts of an NWB file by the name of their field."""
    spec, plan = run.protocol.spec, run.protocol.tree.arms[arm]
    steps, recorded = plan.schedule.steps, steps_recorded(run, animal, arm)
    session = f"{spec.name}_{run.folder.resolve().name}_s{animal}_{arm}"
    said = [
        f"Simulation, not a recording of an animal: protocol {spec.name}, arm {arm}, seed "
        f"{animal}, {steps} steps."
    ]
    if recorded < steps:
        said.append(f"Not finished: steps 0 to {recorded - 1} are here.")
    if len(intervals(run, animal, arm, "losses")):
        said.append("Some steps were lost, see invalid_times.")
    notes = [time.words, "Provenance and the protocol with every default are in scratch."]
    if plan.branch:
        notes.insert(
            0,
            f"Steps 0 to {plan.branch - 1} are those that arms share; they go on from the same "
            "state with the same random numbers and differ by their manipulation alone.",
        )
    experiment = (
        spec.description or spec.name,
        f"Theory: {plan.spec.algorithm.name}",
        f"Arm: {arm}. {spec.arms[arm].description}",
    )
    return {
        "session_description": " ".join([*said, time.words]),
        "identifier": str(uuid.uuid5(uuid.NAMESPACE_URL, session)),
        "session_id": session,
        "experiment_description": "\n".join(text.strip() for text in experiment),
        "protocol": (run.folder / "protocol.yaml").read_text(encoding="utf-8"),
        "notes": " ".join(notes),
    }


def started(run: Run) -> datetime:
    """Return when the run was started."""
    try:
        found = datetime.fromisoformat(run.provenance["started"])
        return found if found.tzinfo else found.astimezone()
    except ValueError as error:
        raise NeuroAWSError(
            f"started is no time ({run.provenance['started'][:40]!r})",
            where=str(run.folder / "provenance.json"),
            next_step="Restore it from a copy",
        ) from error


def software(run: Run) -> list[list[str]]:
    """Return names and versions: of what simulated, and of what exports."""
    libraries = run.provenance.get("libraries") or {}
    found = [["neuro-aws", run.provenance["neuro_aws"]], ["neuro-aws export", provenance.version()]]
    return found + [[str(name), str(known)] for name, known in libraries.items() if known]

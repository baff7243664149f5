"""Several finished runs of one protocol as one run: other animals, or other arms of the same."""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment import results
from neuro_aws.experiment.compare import bits
from neuro_aws.experiment.run_folder import new_folder, write_protocol
from neuro_aws.experiment.workers import Task, tasks_of
from neuro_aws.protocol import Protocol
from neuro_aws.recording import checkpoint, provenance
from neuro_aws.recording.checkpoint import Place
from neuro_aws.recording.merging import join
from neuro_aws.recording.reader import Run, group_name, open_run

SAME = {
    "neuro_aws": "version of neuro-aws",
    "short": "form (--short)",
    "device": "device",
    "step": "form of the step",
}
"""What decides numbers beside protocol, settings and animal, and has to be the same."""

NOTED = ("git", "libraries", "python", "platform")
"""What may differ, and is said."""


def merge(folders: Sequence[str | Path], out: str = "runs") -> Run:
    """Join runs of one protocol into a new run folder; the runs stay as they are.

    Each arm of each animal must be in one of them, and in one only. What several of them hold, the
    steps that arms share, must be the same bits in all.
    """
    if len(folders) < 2:
        raise NeuroAWSError("give two runs or more", where="merge")
    runs = [open_run(folder) for folder in folders]
    for run in runs:
        _refuse_unlike(runs[0], run)
    first = runs[0].protocol
    held = _held(runs)
    animals = sorted({animal for animal, _ in held})
    arms = [arm for arm in first.tree.arms if any(arm == name for _, name in held)]
    for animal in animals:
        for arm in arms:
            if (animal, arm) not in held:
                raise NeuroAWSError(
                    f"none of the runs has animal {animal} in arm {arm}, and others have that arm",
                    where="merge",
                    next_step=f"neuro-aws run with --seed {animal} --seeds 1 --arms {arm} makes it",
                )
    _refuse_other_bits(runs)
    of_task = {task: _holder(runs, held, task) for task in tasks_of(first, animals, arms)}
    for task, run in of_task.items():
        _refuse_damaged_states(run, task)
    settings = _settings(runs, animals, arms)

    def fill(folder: Path, protocol: Protocol, facts: dict[str, Any]) -> None:
        write_protocol(folder, protocol)
        provenance.write(folder, {**provenance.provenance(facts), "outcome": "running"})
        sources = {group_name(t.animal, t.branch): run.folder for t, run in of_task.items()}
        about = {"protocol": protocol.spec.name, "neuro_aws": runs[0].provenance["neuro_aws"]}
        join(folder / "recording.h5", sources, about)
        for task, run in of_task.items():
            _copy_files(run.folder, folder, task)
        results.write(open_run(folder))
        done = {**provenance.read(folder), "outcome": "finished", "ended": provenance.now()}
        provenance.write(folder, done)

    from neuro_aws.plots.figures import draw_run

    merged = open_run(new_folder(first, out, settings, fill))
    draw_run(merged)
    return merged


def notes(runs: Sequence[Run]) -> Iterator[str]:
    """Yield what differs between runs that may be joined, though it may change last bits."""
    for key in NOTED:
        if any(run.provenance.get(key) != runs[0].provenance.get(key) for run in runs):
            yield f"{key} differs between the runs; provenance.json has it of each"


def _refuse_unlike(a: Run, b: Run) -> None:
    """Refuse runs that are not of the same experiment, or not finished."""
    if b.provenance["outcome"] != "finished":
        raise NeuroAWSError(
            "is not finished",
            where=str(b.folder),
            next_step=f"neuro-aws run --resume {b.folder}",
        )
    where, other = f"{a.folder} and {b.folder}", "neuro-aws compare shows settings that differ"
    if a.protocol.text != b.protocol.text:
        raise NeuroAWSError("are runs of two protocols", where=where, next_step=other)
    if _changed(a) != _changed(b):
        raise NeuroAWSError("differ in what --set changed", where=where, next_step=other)
    for key, words in SAME.items():
        one, two = (_plain(run.provenance.get(key)) for run in (a, b))
        if one != two:
            raise NeuroAWSError(f"differ in {words}: {one}, {two}", where=where)


def _changed(run: Run) -> list[str]:
    """Return the settings of ``--set`` but for the number of animals."""
    return sorted(o for o in run.protocol.overrides if o.partition("=")[0].strip() != "seeds")


def _plain(value: Any) -> Any:
    """Return a fact without the reason that stands in brackets: written-out (...)."""
    return value.partition(" (")[0] if isinstance(value, str) else value


def _held(runs: Sequence[Run]) -> dict[tuple[int, str], Run]:
    """Return which run has which arm of which animal; refuse what two of them have."""
    held: dict[tuple[int, str], Run] = {}
    for run in runs:
        for key in [(animal, arm) for animal in run.animals for arm in run.arms]:
            if key in held:
                raise NeuroAWSError(
                    f"animal {key[0]} in arm {key[1]} is in both",
                    where=f"{held[key].folder} and {run.folder}",
                    next_step="Leave one of them out",
                )
            held[key] = run
    return held


def _refuse_other_bits(runs: Sequence[Run]) -> None:
    """Refuse runs whose shared steps are not the same bits."""
    for a, b in combinations(runs, 2):
        if set(a.animals) & set(b.animals):
            for line in bits(a, b):
                if "identical" not in line:
                    raise NeuroAWSError(
                        f"differ in steps that their arms share ({line})",
                        where=f"{a.folder} and {b.folder}",
                        next_step="They were not made on the same terms: run them anew",
                    )


def _holder(runs: Sequence[Run], held: dict[tuple[int, str], Run], task: Task) -> Run:
    """Return the run that has a branch: an arm, or the trunk of some arm."""
    if (task.animal, task.branch) in held:
        return held[task.animal, task.branch]
    tree = runs[0].protocol.tree
    arms = [arm for arm, plan in tree.arms.items() if plan.trunk == task.branch]
    return next(held[task.animal, arm] for arm in arms if (task.animal, arm) in held)


def _refuse_damaged_states(run: Run, task: Task) -> None:
    """Refuse a branch whose states are lost or altered: a joined run goes on from them."""
    place = Place(run.folder, task.animal, task.branch)
    if not place.final.exists():
        raise NeuroAWSError(
            "is missing", where=str(place.final), next_step="Restore the run from a copy"
        )
    for path in (place.final, *place.kept().values()):
        checkpoint.load(path)


def _copy_files(source: Path, target: Path, task: Task) -> None:
    """Copy the states of a branch, and the pictures of its dreams."""
    old, new = (Place(folder, task.animal, task.branch) for folder in (source, target))
    best = old.checkpoint(".best").with_suffix(".txt")
    new.final.parent.mkdir(parents=True, exist_ok=True)
    for path in [old.final, *old.kept().values(), *([best] if best.exists() else [])]:
        shutil.copyfile(path, new.final.parent / path.name)
    if old.figures.is_dir():
        shutil.copytree(old.figures, new.figures)


def _settings(runs: Sequence[Run], animals: list[int], arms: list[str]) -> dict[str, Any]:
    first = runs[0].provenance
    kept = ("protocol", "protocol_sha256", "overrides", "short", "allow_code", "device", "data")
    return {
        **{key: first[key] for key in (*kept, "step") if key in first},
        "animals": animals,
        "arms": arms,
        "merged": [{"run": str(run.folder), **_made(run)} for run in runs],
    }


def _made(run: Run) -> dict[str, Any]:
    """Return how a run was made, and the hash of its recording."""
    known = ("animals", "arms", "command", "started", "ended", *NOTED)
    with (run.folder / "recording.h5").open("rb") as file:
        seal = hashlib.file_digest(file, "sha256").hexdigest()
    return {**{key: run.provenance.get(key) for key in known}, "recording_sha256": seal}

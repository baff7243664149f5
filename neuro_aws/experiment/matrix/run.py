"""Run a matrix: every block under every theory as an ordinary run, in one folder; resume it."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment import run as runner
from neuro_aws.experiment.matrix.expand import RunPlan
from neuro_aws.experiment.progress import Progress, Silent
from neuro_aws.experiment.run_folder import named_folder
from neuro_aws.experiment.workers import lock
from neuro_aws.protocol.load import read
from neuro_aws.protocol.matrix import Matrix
from neuro_aws.recording import provenance
from neuro_aws.recording.folder import refuse_what_leads_out
from neuro_aws.recording.reader import Run, open_run

TEXT, FACTS, RUNS = "matrix.yaml", "matrix.json", "runs"
MOST_SEEDS = 10_000
UNREADABLE = (
    NeuroAWSError, OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError
)  # fmt: skip
Say = Callable[[int, int, RunPlan, str], None]
"""Called with the number of a run, how many there are, what it is and what is done with it."""


Consent = Callable[[Matrix], Matrix]
"""Returns a matrix as it is, or with consent to the code of the user's own that it names."""


def as_it_is(matrix: Matrix) -> Matrix:
    """Consent to nothing new."""
    return matrix


def _silent(at: int, of: int, plan: RunPlan, what: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Study:
    """The folder of a matrix, with what it was run with."""

    folder: Path
    matrix: Matrix
    seed: int
    seeds: int

    def place(self, plan: RunPlan) -> Path:
        """Return the folder that holds the run of a plan, once there is one."""
        return self.folder / RUNS / plan.name

    def run_of(self, plan: RunPlan) -> Run | None:
        """Return the finished run of a plan."""
        found = _folder_of(self.place(plan))
        run = None if found is None else open_run(found)
        if run is None or run.provenance["outcome"] != "finished":
            return None
        self.refuse_other_animals(run.folder, run.animals)
        return run

    def refuse_other_animals(self, folder: Path, animals: list[int]) -> None:
        """Refuse a run of other animals than the matrix was begun with."""
        if animals != list(range(self.seed, self.seed + self.seeds)):
            raise NeuroAWSError(
                f"holds other animals than the {self.seeds} from {self.seed} on that {FACTS} says",
                where=str(folder),
                next_step="Begin the matrix anew, or move this run away",
            )


def begin(matrix: Matrix, *, seed: int, seeds: int | None, out: str) -> Study:
    """Make the folder of a matrix: what it is run from lies in it."""
    count = seeds or matrix.spec.seeds
    facts = {
        "source": runner.absolute(matrix.origin),
        "short": matrix.short,
        "overrides": list(matrix.overrides),
        "seed": seed,
        "seeds": count,
        "neuro_aws": provenance.version(),
        "begun": provenance.now(),
    }

    def fill(folder: Path) -> None:
        (folder / TEXT).write_text(matrix.text, encoding="utf-8")
        (folder / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")

    folder = named_folder(Path(out) / matrix.spec.name, seed, fill)
    return Study(folder, matrix, seed, count)


def take_up(folder: str | Path, consent: Consent = as_it_is) -> Study:
    """Open the folder of a matrix, finished or not, with consent to its code if that is given."""
    folder = Path(folder)
    if os.path.lexists(folder / FACTS):
        refuse_what_leads_out(folder)
    try:
        facts: dict[str, Any] = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        text = read(folder / TEXT)
        short, seed, seeds = bool(facts["short"]), int(facts["seed"]), int(facts["seeds"])
        overrides = [str(one) for one in facts["overrides"]]
        origin = str(facts["source"])
        if not (0 <= seed < 2**31 and 0 < seeds <= MOST_SEEDS):
            raise ValueError("animals that no matrix was begun with")
        if b"\0" in os.fsencode(origin):
            raise ValueError("no name of a file")
    except UNREADABLE as error:
        raise NeuroAWSError(
            f"holds no matrix ({FACTS} and {TEXT})",
            where=str(folder),
            next_step="Name a folder that `neuro-aws matrix` wrote",
        ) from error
    source = str(folder / TEXT)
    matrix = Matrix.from_text(text, source, overrides, short=short, origin=origin)
    return Study(folder, consent(matrix), seed, seeds)


def carry_out(
    study: Study,
    plans: list[RunPlan],
    options: runner.Options,
    progress: Progress | None = None,
    say: Say = _silent,
) -> None:
    """Run what is missing, go on with what was stopped, pass over what is finished."""
    out = str(study.folder / RUNS)
    options = replace(options, seed=study.seed, seeds=study.seeds, out=out, figures=False)
    with lock(study.folder / "matrix.lock", str(study.folder)):
        for at, plan in enumerate(plans, start=1):
            try:
                _one(study, plan, options, progress or Silent(), partial(say, at, len(plans), plan))
            except runner.Stopped as stopped:
                raise runner.Stopped(
                    "stopped; everything simulated so far is saved",
                    where=str(study.folder),
                    next_step=f"Go on with: neuro-aws matrix --resume {study.folder}",
                ) from stopped


def _one(
    study: Study,
    plan: RunPlan,
    options: runner.Options,
    progress: Progress,
    say: Callable[[str], None],
) -> None:
    there = _folder_of(study.place(plan))
    if there is None:
        say("run")
        runner.run(plan.protocol, options=options, progress=progress)
        return
    facts = provenance.read(there)
    if not _is_of(plan, there, facts):
        raise NeuroAWSError(
            "was run from another expansion of this matrix, maybe by another version",
            where=str(there),
            next_step="Begin the matrix anew, or go on with the version that began it",
        )
    study.refuse_other_animals(there, facts["animals"])
    if facts["outcome"] == "finished":
        say("finished")
        return
    say("resume")
    options = replace(options, allow_code=study.matrix.allow_code)
    runner.resume(there, options=options, progress=progress)


def _is_of(plan: RunPlan, folder: Path, facts: dict[str, Any]) -> bool:
    """Say whether a run folder is that of a plan: consent to a matrix's code is to that alone."""
    protocol = plan.protocol
    same = (
        read(folder / "protocol.yaml") == protocol.text
        and facts["overrides"] == list(protocol.overrides)
        and bool(facts.get("short", False)) == protocol.short
    )
    here = facts["protocol"] == runner.absolute(protocol.source)
    return same and (here or not protocol.allow_code)


def _folder_of(place: Path) -> Path | None:
    """Return the run that lies in a folder; hidden ones are not made yet."""
    with suppress(OSError):
        found = sorted(p for p in place.iterdir() if not p.name.startswith("."))
        return found[0] if found else None
    return None

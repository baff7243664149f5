"""A sweep: one protocol at the points of a grid, in every animal; each an ordinary run.

Runs lie by their keys in ``sweeps/<protocol>/runs``, shared by all sweeps of a protocol; each sweep
has a folder of its own beside them, with its manifest, table and figure.
"""

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neuro_aws.backends.rate import forms
from neuro_aws.errors import NeuroAWSError, ProtocolError, clipped
from neuro_aws.experiment import cluster, sweep_runs, sweep_table
from neuro_aws.experiment.run import SAVE_SECONDS, chosen_arms
from neuro_aws.experiment.startable import refuse_what_would_not_start
from neuro_aws.experiment.sweep_runs import Errand, Outcome, SweepRun
from neuro_aws.experiment.workers import StopOnSignal, lock
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.consent import Request
from neuro_aws.protocol.data import required_root, using_data
from neuro_aws.protocol.grid import MOST_RUNS, Grid
from neuro_aws.protocol.start import fitting_processes
from neuro_aws.recording import provenance
from neuro_aws.recording.parts import replace_file

MANIFEST = "manifest.json"
FORMAT = 1
MANIFEST_SECONDS = 5.0
"""How often the manifest is written while runs end: it holds all of them."""

NOT_YET = Outcome()
Point = Mapping[str, str]
Report = Callable[["Row"], None]


@dataclass(frozen=True)
class Options:
    """Where and how a sweep is made; none of it changes a number."""

    out: str = "sweeps"
    jobs: int | None = None
    """Processes on this machine; None: as many as there are cores and memory for."""
    scheduler: str | None = None
    """Address of a Dask scheduler that is there; its workers must see the same folders."""
    data: str | None = None
    save_seconds: float = SAVE_SECONDS


@dataclass(frozen=True)
class Row:
    """A run of a sweep, and how it ended; with neither hash nor error it has not yet."""

    point: Point
    run: SweepRun
    outcome: Outcome = NOT_YET

    @property
    def ended(self) -> bool:
        """Whether it is finished."""
        return bool(self.outcome.sha256)


@dataclass(frozen=True)
class Plan:
    """A sweep that may be run: every point of it is valid."""

    protocol: Protocol
    """That of the first point."""
    grid: Grid
    animals: Sequence[int]
    arms: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def key(self) -> str:
        """Return the hash of what is asked: the same sweep has the same folder."""
        keys = "\n".join(row.run.key for row in self.rows)
        return hashlib.sha256(keys.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Sweep:
    """What a sweep came to."""

    folder: Path
    rows: tuple[Row, ...]
    skipped: int
    """Runs that were finished before."""

    @property
    def failed(self) -> list[Row]:
        """Return the runs that failed."""
        return [row for row in self.rows if row.outcome.error]

    @property
    def finished(self) -> list[Row]:
        """Return the runs that are finished."""
        return [row for row in self.rows if row.ended]


def plan(
    grid: Grid,
    load: Callable[[Sequence[str]], Protocol],
    *,
    animals: Sequence[int] | None = None,
    arms: tuple[str, ...] = (),
    step: str = "auto",
    options: Options | None = None,
) -> Plan:
    """Validate every point of a grid, and say what its runs are; nothing is started.

    ``load`` returns the protocol with some settings changed, and refuses what is wrong with it.
    Without ``animals`` they are the protocol's.
    """
    options = options or Options()
    rows: list[Row] = []
    first: Protocol | None = None
    for point in grid.points:
        protocol = _loaded(grid, point, load)
        first = first or protocol
        some = chosen_arms(protocol, arms)
        _refuse(protocol, options)
        form = forms.chosen(protocol, asked=step)
        chosen = list(animals) if animals is not None else protocol.animals()
        points = len(grid.points)
        if len(chosen) * points > MOST_RUNS:
            raise NeuroAWSError(
                f"{points} points in {len(chosen)} animals are more than {MOST_RUNS} runs",
                where="sweep",
                next_step="Ask for fewer, or --random N points",
            )
        run = SweepRun(
            text=protocol.text,
            overrides=grid.overrides(point),
            short=protocol.short,
            arms=tuple(some),
            animal=0,
            step=forms.COMPILED if form.compiled else forms.WRITTEN_OUT,
            version=provenance.version(),
            code=_code(protocol),
        )
        rows += [Row(point, replace(run, animal=animal)) for animal in chosen]
    assert first is not None
    return Plan(first, grid, chosen, tuple(some), tuple(rows))


def _loaded(grid: Grid, point: Point, load: Callable[[Sequence[str]], Protocol]) -> Protocol:
    """Return the protocol at a point; what is wrong with it is said of the point."""
    try:
        protocol = load(grid.overrides(point))
        protocol.refuse_unloaded()
    except ProtocolError as error:
        if not grid.axes:
            raise
        said = clipped(words(point), 200)
        raise ProtocolError([f"at {said}: {fault}" for fault in error.faults]) from error
    return protocol


def _code(protocol: Protocol) -> str:
    """Return the hash of the user's own code that a protocol names; with other code it changes."""
    if not protocol.own_code:
        return ""
    found = Request.of(protocol, protocol.source).digest()
    if found is None:
        raise NeuroAWSError(
            "there is too much code beside it to tell when it changes",
            where=protocol.source,
            next_step="Put it into a folder of its own",
        )
    return found


def words(point: Point) -> str:
    """Return a point in words: key=value, key=value."""
    return ", ".join(f"{key}={value}" for key, value in point.items()) or "the protocol as it is"


def _refuse(protocol: Protocol, options: Options) -> None:
    """Refuse a point that would not start; of memory only where it is this machine's."""
    here = options.scheduler is None
    refuse_what_would_not_start(protocol, options.data, (options.jobs or 1) if here else None)


def run(
    plan: Plan,
    options: Options | None = None,
    *,
    begun: Callable[[Path, int], None] = lambda folder, left: None,
    report: Report = lambda row: None,
) -> Sweep:
    """Make what is not finished of a sweep's runs, and its table and figure.

    ``begun`` gets the folder and how many runs are left to make; ``report`` every run that ended.
    What fails is an outcome; the rest is finished. Ctrl-C stops it, and the same sweep goes on.
    """
    options = options or Options()
    cluster.refuse_missing()
    home = Path(options.out) / plan.protocol.spec.name
    folder = home / plan.key
    _make(folder, home / "runs")
    with lock(folder / "sweep.lock", f"sweep {folder}", seconds=2):
        rows = {row.run.key: row for row in _known(plan, folder, home / "runs")}
        skipped = sum(row.ended for row in rows.values())
        left = {k: row for k, row in rows.items() if not (row.ended or row.outcome.error)}
        begun(folder, len(left))
        _write(plan, folder, list(rows.values()))
        written = time.monotonic()
        main = threading.current_thread() is threading.main_thread()
        with StopOnSignal() if main else nullcontext(threading.Event()) as stop:
            for row in _ending(plan, left, home / "runs", options, stop):
                rows[row.run.key] = row
                report(row)
                if time.monotonic() - written > MANIFEST_SECONDS:
                    _write(plan, folder, list(rows.values()))
                    written = time.monotonic()
            stopped = stop.is_set()
        _write(plan, folder, list(rows.values()))
        if stopped:
            raise NeuroAWSError(
                f"stopped; {sum(row.ended for row in rows.values())} of {len(rows)} runs are "
                "finished, of the others what was recorded is kept",
                where=str(folder),
                next_step="The same command goes on",
            )
        result = Sweep(folder, tuple(rows.values()), skipped)
        sweep_table.write(result.finished, plan.grid, plan.arms, folder, plan.protocol.spec.name)
    return result


def _make(*folders: Path) -> None:
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NeuroAWSError(f"cannot write ({error.strerror})", where=str(folder)) from error


def _ending(
    plan: Plan, left: Mapping[str, Row], runs: Path, options: Options, stop: threading.Event
) -> Iterator[Row]:
    """Yield every run as it ends."""
    if not left:
        return
    arms = plan.protocol.tree.arms.values()
    with using_data(options.data):
        data = required_root(arm.spec.stimulus for arm in arms)
    errands = {
        key: Errand(
            run=row.run,
            runs=runs.resolve(),
            source=_absolute(plan.protocol.source),
            data=data or options.data,
            allow_code=plan.protocol.allow_code,
            save_seconds=options.save_seconds,
        )
        for key, row in left.items()
    }
    most = min(os.cpu_count() or 1, len(left))
    jobs = options.jobs or fitting_processes((arm.initial for arm in arms), most)
    for ended in cluster.spread(
        sweep_runs.simulate,
        errands,
        jobs=min(jobs, len(left)),
        scheduler=options.scheduler,
        stop=stop,
    ):
        outcome = ended.result or Outcome(error=ended.error)
        yield replace(left[ended.name], outcome=outcome)


def _absolute(source: str) -> str:
    path = Path(source)
    return str(path.resolve()) if path.is_file() else source


def _known(plan: Plan, folder: Path, runs: Path) -> Iterator[Row]:
    """Yield every run with what is known of it: those that are finished, or that were altered."""
    hashes = _hashes(folder)
    for row in plan.rows:
        place = runs.resolve() / row.run.key
        try:
            made = sweep_runs.found(place)
            if made is None or not sweep_runs.is_finished(made):
                yield row
                continue
            outcome = sweep_runs.outcome(made)
        except (NeuroAWSError, OSError) as error:
            yield replace(row, outcome=Outcome(error=str(error)))
            continue
        known = hashes.get(row.run.key, outcome.sha256)
        if known != outcome.sha256:
            said = f"{made / sweep_runs.RECORDING}: was altered since it was made. "
            outcome = Outcome(error=f"{said}Move {place} away to simulate it anew")
        yield replace(row, outcome=outcome)


def _hashes(folder: Path) -> dict[str, str]:
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


def _write(plan: Plan, folder: Path, rows: list[Row]) -> None:
    """Write the manifest in one step."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "protocol": plan.protocol.spec.name,
        "source": _absolute(plan.protocol.source),
        "protocol_sha256": hashlib.sha256(plan.protocol.text.encode()).hexdigest(),
        "neuro_aws": provenance.version(),
        "written": provenance.now(),
        "constant": dict(plan.grid.constant),
        "axes": {key: list(values) for key, values in plan.grid.axes.items()},
        "animals": list(plan.animals),
        "arms": list(plan.arms),
        "short": plan.protocol.short,
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

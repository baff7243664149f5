"""A sweep: one protocol at the points of a grid, in every animal; each an ordinary run.

Runs lie by their keys in ``sweeps/<protocol>/runs``, shared by all sweeps of a protocol; each sweep
has a folder of its own beside them, with its manifest, table and figure.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment import cluster, sweep_manifest, sweep_runs, sweep_table
from neuro_aws.experiment.run import absolute
from neuro_aws.experiment.signals import StopOnSignal
from neuro_aws.experiment.sweep_plan import Options, Plan, Row
from neuro_aws.experiment.sweep_runs import Errand, Outcome
from neuro_aws.experiment.workers import lock
from neuro_aws.protocol.data import data_root, using_data
from neuro_aws.protocol.start import fitting_processes
from neuro_aws.recording.folder import refuse_what_leads_out

MANIFEST_SECONDS = 5.0
"""How often the manifest is written while runs end: it holds all of them."""

Report = Callable[[Row], None]


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
    refuse_what_leads_out(folder)
    with lock(folder / "sweep.lock", f"sweep {folder}", seconds=2):
        rows = {row.run.key: row for row in _known(plan, folder, home / "runs")}
        before = [key for key, row in rows.items() if row.ended]
        left = {k: row for k, row in rows.items() if not (row.ended or row.outcome.error)}
        begun(folder, len(left))
        sweep_manifest.write(plan, folder, list(rows.values()))
        written = time.monotonic()
        main = threading.current_thread() is threading.main_thread()
        with StopOnSignal() if main else nullcontext(threading.Event()) as stop:
            for row in _ending(plan, left, home / "runs", options, stop):
                rows[row.run.key] = row
                report(row)
                if time.monotonic() - written > MANIFEST_SECONDS:
                    sweep_manifest.write(plan, folder, list(rows.values()))
                    written = time.monotonic()
            stopped = stop.is_set()
        read = [] if stopped else list(sweep_table.measured(rows.values()))
        rows |= {row.run.key: row for row, _ in read}
        sweep_manifest.write(plan, folder, list(rows.values()))
        if stopped:
            raise NeuroAWSError(
                f"stopped; {sum(row.ended for row in rows.values())} of {len(rows)} runs are "
                "finished, of the others what was recorded is kept",
                where=str(folder),
                next_step="The same command goes on",
            )
        found = [(row, metrics) for row, metrics in read if metrics is not None]
        sweep_table.write(found, plan.grid, plan.arms, folder, plan.protocol.spec.name)
    skipped = sum(rows[key].ended for key in before)
    return Sweep(folder, tuple(rows.values()), skipped)


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
    with using_data(options.data):
        root = data_root()
    errands = {
        key: Errand(
            run=row.run,
            runs=runs.resolve(),
            source=absolute(plan.protocol.source),
            data=None if root is None else str(root),
            allow_code=plan.protocol.allow_code,
            save_seconds=options.save_seconds,
        )
        for key, row in left.items()
    }
    jobs = options.jobs or _processes(plan, len(left))
    for ended in cluster.spread(
        sweep_runs.simulate,
        errands,
        jobs=min(jobs, len(left)),
        scheduler=options.scheduler,
        stop=stop,
    ):
        outcome = ended.result or Outcome(error=ended.error)
        yield replace(left[ended.name], outcome=outcome)


def _processes(plan: Plan, most: int) -> int:
    """Return how many processes this machine takes: one to a GPU, else by cores and memory."""
    if plan.device != "cpu":
        return 1
    specs = (arm.initial for arm in plan.protocol.tree.arms.values())
    return fitting_processes(specs, min(os.cpu_count() or 1, most))


def _known(plan: Plan, folder: Path, runs: Path) -> Iterator[Row]:
    """Yield every run with what is known of it: those that are finished, or that were altered."""
    hashes = sweep_manifest.hashes(folder)
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

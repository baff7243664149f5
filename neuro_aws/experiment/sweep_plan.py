"""What a sweep is: one protocol at the points of a grid, in every animal; nothing is started."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from neuro_aws.backends.rate import forms
from neuro_aws.errors import NeuroAWSError, ProtocolError, clipped
from neuro_aws.experiment.run import SAVE_SECONDS, chosen_arms
from neuro_aws.experiment.startable import refuse_what_would_not_start
from neuro_aws.experiment.sweep_runs import Outcome, SweepRun, code_of, data_of
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.grid import MOST_RUNS, Grid
from neuro_aws.recording import provenance

DEVICES = r"cpu|cuda(:\d{1,3})?"
NOT_YET = Outcome()
Point = Mapping[str, str]


@dataclass(frozen=True)
class Options:
    """Where and how a sweep is made; none of it changes a number but the device."""

    out: str = "sweeps"
    jobs: int | None = None
    """Processes on this machine; None: as many as there are cores and memory for."""
    scheduler: str | None = None
    """Address of a Dask scheduler that is there; its workers must see the same folders."""
    data: str | None = None
    device: str = "cpu"
    """cpu, cuda, cuda:1, or auto, which is decided on this machine."""
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
    device: str = "cpu"

    @property
    def key(self) -> str:
        """Return the hash of what is asked: the same sweep has the same folder."""
        keys = "\n".join(row.run.key for row in self.rows)
        return hashlib.sha256(keys.encode()).hexdigest()[:8]


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
    device = _device(options)
    rows: list[Row] = []
    first: Protocol | None = None
    for point in grid.points:
        protocol = _loaded(grid, point, load)
        first = first or protocol
        some = chosen_arms(protocol, arms)
        _refuse(protocol, options, device)
        form = forms.chosen(protocol, device=device, asked=step)
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
            device=device,
            version=provenance.version(),
            code=code_of(protocol),
            data=data_of(protocol, options.data),
        )
        rows += [Row(point, replace(run, animal=animal)) for animal in chosen]
    assert first is not None
    return Plan(first, grid, chosen, tuple(some), tuple(rows), device)


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


def words(point: Point) -> str:
    """Return a point in words: key=value, key=value."""
    return ", ".join(f"{key}={value}" for key, value in point.items()) or "the protocol as it is"


def _device(options: Options) -> str:
    """Return the device of all runs; what the workers of a cluster have is known to them alone."""
    if options.scheduler is None:
        from neuro_aws.backends.rate.build import device_of

        return str(device_of(options.device))
    if not re.fullmatch(DEVICES, options.device):
        raise NeuroAWSError(
            f"no device {clipped(options.device)!r} for workers of a cluster",
            where="--device",
            next_step="Give cpu or cuda: it must be the same for all of them",
        )
    return options.device


def _refuse(protocol: Protocol, options: Options, device: str) -> None:
    """Refuse a point that would not start; of memory only where it is this machine's."""
    here = options.scheduler is None and device == "cpu"
    refuse_what_would_not_start(protocol, options.data, (options.jobs or 1) if here else None)

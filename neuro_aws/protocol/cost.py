"""Estimates of a run, printed before it starts: steps, seconds and bytes. No torch in here."""

from dataclasses import dataclass

from neuro_aws.phase import Phase
from neuro_aws.protocol.backends import backend_of
from neuro_aws.protocol.load import Protocol
from neuro_aws.protocol.machine import measured
from neuro_aws.protocol.measures import MEASURES
from neuro_aws.protocol.schedule import Schedule

START_SECONDS, BRANCH_SECONDS = 8.0, 0.1
"""Starting the processes and drawing the figures; storing one branch."""


@dataclass(frozen=True)
class Estimate:
    """What a run is expected to take."""

    steps: int
    seconds: float
    bytes: int
    images_per_step: float = 0.0
    """Stimuli seen in an average step."""

    def __str__(self) -> str:
        size = self.bytes / 1e6
        return f"{self.steps:,} steps, about {duration(self.seconds)}, recording {size:.1f} MB"


def duration(seconds: float) -> str:
    """Return a time in seconds, minutes or hours."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def estimate(
    protocol: Protocol,
    animals: int,
    arms: list[str] | None = None,
    jobs: int = 1,
    relative_time: float = 1.0,
) -> Estimate:
    """Return what running these arms will take with so many processes.

    ``relative_time`` of a step is over that of one in its slowest form.
    """
    tree, spec = protocol.tree, protocol.spec
    chosen = [tree.arms[a] for a in (arms or tree.arms)]
    trunks = [tree.trunks[name] for name in {arm.trunk for arm in chosen}]
    steps = sum(t.stop for t in trunks) + sum(a.schedule.steps - a.branch for a in chosen)
    machine, backend = measured(), backend_of(spec)
    measuring = _measuring(protocol, chosen, trunks) * machine.relative
    spread = max(1, min(jobs, animals * len(chosen)))
    one = steps * relative_time * backend.step_seconds(spec, machine) + measuring
    seconds = animals / spread * one + START_SECONDS + BRANCH_SECONDS * animals * len(chosen)
    size = animals * backend.bytes(spec, steps, len(chosen))
    return Estimate(animals * steps, seconds, size, _images_per_step(protocol))


def _images_per_step(protocol: Protocol) -> float:
    spec = protocol.spec
    stretches = Schedule(spec.schedule).stretches
    waking = sum(s.count(Phase.WAKE) * s.cycles for s in stretches)
    batch = spec.stimulus.batch if backend_of(spec).batches else 1
    return batch * waking / max(sum(s.steps for s in stretches), 1)


def _measuring(protocol: Protocol, arms: list, trunks: list) -> float:  # type: ignore[type-arg]
    shared = sum(
        1 + sum(stretch.stop <= trunk.stop for stretch in trunk.schedule.stretches)
        for trunk in trunks
        if trunk.stop
    )
    total = 0.0
    for m in protocol.spec.measure:
        entry = MEASURES.get(m.measure)
        once = (entry.seconds if entry is not None else 0.01) * m.times(protocol.spec)
        moments = shared
        for arm in arms:
            moments += arm.branch == 0
            for stretch in arm.schedule.stretches:
                if stretch.start >= arm.branch:
                    moments += 1 + (stretch.cycles // m.every if m.every else 0)
        total += once * moments
    return total

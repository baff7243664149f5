"""The tree of an experiment: runs that arms share, and the arms themselves."""

import json
from dataclasses import dataclass, field

from neuro_aws.phase import Phase
from neuro_aws.protocol.perturb import DepriveSleep, Perturbation
from neuro_aws.protocol.schedule import Schedule
from neuro_aws.protocol.schema import ProtocolSpec

TRUNK = "common"
"""The run that arms share before they part; a second one is common_1, and so on."""

OLDER_TRUNK = "common_life"
"""What it is called in recordings of schema version 1."""


def names_of(branch: str) -> tuple[str, ...]:
    """Return a branch's name and, of a trunk, also that in recordings of the other version."""
    if branch.startswith(OLDER_TRUNK):
        return branch, TRUNK + branch.removeprefix(OLDER_TRUNK)
    if branch.startswith(TRUNK):
        return branch, OLDER_TRUNK + branch.removeprefix(TRUNK)
    return (branch,)


class Plan:
    """What is perturbed when, in a branch of an experiment."""

    schedule: Schedule
    perturb: tuple[Perturbation, ...]

    def active(self, period: int, cycle: int, phase: Phase) -> tuple[Perturbation, ...]:
        """Return the perturbations in force in a phase of a cycle of a period, in order."""
        name = self.schedule.stretches[period].name
        return tuple(p for p in self.perturb if in_force(p, name, cycle, phase))

    def covering(self, period: int, cycle: int) -> tuple[Perturbation, ...]:
        """Return the perturbations whose window covers a cycle of a period, whatever the phase."""
        name = self.schedule.stretches[period].name
        return tuple(
            p
            for p in self.perturb
            if name in p.periods
            and p.cycles.start <= cycle
            and (p.cycles.until is None or cycle < p.cycles.until)
        )


@dataclass(frozen=True)
class ArmPlan(Plan):
    """One arm, resolved.

    ``initial`` holds the settings up to the branch, ``spec`` those after it; ``trunk`` names the
    common run it grows from; ``branch`` is the first step of its own.
    """

    name: str
    trunk: str
    initial: ProtocolSpec
    spec: ProtocolSpec
    schedule: Schedule
    branch: int
    perturb: tuple[Perturbation, ...]
    reference: str

    @property
    def first(self) -> int:
        """First step of its own."""
        return self.branch

    @property
    def stop(self) -> int:
        """First step after it."""
        return self.schedule.steps


@dataclass(frozen=True)
class TrunkPlan(Plan):
    """The common run of some arms: steps 0 to ``stop``, unperturbed."""

    name: str
    spec: ProtocolSpec
    schedule: Schedule
    stop: int
    first: int = 0
    perturb: tuple[Perturbation, ...] = ()


@dataclass(frozen=True)
class Tree:
    """Common runs and arms of one animal."""

    trunks: dict[str, TrunkPlan] = field(default_factory=dict)
    arms: dict[str, ArmPlan] = field(default_factory=dict)

    def plan(self, segment: str) -> ArmPlan | TrunkPlan:
        """Return the plan of an arm or of a common run."""
        return self.arms[segment] if segment in self.arms else self.trunks[segment]

    @property
    def steps(self) -> int:
        """Steps one animal costs."""
        trunks = sum(trunk.stop for trunk in self.trunks.values())
        return trunks + sum(arm.schedule.steps - arm.branch for arm in self.arms.values())


def in_force(perturbation: Perturbation, period: str, cycle: int, phase: Phase) -> bool:
    """Say whether a perturbation acts in a phase of a cycle of a period."""
    window = perturbation.cycles
    return (
        perturbation.deprive_sleep is None
        and period in perturbation.periods
        and phase in perturbation.during
        and window.start <= cycle
        and (window.until is None or cycle < window.until)
    )


def branch_index(spec: ProtocolSpec) -> int:
    """Return the number of the period at whose start the arms part; 0 if none says so."""
    return next((i for i, period in enumerate(spec.schedule) if period.branch), 0)


def deprivations(perturb: tuple[Perturbation, ...]) -> dict[str, DepriveSleep]:
    """Return the sleep deprivation of each period, by name."""
    return {
        period: p.deprive_sleep
        for p in perturb
        if p.deprive_sleep is not None
        for period in p.periods
    }


def grow(
    spec: ProtocolSpec,
    initials: dict[str, ProtocolSpec],
    variants: dict[str, ProtocolSpec],
    trunk_name: str = TRUNK,
) -> Tree:
    """Return the tree; ``initials`` and ``variants`` are each arm's settings before and after."""
    tree = Tree()
    keys: dict[str, str] = {}
    default_reference = "control" if "control" in spec.arms else next(iter(spec.arms))
    first = branch_index(spec)
    usual = {id(spec.schedule): Schedule(spec.schedule)}
    for name, arm in spec.arms.items():
        key = json.dumps(arm.initial, sort_keys=True)
        trunk = keys.setdefault(key, trunk_name if not keys else f"{trunk_name}_{len(keys)}")
        initial = initials[name]
        for settings in (initial, variants[name]):
            if id(settings.schedule) not in usual:
                usual[id(settings.schedule)] = Schedule(settings.schedule)
        common = usual[id(initial.schedule)]
        stop = common.stretches[first].start
        tree.trunks.setdefault(trunk, TrunkPlan(trunk, initial, common, stop))
        schedule = usual[id(variants[name].schedule)]
        deprived = deprivations(arm.perturb)
        if deprived:
            schedule = Schedule(variants[name].schedule, deprived, schedule)
        reference = arm.reference or default_reference
        tree.arms[name] = ArmPlan(
            name, trunk, initial, variants[name], schedule, stop, arm.perturb, reference
        )
    return tree

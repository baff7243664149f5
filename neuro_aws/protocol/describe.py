"""A protocol in plain lines: what will happen, when, and to which cells."""

from collections.abc import Iterator

from neuro_aws.phase import Phase
from neuro_aws.protocol.branches import TRUNK
from neuro_aws.protocol.load import Protocol
from neuro_aws.protocol.perturb import Perturbation
from neuro_aws.protocol.schedule import Schedule
from neuro_aws.protocol.schema import Block

MOST_ANIMALS = 20
"""Animals whose targets are listed."""


def describe(protocol: Protocol, animals: list[int]) -> Iterator[str]:
    """Yield the lines that `validate` prints."""
    spec = protocol.spec
    yield f"{spec.name}: {' '.join(spec.description.split())}".rstrip(": ")
    layers = "-".join(map(str, spec.network.layers))
    rule = spec.algorithm.name
    if hasattr(spec.algorithm, "credit"):
        rule += f", credit {spec.algorithm.credit}"
    yield f"stimulus {spec.stimulus.source}, layers {layers}, batch {spec.stimulus.batch}; {rule}"
    yield ""
    yield "schedule (a step is one batch in one phase; all numbers count from 0)"
    yield from _periods(protocol)
    yield ""
    yield "arms"
    for name in spec.arms:
        yield from _arm(protocol, name)
    shown = animals[:MOST_ANIMALS]
    targets = {animal: protocol.targets(animal) for animal in shown}
    if any(targets.values()):
        yield ""
        yield "targets"
        for animal, sets in targets.items():
            for label, cells in sets.items():
                ids = " ".join(map(str, cells.ids))
                where = f"layer {cells.layer}, {len(cells.ids)} cells"
                yield f"  animal {animal}, {label}: {where}: {ids}"
        if len(animals) > len(shown):
            yield f"  and so on, {len(animals):,} animals"


def _periods(protocol: Protocol) -> Iterator[str]:
    schedule = Schedule(protocol.spec.schedule)
    for stretch, period in zip(schedule.stretches, protocol.spec.schedule, strict=True):
        counts = ", ".join(
            f"{stretch.count(phase) * stretch.cycles} {phase}"
            for phase in Phase
            if stretch.count(phase)
        )
        scales = [f"{p} plasticity x {s:g}" for p, s in stretch.scales.items() if s != 1.0]
        branch = "; arms part here" if period.branch else ""
        yield (
            f"  {stretch.name}: steps {stretch.start} to {stretch.stop - 1}, "
            f"{stretch.cycles} cycles of [{blocks(period.phases)}] = {counts}"
            + "".join(f"; {scale}" for scale in scales)
            + branch
        )


def blocks(phases: tuple[Block, ...]) -> str:
    """Return a cycle in short: 25 x [1 wake, 1 rem], 2 nrem."""
    words = []
    for block in phases:
        if block.repeat is not None and block.phases is not None:
            words.append(f"{block.repeat} x [{blocks(block.phases)}]")
        else:
            words += [f"{n} {p}" for p in Phase if (n := getattr(block, p.value)) is not None]
    return ", ".join(words)


def _arm(protocol: Protocol, name: str) -> Iterator[str]:
    plan, arm = protocol.tree.arms[name], protocol.spec.arms[name]
    grown = "" if plan.trunk == TRUNK else f" (grows from {plan.trunk})"
    yield f"  {name}{grown}: {arm.description}".rstrip(": ")
    for kind, settings in (("from the start", arm.initial), ("from the branch", arm.set)):
        for key, value in settings.items():
            yield f"    {key} = {value} {kind}"
    for perturbation in arm.perturb:
        yield f"    {in_words(perturbation)}; {when(perturbation, plan.schedule)}"


def when(perturbation: Perturbation, schedule: Schedule) -> str:
    """Return the periods of a perturbation, with their steps."""
    windows = []
    for name in perturbation.periods:
        stretch = schedule.stretches[schedule.index(name)]
        until = perturbation.cycles.until or stretch.cycles
        first = stretch.start + perturbation.cycles.start * len(stretch.cycle)
        last = stretch.start + until * len(stretch.cycle) - 1
        windows.append(f"{name}, steps {first} to {last}")
    return "; ".join(windows)


def in_words(perturbation: Perturbation) -> str:
    """Return a perturbation in a few words, as recordings, tables and figures name it."""
    section = getattr(perturbation, perturbation.action)
    settings = section.model_dump(mode="json", exclude_defaults=True)
    words = " ".join(f"{key}={value}" for key, value in settings.items())
    during = (
        "" if len(perturbation.during) == len(Phase) else " in " + "+".join(perturbation.during)
    )
    return f"{perturbation.action} {words}{during}".replace("neuromodulator=", "")

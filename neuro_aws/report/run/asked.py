"""What a run was asked: periods, arms, the very cells, the settings."""

from neuro_aws.phase import Phase
from neuro_aws.plots.hypnogram import PHASE_NAMES
from neuro_aws.plots.style import readable
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.describe import MOST_ANIMALS, blocks, in_words, when
from neuro_aws.protocol.schedule import Schedule
from neuro_aws.recording.reader import Run
from neuro_aws.report.document import Section, Table, Verbatim, Words
from neuro_aws.report.wording import counted


def section(run: Run) -> Section:
    """Return the section."""
    protocol, spec = run.protocol, run.protocol.spec
    tables = [_periods(protocol), _arms(run)]
    cells = _cells(run)
    changed = [f"Changed by --set: {', '.join(run.provenance['overrides'])}."]
    paragraphs = [
        " ".join(spec.description.split()) or "The protocol describes itself in no words.",
        _network(run),
        *(changed if run.provenance["overrides"] else []),
    ]
    return Section(
        "asked",
        "What was asked",
        [
            Words(paragraphs),
            *tables,
            *([cells] if cells is not None else []),
            Verbatim("The protocol as it was written", protocol.text, folded=True, paper=True),
            Verbatim("With every default written out", protocol.resolved(), folded=True),
        ],
    )


def _network(run: Run) -> str:
    spec = run.protocol.spec
    rule, credit = readable(spec.algorithm.name), getattr(spec.algorithm, "credit", None)
    layers = ", ".join(map(str, spec.network.layers))
    text = f"Theory: {rule}" + (f", credit {credit}" if credit is not None else "")
    text += f". Stimuli: {spec.stimulus.source}. Units by layer, the stimulus first: {layers}."
    short = " This is the protocol's short form." if run.provenance.get("short") else ""
    return f"{text} {counted(len(run.animals), 'animal')}, {counted(len(run.arms), 'arm')}.{short}"


def _periods(protocol: Protocol) -> Table:
    rows = []
    schedule = Schedule(protocol.spec.schedule)
    for stretch, period in zip(schedule.stretches, protocol.spec.schedule, strict=True):
        counts = [
            f"{stretch.count(phase) * stretch.cycles:,} {PHASE_NAMES[phase]}"
            for phase in Phase
            if stretch.count(phase)
        ]
        scales = [f"{p} plasticity x {s:g}" for p, s in stretch.scales.items() if s != 1.0]
        notes = [*(["arms part here"] if period.branch else []), *scales]
        steps = f"{stretch.start:,} to {stretch.stop - 1:,}"
        cycle = f"{stretch.cycles:,} of [{blocks(period.phases)}]"
        rows.append((readable(stretch.name), steps, cycle, ", ".join(counts), "; ".join(notes)))
    return Table(
        "Periods (a step is one batch in one phase; all numbers count from 0)",
        ("period", "steps", "cycles", "steps by phase", "notes"),
        rows,
    )


def _arms(run: Run) -> Table:
    rows = []
    for name in run.arms:
        plan, arm = run.protocol.tree.arms[name], run.protocol.spec.arms[name]
        done = [f"{in_words(p)}; {when(p, plan.schedule)}" for p in arm.perturb]
        for kind, settings in (("from the start", arm.initial), ("from the branch", arm.set)):
            done += [f"{key} = {value} {kind}" for key, value in settings.items()]
        reference = readable(plan.reference) if plan.reference != name else "itself"
        rows.append((readable(name), arm.description, " | ".join(done) or "nothing", reference))
    return Table("Arms", ("arm", "description", "what is done to it", "compared with"), rows)


def _cells(run: Run) -> Table | None:
    shown = run.animals[:MOST_ANIMALS]
    rows = [
        (f"animal {animal}", readable(name), str(cells.layer), str(len(cells.ids)), ids)
        for animal in shown
        for name, cells in run.protocol.targets(animal).items()
        for ids in [" ".join(map(str, cells.ids))]
    ]
    left = len(run.animals) - len(shown)
    caption = "Target cells of each animal" + (f"; {left:,} more animals" if left else "")
    return Table(caption, ("animal", "cells", "layer", "how many", "ids"), rows) if rows else None

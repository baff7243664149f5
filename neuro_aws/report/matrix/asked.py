"""What a matrix asks: its theories, its blocks, its manipulations."""

from neuro_aws.plots.hypnogram import PHASE_NAMES
from neuro_aws.plots.style import readable
from neuro_aws.protocol.describe import blocks, in_words
from neuro_aws.protocol.matrix import TheoryColumn
from neuro_aws.protocol.perturb import Perturbation
from neuro_aws.report.document import Section, Table, Verbatim, Words
from neuro_aws.report.matrix.tables import Reported
from neuro_aws.report.wording import counted, listed


def section(found: Reported) -> Section:
    """Return the section."""
    spec, study = found.spec, found.study
    last = study.seed + study.seeds - 1
    animals = f"animal {study.seed}" if study.seeds == 1 else f"animals {study.seed} to {last}"
    words = [
        " ".join(spec.description.split()) or "The matrix describes itself in no words.",
        f"{counted(len(spec.theories), 'theory', 'theories')}, "
        f"{counted(len(found.places), 'manipulation')} in {counted(len(spec.blocks), 'block')}; "
        f"{animals}, the same in every theory. An effect is an animal's value in an arm minus the "
        "same animal's in its reference, at the end.",
    ]
    if study.matrix.short:
        words.append("This is the short form of the matrix: some seconds, and no result.")
    if study.matrix.overrides:
        words.append(f"Changed by --set: {', '.join(study.matrix.overrides)}.")
    return Section(
        "asked",
        "What was asked",
        [
            Words(words),
            _theories(found),
            _blocks(found),
            _manipulations(found),
            Verbatim("The matrix as it was written", study.matrix.text, folded=True, paper=True),
        ],
    )


def _theories(found: Reported) -> Table:
    rows = []
    for name, column in found.spec.theories.items():
        asked_in = [readable(p.block) for p in found.plans if p.theory == name]
        phases = ", ".join(PHASE_NAMES[phase] for phase in column.phases)
        texts = (column.description, phases, ", ".join(asked_in), _criterion(column))
        rows.append((readable(name), *texts))
    head = ("theory", "description", "speaks of", "asked in", "has learnt if")
    return Table("Theories (their settings stand in the file below)", head, rows)


def _criterion(column: TheoryColumn) -> str:
    if column.criterion.exempt:
        return "not asked: a null"
    beyond = column.criterion.beyond
    more = f" more than under {readable(beyond)}" if beyond else ""
    gains = f"{readable(column.criterion.probe)} of the top layer gains{more}"
    parts = [gains, "its objective falls"]
    parts += [
        f"{readable(lesion.value)} is lower {readable(name)}"
        for name, lesion in column.criterion.lesions.items()
    ]
    return listed(parts)


def _blocks(found: Reported) -> Table:
    rows = []
    for name, block in found.spec.blocks.items():
        plan = next((p for p in found.plans if p.block == name), None)
        if plan is None:
            continue
        spec = plan.protocol.spec
        periods = "; ".join(
            f"{readable(p.name)}, {p.cycles:,} of [{blocks(p.phases)}]" for p in spec.schedule
        )
        layers = ", ".join(map(str, spec.network.layers))
        rows.append((readable(name), block.description, spec.stimulus.source, layers, periods))
    head = ("block", "description", "stimuli", "units by layer", "schedule (cycles)")
    return Table("Blocks, each with an infancy of its own", head, rows)


def _manipulations(found: Reported) -> Table:
    rows = []
    for place in found.places:
        section = found.section(place)
        measured = found.spec.measured(*place)
        about = [f"layer {measured.layer}"] if measured.layer is not None else []
        about += [readable(measured.targets)] if measured.targets else []
        value = ", ".join([readable(measured.value or ""), *about])
        both = _done(section.under) or "nothing"
        rows.append((found.words(place), readable(place[0]), _done(measured.perturb), both, value))
    head = ("manipulation", "block", "done in the arm alone", "done in both arms", "measured")
    return Table("Manipulations", head, rows)


def _done(perturbations: tuple[Perturbation, ...]) -> str:
    return " | ".join(
        f"{in_words(p)}; {', '.join(map(readable, p.periods))}" for p in perturbations
    )

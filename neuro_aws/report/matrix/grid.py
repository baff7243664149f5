"""The matrix itself: a figure to point at, and the same as a table."""

from typing import Any

from neuro_aws.experiment.matrix.expand import Status
from neuro_aws.experiment.matrix.results import CORRECTION, LEVEL
from neuro_aws.plots import matrix as plots
from neuro_aws.plots.style import readable
from neuro_aws.report.document import Chart, Part, Section, Shade, Table, Words
from neuro_aws.report.interactive.cells import Cell, cells
from neuro_aws.report.matrix.criteria import marked
from neuro_aws.report.matrix.tables import NOT_RUN, Reported, effect_of, interaction_of

HEADS = (
    "theory",
    "manipulation",
    "effect",
    "p corrected",
    "weights changed",
    "status",
    "ACh mediates",
    "taken away by what is done beside",
)

HOW = (
    "Mean effect over animals with half its 95 % interval. Red: up, blue: down, deeper where the "
    "effect is larger among those of the same measure; grey or white: its interval holds 0, or "
    f"there is none. * p < {LEVEL:g}, corrected ({CORRECTION}). W, N, R: feedforward weights "
    "changed in wake, NREM, REM by the recording; in brackets: only feedback weights did. A: "
    "taking ACh away takes the effect away; a: part of it; (A), (a): before correction only. "
    "0 def.: 0 by definition; = def.: as without what is done beside, by definition; n/a: not "
    "applicable. † has not learnt by its own criterion."
)


def section(found: Reported) -> Section:
    """Return the section."""
    parts = [Part(readable(block), [_chart(found, block)]) for block in found.spec.blocks]
    words = Words(["Point at a cell to read all of it, or open the table below the figure.", HOW])
    return Section("matrix", "The matrix", [words], parts)


def _chart(found: Reported, block: str) -> Chart:
    table = found.cells[found.cells["block"] == block]
    by_key = {(r.manipulation, r.theory): r for r in table.itertuples()}
    places = [place for place in found.places if place[0] == block]
    theories = list(found.spec.theories)
    shown, texts, shades = [], [], []
    for place in places:
        rows = [by_key[place[1], theory] for theory in theories]
        looks = [plots.look(row, table) for row in rows]
        tips = [_tips(found, place[1], row) for row in rows]
        shown.append([Cell(o.text, o.face, o.ink, tip) for o, tip in zip(looks, tips, strict=True)])
        texts.append((found.words(place), *(_written(row) for row in rows)))
        shades.append([None, *(Shade(o.face, o.ink) for o in looks)])
    names = [marked(found, theory) for theory in theories]
    values = ", ".join(dict.fromkeys(readable(str(v)) for v in table["value"]))
    return Chart(
        f"matrix-{block}",
        f"Effects on {values}",
        "Columns are theories, rows are manipulations.",
        cells([found.words(p) for p in places], names, shown, HEADS),
        Table(
            f"{readable(block)}: effect [95 % interval], corrected p, phases in which weights "
            "changed, whether ACh mediates it",
            ("manipulation", *names),
            texts,
            shades,
        ),
        wide=True,
    )


def _tips(found: Reported, name: str, row: Any) -> list[str]:
    taken = interaction_of(row)
    said = f"{taken}, p {_p(row.interaction_p_corrected)}" if taken.n else "-"
    status = str(row.status) + (f" ({row.why})" if row.why else "")
    words = found.words((str(row.block), name))
    effect = f"{effect_of(row)} ({found_unit(row)})" if effect_of(row).n else "-"
    p = _p(row.p_corrected)
    return [
        marked(found, str(row.theory)),
        words,
        effect,
        p,
        changed(row) or "-",
        status,
        str(row.ach_mediates) or "-",
        said,
    ]


def found_unit(row: Any) -> str:
    """Return what an effect is of, with its unit."""
    name = readable(str(row.value))
    return f"{name}, {row.unit}" if row.unit else name


def _p(p: float) -> str:
    if p != p:
        return "-"
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"


def changed(row: Any) -> str:
    """Return in which phases weights of each kind changed, by the recording."""
    said = []
    for kind, named in (("F", row.feedforward_changed_in), ("G", row.feedback_changed_in)):
        phases = [phase if phase == "wake" else phase.upper() for phase in str(named).split()]
        if phases:
            said.append(f"{kind} in {', '.join(phases)}")
    return "; ".join(said)


def _written(row: Any) -> str:
    """Return a cell as the table has it."""
    status = str(row.status)
    if status == Status.BY_DEFINITION:
        return "0, by definition"
    if status in (Status.NOT_APPLICABLE, NOT_RUN):
        return status
    lines = [str(effect_of(row))]
    if row.p_corrected == row.p_corrected:
        lines.append(f"p {_p(row.p_corrected)}")
    if status == Status.AS_WITHOUT:
        lines.append("as without, by definition")
    elif changed(row):
        lines.append(changed(row))
    if row.ach_mediates:
        lines.append(f"ACh: {row.ach_mediates}")
    return "\n".join(lines)

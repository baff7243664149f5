"""What a matrix found, in sentences made from its tables."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

from neuro_aws.experiment.matrix.expand import Status
from neuro_aws.experiment.matrix.results import LEVEL, taken_away
from neuro_aws.plots.hypnogram import PHASE_NAMES
from neuro_aws.plots.style import readable
from neuro_aws.report.document import Section, Sentences, Words
from neuro_aws.report.matrix import background
from neuro_aws.report.matrix.background import Kind
from neuro_aws.report.matrix.criteria import failed
from neuro_aws.report.matrix.power import best_experiments
from neuro_aws.report.matrix.tables import (
    NOT_RUN,
    Place,
    Reported,
    effect_of,
    interaction_of,
    rows_of,
)
from neuro_aws.report.wording import counted, listed

NO, DEFINED = "no", "no, by definition"
LATE = ", before correction"
HEADS = {"yes": "wholly", "in part": "in part"}

HOW = (
    "Mean effects over animals with 95 % intervals. Lower and higher: the interval excludes 0. "
    f"Before correction: the paired t test's p, corrected for all tests of the matrix (Holm), is "
    f"{LEVEL:g} or more. Wholly: no effect that can be told from 0 is left."
)

Groups = dict[str, list[str]]
"""What is said of some theories, and the theories, with their numbers."""


def section(found: Reported) -> Section:
    """Return the section."""
    several = found.study.seeds > 1
    sentences = [
        *_unfinished(found),
        *(("not met", text) for text in failed(found)),
        *(("", text) for text in _whatever_changes(found) if several),
        *(("", text) for text in best_experiments(found)),
        *(("", text) for text in _learnt_when(found)),
    ]
    each = [("", effects(found, place)) for place in _plain(found)]
    how = HOW if several else "One animal: no intervals and no tests."
    return Section(
        "found",
        "What was found",
        [Sentences(sentences), Words(["By manipulation:"]), Sentences(each), Words([how])],
    )


def _whatever_changes(found: Reported) -> Iterator[str]:
    yield from _by_plasticity(found)
    yield from _nowhere(found)
    yield from _mediated(found)
    yield from _held(found)


def _plain(found: Reported) -> list[Place]:
    """Return the manipulations that are not another one with something done beside."""
    return [place for place in found.places if found.section(place).of is None]


def _beside(found: Reported, kind: Kind) -> Iterable[tuple[Place, Place]]:
    """Yield manipulations that are another one with something of a kind done beside, and that."""
    for place in found.places:
        section = found.section(place)
        if section.of is not None and background.kind_of(section.under) is kind:
            yield place, (place[0], section.of)


def _by_plasticity(found: Reported) -> Iterator[str]:
    """Yield by which plasticity of F a manipulation does what it does, where it does anything."""
    for kind, when in ((Kind.F_IN_WAKE, "in wake"), (Kind.F_IN_SLEEP, "in sleep")):
        for place, base in _beside(found, kind):
            groups: Groups = {}
            for row in found.rows(place):
                if found.cell(base, row.theory).direction in ("up", "down"):
                    said, text = _gone(row)
                    groups.setdefault(said, []).append(text)
            parts = _by_verdict(groups)
            if parts:
                what = f"changes {_value(found, base)} by plasticity of F {when}"
                yield f"{_start(found, base)} {what}: {'; '.join(parts)}."


def _gone(row: Any) -> tuple[str, str]:
    """Return whether what is done beside takes an effect away, and of which theory, by how much."""
    taken, left, name = interaction_of(row), effect_of(row), readable(str(row.theory))
    if math.isnan(taken.mean) or math.isnan(left.mean):
        return "", name
    said = taken_away(row.status, left, taken, row.interaction_p_corrected)
    if said in (NO, DEFINED):
        return said, name
    late = LATE if said.endswith(LATE) else ""
    return said.removesuffix(LATE), f"{name} ({taken} taken away, {left} left{late})"


def _by_verdict(groups: Groups) -> list[str]:
    parts = [
        f"{head} under {listed(groups[said])}" for said, head in HEADS.items() if said in groups
    ]
    parts += [f"not under {listed(groups[NO])}"] if NO in groups else []
    parts += [f"by definition not under {listed(groups[DEFINED])}"] if DEFINED in groups else []
    return parts


def _mediated(found: Reported) -> Iterator[str]:
    for base in _plain(found):
        groups: Groups = {}
        for row in found.rows(base):
            said = str(row.ach_mediates)
            if row.direction not in ("up", "down"):
                continue
            late = " (before correction)" if said.endswith(LATE) else ""
            name = readable(str(row.theory)) + late
            groups.setdefault(said.removesuffix(LATE), []).append(name)
        parts = _by_verdict(groups)
        if parts:
            yield f"{_start(found, base)} acts through ACh: {'; '.join(parts)}."


def _held(found: Reported) -> Iterator[str]:
    """Yield where blocking homeostasis changes an effect."""
    for place, base in _beside(found, Kind.HOMEOSTASIS):
        groups: Groups = {}
        for row in found.rows(place):
            taken, name = interaction_of(row), readable(str(row.theory))
            if math.isnan(taken.mean) or row.status != Status.MEASURED:
                continue
            if taken.low <= 0 <= taken.high or taken.n < 2:
                groups.setdefault("no", []).append(name)
                continue
            before = effect_of(found.cell(base, row.theory))
            now, late = effect_of(row), _late(row.interaction_p_corrected)
            how = "larger" if abs(now.mean) > abs(before.mean) else "smaller"
            groups.setdefault(how, []).append(f"{name} ({now} instead of {before}{late})")
        heads = {"larger": "a larger effect", "smaller": "a smaller effect"}
        heads["no"] = "no effect that can be told from that without the block"
        parts = [f"{words} under {listed(groups[k])}" for k, words in heads.items() if k in groups]
        if parts:
            yield f"{_start(found, base)} has, with homeostasis blocked, {'; '.join(parts)}."


def _nowhere(found: Reported) -> Iterator[str]:
    """Yield the theories under which no manipulation changes anything."""
    still, none = [], []
    for theory in found.spec.theories:
        rows = [found.cell(place, theory) for place in _plain(found)]
        known = [row for row in rows if not math.isnan(row.effect)]
        if known and all(row.status == Status.BY_DEFINITION for row in known):
            none.append(readable(theory))
        elif known and all(row.direction == "none" for row in known):
            still.append(readable(theory))
    if none:
        yield f"Nothing changes anything, by definition, under {listed(none)}."
    if still:
        yield f"No manipulation has an effect that can be told from 0 under {listed(still)}."


def _learnt_when(found: Reported) -> Iterator[str]:
    """Yield in which phases weights changed while manipulations were going on."""
    cells = found.cells
    plain = set(_plain(found))
    groups: Groups = {}
    for theory in found.spec.theories:
        rows = [
            row
            for row in rows_of(cells[cells["theory"] == theory])
            if (row.block, row.manipulation) in plain and row.status == Status.MEASURED
        ]
        if rows:
            said = [
                f"{letter} in {listed(phases)}" if phases else f"{letter} in none"
                for letter, kind in (("F", "feedforward"), ("G", "feedback"))
                for phases in [_phases(rows, f"{kind}_changed_in")]
            ]
            groups.setdefault(", ".join(said), []).append(readable(theory))
    if groups:
        parts = [f"{said} under {listed(names)}" for said, names in groups.items()]
        yield f"By the recordings, the weights measured changed: {'; '.join(parts)}."


def _phases(rows: Iterable[Any], column: str) -> list[str]:
    named = {phase for row in rows for phase in str(getattr(row, column)).split()}
    return [words for phase, words in PHASE_NAMES.items() if phase in named]


def effects(found: Reported, place: Place) -> str:
    """Return under which theories a manipulation lowers its value, raises it, or does neither."""
    groups: Groups = {}
    for row in found.rows(place):
        name, effect = readable(str(row.theory)), effect_of(row)
        if row.status == Status.BY_DEFINITION:
            groups.setdefault("0 by definition", []).append(name)
        elif row.status == NOT_RUN:
            groups.setdefault("not run yet", []).append(name)
        elif math.isnan(effect.mean):
            groups.setdefault("not applicable", []).append(name)
        else:
            words = {"up": "higher", "down": "lower", "none": "not distinguishable from 0"}
            head = words[str(row.direction)] if effect.n > 1 else "measured"
            late = _late(row.p_corrected) if row.direction in ("up", "down") else ""
            groups.setdefault(head, []).append(f"{name} ({effect}{late})")
    order = ("lower", "higher", "measured", "not distinguishable from 0", "0 by definition")
    told = [
        f"{head} under {listed(groups[head])}"
        for head in (*order, "not applicable", "not run yet")
        if head in groups
    ]
    several = f"{readable(place[0])}, " if len(found.spec.blocks) > 1 else ""
    return f"{_start(found, place)} ({several}{_value(found, place)}): {'; '.join(told)}."


def _start(found: Reported, place: Place) -> str:
    """Return a manipulation as the beginning of a sentence."""
    words = found.words(place)
    return words[:1].upper() + words[1:]


def _value(found: Reported, place: Place) -> str:
    return readable(found.spec.measured(*place).value or "")


def _late(p: float) -> str:
    return "" if p < LEVEL else LATE


def _unfinished(found: Reported) -> list[tuple[str, str]]:
    left = found.unfinished
    if not left:
        return []
    names = listed([f"{readable(p.theory)} in {readable(p.block)}" for p in left])
    of = f"{counted(len(left), 'run')} of {len(found.plans)}"
    again = f"neuro-aws matrix --resume {found.study.folder.name} goes on"
    return [("not run yet", f"{of}: {names}; {again}.")]

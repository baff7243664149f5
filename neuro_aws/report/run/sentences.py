"""Plain sentences made from values: what was expected, what was found, what changed when."""

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

import pandas as pd

from neuro_aws.errors import printable
from neuro_aws.experiment.results import Verdict
from neuro_aws.metrics.statistics import Estimate
from neuro_aws.phase import Phase
from neuro_aws.plots.hypnogram import PHASE_NAMES
from neuro_aws.plots.outcomes import chosen
from neuro_aws.plots.style import readable
from neuro_aws.protocol.schema import Expectation
from neuro_aws.report.wording import Key, counted, listed, named, over, where


def about(e: Expectation) -> str:
    """Return what an expectation is about, as the beginning of a sentence."""
    value = named(e.value) + where(e.layer, e.targets)
    at = f"at the end of {readable(e.period)}"
    if e.cycle is not None:
        at = f"at cycle {e.cycle} of {readable(e.period)}"
    gain = " minus its value before anything was learnt" if e.since else ""
    if e.relative_to is None:
        return f"In {readable(e.arm)}, {value} {at}{gain}"
    return f"In {readable(e.arm)} minus {readable(e.relative_to)}, {value} {at}{gain}"


def expected(v: Verdict) -> tuple[str, str]:
    """Return the mark of an expectation (met, not met, ...), and a sentence with numbers."""
    low, high = v.expectation.between
    wanted = f"the protocol expects {low:g} to {high:g}"
    if not v.found.n:
        return v.mark, f"{about(v.expectation)} was not measured; {wanted}."
    text = f"{about(v.expectation)} was {over(v.found, v.expectation.value)}; {wanted}."
    if v.met is None:
        text += f" Not judged: {printable(v.why.removeprefix('not judged: '))}."
    if v.met and v.met_initially:
        first = Estimate(v.initially.mean, float("nan"), float("nan"), 1)
        text += f" A network that has learnt nothing meets it too ({first})."
    if v.expectation.note:
        text += f" The protocol notes: {printable(' '.join(v.expectation.note.split()))}"
    return v.mark, text


def tally(verdicts: Sequence[Verdict]) -> str:
    """Return how many expectations were met, in a sentence."""
    if not verdicts:
        return "The protocol expects no numbers, so nothing was judged."
    met, failed = (sum(v.met is which for v in verdicts) for which in (True, False))
    left = len(verdicts) - met - failed
    if left == len(verdicts):
        return f"None of the {counted(left, 'expectation')} was judged."
    text = f"{met} of {counted(met + failed, 'expectation')} met"
    text += f", {failed} not met" if failed else ""
    return text + (f"; {left} not judged." if left else ".")


def against_reference(
    differences: pd.DataFrame, key: Key, arms: Sequence[str], references: Mapping[str, str]
) -> list[str]:
    """Return a sentence for each reference: in which arms a value ended higher, lower, neither."""
    rows = chosen(differences, *key).set_index("arm")
    sentences = []
    for reference in dict.fromkeys(references.values()):
        mine = [a for a in arms if a in rows.index and rows.loc[a, "reference"] == reference]
        told: dict[str, list[str]] = {}
        for arm in mine:
            cells: Any = rows.loc[arm, list(Estimate._fields)]
            found = Estimate(*cells)
            told.setdefault(_direction(found), []).append(f"{readable(arm)} ({found})")
        words = [f"{direction} in {listed(which)}" for direction, which in told.items()]
        if words:
            value = named(key[0]) + where(key[1], key[2])
            start = f"Against {readable(reference)}, animal by animal, {value} ended"
            sentences.append(f"{start} {'; '.join(words)}.")
    return sentences


def _direction(found: Estimate) -> str:
    if isnan(found.low):
        return "(one animal, no interval) " + ("higher" if found.mean > 0 else "not higher")
    if found.low > 0:
        return "higher"
    return "lower" if found.high < 0 else "not distinguishably different"


def changed_when(shares: Mapping[str, tuple[int, int]]) -> str:
    """Return in which phases feedforward weights changed: phase -> (steps that did, all steps)."""
    words = [
        f"{PHASE_NAMES[phase]} in {shares[phase][0]:,} of {counted(shares[phase][1], 'step')}"
        for phase in map(str, Phase)
        if phase in shares
    ]
    changing = [PHASE_NAMES[phase] for phase in map(str, Phase) if shares.get(phase, (0, 0))[0]]
    head = f"changed in {listed(changing)}" if changing else "never changed"
    return f"Feedforward weights {head}: {listed(words)}."

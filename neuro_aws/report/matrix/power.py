"""Which experiment tells two theories apart, and how many animals it takes."""

from typing import Any

import pandas as pd

from neuro_aws.experiment.matrix.ranking import USUAL
from neuro_aws.metrics.separation import ALPHA, COUNTS, WANTED, enough
from neuro_aws.metrics.statistics import Estimate
from neuro_aws.plots.matrix import HOW_MUCH, SHOWN
from neuro_aws.plots.style import ARM_COLOURS, readable
from neuro_aws.report.document import Chart, Part, Section, Table, Words
from neuro_aws.report.interactive.courses import Course, courses
from neuro_aws.report.matrix.tables import Place, Reported
from neuro_aws.report.wording import counted, listed

BEST = 3
"""Manipulations that are named as those that separate most theories."""

HOW = (
    "Animals are drawn from those that were simulated, with measurement noise added, and tested "
    f"against what the other theory predicts (one-sample t test, two-sided, {ALPHA:g}); the power "
    "is the lower of the two, whichever theory is true. Simulated animals hardly vary, so the "
    "noise decides: it stands at three levels."
)


def section(found: Reported) -> Section:
    """Return the section."""
    title, table = "Which experiment, and how many animals?", found.tables["power"]
    if table.empty:
        return Section("power", title, [Words([_why_not(found)])])
    pair, why = _pair(found)
    words = [HOW, *_noises(found), *([why] if why else [])]
    mine = _of(table, pair)
    parts = [Part(_against(pair), [_chart(found, pair, mine), _ranking(found, pair, mine)])]
    parts.append(Part("Every pair", [_pairs(found)]))
    separating = found.tables["separating"]
    if len(separating):
        parts.append(Part("Every manipulation", [_separating(found, separating)]))
    return Section("power", title, [Words(words)], parts)


def _why_not(found: Reported) -> str:
    if found.study.seeds < 2:
        return "One animal: how animals vary is not known, so there is no ranking."
    return "No two theories have learnt by their own criteria (or are nulls), so none are compared."


def _against(pair: tuple[str, str]) -> str:
    return f"{readable(pair[0])} against {readable(pair[1])}"


def _pair(found: Reported) -> tuple[tuple[str, str], str]:
    """Return the pair that is drawn: the one the file names if it was compared, else the first."""
    table = found.tables["power"]
    pairs = list(dict.fromkeys(zip(table["first"], table["second"], strict=True)))
    wanted = found.spec.compare
    if wanted is None:
        return pairs[0], "The matrix names no two theories; the first pair is drawn."
    for pair in pairs:
        if set(pair) == set(wanted):
            return pair, ""
    said = f"{_against(wanted)} was asked for and is not compared: one has not learnt, or not run."
    return pairs[0], f"{said} The first pair that is compared is drawn."


def _of(table: pd.DataFrame, pair: tuple[str, str]) -> pd.DataFrame:
    return table[(table["first"] == pair[0]) & (table["second"] == pair[1])]


def _noises(found: Reported) -> list[str]:
    return [
        f"Noise of {readable(name)} (standard deviation between animals): "
        f"{', '.join(f'{level:g}' for level in noise.levels)}; default {noise.default:g}. "
        f"Source: {noise.source}."
        for name, noise in found.spec.noise.items()
    ]


def _places(mine: pd.DataFrame) -> list[Place]:
    """Return the manipulations of a pair, the best first."""
    ranked = mine.sort_values("rank")[["block", "manipulation"]].drop_duplicates()
    return [(str(block), str(name)) for block, name in ranked.itertuples(index=False)]


def _rows(mine: pd.DataFrame, place: Place) -> pd.DataFrame:
    return mine[(mine["block"] == place[0]) & (mine["manipulation"] == place[1])]


def _levels(mine: pd.DataFrame, place: Place) -> list[tuple[float, dict[int, float]]]:
    """Return the powers of a manipulation by number of animals, at each level of noise."""
    rows = _rows(mine, place)
    return [
        (float(str(noise)), dict(zip(part["animals"].astype(int), part["power"], strict=True)))
        for noise, part in rows.groupby("noise", sort=True)
    ]


def _chart(found: Reported, pair: tuple[str, str], mine: pd.DataFrame) -> Chart:
    places = _places(mine)
    best = places[:SHOWN]
    rows: list[tuple[str, list[Course]]] = [(f"{how} measurement noise", []) for how in HOW_MUCH]
    table = []
    for place in places:
        for level, (noise, powers) in enumerate(_levels(mine, place)):
            told = [f"{powers[n]:.2f}" for n in COUNTS if n in powers]
            table.append((found.words(place), f"{noise:g}", *told))
            if place in best:
                lines = [
                    Estimate(power, float("nan"), float("nan"), 1) for power in powers.values()
                ]
                colour = ARM_COLOURS[best.index(place)]
                label = found.words(place)
                rows[level][1].append(Course(label, colour, pd.Index(powers).to_numpy(), lines))
    left = len(places) - len(best)
    more = f" {counted(left, 'more manipulation')} in the numbers behind it." if left > 0 else ""
    return Chart(
        "power-by-animals",
        f"Power against animals: {_against(pair)}",
        f"The {counted(len(best), 'manipulation')} that separate them best.{more}",
        courses(rows, "animals", None),
        Table("Power", ("manipulation", "noise", *(f"{n} animals" for n in COUNTS)), table),
        [(found.words(place), ARM_COLOURS[i]) for i, place in enumerate(best)],
    )


def _needed(mine: pd.DataFrame, place: Place) -> str:
    most = f"> {COUNTS[-1]}"
    return " / ".join(str(enough(powers) or most) for _, powers in _levels(mine, place))


def _ranking(found: Reported, pair: tuple[str, str], mine: pd.DataFrame) -> Table:
    rows = []
    for place in _places(mine):
        one: Any = next(_rows(mine, place).itertuples())
        spreads = f"{one.spread_first:.2g} / {one.spread_second:.2g}"
        difference = f"{one.difference:.3g}"
        rows.append((found.words(place), difference, spreads, _needed(mine, place)))
    head = ("manipulation", "difference", "sd of simulated animals", _animals_for())
    return Table(f"{_against(pair)}, the manipulation that separates best first", head, rows)


def _animals_for() -> str:
    return f"animals for a power of {WANTED:g}, by noise"


def _pairs(found: Reported) -> Table:
    table, rows = found.tables["power"], []
    for pair in dict.fromkeys(zip(table["first"], table["second"], strict=True)):
        mine = _of(table, pair)
        best = _places(mine)[0]
        rows.append((_against(pair), found.words(best), _needed(mine, best)))
    head = ("theories", "best manipulation", _animals_for())
    return Table("Theories that have learnt, and nulls", head, rows)


def _separating(found: Reported, table: pd.DataFrame) -> Table:
    rows = [
        (found.words((str(r.block), str(r.manipulation))), f"{r.separated} of {r.asked}")
        for r in table.itertuples()
    ]
    caption = f"Pairs with a power of {WANTED:g} at {USUAL} animals and the default noise"
    return Table(caption, ("manipulation", "pairs it separates, of those that answer it"), rows)


def best_experiments(found: Reported) -> list[str]:
    """Return which manipulations separate most pairs of theories."""
    table = found.tables["separating"]
    best = [
        f"{found.words((str(r.block), str(r.manipulation)))} ({r.separated} of {r.asked} pairs)"
        for r in table.head(BEST).itertuples()
    ]
    if not best:
        return [_why_not(found)]
    return [
        f"Most pairs of theories that have learnt, and nulls, are separated by {listed(best)} "
        f"(power of {WANTED:g} or more at {USUAL} animals and the default noise)."
    ]

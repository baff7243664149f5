"""What a matrix found, in a terminal: criteria, the matrix block by block, and the ranking."""

from rich import box
from rich.console import Console
from rich.table import Table

from neuro_aws.cli.say import show
from neuro_aws.cli.tables import words
from neuro_aws.experiment.matrix.cells import Cell
from neuro_aws.experiment.matrix.criterion import Question
from neuro_aws.experiment.matrix.expand import Status
from neuro_aws.experiment.matrix.ranking import USUAL, Rank
from neuro_aws.experiment.matrix.results import CORRECTION, LEVEL, Found
from neuro_aws.experiment.matrix.run import Study

BEST = 3
"""Manipulations that are named as those that separate most theories."""


def show_matrix(console: Console, study: Study, found: Found) -> None:
    """Print all that a matrix found."""
    console.print(_criteria(found.asked))
    for theory, met in found.learnt.items():
        if met is False:
            show(
                console,
                f"{theory}: has not learnt by its own criterion; shown, not compared",
                "bold",
            )
    for block, section in study.matrix.spec.blocks.items():
        for name in section.manipulations:
            rows = [c for c in found.cells if (c.block, c.manipulation) == (block, name)]
            console.print(_manipulation(found, rows, section.manipulations[name].description))
    show(
        console, f"p: paired t tests, two-sided; * corrected p < {LEVEL:g}: {CORRECTION}", "italic"
    )
    _show_ranking(console, study, found)
    for path in found.files:
        show(console, f"{'figure' if path.suffix == '.png' else 'table':<12}{path}")


def _plain(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)


def _criteria(asked: list[Question]) -> Table:
    drawn = _plain("has it learnt? unperturbed animals, mean and 95 % interval")
    for heading in ("theory", "block", "part", "initially", "found", "wanted", ""):
        drawn.add_column(heading, no_wrap=heading in ("found", "wanted", ""))
    for q in asked:
        met = {True: "met", False: "NOT MET", None: ""}[q.met]
        place = (words(q.theory), words(q.block), words(q.part), f"{q.initially:.3g}")
        drawn.add_row(*place, str(q.found), q.wanted, met)
    return drawn


def _manipulation(found: Found, rows: list[Cell], description: str) -> Table:
    first = rows[0]
    drawn = _plain(
        f"{first.block}: {description or words(first.manipulation)} ({words(first.value)})"
    )
    between = any(c.interaction.difference.n for c in rows)
    said = [found.mediated.get((c.block, c.theory, c.manipulation), "") for c in rows]
    headings = ["theory", "effect", "F changed in"]
    headings += ["taken away"] if between else []
    headings += ["ACh mediates"] if any(said) else []
    for heading in headings:
        drawn.add_column(heading, no_wrap=True)
    for c, mediates in zip(rows, said, strict=True):
        if c.known:
            cells = [words(c.theory) + _mark(found, c), _effect(c)]
            cells.append(" ".join(c.changed_in("feedforward")))
            taken = _starred(str(c.interaction.difference), c.interaction_p)
            cells += ([taken] if between else []) + ([mediates] if any(said) else [])
            drawn.add_row(*cells)
    out = [f"{words(c.theory)} ({c.why or c.status})" for c in rows if not c.known]
    drawn.caption = f"no number: {'; '.join(out)}" if out else None
    drawn.caption_justify = "left"
    return drawn


def _mark(found: Found, c: Cell) -> str:
    return " \u2020" if found.learnt[c.theory] is False else ""


def _effect(c: Cell) -> str:
    if c.status == Status.BY_DEFINITION:
        return "0, by definition"
    text = _starred(str(c.test.difference), c.p)
    return f"{text} =" if c.status == Status.AS_WITHOUT else text


def _starred(text: str, p: float) -> str:
    return text + (" *" if p < LEVEL else "")


def _show_ranking(console: Console, study: Study, found: Found) -> None:
    if found.pair is None:
        show(console, "ranking     none: no two theories were named (--compare THEORY THEORY)")
    elif found.not_compared:
        who = " and ".join(found.not_compared)
        show(console, f"ranking     none: not learnt by {who}, or there is one animal only")
    elif found.ranks:
        console.print(_ranking(study, found.pair, found.ranks))
        for value in dict.fromkeys(r.value for r in found.ranks):
            noise = study.matrix.spec.noise[value]
            levels = ", ".join(f"{n:g}" for n in noise.levels)
            line = f"noise of {value}: {levels}; default {noise.default:g}: {noise.source}"
            show(console, line)
    if found.overall:
        best = [
            f"{words(o.manipulation)} ({o.separated} of {o.asked} pairs)"
            for o in found.overall[:BEST]
        ]
        said = f"at {USUAL} animals and the default noise, of theories that learnt and nulls"
        show(console, f"separate most pairs ({said}): " + "; ".join(best))


def _ranking(study: Study, pair: tuple[str, str], ranks: list[Rank]) -> Table:
    drawn = _plain(f"which experiment separates {words(pair[0])} from {words(pair[1])}?")
    headings = ["manipulation", "difference", "sd of simulated animals", f"power at {USUAL}"]
    headings.append("animals for 0.8, by noise")
    for heading in headings:
        drawn.add_column(heading)
    for r in ranks:
        needed = " / ".join(str(s.needed or "> 20") for s in r.by_noise.values())
        drawn.add_row(
            words(r.manipulation),
            f"{r.usual.difference:.3g}",
            " / ".join(f"{s:.2g}" for s in r.spreads),
            " / ".join(f"{s.powers[USUAL]:.2f}" for s in r.by_noise.values()),
            needed,
        )
    return drawn

"""What a matrix found: its tables, written beside its runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.matrix.cells import Cell, cells_of, of_ach
from neuro_aws.experiment.matrix.criterion import Question, comparable, learnt, questions
from neuro_aws.experiment.matrix.expand import RunPlan, Status
from neuro_aws.experiment.matrix.ranking import Overall, Rank, overall, ranked
from neuro_aws.experiment.matrix.run import Study
from neuro_aws.metrics.statistics import Estimate
from neuro_aws.phase import FEEDBACK, FEEDFORWARD, Phase
from neuro_aws.plots import matrix as plots
from neuro_aws.protocol import registry
from neuro_aws.protocol.matrix import Matrix

CORRECTION = "Holm, over all effects and interactions of the matrix, each once"
LEVEL = 0.05
VERDICTS = (
    "no, by definition",
    "no",
    "in part, before correction",
    "yes, before correction",
    "in part",
    "yes",
)
"""Whether ACh mediates an effect; of several ways to take ACh away the last one counts."""


@dataclass(frozen=True)
class Found:
    """All that is known of a matrix once its runs are there."""

    cells: list[Cell]
    asked: list[Question]
    learnt: dict[str, bool | None]
    comparable: list[str]
    pair: tuple[str, str] | None
    ranks: list[Rank]
    overall: list[Overall]
    mediated: dict[tuple[str, str, str], str]
    """By block, theory, manipulation: whether ACh mediates the effect."""
    files: list[Path]

    @property
    def not_compared(self) -> list[str]:
        """Those of the chosen pair that are not compared, since they did not learn."""
        return [t for t in self.pair or () if t not in self.comparable]


def compared(matrix: Matrix, chosen: tuple[str, str] | None) -> tuple[str, str] | None:
    """Return the two theories that are to be told apart; refuse names that are not there."""
    pair = chosen or matrix.spec.compare
    known = matrix.spec.theories
    for name in pair or ():
        if name not in known:
            raise NeuroAWSError(
                f"no theory {name!r}", where="--compare", next_step="Theories: " + ", ".join(known)
            )
    if pair is not None and pair[0] == pair[1]:
        raise NeuroAWSError("names one theory twice", where="--compare")
    return pair


def write(study: Study, plans: list[RunPlan], pair: tuple[str, str] | None) -> Found:
    """Evaluate a matrix; write its tables and figures into its folder."""
    cells, asked = cells_of(study, plans), questions(study, plans)
    verdict = learnt(study, asked)
    able = comparable(study, verdict)
    several = study.seeds > 1
    ranks = ranked(study, cells, *pair) if pair and several and set(pair) <= set(able) else []
    counted, pairs = overall(study, cells, able) if several else ([], {})
    mediated = _mediated(study, cells)
    tables = {
        "matrix": _cells(cells, verdict, able, mediated),
        "effects": _effects(cells),
        "criteria": _criteria(asked),
        "power": _powers(pairs),
        "separating": pd.DataFrame(counted, columns=list(Overall._fields)),
    }
    files = []
    for name, table in tables.items():
        files.append(study.folder / f"{name}.csv")
        table.to_csv(files[-1], index=False)
    picture = plots.Picture.of(study.matrix.spec, tables["matrix"], study.seeds)
    files.append(plots.save_matrix(picture, study.folder / "figures" / "matrix.png"))
    if ranks and pair:
        chosen = tables["power"]
        chosen = chosen[(chosen["first"].isin(pair)) & (chosen["second"].isin(pair))]
        path = study.folder / "figures" / "power.png"
        files.append(plots.save_power(study.matrix.spec, chosen, path))
    return Found(cells, asked, verdict, able, pair, ranks, counted, mediated, files)


def _mediated(study: Study, cells: list[Cell]) -> dict[tuple[str, str, str], str]:
    """Say of every manipulation that is also done without ACh whether ACh mediates its effect.

    yes: the interaction is significant and what is left of the effect includes 0; in part: it is,
    and something is left; either, before correction: only its own interval excludes 0;
    no, by definition: ACh does nothing in this theory; no: otherwise.
    """
    found: dict[tuple[str, str, str], str] = {}
    for cell in cells:
        section = study.matrix.spec.blocks[cell.block].manipulations[cell.manipulation]
        if section.of is None or not of_ach(section.under) or not cell.known:
            continue
        key = (cell.block, cell.theory, section.of)
        found[key] = max(found.get(key, VERDICTS[0]), _said_of(cell), key=VERDICTS.index)
    return found


def _said_of(cell: Cell) -> str:
    left, taken = cell.test.difference, cell.interaction.difference
    return taken_away(cell.status, left, taken, cell.interaction_p)


def taken_away(status: str, left: Estimate, taken: Estimate, p: float) -> str:
    """Say whether what is done beside takes an effect away: what is left, what goes, its p."""
    if status != Status.MEASURED:
        return "no, by definition"
    said = "yes" if left.low <= 0 <= left.high else "in part"
    if p < LEVEL:
        return said
    return f"{said}, before correction" if taken.low > 0 or taken.high < 0 else "no"


def _cells(
    cells: list[Cell],
    verdict: dict[str, bool | None],
    able: list[str],
    mediated: dict[tuple[str, str, str], str],
) -> pd.DataFrame:
    rows = []
    for c in cells:
        e, i = c.test.difference, c.interaction.difference
        row: dict[str, Any] = {
            "block": c.block,
            "theory": c.theory,
            "manipulation": c.manipulation,
            "value": c.value,
            "unit": registry.value(c.value).unit,
            "status": str(c.status),
            "why": c.why,
            "learnt": {True: "yes", False: "no", None: "not asked"}[verdict[c.theory]],
            "compared": c.theory in able,
            "effect": e.mean,
            "low": e.low,
            "high": e.high,
            "animals": e.n,
            "direction": c.direction if c.known else "",
            "t": c.test.t,
            "p": c.test.p,
            "p_corrected": c.p,
            "interaction": i.mean,
            "interaction_low": i.low,
            "interaction_high": i.high,
            "interaction_p": c.interaction.p,
            "interaction_p_corrected": c.interaction_p,
            "ach_mediates": mediated.get((c.block, c.theory, c.manipulation), ""),
        }
        for kind in (FEEDFORWARD, FEEDBACK):
            row |= {f"{kind}_{q}": c.moved.get(kind, {}).get(q, float("nan")) for q in Phase}
            row[f"{kind}_changed_in"] = " ".join(c.changed_in(kind))
        row["correction"] = CORRECTION
        rows.append(row)
    return pd.DataFrame(rows)


def _effects(cells: list[Cell]) -> pd.DataFrame:
    rows = [
        (c.block, c.theory, c.manipulation, c.value, animal, effect)
        for c in cells
        for animal, effect in c.effects.items()
    ]
    columns = ["block", "theory", "manipulation", "value", "animal", "effect"]
    return pd.DataFrame(rows, columns=columns)


def _criteria(asked: list[Question]) -> pd.DataFrame:
    rows = [(q.block, q.theory, q.part, q.wanted, q.initially, *q.found, q.met) for q in asked]
    columns = ["block", "theory", "part", "wanted", "initially", "mean", "low", "high", "n", "met"]
    return pd.DataFrame(rows, columns=columns)


def _powers(pairs: dict[tuple[str, str], list[Rank]]) -> pd.DataFrame:
    rows = [
        (*pair, place, r.block, r.manipulation, r.value, noise, noise == r.default, *r.spreads,
         s.difference, s.distance, n, power)
        for pair, ranks in pairs.items()
        for place, r in enumerate(ranks, start=1)
        for noise, s in r.by_noise.items()
        for n, power in s.powers.items()
    ]  # fmt: skip
    columns = ["first", "second", "rank", "block", "manipulation", "value", "noise", "default"]
    columns += ["spread_first", "spread_second", "difference", "distance", "animals", "power"]
    return pd.DataFrame(rows, columns=columns)

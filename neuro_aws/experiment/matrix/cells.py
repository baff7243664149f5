"""The cells of a matrix: effects, interactions, and when weights changed, from finished runs."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from neuro_aws.experiment.matrix.expand import CONTROL, CellPlan, RunPlan, Status
from neuro_aws.experiment.matrix.run import Study
from neuro_aws.metrics.statistics import PairedTest, holm, paired
from neuro_aws.phase import FEEDBACK, FEEDFORWARD, Phase
from neuro_aws.protocol.columns import PHASE_CODES
from neuro_aws.protocol.matrix import Manipulation
from neuro_aws.protocol.perturb import Perturbation
from neuro_aws.recording.reader import Run

LEAST_SHARE = 0.01
"""Share of all change that a phase needs to be named."""

NOTHING = paired([], [])
NOT_RUN = "not run"


@dataclass
class Cell:
    """One manipulation under one theory.

    effects      each animal's value in the arm minus the same animal's in the reference
    test         their mean, interval and paired t test
    interaction  effect without what else is done (`of`), minus this one: what that takes away
    moved        summed lengths of the applied changes of F and G into the measured layer, by phase,
                 in the arm from the branch on, mean over animals
    """

    block: str
    theory: str
    manipulation: str
    value: str
    status: str
    why: str = ""
    effects: pd.Series = field(default_factory=lambda: pd.Series(dtype=float))
    test: PairedTest = NOTHING
    interaction: PairedTest = NOTHING
    moved: dict[str, dict[Phase, float]] = field(default_factory=dict)
    source: tuple[str, ...] = ()
    """The arms that it comes from: cells of the same arms are one test."""
    p: float = math.nan
    """Of the effect, corrected."""
    interaction_p: float = math.nan
    """Of the interaction, corrected."""

    @property
    def known(self) -> bool:
        """Whether there is an effect, measured or by definition."""
        return len(self.effects) > 0

    def changed_in(self, kind: str) -> tuple[Phase, ...]:
        """Return the phases in which weights of a kind changed, by the recording."""
        by_phase = self.moved.get(kind, {})
        total = sum(by_phase.values())
        return tuple(q for q, length in by_phase.items() if total and length / total > LEAST_SHARE)

    @property
    def direction(self) -> str:
        """Return up, down or none: none unless the interval excludes 0."""
        low, high = self.test.difference.low, self.test.difference.high
        return "up" if low > 0 else "down" if high < 0 else "none"


def cells_of(study: Study, plans: list[RunPlan]) -> list[Cell]:
    """Return every cell of a matrix, its p values corrected over all of them together (Holm)."""
    spec, by_name = study.matrix.spec, {plan.name: plan for plan in plans}
    found: list[Cell] = []
    for block in spec.blocks:
        for theory in spec.theories:
            plan = by_name.get(f"{block}-{theory}")
            if plan is None:
                found += _elsewhere(study, block, theory)
            else:
                found += _of_run(study, plan)
    _correct(found)
    return found


def _correct(cells: list[Cell]) -> None:
    """Correct the p values of all cells; cells of the same arms are tested once."""
    of_arms: dict[tuple[str, ...], float] = {}
    keys = []
    for cell in cells:
        own = (cell.block, cell.theory, *cell.source)
        keys.append((own, (*own, "interaction")))
        for key, test in zip(keys[-1], (cell.test, cell.interaction), strict=True):
            if not math.isnan(test.p):
                of_arms[key] = test.p
    corrected = dict(zip(of_arms, holm(list(of_arms.values())), strict=True))
    for cell, (own, between) in zip(cells, keys, strict=True):
        cell.p = corrected.get(own, math.nan)
        if not math.isnan(cell.interaction.p):
            cell.interaction_p = corrected[between]


def _elsewhere(study: Study, block: str, theory: str) -> Iterator[Cell]:
    for name in study.matrix.spec.blocks[block].manipulations:
        value = study.matrix.spec.measured(block, name).value or ""
        why = "is not asked in this block"
        yield Cell(block, theory, name, value, Status.NOT_APPLICABLE, why)


def _of_run(study: Study, plan: RunPlan) -> list[Cell]:
    spec, run = study.matrix.spec, study.run_of(plan)
    metrics = None if run is None else run.metrics
    cells: dict[str, Cell] = {}
    for name, cell_plan in plan.cells.items():
        measured = spec.measured(plan.block, name)
        value = measured.value or ""
        cell = Cell(plan.block, plan.theory, name, value, cell_plan.status, cell_plan.why)
        cells[name] = cell
        if run is None or metrics is None:
            if cell_plan.status is not Status.NOT_APPLICABLE:
                cell.status, cell.why = NOT_RUN, ""
            continue
        if cell_plan.status is Status.BY_DEFINITION:
            cell.effects = pd.Series(0.0, index=run.animals)
            cell.test = paired(cell.effects, cell.effects)
        elif cell_plan.arm:
            _measure(cell, cell_plan, run, metrics, measured)
    for name, section in spec.blocks[plan.block].manipulations.items():
        if section.of is not None and cells[name].known and cells[section.of].known:
            cells[name].interaction = paired(cells[section.of].effects, cells[name].effects)
    return list(cells.values())


def _measure(
    cell: Cell, plan: CellPlan, run: Run, metrics: pd.DataFrame, measured: Manipulation
) -> None:
    arm, reference = (value_of(metrics, a, measured) for a in (plan.arm, plan.reference))
    cell.effects = (arm - reference).dropna()
    cell.test = paired(arm, reference)
    cell.source = (plan.arm, plan.reference)
    layer = measured.layer if measured.layer is not None else 1
    cell.moved = {FEEDFORWARD: moved(run, plan.arm, layer, FEEDFORWARD)}
    cell.moved[FEEDBACK] = moved(run, plan.arm, layer - 1, FEEDBACK)


def value_of(metrics: pd.DataFrame, arm: str, measured: Manipulation) -> pd.Series:
    """Return the value of each animal in an arm, the last one measured."""
    rows = metrics[(metrics["arm"] == arm) & (metrics["name"] == measured.value)]
    if measured.layer is not None:
        rows = rows[rows["layer"] == measured.layer]
    if measured.targets is not None:
        rows = rows[rows["group"] == measured.targets]
    rows = rows[rows["step"] == rows["step"].max()]
    found: pd.Series = rows.groupby("animal")["value"].mean()
    return found


def moved(run: Run, arm: str, layer: int, kind: str) -> dict[Phase, float]:
    """Return how far weights moved in each phase since the branch, summed; mean of animals."""
    lengths = np.zeros((len(run.animals), len(Phase)))
    first = run.protocol.tree.arms[arm].branch
    for row, animal in enumerate(run.animals):
        steps = run.read(animal, arm, "plasticity/step")
        code = run.read(animal, arm, "plasticity/phase")[steps >= first]
        applied = run.read(animal, arm, f"plasticity/layer{layer}/{kind}_applied")[steps >= first]
        for at, phase in enumerate(Phase):
            lengths[row, at] = applied[code == PHASE_CODES[phase]].sum()
    return dict(zip(Phase, lengths.mean(0).tolist(), strict=True))


def of_ach(perturbations: tuple[Perturbation, ...]) -> bool:
    """Say whether ACh is taken away: what such a background takes from an effect, ACh mediates."""
    return any(p.clamp is not None or (p.block and p.block.neuromodulator) for p in perturbations)


__all__ = ["CONTROL", "NOT_RUN", "Cell", "cells_of", "moved", "of_ach", "value_of"]

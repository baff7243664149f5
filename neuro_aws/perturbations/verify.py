"""Did silencing reach the cells it was aimed at, and no others? Checked against what fired."""

import torch

from neuro_aws.errors import NeuroAWSError
from neuro_aws.model.state import NetworkState
from neuro_aws.protocol import ArmPlan, TrunkPlan
from neuro_aws.protocol.perturb import Perturbation
from neuro_aws.protocol.schedule import StepSpec
from neuro_aws.protocol.targets import resolve


class TargetCheck:
    """Compares somata with what drove them, the first time that each perturbation acts.

    Every soma must be its drive times the factors of the perturbations aimed at it, and a silenced
    target must be silent. (A known simulator silenced the neighbour of the cell that was given.)
    """

    def __init__(self, plan: ArmPlan | TrunkPlan, animal: int) -> None:
        self.plan = plan
        self.waiting: list[Perturbation] = [p for p in plan.perturb if p.cells is not None]
        self.all = list(self.waiting)
        self.cells = {
            id(p): resolve(p.cells, plan.spec, animal) for p in self.all if p.cells is not None
        }

    def __call__(self, step: StepSpec, state: NetworkState) -> None:
        """Check the perturbations that act for the first time in this step."""
        if not self.waiting:
            return
        active = self.plan.active(step.period, step.cycle, step.phase)
        for perturbation in [p for p in self.waiting if p in active]:
            self.waiting.remove(perturbation)
            self._check(state, perturbation, active)

    def _check(
        self, state: NetworkState, one: Perturbation, active: tuple[Perturbation, ...]
    ) -> None:
        layer, ids = self.cells[id(one)]
        unit = state.layers[layer]
        if one.factor == 0 and bool((unit.soma[:, list(ids)] != 0).any()):
            raise NeuroAWSError(f"cells {ids} of layer {layer} were to be silenced and still fire")
        if unit.drive is None or unit.gain is None:
            return
        if any(p.apply is not None for p in active):
            return  # what a user's own code multiplies rates by is not known here
        rate = unit.drive.rate
        wanted = torch.ones_like(rate[0])
        for p in (p for p in self.all if p in active):
            if self.cells[id(p)].layer == layer:
                wanted[list(self.cells[id(p)].ids)] *= p.factor
        wrong = torch.nonzero((unit.soma - rate * wanted).abs().amax(0) > 1e-5).flatten()
        if len(wrong):
            raise NeuroAWSError(
                f"a perturbation of layer {layer} did not do what it says to cells {wrong.tolist()}"
            )

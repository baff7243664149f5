"""When measures are taken, and what they are given to look at."""

import torch

from neuro_aws.backends.rate.build import Animal
from neuro_aws.backends.rate.recorder import Recorder
from neuro_aws.metrics import Memory, Subject, Value, function
from neuro_aws.model.network import Gains
from neuro_aws.perturbations.activity import gains
from neuro_aws.phase import REM
from neuro_aws.protocol import ArmPlan, Protocol, TrunkPlan
from neuro_aws.protocol.measures import Measure, against_onset
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.protocol.targets import followed, name_of, resolve


class Measurer:
    """Takes the protocol's measures of one animal: at onset, at ends of periods, and between."""

    def __init__(
        self, protocol: Protocol, plan: ArmPlan | TrunkPlan, animal: int, living: Animal
    ) -> None:
        self.protocol = protocol
        self.plan = plan
        self.animal = animal
        self.living = living
        self.memory: Memory = {}
        self.targets = {
            name: resolve(cells, plan.spec, animal) for name, cells in followed(plan.spec).items()
        }
        self.dream_gains = dream_gains(plan.spec, animal, living.dataset.train)

    def onset(self, recorder: Recorder, step: int) -> None:
        """Measure before the first step: everything at birth, else what onset is compared by."""
        chosen = [m for m in self.protocol.spec.measure if step == 0 or against_onset(m.measure)]
        if isinstance(self.plan, ArmPlan):
            self.memory = {}
        elif step == 0:
            chosen = [m for m in chosen if not against_onset(m.measure)]
        self._take(recorder, chosen, step, self.plan.schedule(step).period, 0)

    def cycle(
        self, recorder: Recorder, step: int, period: int, cycles: int, ends: bool
    ) -> list[Value]:
        """Measure what is due after so many cycles of a period; return what was found."""
        return self._take(recorder, self.due(cycles, ends), step, period, cycles)

    def due(self, cycles: int, ends: bool) -> list[Measure]:
        """Return the measures to take after so many cycles of a period, or at its end."""
        in_arm = isinstance(self.plan, ArmPlan)
        return [
            m
            for m in self.protocol.spec.measure
            if (in_arm or not against_onset(m.measure))
            and (ends or (in_arm and m.every and cycles % m.every == 0))
        ]

    def _take(
        self, recorder: Recorder, chosen: list[Measure], step: int, period: int, cycles: int
    ) -> list[Value]:
        taken: list[Value] = []
        if not chosen:
            return taken
        name = self.plan.schedule.stretches[period].name
        subject = self.subject(step)
        for measure in chosen:
            subject.repeats = getattr(measure, "repeats", 1)
            with torch.no_grad():
                values = list(function(measure)(subject))
            taken += values
            for v in values:
                recorder.measured(step, name, cycles, v.name, v.layer, v.group, v.value)
        return taken

    def subject(self, step: int) -> Subject:
        """Return the animal as measures see it."""
        return Subject(
            self.living.network,
            self.living.dataset,
            self.animal,
            step,
            self.targets,
            self.dream_gains,
            self.memory,
        )


def dream_gains(spec: ProtocolSpec, animal: int, like: torch.Tensor) -> dict[str, Gains]:
    """Return the gains of every distinct perturbation of cells in REM, by name."""
    found: dict[str, Gains] = {}
    for arm in spec.arms.values():
        for p in arm.perturb:
            if p.cells is None or REM not in p.during:
                continue
            name = f"{name_of(p.cells, spec)}_x{p.factor:g}"
            if name not in found:
                found[name] = gains([p], spec, animal, like.dtype, like.device)
    return found

"""What measures are given to look at of a rate network."""

import torch

from neuro_aws.backends.rate.build import Animal
from neuro_aws.metrics.subject import Memory, Subject
from neuro_aws.model.network import Gains
from neuro_aws.perturbations.activity import gains
from neuro_aws.phase import REM
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.protocol.targets import followed, name_of, resolve


class Subjects:
    """Makes subjects of one animal: which cells are followed, and which perturbed dreams."""

    def __init__(self, spec: ProtocolSpec, number: int, animal: Animal) -> None:
        self.number, self.animal = number, animal
        self.targets = {
            name: resolve(cells, spec, number) for name, cells in followed(spec).items()
        }
        self.dream_gains = dream_gains(spec, number, animal.dataset.train)

    def at(self, step: int, memory: Memory) -> Subject:
        """Return the animal as measures see it after ``step`` steps."""
        return Subject(
            self.animal.network,
            self.animal.dataset,
            self.number,
            step,
            self.targets,
            self.dream_gains,
            memory,
            algorithm=self.animal.algorithm,
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

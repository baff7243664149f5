"""The activity slot: factors on somatic rates (0 silences, 2 activates)."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from neuro_aws.perturbations.setting import PerturbsActivity, Setting
from neuro_aws.protocol.actions_on_cells import Cells, Scale
from neuro_aws.protocol.perturb import Perturbation
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.protocol.targets import resolve


class _Chosen:
    """h_j = factor * h_j for the chosen cells j of a layer."""

    def __init__(self, layer: int, ids: Iterable[int], factor: float) -> None:
        self.layer, self.ids, self.factor = layer, list(ids), factor

    def activity(self, sizes: Sequence[int]) -> Mapping[int, Tensor]:
        """Return the factor on each unit's rate: ``factor`` for the chosen, 1 for the others."""
        gain = torch.ones(sizes[self.layer], dtype=torch.float64)
        gain[self.ids] = self.factor
        return {self.layer: gain}


class Silence(_Chosen):
    """h_j = 0 for the chosen cells j of a layer."""

    def __init__(self, rule: Cells, setting: Setting) -> None:
        super().__init__(*resolve(rule, setting.spec, setting.animal), 0.0)


class ScaleRates(_Chosen):
    """h_j = by * h_j for the chosen cells j of a layer."""

    def __init__(self, rule: Scale, setting: Setting) -> None:
        super().__init__(*resolve(rule, setting.spec, setting.animal), rule.by)


def composed(
    acting: Iterable[PerturbsActivity],
    spec: ProtocolSpec,
    dtype: torch.dtype,
    device: torch.device,
) -> dict[int, Tensor]:
    """Return the product of the factors on each unit, by layer; untouched layers are left out."""
    found: dict[int, Tensor] = {}
    sizes = spec.network.layers
    for one in acting:
        for layer, gain in one.activity(sizes).items():
            whole = found.setdefault(layer, torch.ones(sizes[layer], dtype=dtype, device=device))
            whole *= torch.as_tensor(gain).to(whole)
    if spec.network.dcgan is not None or spec.network.recurrent is not None:
        return {layer: gain.view(-1, 1, 1) for layer, gain in found.items()}
    return found


def gains(
    perturbations: Iterable[Perturbation],
    spec: ProtocolSpec,
    animal: int,
    dtype: torch.dtype,
    device: torch.device,
) -> dict[int, Tensor]:
    """Return the factors of perturbations of cells, by layer."""
    acting = [_Chosen(*resolve(p.cells, spec, animal), p.factor) for p in perturbations if p.cells]
    return composed(acting, spec, dtype, device)

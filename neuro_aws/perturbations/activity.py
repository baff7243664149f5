"""The activity slot: factors on somatic rates (0 silences, 2 activates)."""

from collections.abc import Iterable

import torch
from torch import Tensor

from neuro_aws.protocol.perturb import Perturbation
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.protocol.targets import resolve


def gains(
    perturbations: Iterable[Perturbation],
    spec: ProtocolSpec,
    animal: int,
    dtype: torch.dtype,
    device: torch.device,
) -> dict[int, Tensor]:
    """Return the factor on each unit's rate, by layer; layers that nobody touches are left out."""
    found: dict[int, Tensor] = {}
    for perturbation in perturbations:
        if perturbation.cells is None:
            continue
        layer, ids = resolve(perturbation.cells, spec, animal)
        units = spec.network.layers[layer]
        gain = found.setdefault(layer, torch.ones(units, dtype=dtype, device=device))
        gain[list(ids)] *= perturbation.factor
    if spec.network.dcgan is not None:
        return {layer: gain.view(-1, 1, 1) for layer, gain in found.items()}
    return found

"""How the feedforward weights of cells, their receptive fields, change from the onset of an arm."""

from collections.abc import Iterator

import torch
from torch import Tensor

from neuro_aws.metrics.subject import Subject, Value
from neuro_aws.protocol.measures_with_settings import ReceptiveField
from neuro_aws.protocol.targets import fields


def receptive_field(subject: Subject) -> Iterator[Value]:
    """Follow the feedforward weights w of cells, of a channel its kernel; biases are left out.

    receptive_field_cosine   w . w_0 / (|w| |w_0|), w_0 those at the onset: 1 means not turned
    receptive_field_length   |w| / |w_0|
    receptive_field_common   n |mean (w - w_0)|^2 / sum |w - w_0|^2 over the n cells: the share of
                             the change that is one and the same in all of them (where any is)

    Of the cells of a set (group NAME) and of the layer's other cells (NAME_others), the first two
    are means; a cell without weights has no direction and is left out of the cosine.
    """
    asked = subject.settings
    if not isinstance(asked, ReceptiveField):
        asked = ReceptiveField(measure="receptive_field")
    for name, (layer, ids) in fields(asked, subject.targets).items():
        now = subject.network.layers[layer - 1].feedforward[0].flatten(1)
        onset = subject.memory.setdefault(f"onset/receptive_field/layer{layer}", now.clone())
        onset = onset.to(now)
        length, before = now.norm(dim=1), onset.norm(dim=1)
        cosine = (now * onset).sum(1) / (length * before)
        chosen = torch.zeros(len(now), dtype=torch.bool, device=now.device)
        chosen[list(ids)] = True
        for group, mask in ((name, chosen), (f"{name}_others", ~chosen)):
            if bool(mask.any()):
                yield Value("receptive_field_cosine", _mean(cosine[mask]), layer, group)
                yield Value("receptive_field_length", _mean((length / before)[mask]), layer, group)
                change = (now - onset)[mask]
                if bool(change.any()):
                    alike = len(change) * change.mean(0).square().sum() / change.square().sum()
                    yield Value("receptive_field_common", float(alike), layer, group)


def _mean(values: Tensor) -> float:
    return float(values.nanmean())

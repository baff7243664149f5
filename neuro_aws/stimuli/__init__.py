"""Sources of stimuli, and the table of all of them."""

from collections.abc import Callable
from typing import Any

import torch

from neuro_aws.stimuli.arrays import array
from neuro_aws.stimuli.cifar10 import cifar10
from neuro_aws.stimuli.dataset import Dataset
from neuro_aws.stimuli.digits import digits
from neuro_aws.stimuli.idx import fashion_mnist, mnist
from neuro_aws.stimuli.images import images
from neuro_aws.stimuli.patches import patches

SOURCES: dict[str, Callable[[Any, int, torch.dtype], Dataset]] = {
    "digits": digits,
    "patches": patches,
    "images": images,
    "array": array,
    "mnist": mnist,
    "fashion_mnist": fashion_mnist,
    "cifar10": cifar10,
}
"""Every source by the name a protocol gives it: (section, animal, dtype) -> Dataset."""

__all__ = ["SOURCES", "Dataset"]

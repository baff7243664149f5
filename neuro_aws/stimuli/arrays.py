"""Stimuli from a .npy or .npz file of the user's own."""

import torch

from neuro_aws.protocol.arrays import read_arrays
from neuro_aws.protocol.stimuli_from_files import ArrayStimuli
from neuro_aws.stimuli.dataset import Dataset


def array(section: ArrayStimuli, animal: int, dtype: torch.dtype) -> Dataset:
    """Return the arrays of the file; what the file does not hold out is drawn for each animal."""
    return Dataset.from_arrays(
        *read_arrays(section.file),
        held_out=section.held_out,
        scale=section.scale,
        animal=animal,
        dtype=dtype,
        where=f"stimulus.file: {section.file}",
    )

"""Stimuli that are hard to see: pixels that are noisy, or silent."""

from torch import Tensor

from neuro_aws.functional.noise import NoiseSource


def corrupted(stimuli: Tensor, noise: NoiseSource, sigma: float, masked: float) -> Tensor:
    """Return x~ = m (x + sigma xi): m is 0 for a share ``masked`` of the pixels, else 1.

    Pixels are drawn one by one. Neither is drawn where it would do nothing.
    """
    if sigma > 0:
        stimuli = stimuli + sigma * noise.normal(stimuli.shape)
    if masked > 0:
        stimuli = stimuli * (noise.uniform(stimuli.shape) >= masked)
    return stimuli

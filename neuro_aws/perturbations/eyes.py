"""The stimulus slot: monocular deprivation, in its kinds."""

from collections.abc import Callable

from torch import Tensor

from neuro_aws.functional.noise import Draws
from neuro_aws.protocol.perturb import Perturbation
from neuro_aws.stimuli.dataset import Dataset

Act = Callable[[Tensor, Draws], Tensor]
"""(stimuli of the batch, random numbers of this step) -> stimuli."""


def eye_columns(dataset: Dataset, eye: str) -> slice:
    """Return where an eye's pixels stand in a stimulus: left first, then right."""
    pixels = dataset.shape[0] * dataset.shape[1]
    return slice(0, pixels) if eye == "left" else slice(pixels, 2 * pixels)


def act_of(perturbation: Perturbation, dataset: Dataset) -> Act | None:
    """Return what a perturbation does in this slot, or None.

    lid suture      x_eye = strength * spread * xi        noise of its own, decorrelated
    inactivation    x_eye = 0
    attenuation     x_eye = to * x_eye
    """
    if perturbation.lid_suture is not None:
        columns = eye_columns(dataset, perturbation.lid_suture.eye)
        spread = float(dataset.train[:, columns].std()) * perturbation.lid_suture.strength

        def suture(stimulus: Tensor, draws: Draws) -> Tensor:
            changed = stimulus.clone()
            changed[:, columns] = spread * draws.normal(changed[:, columns].shape)
            return changed

        return suture
    if perturbation.inactivate_eye is not None:
        return _scaled(eye_columns(dataset, perturbation.inactivate_eye.eye), 0.0)
    if perturbation.attenuate_eye is not None:
        rule = perturbation.attenuate_eye
        return _scaled(eye_columns(dataset, rule.eye), rule.to)
    return None


def _scaled(columns: slice, factor: float) -> Act:
    def scale(stimulus: Tensor, draws: Draws) -> Tensor:
        changed = stimulus.clone()
        changed[:, columns] *= factor
        return changed

    return scale

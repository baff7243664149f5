"""The stimulus slot: monocular deprivation, in its kinds."""

from torch import Tensor

from neuro_aws.functional.noise import Draws
from neuro_aws.perturbations.setting import Setting
from neuro_aws.protocol.actions_on_stimuli import AttenuateEye, InactivateEye, LidSuture
from neuro_aws.stimuli.dataset import Dataset


def eye_columns(dataset: Dataset, eye: str) -> slice:
    """Return where an eye's pixels stand in a stimulus: left first, then right."""
    pixels = dataset.shape[0] * dataset.shape[1]
    return slice(0, pixels) if eye == "left" else slice(pixels, 2 * pixels)


class _OneEye:
    """x_eye = factor * x_eye."""

    def __init__(self, eye: str, factor: float, setting: Setting) -> None:
        self.columns, self.factor = eye_columns(setting.dataset, eye), factor

    def stimulus(self, x: Tensor, labels: Tensor | None, draws: Draws) -> Tensor:
        """Return the stimuli with one eye scaled."""
        changed = x.clone()
        changed[:, self.columns] *= self.factor
        return changed


class Inactivation(_OneEye):
    """x_eye = 0."""

    def __init__(self, rule: InactivateEye, setting: Setting) -> None:
        super().__init__(rule.eye, 0.0, setting)


class Attenuation(_OneEye):
    """x_eye = to * x_eye."""

    def __init__(self, rule: AttenuateEye, setting: Setting) -> None:
        super().__init__(rule.eye, rule.to, setting)


class Suture:
    """x_eye = strength * spread * xi: noise of its own, decorrelated from the scene."""

    def __init__(self, rule: LidSuture, setting: Setting) -> None:
        self.columns = eye_columns(setting.dataset, rule.eye)
        self.spread = float(setting.dataset.train[:, self.columns].std()) * rule.strength

    def stimulus(self, x: Tensor, labels: Tensor | None, draws: Draws) -> Tensor:
        """Return the stimuli with noise in the place of one eye."""
        changed = x.clone()
        changed[:, self.columns] = self.spread * draws.normal(changed[:, self.columns].shape)
        return changed

"""The plasticity slot: factors on weight changes, after the optimiser (0 freezes)."""

from collections.abc import Mapping

from neuro_aws.perturbations.setting import Setting
from neuro_aws.protocol.actions_on_learning import PlasticityScale

HOMEOSTASIS = "homeostasis"
"""The factor on homeostasis, among those on the kinds of projections: 0 blocks it."""


class ScalePlasticity:
    """Multiply the changes of projections."""

    def __init__(self, rule: PlasticityScale, setting: Setting) -> None:
        self.rule = rule

    def plasticity(self) -> Mapping[str, float]:
        """Return the factor on the changes of each kind of projection."""
        return {kind: getattr(self.rule, kind) for kind in type(self.rule).model_fields}

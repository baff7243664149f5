"""Perturbations of the user's own."""

from typing import Any

from neuro_aws.perturbations.setting import Setting
from neuro_aws.protocol.own_code import called
from neuro_aws.protocol.perturb import Apply


def own(rule: Apply, setting: Setting) -> Any:
    """Return what the user's own code makes of its options."""
    return called(rule.loaded(), rule.options)

"""One file a theory, none inherits another; the table of all of them."""

import importlib
from typing import Any

from neuro_aws.algorithms.adversarial_wake_sleep import AdversarialWakeSleep
from neuro_aws.algorithms.base import Algorithm
from neuro_aws.algorithms.doubly_adversarial import DoublyAdversarial
from neuro_aws.algorithms.frozen import Frozen
from neuro_aws.algorithms.wake_sleep import WakeSleep
from neuro_aws.errors import NeuroAWSError

ALGORITHMS: dict[str, type[Any]] = {
    "adversarial_wake_sleep": AdversarialWakeSleep,
    "doubly_adversarial": DoublyAdversarial,
    "wake_sleep": WakeSleep,
    "frozen": Frozen,
}
"""Every algorithm by the name a protocol gives it."""


def algorithm_class(name: str) -> type[Any]:
    """Return an algorithm of the table, or a user's own named as ``module:Class``."""
    if name in ALGORITHMS:
        return ALGORITHMS[name]
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)  # type: ignore[no-any-return]
    except (ImportError, AttributeError, ValueError) as error:
        raise NeuroAWSError(
            f"algorithm {name!r} cannot be imported ({error})",
            where="algorithm.name",
            next_step="Name one of " + ", ".join(ALGORITHMS) + ", or an importable module:Class",
        ) from error


__all__ = ["ALGORITHMS", "Algorithm", "algorithm_class"]

"""Names of code, and how it is imported: ``module:attribute``, only when it is used."""

import importlib
from typing import Any


def load(target: str) -> Any:
    """Return the class or function that ``module:attribute`` names."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)

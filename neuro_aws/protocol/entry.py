"""What the registries hold: one entry for a theory, a measure, a perturbation, a stimulus.

An entry names a thing, says in one line what it is, and knows its settings and the code that does
it. That code is named as ``module:attribute`` and imported when it is used, so that a protocol is
checked without it.
"""

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from neuro_aws.protocol.base import Section

RATE, CORTEX, NEURON = "rate", "spiking_cortex", "single_neuron"
"""The simulators, as ``neuro_aws.protocol.backends`` names them."""

OWN = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
"""How a user names code of his or her own: module:attribute."""


def load(target: str) -> Any:
    """Return the class or function that ``module:attribute`` names."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


@dataclass(frozen=True)
class Entry:
    """One thing that a protocol may name.

    ``code`` maps the name of each simulator that has it to ``module:attribute``; "" where the
    simulator does it by itself.
    """

    name: str
    help: str
    settings: type[Section]
    code: Mapping[str, str] = field(kw_only=True)

    def load(self, simulator: str = RATE) -> Any:
        """Return the class or function that does it on a simulator."""
        return load(self.code[simulator])


E = TypeVar("E", bound=Entry)


def table(*entries: E) -> dict[str, E]:
    """Return entries by name."""
    return {entry.name: entry for entry in entries}

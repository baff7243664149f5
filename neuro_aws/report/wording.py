"""Numbers, names and lists in words, for sentences of any report."""

from collections.abc import Sequence
from math import isnan
from typing import Any

from neuro_aws.errors import printable
from neuro_aws.metrics.statistics import Estimate
from neuro_aws.plots.style import readable
from neuro_aws.protocol import registry

Key = tuple[str, int, str]
"""A value: its name, its layer (-1: none), and the cells or stimuli it is about."""


def counted(n: int, what: str, many: str = "") -> str:
    """Return a number of things: 1 animal, 8 animals."""
    return f"{n:,} {what if n == 1 else many or what + 's'}"


def listed(words: Sequence[str]) -> str:
    """Return words as a list: a, b and c."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""


def named(name: str) -> str:
    """Return a value's name in words."""
    return printable(readable(name)).replace("spared", "non-target").replace("ach ", "ACh ")


def where(layer: int | None, group: str | None) -> str:
    """Return what a value is about, in brackets; nothing where it is about the whole network."""
    layer_words = f"layer {layer}" if layer is not None and layer >= 0 else ""
    group_words = printable(readable(group)) if group else ""
    words = ", ".join(filter(None, [layer_words, group_words]))
    return f" ({words})" if words else ""


def over(found: Estimate, name: str) -> str:
    """Return a mean and its interval; in brackets the unit, and the animals it is of."""
    kind = "mean and 95 % interval over " * (not isnan(found.low))
    words = f"{kind}{counted(found.n, 'animal')}" + ", no interval" * isnan(found.low)
    return f"{found} ({'; '.join(filter(None, [registry.value(name).unit, words]))})"


def settings(value: Any) -> str:
    """Return a value of a JSON document as a cell shows it."""
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(settings, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {settings(one)}" for key, one in value.items())
    return str(value)

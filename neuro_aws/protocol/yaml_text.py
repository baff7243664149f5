"""YAML text -> plain data with the line of every key, within limits that no experiment reaches.

Only mappings, lists, text, numbers, true/false and null are taken. What would blow up (aliases of
aliases, nests, endless numbers) or come out at a terminal (control characters) is refused.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from neuro_aws.errors import printable
from neuro_aws.protocol.base import KeyPath

MOST_VALUES = 20_000
"""Keys and values of a document, each alias counted as often as it is named."""

DEEPEST = 32
LONGEST_NUMBER = 100
_STANDARD = "tag:yaml.org,2002:"
_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBERS = {
    "int": r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)",
    "float": r"[-+]?(?:(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9][0-9_]*(?=[eE]))"
    r"(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)",
}
"""5e-5 is a number, as for everybody; 1:30, 010 and 2026-01-01, of several meanings, are text."""


class Loader(_BASE):  # type: ignore[misc]
    """The safe loader, with numbers of one meaning only."""

    yaml_implicit_resolvers = {
        first: [r for r in rules if r[0].removeprefix(_STANDARD) in ("bool", "null", "merge")]
        for first, rules in _BASE.yaml_implicit_resolvers.items()
    }


for _kind, _pattern in _NUMBERS.items():
    Loader.add_implicit_resolver(
        _STANDARD + _kind, re.compile(f"(?:{_pattern})$"), list("-+.0123456789")
    )


class BrokenYAML(Exception):
    """Text that is no YAML, or not of the plain kind; ``line`` counts from 1, 0: unknown."""

    def __init__(self, line: int, problem: str) -> None:
        self.line, self.problem = line, problem
        super().__init__(problem)


def compose(text: str) -> Any:
    """Return the tree of nodes of one document; None for an empty one."""
    try:
        _refuse_endless(yaml.parse(text, Loader=Loader))
        return yaml.compose(text, Loader=Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BrokenYAML(line, _one_line(error.problem or error.context)) from error
    except (yaml.YAMLError, ValueError) as error:  # of characters, of text that is no Unicode
        raise BrokenYAML(0, _one_line(error)) from error


def _refuse_endless(events: Iterator[Any]) -> None:
    """Refuse long and deep documents before anything is made of them."""
    depth, count = 0, 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        count += isinstance(event, yaml.NodeEvent)
        line = event.start_mark.line + 1
        if depth > DEEPEST:
            raise BrokenYAML(line, f"nested too deeply (more than {DEEPEST} levels)")
        if count > MOST_VALUES:
            raise BrokenYAML(line, _too_many())


def _too_many() -> str:
    return f"more than {MOST_VALUES:,} keys and values"


def _one_line(problem: object) -> str:
    return " ".join(str(problem).split())


class Reading:
    """Plain data from nodes; ``lines`` of all keys, and ``faults`` as (key path, words)."""

    def __init__(self) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.faults: list[tuple[KeyPath, str]] = []
        self._values = 0
        self._scalars = Loader("")

    def value(self, node: Any, path: KeyPath = (), above: tuple[Any, ...] = ()) -> Any:
        """Return what a node says; an alias is made anew wherever it is named."""
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        self._values += 1
        if self._values > MOST_VALUES:
            raise BrokenYAML(line, f"{_too_many()}, with all that its aliases stand for")
        if node in above:
            self.faults.append((path, "an alias that contains itself"))
            return None
        if len(above) >= DEEPEST:
            raise BrokenYAML(line, f"nested too deeply (more than {DEEPEST} levels)")
        if node.tag == _STANDARD + "map" and isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, (*above, node))
        if node.tag == _STANDARD + "seq" and isinstance(node, yaml.SequenceNode):
            above = (*above, node)
            return [self.value(item, (*path, i), above) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        raise BrokenYAML(line, f"the tag {node.tag[:60]} is not allowed")

    def _mapping(self, node: Any, path: KeyPath, above: tuple[Any, ...]) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in node.value:
            name = key.value if isinstance(key.value, str) else "?"
            here = (*path, name)
            again = name in data
            self.lines[here] = key.start_mark.line + 1
            self._values += 1
            if again:
                self.faults.append((here, "this key stands twice; keep one"))
            if not isinstance(key, yaml.ScalarNode) or not key.tag.endswith(":str"):
                self.faults.append((here, "a key must be text; put it in quotes"))
            elif control(name):
                self.faults.append((here, f"holds the control character {control(name)!r}"))
            data[name] = self.value(value, here, above)
        return data

    def _scalar(self, node: Any, path: KeyPath) -> Any:
        kind = node.tag.removeprefix(_STANDARD)
        if kind not in ("str", "int", "float", "bool", "null"):
            raise BrokenYAML(
                node.start_mark.line + 1, f"the tag {node.tag[:60]} is not allowed; drop it"
            )
        if kind in ("int", "float") and len(node.value) > LONGEST_NUMBER:
            self.faults.append((path, f"a number of {len(node.value):,} characters"))
            return None
        try:
            found = self._scalars.construct_object(node)
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError):
            self.faults.append((path, f"{node.value[:40]!r} is no {kind}"))
            return None
        if isinstance(found, str) and control(found):
            self.faults.append((path, f"holds the control character {control(found)!r}"))
        return found


def control(text: str) -> str:
    """Return the first character of a text that no text should have; "" if there is none."""
    return "" if printable(text) == text else next(c for c in text if printable(c) != c)

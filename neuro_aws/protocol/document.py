"""A YAML document with the line of every key: what faults point at."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml

from neuro_aws.errors import ProtocolError

KeyPath = tuple[str | int, ...]


class Loader(yaml.SafeLoader):
    """The safe loader, which also takes 5e-5 for a number, as YAML 1.2 and everybody does."""


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


@dataclass
class Document:
    """Plain data, where it came from, and the line on which each key stands."""

    source: str
    data: Any
    lines: dict[KeyPath, int] = field(default_factory=dict)
    overridden: dict[KeyPath, None] = field(default_factory=dict)
    """Keys that ``--set`` gave a value, in order."""

    def fault(self, path: Iterable[str | int], message: str) -> str:
        """Return one line: file:line: key.path: message."""
        path = tuple(path)
        for end in range(len(path), -1, -1):
            if path[:end] in self.overridden:
                return f"--set {dotted(path)}: {message}"
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return f"{self.source}:{self.lines[path[:end]]}: {dotted(path)}: {message}"
        return f"{self.source}: {dotted(path)}: {message}"


def dotted(path: Iterable[str | int]) -> str:
    """Return a key path as it is written: schedule[0].phases."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "(whole file)"


def parse(text: str, source: str) -> Document:
    """Return the document, or refuse broken YAML, repeated keys and tags."""
    try:
        node = yaml.compose(text, Loader=Loader)
        data = yaml.load(text, Loader=Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = " ".join(str(error.problem or error.context).split())
        raise ProtocolError([f"{source}:{line}: not valid YAML: {problem}"]) from error
    except (yaml.YAMLError, ValueError) as error:
        problem = " ".join(str(error).split())
        raise ProtocolError([f"{source}: not valid YAML: {problem}"]) from error
    except RecursionError as error:
        raise ProtocolError([f"{source}: not valid YAML: nested too deeply"]) from error
    if not isinstance(data, dict):
        raise ProtocolError([f"{source}:1: a protocol is a mapping of keys; this is {kind(data)}"])
    document = Document(source, data)
    faults: list[str] = []
    _walk(node, (), document, faults, set())
    if faults:
        raise ProtocolError(faults)
    return document


def kind(value: object) -> str:
    """Return what a value is, in a user's words."""
    names: dict[type, str] = {
        type(None): "empty",
        bool: "true/false",
        int: "a whole number",
        float: "a number",
        str: "text",
        list: "a list",
        dict: "a mapping",
    }
    return names.get(type(value), type(value).__name__)


def _walk(
    node: Any, path: KeyPath, document: Document, faults: list[str], active: set[int]
) -> None:
    document.lines.setdefault(path, node.start_mark.line + 1)
    if id(node) in active:
        faults.append(document.fault(path, "an alias that contains itself"))
        return
    active = active | {id(node)}
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            here = (*path, name)
            if name in seen:
                document.lines[here] = key.start_mark.line + 1
                faults.append(document.fault(here, "this key stands twice; keep one"))
            seen.add(name)
            document.lines[here] = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or not key.tag.endswith(":str"):
                faults.append(document.fault(here, "a key must be text; put it in quotes"))
            _walk(value, here, document, faults, active)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            _walk(value, (*path, i), document, faults, active)


def key_path(key: str) -> KeyPath:
    """Return the path of a key as ``--set`` takes it: schedule.0.cycles."""
    return tuple(int(p) if p.isascii() and p.isdigit() else p for p in key.split("."))


def override(document: Document, assignment: str) -> None:
    """Carry out ``--set key.path=value``; the value is YAML; list items are numbers from 0."""
    key, separator, text = assignment.partition("=")
    if not separator or not key:
        raise ProtocolError([f"--set {assignment}: write key.path=value"])
    path = key_path(key.strip())
    try:
        value = yaml.load(text, Loader=Loader)
    except yaml.YAMLError as error:
        raise ProtocolError([f"--set {assignment}: the value is not valid YAML"]) from error
    assign(document.data, path, value, f"--set {assignment}")
    document.overridden[path] = None


def assign(data: Any, path: KeyPath, value: Any, where: str) -> None:
    """Put a value at a key path, making mappings on the way; lists must have the item."""
    for depth, part in enumerate(path):
        last = depth == len(path) - 1
        if isinstance(data, list):
            if not isinstance(part, int) or part >= len(data):
                raise ProtocolError(
                    [f"{where}: {dotted(path[:depth])} has items 0 to {len(data) - 1}, not {part}"]
                )
        elif not isinstance(data, dict):
            raise ProtocolError([f"{where}: {dotted(path[:depth])} is {kind(data)}, has no keys"])
        if last:
            data[part] = value
        else:
            if isinstance(data, dict):
                data = data.setdefault(part, {})
            else:
                data = data[part]

"""A YAML document with the line of every key: what faults point at."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from neuro_aws.errors import ProtocolError, clipped
from neuro_aws.protocol.base import KeyPath
from neuro_aws.protocol.yaml_text import DEEPEST, BrokenYAML, Reading, compose

LONGEST_FAULT, LONGEST_PATH = 200, 100
"""Characters of a fault's words, and of a key path."""


@dataclass
class Document:
    """Plain data, where it came from, and the line on which each key stands."""

    source: str
    data: Any
    lines: dict[KeyPath, int] = field(default_factory=dict)
    overridden: dict[KeyPath, None] = field(default_factory=dict)
    """Keys that ``--set`` gave a value, in order."""
    was_run: bool = False
    """It is that of a run, maybe of an older version."""

    def fault(self, path: Iterable[str | int], message: str) -> str:
        """Return one line: file:line: key.path: message."""
        path, message = tuple(path), clipped(message, LONGEST_FAULT)
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
    return clipped(text, LONGEST_PATH) or "(whole file)"


def parse(text: str, source: str) -> Document:
    """Return the document, or refuse broken YAML, repeated keys, tags and what would blow up."""
    reading = Reading()
    try:
        node = compose(text)
        data = None if node is None else reading.value(node)
    except BrokenYAML as error:
        where = f"{source}:{error.line}" if error.line else source
        problem = clipped(error.problem, LONGEST_FAULT)
        raise ProtocolError([f"{where}: not valid YAML: {problem}"]) from error
    document = Document(source, data, reading.lines)
    if reading.faults:
        raise ProtocolError([document.fault(path, words) for path, words in reading.faults])
    if not isinstance(data, dict):
        raise ProtocolError([f"{source}:1: a protocol is a mapping of keys; this is {kind(data)}"])
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


def key_path(key: str) -> KeyPath:
    """Return the path of a key as ``--set`` takes it: schedule.0.cycles."""
    numbered = ((p, p.isascii() and p.isdigit() and len(p) < 10) for p in key.split("."))
    return tuple(int(part) if number else part for part, number in numbered)


def override(document: Document, assignment: str) -> None:
    """Carry out ``--set key.path=value``; the value is YAML; list items are numbers from 0."""
    key, separator, text = assignment.partition("=")
    where, reading = f"--set {clipped(assignment)}", Reading()
    if not separator or not key.strip():
        raise ProtocolError([f"{where}: write key.path=value"])
    path = key_path(key.strip())
    if path in document.overridden:
        raise ProtocolError([f"{where}: this key is set twice; keep one"])
    try:
        node = compose(text)
        value = None if node is None else reading.value(node)
    except BrokenYAML as error:
        problem = clipped(error.problem, LONGEST_FAULT)
        raise ProtocolError([f"{where}: the value is not valid YAML: {problem}"]) from error
    if reading.faults:
        raise ProtocolError([f"{where}: {words}" for _, words in reading.faults])
    assign(document.data, path, value, where)
    document.overridden[path] = None


def assign(data: Any, path: KeyPath, value: Any, where: str) -> None:
    """Put a value at a key path, making mappings on the way; lists must have the item."""
    if len(path) > DEEPEST:
        raise ProtocolError([f"{where}: a key path of {len(path)} parts; at most {DEEPEST}"])
    for depth, part in enumerate(path):
        last = depth == len(path) - 1
        if isinstance(data, list):
            if not isinstance(part, int) or part >= len(data):
                items, wrong = f"items 0 to {len(data) - 1}", clipped(str(part))
                raise ProtocolError([f"{where}: {dotted(path[:depth])} has {items}, not {wrong}"])
        elif not isinstance(data, dict):
            raise ProtocolError([f"{where}: {dotted(path[:depth])} is {kind(data)}, has no keys"])
        else:
            part = str(part)
        if last:
            data[part] = value
        elif isinstance(data, dict):
            data = data.setdefault(part, {})
        else:
            data = data[part]

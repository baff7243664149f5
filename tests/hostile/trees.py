"""A document as a tree that can hold what no parser returns: repeated keys, and raw text."""

import json
from collections.abc import Iterator
from typing import Any

import yaml


class Raw(str):
    """Text that goes into the document as it stands."""


class Pairs(list):
    """A mapping as a list of [key, value], so that a key may stand there twice."""


def tree(data: Any) -> Any:
    """Return plain data as a tree of its own, which may be altered."""
    if isinstance(data, dict):
        return Pairs([key, tree(value)] for key, value in data.items())
    if isinstance(data, list):
        return [tree(item) for item in data]
    return data


def plain(node: Any) -> Any:
    """Return a tree as plain data; the last of repeated keys counts, raw text is text."""
    if isinstance(node, Pairs):
        return {str(key): plain(value) for key, value in node}
    if isinstance(node, list):
        return [plain(item) for item in node]
    return str(node) if isinstance(node, Raw) else node


def text(node: Any) -> str:
    """Return the document, in the style that YAML shares with JSON."""
    if isinstance(node, Raw):
        return str(node)
    if isinstance(node, Pairs):
        return "{" + ", ".join(f"{text(key)}: {text(value)}" for key, value in node) + "}"
    if isinstance(node, list):
        return "[" + ", ".join(text(item) for item in node) + "]"
    return json.dumps(node, ensure_ascii=False)


def document(node: Any) -> str:
    """Return the document with every key of the first level on a line of its own."""
    if isinstance(node, Pairs):
        return "".join(f"{text(key)}: {text(value)}\n" for key, value in node)
    return text(node)


def slots(node: Any) -> Iterator[tuple[list, int]]:
    """Yield every place that holds a value: the list (or pair) and the index in it."""
    children = [(pair, 1) for pair in node] if isinstance(node, Pairs) else []
    if isinstance(node, list) and not isinstance(node, Pairs):
        children = [(node, index) for index in range(len(node))]
    for holder, index in children:
        yield holder, index
        yield from slots(holder[index])


def mappings(node: Any) -> list[Pairs]:
    """Return every mapping of a tree, the whole first."""
    found = [node] if isinstance(node, Pairs) else []
    for holder, index in slots(node):
        if isinstance(holder[index], Pairs):
            found.append(holder[index])
    return found


def lists(node: Any) -> list[list]:
    """Return every list of a tree that is no mapping."""
    found = [holder[index] for holder, index in slots(node)]
    return [item for item in found if isinstance(item, list) and not isinstance(item, Pairs)]


def parsed(source: str) -> Any:
    """Return the tree of a sound document."""
    return tree(yaml.safe_load(source))

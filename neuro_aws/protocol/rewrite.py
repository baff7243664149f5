"""A protocol's text with some changes: what is not changed keeps its layout and its comments."""

from collections.abc import Callable, Iterator
from typing import Any

import yaml

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.base import KeyPath
from neuro_aws.protocol.document import parse
from neuro_aws.protocol.upgrade import (
    OLDER,
    STAGES,
    VERSION,
    Change,
    is_older,
    upgrade,
    version_of,
)
from neuro_aws.protocol.yaml_text import compose

Edit = tuple[int, int, str]
"""Characters from ... until, and what stands there instead."""


def upgraded(text: str, source: str) -> tuple[str, list[str]]:
    """Return the text as this version has it, and what was changed; refuse what cannot be kept."""
    document = parse(text, source)
    version = version_of(document)
    if version == VERSION:
        raise NeuroAWSError(f"has schema_version {VERSION} already", where=source)
    if not is_older(document):
        known = ", ".join(map(str, OLDER))
        raise NeuroAWSError(f"has no schema_version that can be upgraded ({known})", where=source)
    notes: list[str] = []
    for stage in STAGES:
        text, more = _rewritten(text, source, stage)
        notes += more
    upgrade(document)
    if parse(text, source).data != document.data:
        raise NeuroAWSError(
            "is laid out in a way that cannot be rewritten (anchors, unusual line breaks)",
            where=source,
            next_step="Change it by hand: " + "; ".join(notes),
        )
    return text, notes


def _rewritten(
    text: str, source: str, stage: Callable[[Any], list[Change]]
) -> tuple[str, list[str]]:
    """Return the text after one stage of changes, and what these are."""
    document = parse(text, source)
    wanted = stage(document.data)
    for change in wanted:
        if change.loses:
            raise NeuroAWSError(
                f"cannot be upgraded: {change.why}",
                where=document.fault(change.path, "").rstrip(": "),
                next_step="Take the setting out, or use the version of neuro-aws it was made with",
            )
    root = compose(text)
    for start, stop, new in sorted(_edits(text, root, wanted), reverse=True):
        text = text[:start] + new + text[stop:]
    return text, [str(change) for change in wanted]


def _edits(text: str, root: Any, wanted: list[Change]) -> Iterator[Edit]:
    replaced = [c.path for c in wanted if not c.dropped and c.renamed is None]
    dropped: dict[KeyPath, set[int]] = {}
    for change in wanted:
        if any(change.path[: len(p)] == p and change.path != p for p in replaced):
            continue
        holder = _node(root, change.path[:-1])
        if change.added:
            start = holder.value[0][0].start_mark.index
            yield start, start, f"{change.path[-1]}: {_flow(change.value)}" + _separator(holder)
            continue
        index = _index(holder, change.path[-1])
        key, value = holder.value[index]
        if change.dropped:
            dropped.setdefault(change.path[:-1], set()).add(index)
        elif change.renamed is not None:
            yield key.start_mark.index, key.end_mark.index, change.renamed
        else:
            yield value.start_mark.index, _end(value), _flow(change.value)
    for path, indices in dropped.items():
        yield from _without(text, _node(root, path), indices)


def _flow(value: Any) -> str:
    flow = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**9)
    return flow.removesuffix("\n").removesuffix("\n...")


def _separator(mapping: Any) -> str:
    return ", " if mapping.flow_style else "\n" + " " * mapping.value[0][0].start_mark.column


def _node(node: Any, path: KeyPath) -> Any:
    for part in path:
        node = node.value[part] if isinstance(part, int) else node.value[_index(node, part)][1]
    return node


def _index(node: Any, key: str | int) -> int:
    return next(i for i, (k, _) in enumerate(node.value) if k.value == key)


def _end(node: Any) -> int:
    """Return where a node's own text ends; a block's mark lies behind the comments after it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _without(text: str, node: Any, indices: set[int]) -> Iterator[Edit]:
    """Yield the removal of some entries of a mapping."""
    entries = node.value
    if len(indices) == len(entries):
        yield node.start_mark.index, _end(node), "{}"
        return
    for first, last in _runs(sorted(indices)):
        start, stop = entries[first][0].start_mark.index, _end(entries[last][1])
        line = text.rfind("\n", 0, start) + 1
        if not node.flow_style and not text[line:start].strip():
            end = text.find("\n", stop)
            yield line, len(text) if end < 0 else end + 1, ""
        elif last + 1 < len(entries):
            yield start, entries[last + 1][0].start_mark.index, ""
        else:
            yield _end(entries[first - 1][1]), stop, ""


def _runs(indices: list[int]) -> Iterator[tuple[int, int]]:
    first = previous = indices[0]
    for i in indices[1:]:
        if i != previous + 1:
            yield first, previous
            first = i
        previous = i
    yield first, previous

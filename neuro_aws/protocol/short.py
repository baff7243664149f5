"""The short form of a protocol, and which overrides leave its expectations in force."""

from collections.abc import Iterable

from neuro_aws.errors import ProtocolError
from neuro_aws.protocol.base import KeyPath
from neuro_aws.protocol.document import Document, assign, key_path

SAME_RUN = (
    "schema_version",
    "name",
    "description",
    "seeds",
    "record",
    "watch",
    "keep",
    "measure",
    "expect",
    "short",
)
"""Keys that change how many animals there are and what is written down, not what happens to one."""


def shorten(document: Document) -> None:
    """Put the settings of ``short`` over the protocol's, and its expectations in their place.

    A section that is not as it should be is left for the validation to refuse.
    """
    if "short" not in document.data:
        raise ProtocolError([f"{document.source}: has no `short:` section; run it as it is"])
    short = document.data["short"]
    if not isinstance(short, dict) or not isinstance(short.get("set", {}), dict):
        return
    moved: dict[KeyPath, KeyPath] = {("short", "expect"): ("expect",)}
    for key, value in short.get("set", {}).items():
        here: KeyPath = ("short", "set", key)
        moved[here] = key_path(key)
        assign(document.data, moved[here], value, document.fault(here, "").removesuffix(": "))
    document.data["expect"] = short.get("expect", [])
    _point_to_short(document, moved)


def _point_to_short(document: Document, moved: dict[KeyPath, KeyPath]) -> None:
    """Let faults at key paths that `short` sets point to the lines where their values stand."""
    replaced = set(moved.values())
    kept = {
        at: line
        for at, line in document.lines.items()
        if not any(at[:end] in replaced for end in range(1, len(at) + 1))
    }
    for at, line in document.lines.items():
        for end in (2, 3):
            if at[:end] in moved:
                kept[(*moved[at[:end]], *at[end:])] = line
    document.lines = kept


def changes(overridden: Iterable[KeyPath]) -> tuple[str, ...]:
    """Return the overridden keys for which a protocol's expectations are not judged.

    Expectations belong to the protocol as it is written, or to overrides that set ``expect``.
    """
    overridden = list(overridden)
    if ("expect",) in overridden:
        return ()
    return tuple(".".join(map(str, path)) for path in overridden if not _same_run(path))


def _same_run(path: KeyPath) -> bool:
    words = path[0] == "arms" and path[-1] in ("description", "reference")
    return words or path[0] in SAME_RUN or path == ("spiking", "target")

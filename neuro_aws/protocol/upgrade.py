"""From an older schema version to 3: a document is changed in place, and every change is said.

Since version 2 (rate backend):

no `preset`                 ``preset: without_homeostasis``: what the defaults were then
`algorithm.replay`          a `network.memory` of as many states, the best of the last wake batch

Since version 1, too:

an arm's `birth`            ``initial``
settings of another theory  dropped: they had no effect
an arm's `algorithm.name`   a whole `algorithm`, where the protocol's has settings of another theory
`repeats` of a measure      dropped where nothing is trained: it had no effect
noise.by_layer, noise.decay, algorithm.surprisal, network.birth: small
                            gone; refused where they had an effect
`level` of a clamp          dropped: it had no effect
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from neuro_aws.protocol.base import KeyPath
from neuro_aws.protocol.document import Document, dotted
from neuro_aws.protocol.hopfield import of_replay
from neuro_aws.protocol.presets import PRESETS
from neuro_aws.protocol.theories import THEORIES, OwnAlgorithm

VERSION = 3
OLDER = (1, 2)
DEFAULTS_OF_2 = "without_homeostasis"
"""The preset that holds what version 2 took where nothing was written."""

REPLAY, INSTEAD = "replay", "a memory does it"
BATCH = 64
"""Stimuli in a batch where nothing is written."""

TRAINED_IN_1 = ("fresh_classifier", "linear_probe")


def version_of(document: Document) -> object:
    """Return the version that a document names."""
    return document.data.get("schema_version")


def is_older(document: Document) -> bool:
    """Say whether a document is of a version that can be upgraded."""
    version = version_of(document)
    return type(version) is int and version in OLDER


def refusal(version: object, source: str) -> str:
    """Return what a protocol of an older version is told."""
    return (
        f"{version} is an older form; `neuro-aws upgrade {source}` rewrites it as version {VERSION}"
    )


@dataclass(frozen=True)
class Change:
    """One change: a value put at a key path, a key renamed, dropped, or added."""

    path: KeyPath
    why: str
    value: Any = None
    renamed: str | None = None
    dropped: bool = False
    added: bool = False
    """Before the first key of the mapping that holds it."""
    loses: bool = False
    """Whether something that had an effect is lost."""

    def __str__(self) -> str:
        if self.renamed is not None:
            return f"{dotted(self.path)} -> {self.renamed}"
        if self.dropped:
            return f"{dotted(self.path)} dropped: {self.why}"
        return f"{dotted(self.path)} = {self.value}: {self.why}"


def upgrade(document: Document) -> list[str]:
    """Make this version of an older document; return what was changed, one line each."""
    notes = []
    for stage in STAGES:
        for change in stage(document.data):
            carry_out(document, change)
            notes.append(str(change))
    return notes


def carry_out(document: Document, change: Change) -> None:
    """Change the data of a document."""
    *above, last = change.path
    holder = document.data
    for part in above:
        holder = holder[part]
    if change.dropped:
        del holder[last]
    elif change.renamed is not None:
        moved = [(change.renamed if k == last else k, v) for k, v in holder.items()]
        holder.clear()
        holder.update(moved)
        old, new = change.path, (*above, change.renamed)
        for path in [p for p in document.lines if p[: len(old)] == old]:
            document.lines[(*new, *path[len(old) :])] = document.lines[path]
    else:
        holder[last] = change.value


def replayed(data: Any) -> list[Change]:
    """Return what puts a memory in the place of `algorithm.replay`."""
    written, network = data.get("algorithm"), data.get("network", {})
    share = written.get(REPLAY, 0) if isinstance(written, dict) else 0
    found: list[Change] = []
    if not _is_share(share):
        return found
    if isinstance(written, dict) and REPLAY in written:
        found.append(_drop(("algorithm", REPLAY), INSTEAD))
    if share and isinstance(network, dict):
        path: KeyPath = ("network", "memory") if network else ("network",)
        memory = of_replay(share, _batch(data))
        value = memory if network else {"memory": memory}
        added = bool(network) or "network" not in data
        found.append(Change(path, "what replay did", value, added=added))
    arms = data.get("arms")
    for name, arm in arms.items() if isinstance(arms, dict) else ():
        for kind in ("birth", "initial", "set"):
            settings = arm.get(kind) if isinstance(arm, dict) else None
            if isinstance(settings, dict):
                found += _replayed_in_arm(settings, share, _batch(data), ("arms", name, kind))
    return found


def _replayed_in_arm(
    settings: dict[str, Any], share: Any, batch: int, path: KeyPath
) -> list[Change]:
    """Return the same for the settings of an arm; ``share`` is that of the whole protocol."""
    whole, key = settings.get("algorithm"), f"algorithm.{REPLAY}"
    if key in settings:
        own, at = settings[key], (*path, key)
    elif isinstance(whole, dict):
        own, at = whole.get(REPLAY, 0), (*path, "algorithm", REPLAY)
    else:
        return []
    there = key in settings or (isinstance(whole, dict) and REPLAY in whole)
    if own == share or path[-1] == "set":
        return [_drop(at, INSTEAD, loses=own != share)] if there else []
    if not _is_share(own):
        return []
    memory = of_replay(own, batch) if own else None
    if key in settings:
        return [Change(at, "what replay did", memory), Change(at, "", renamed="network.memory")]
    added = Change((*path, "network.memory"), "what replay did", memory, added=True)
    return [_drop(at, INSTEAD), added] if there else [added]


def _is_share(value: Any) -> bool:
    """Say whether a value is one that replay could have; others are refused as they are."""
    return type(value) in (int, float) and 0 <= value <= 1


def _batch(data: Any) -> int:
    stimulus = data.get("stimulus")
    written = stimulus.get("batch") if isinstance(stimulus, dict) else None
    return written if type(written) is int else BATCH


def changes(data: Any) -> list[Change]:
    """Return every change, in an order in which they can be carried out."""
    found = [Change(("schema_version",), "the form of this protocol", VERSION)]
    if data.get("preset") is None and data.get("backend", "rate") == "rate":
        why = "the defaults of then"
        found.append(Change(("preset",), why, DEFAULTS_OF_2, added="preset" not in data))
    return found if data.get("schema_version") == 2 else found + _since_1(data)


STAGES: tuple[Callable[[Any], list[Change]], ...] = (replayed, changes)
"""What is changed one after the other: each finds what the one before left."""


def _since_1(data: Any) -> list[Change]:
    found: list[Change] = []
    written = data.get("algorithm")
    theory = _theory_of(data)
    if isinstance(written, dict):
        found += _strange(written, theory, ("algorithm",))
    network = data.get("network")
    if isinstance(network, dict):
        found += _network(network, ("network",))
    measures = data.get("measure")
    for i, measure in enumerate(measures if isinstance(measures, list) else []):
        if isinstance(measure, dict) and "repeats" in measure:
            name = measure.get("measure")
            if name not in TRAINED_IN_1:
                found.append(_drop(("measure", i, "repeats"), f"{name} is not trained"))
    arms = data.get("arms")
    for name, arm in arms.items() if isinstance(arms, dict) else ():
        if isinstance(arm, dict):
            found += _arm(name, arm, written if isinstance(written, dict) else {}, theory)
    return found


def _theory_of(data: Any) -> str:
    default = next(iter(THEORIES))
    preset = PRESETS.get(data.get("preset") or "", {}).get("algorithm", {})
    written = data.get("algorithm")
    named = written.get("name") if isinstance(written, dict) else None
    return str(named or preset.get("name") or default)


def _known(theory: str) -> set[str]:
    entry = THEORIES.get(theory)
    return set((entry.settings if entry is not None else OwnAlgorithm).model_fields)


def _drop(path: KeyPath, why: str, loses: bool = False) -> Change:
    return Change(path, why, dropped=True, loses=loses)


def _strange(written: dict[str, Any], theory: str, path: KeyPath) -> list[Change]:
    """Return the settings that a theory does not have: dropped, for they had no effect."""
    found = []
    for key, value in written.items():
        if key == "surprisal":
            found.append(_drop((*path, key), "there is no such setting any more", bool(value)))
        elif key not in _known(theory) and key != "name":
            found.append(_drop((*path, key), f"{theory} has no such setting"))
    return found


def _network(network: dict[str, Any], path: KeyPath) -> list[Change]:
    found = []
    if network.get("birth") == "small":
        found.append(_drop((*path, "birth"), "there is no `small` any more", loses=True))
    noise = network.get("noise")
    for key in ("by_layer", "decay"):
        if isinstance(noise, dict) and key in noise:
            why = "there is no such setting any more"
            found.append(_drop((*path, "noise", key), why, _effective(key, noise[key])))
    return found


def _effective(key: str, value: Any) -> bool:
    if key == "by_layer":
        return value is not None and any(factor != 1 for factor in value)
    return isinstance(value, dict) and value.get("factor", 1.0) != 1.0


def _arm(name: str, arm: dict[str, Any], written: dict[str, Any], theory: str) -> list[Change]:
    found: list[Change] = []
    for kind in ("birth", "set"):
        settings = arm.get(kind)
        if not isinstance(settings, dict):
            continue
        theory = settings.get("algorithm.name", theory)
        found += _settings(settings, written, theory, ("arms", name, kind))
    perturbations = arm.get("perturb")
    for i, entry in enumerate(perturbations if isinstance(perturbations, list) else []):
        clamp = entry.get("clamp") if isinstance(entry, dict) else None
        if isinstance(clamp, dict) and "level" in clamp:
            path = ("arms", name, "perturb", i, "clamp", "level")
            found.append(_drop(path, "a clamp teaches nothing, whatever its level"))
    if "birth" in arm:
        found.append(Change(("arms", name, "birth"), "", renamed="initial"))
    return found


def _settings(
    settings: dict[str, Any], written: dict[str, Any], theory: str, path: KeyPath
) -> list[Change]:
    """Return the changes of an arm's settings."""
    found: list[Change] = []
    known = _known(theory)
    own = {k.split(".")[1]: k for k in settings if k.startswith("algorithm.")}
    for key, full in own.items():
        if key == "surprisal":
            lost = bool(settings[full])
            found.append(_drop((*path, full), "there is no such setting any more", lost))
        elif key not in known:
            found.append(_drop((*path, full), f"{theory} has no such setting"))
    for full in ("network.noise.by_layer", "network.noise.decay", "network.noise.decay.factor"):
        if full in settings:
            found.append(_drop((*path, full), "there is no such setting any more", loses=True))
    if settings.get("network.birth") == "small":
        found.append(_drop((*path, "network.birth"), "there is no `small` any more", loses=True))
    strange = [key for key in written if key not in known and key != "surprisal"]
    if "algorithm.name" in settings and strange:
        dropped = {change.path for change in found}
        whole = {k: v for k, v in written.items() if k in known} | {"name": theory}
        for full in [f for f in own.values() if (*path, f) not in dropped]:
            parts, holder = full.split(".")[1:], whole
            for part in parts[:-1]:
                holder[part] = dict(holder.get(part) or {})
                holder = holder[part]
            holder[parts[-1]] = settings[full]
        rest = {
            k: v
            for k, v in settings.items()
            if not k.startswith("algorithm.") and (*path, k) not in dropped
        }
        why = f"{theory} has no `{strange[0]}`"
        return [*found, Change(path, why, {"algorithm": whole, **rest})]
    return found

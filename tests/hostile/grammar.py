"""Protocols grown from the JSON Schema that is shipped: right in form, of any content."""

import json
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from tests.conftest import ROOT
from tests.hostile.trees import Pairs

SCHEMA = ROOT / "neuro_aws" / "protocol" / "protocol.schema.json"
NAMES = ("control", "cells", "infancy", "later", "a", "label3", "common", "ach_gap")
CODE = ("hostile:boom", "os:system", "subprocess:Popen", "no_such_module:x", "numpy:ndarray")
DEEPEST = 9
"""Levels below which optional keys are left out."""


@cache
def schema(path: Path = SCHEMA) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))


def grown(rng: Random) -> Pairs:
    """Return a protocol; its required keys are there, and some of the others."""
    return _mapping(schema(), rng, 0)


def section(rng: Random) -> tuple[str, Any]:
    """Return a key of the first level and what may stand there."""
    key = rng.choice(sorted(schema()["properties"]))
    return key, _grown(schema()["properties"][key], rng, 1)


def _grown(node: dict[str, Any], rng: Random, depth: int) -> Any:
    if "$ref" in node:
        return _grown(schema()["$defs"][node["$ref"].rpartition("/")[2]], rng, depth)
    for several in ("oneOf", "anyOf"):
        if several in node:
            return _grown(rng.choice(node[several]), rng, depth + 1)
    if "const" in node:
        return node["const"]
    if "enum" in node:
        return rng.choice(node["enum"])
    match node.get("type"):
        case "object":
            return _mapping(node, rng, depth)
        case "array":
            return _list(node, rng, depth)
        case "string":
            return rng.choice(CODE if "pattern" in node else NAMES)
        case "integer" | "number" as kind:
            return _number(node, rng, kind == "integer")
        case "boolean":
            return rng.random() < 0.5
        case "null":
            return None
    return rng.choice((0, 1, 0.5, "x", None, True))


def _mapping(node: dict[str, Any], rng: Random, depth: int) -> Pairs:
    required = node.get("required", [])
    share = 0.45 if depth == 0 else 0.3 if depth < DEEPEST else 0.0
    found = Pairs()
    for key, inner in node.get("properties", {}).items():
        if key in required or rng.random() < share:
            found.append([key, _grown(inner, rng, depth + 1)])
    further = node.get("additionalProperties")
    if isinstance(further, dict):
        for name in rng.sample(NAMES, rng.randint(node.get("minProperties", 0), 3)):
            found.append([name, _grown(further, rng, depth + 1)])
    return found


def _list(node: dict[str, Any], rng: Random, depth: int) -> list[Any]:
    if "prefixItems" in node:
        return [_grown(inner, rng, depth + 1) for inner in node["prefixItems"]]
    if depth > DEEPEST + 4 or "items" not in node:
        return []
    least = node.get("minItems", 0)
    count = rng.randint(least, min(node.get("maxItems", 4), max(3, least)))
    return [_grown(node["items"], rng, depth + 1) for _ in range(count)]


def _number(node: dict[str, Any], rng: Random, whole: bool) -> float:
    low = node.get("minimum", node.get("exclusiveMinimum", -10))
    high = node.get("maximum", node.get("exclusiveMaximum", 1000))
    edges = [low, high, node.get("default") if isinstance(node.get("default"), int) else low]
    if rng.random() < 0.2:
        return rng.choice(edges)
    near = min(high, low + 12)
    return rng.randint(int(low), int(near)) if whole else round(rng.uniform(low, near), 3)

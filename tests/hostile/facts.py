"""provenance.json as somebody else would write it."""

import json
from copy import deepcopy
from random import Random
from typing import Any

from tests.hostile.trees import slots

VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    3,
    2**31,
    10**30,
    1.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    "/../../../esc",
    "..",
    "\x1b[2J\x07",
    "\ud800",
    "\0",
    "a" * 300_000,
    "\u202e",
    "[bold]x[/nobold]",
    [],
    {},
    [0, 0],
    ["control", "control"],
    [1],
    [[]],
    {"a": {"b": 1}},
    ["../../esc"],
    ["seeds=2"],
    ["name=../../esc"],
    ["arms.control.description=x"],
    ["network.layers=[64, 20, 5]"],
    ["schedule.0.cycles=1"],
    ["short={set: {seeds: 1}}"],
    "finished",
    "running",
    "stopped",
    "failed: \x1b]0;x\x07",
    "cuda:99",
    "meta",
)
WHOLE = (
    b"",
    b"{}",
    b"[]",
    b"null",
    b"3",
    b'"x"',
    b"{",
    b'{"animals": [0]}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"\xff\xfe",
    b"\0" * 1000,
    b'{"animals": ' + b"9" * 5000 + b"}",
    b"NaN",
    b"{'animals': [0]}",
)


def facts(sound: dict[str, Any], rng: Random) -> bytes:
    """Return the bytes of a provenance.json made from a sound one."""
    if rng.random() < 0.15:
        return rng.choice(WHOLE)
    data = deepcopy(sound)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        key = rng.choice(sorted(data) or ["animals"])
        match rng.randrange(6):
            case 0:
                data.pop(key, None)
            case 1:
                data[key + rng.choice(("s", "\x1b", "."))] = data.pop(key, None)
            case 2:
                data |= {f"extra{k}": k for k in range(rng.choice((1, 5000)))}
            case 3:
                inside = [(h, i) for h, i in slots([data[key]] if key in data else [])]
                for holder, index in rng.sample(inside, min(1, len(inside))):
                    if holder is not data:
                        holder[index] = rng.choice(VALUES)
            case _:
                data[key] = rng.choice(VALUES)
    text = json.dumps(data, indent=rng.choice((None, 2)))
    if rng.random() < 0.05:
        text = text[: rng.randrange(len(text) + 1)]
    return text.encode("utf-8", rng.choice(("surrogatepass", "replace")))

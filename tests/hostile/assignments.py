"""What follows ``--set``: key paths and values of all kinds."""

from functools import cache
from random import Random

from tests.conftest import TINY
from tests.hostile.scalars import scalar
from tests.hostile.trees import Pairs, parsed

PIECES = ("²", "٣", "-1", "00", "99", "1" * 5000, "", " ", "..", "<<", "x", "\x1b[2J", "𝟎", "0x0")
PIECES += ("name", "cycles", "set", "initial", "short", "expect", "\u202e", "__class__", "True")
WHOLE = ("", "=", "==", ".=1", "seeds", "seeds==2", "a" * 100_000, "=1", ".", "seeds.=1", "\n=1")


@cache
def keys() -> tuple[str, ...]:
    """Return the path of every key and item of a small protocol."""
    found: list[str] = []

    def walk(node: object, path: tuple[str, ...]) -> None:
        if path:
            found.append(".".join(path))
        pairs = node if isinstance(node, Pairs) else []
        items = enumerate(node) if isinstance(node, list) and not pairs else pairs
        for key, value in items:
            walk(value, (*path, str(key)))

    walk(parsed(TINY), ())
    return tuple(found)


def assignments(rng: Random) -> list[str]:
    """Return one to three assignments; at times the same key twice."""
    made = [_assignment(rng) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
    if rng.random() < 0.1:
        made.append(f"{made[0].partition('=')[0]}={scalar(rng)}")
    return made


def _assignment(rng: Random) -> str:
    if rng.random() < 0.08:
        return rng.choice(WHOLE)
    key = rng.choice(keys())
    match rng.randrange(5):
        case 0:
            path = key.split(".")
            path[rng.randrange(len(path))] = rng.choice(PIECES)
            key = ".".join(path)
        case 1:
            key = f"{key}.{rng.choice(PIECES)}"
        case 2 if rng.random() < 0.2:
            key = ".".join([key] * rng.choice((3, 2000)))
    return f"{key}={scalar(rng)}"

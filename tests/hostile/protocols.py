"""Texts that call themselves protocols: shipped ones and grown ones, altered."""

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from random import Random
from typing import Any

from tests.conftest import PROTOCOLS, TINY
from tests.hostile.grammar import grown, section
from tests.hostile.scalars import SCALARS, laughs, scalar
from tests.hostile.trees import Pairs, Raw, document, lists, mappings, parsed, slots
from tests.spiking import TEXT as SPIKING

BYTES = (b"\0", b"\xff", b"\xfe\xff", b"\x1b[2J", b"\xef\xbb\xbf", b"\t", b"\xe2\x80\xa8", b"\r")
BYTES += (b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"%YAML 9.9\n---\n", b"\n---\n", b"\n...\n", b"'")
CODE = (
    {"name": "subprocess:Popen", "options": {"args": ["touch", "touched"]}},
    {"name": "hostile:Boom"},
    {"source": "hostile:boom", "options": {"x": 1}},
    {"measure": "os:system", "options": {"command": "touch touched"}},
    {"apply": {"code": "os:system", "options": {"command": "touch touched"}}},
)


@cache
def sources() -> tuple[str, ...]:
    """Return sound texts: small ones more often than the long ones that are shipped."""
    return (*(path.read_text("utf-8") for path in PROTOCOLS), *(12 * [TINY]), *(8 * [SPIKING]))


@cache
def _tree(source: str) -> Any:
    return parsed(source)


def text(rng: Random) -> bytes:
    """Return the bytes of a hostile protocol."""
    how = rng.random()
    if how < 0.2:
        return _of_bytes(rng.choice(sources()).encode(), rng)
    if how < 0.3:
        node, count = grown(rng), rng.choice((0, 1))
    else:
        node, count = deepcopy(_tree(rng.choice(sources()))), rng.choice((1, 1, 1, 2, 4))
    gentle = how > 0.7
    for _ in range(count):
        rng.choice(GENTLE if gentle else ALTERATIONS)(node, rng)
    return document(node).encode("utf-8", "surrogatepass")


def _of_bytes(data: bytes, rng: Random) -> bytes:
    """Alter a text without regard to its grammar."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        start = rng.randrange(len(data) + 1)
        stop = min(len(data), start + rng.choice((1, 2, 8, 60, 400)))
        match rng.randrange(6):
            case 0:
                data = data[:start] + data[stop:]
            case 1:
                data = data[:start] + data[start:stop] * rng.choice((2, 3, 50)) + data[stop:]
            case 2 if start < stop:
                flipped = bytes([data[start] ^ 1 << rng.randrange(8)])
                data = data[:start] + flipped + data[start + 1 :]
            case 3:
                data = data[:start] + rng.choice(BYTES) + data[start:]
            case 4:
                data = data[:start]
            case _:
                data = data[:start] + scalar(rng).encode() + data[stop:]
    if rng.random() < 0.05:
        data = data.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-32", "utf-7")))
    return data


def _replace(node: Any, rng: Random) -> None:
    holder, index = rng.choice(list(slots(node)) or [(node, 0)])
    if index < len(holder):
        holder[index] = Raw(scalar(rng))


def _nudge(node: Any, rng: Random) -> None:
    """Put a number beyond where it is, or a value of another place."""
    places = list(slots(node))
    numbers = [(h, i) for h, i in places if type(h[i]) in (int, float)]
    if not numbers:
        return
    holder, index = rng.choice(numbers)
    value = holder[index]
    other, position = rng.choice(places)
    choices = (0, -value, value + 1, value * 10, value * 10**6, value / 3, float(value), -1)
    holder[index] = rng.choice((*choices, deepcopy(other[position])))


def _graft(node: Any, rng: Random) -> None:
    """Put another section in, right in form."""
    key, value = section(rng)
    if isinstance(node, Pairs):
        node[:] = [pair for pair in node if pair[0] != key]
        node.append([key, value])


def _remove(node: Any, rng: Random) -> None:
    found = [pairs for pairs in mappings(node) if pairs]
    if found:
        pairs = rng.choice(found)
        del pairs[rng.randrange(len(pairs))]


def _rename(node: Any, rng: Random) -> None:
    found = [pairs for pairs in mappings(node) if pairs]
    if found:
        pair = rng.choice(rng.choice(found))
        key = str(pair[0])
        cut = rng.randrange(len(key) + 1)
        pair[0] = rng.choice((Raw(rng.choice(SCALARS)), key[:cut] + key[cut + 1 :], key + "s"))


def _duplicate(node: Any, rng: Random) -> None:
    found = [pairs for pairs in mappings(node) if pairs]
    if found:
        pairs = rng.choice(found)
        pairs.append(deepcopy(rng.choice(pairs)))


def _add(node: Any, rng: Random) -> None:
    found = mappings(node)
    if found:
        pairs = rng.choice(found)
        count = rng.choice((1, 1, 1, 1, 1, 30, 3000))
        pairs += [[f"extra{k}", rng.choice((k, "x", [], None))] for k in range(count)]


def _multiply(node: Any, rng: Random) -> None:
    found = [items for items in lists(node) if items]
    if found:
        items = rng.choice(found)
        items *= rng.choice((2, 2, 3, 10, 200))


def _crowd(node: Any, rng: Random) -> None:
    """Fill a section whose keys are names with many of them."""
    for key, value in node if isinstance(node, Pairs) else ():
        if key == rng.choice(("arms", "targets")) and isinstance(value, Pairs) and value:
            name, one = rng.choice(value)
            count = rng.choice((5, 40, 400))
            value += [[f"{name}_{k}", deepcopy(one)] for k in range(count)]


def _nest(node: Any, rng: Random) -> None:
    holder, index = rng.choice(list(slots(node)) or [(node, 0)])
    if index < len(holder):
        depth = rng.choice((1, 2, 5, 60, 500, 2000))
        left, right = rng.choice((("[", "]"), ("{a: ", "}"), ("{repeat: 2, phases: [", "]}")))
        holder[index] = Raw(left * depth + "1" + right * depth)


def _share(node: Any, rng: Random) -> None:
    """Use anchors, aliases and merge keys."""
    pairs = rng.choice(mappings(node) or [Pairs()])
    forms = ("{<<: {a: 1}}", "&x {a: 1}", "*x", "&y [*y, *y]", laughs(rng.choice((3, 7))))
    pairs.append([rng.choice(("<<", Raw("<<"), "x")), Raw(rng.choice(forms))])


def _name_code(node: Any, rng: Random) -> None:
    """Name somebody's code, where a protocol may and where it may not."""
    named = rng.choice(CODE)
    key = {"name": "algorithm", "source": "stimulus"}.get(next(iter(named)), "measure")
    value = [named] if key == "measure" else named
    if isinstance(node, Pairs):
        node[:] = [pair for pair in node if pair[0] != key]
        node.append([key, _pairs(value)])


def _pairs(data: Any) -> Any:
    if isinstance(data, dict):
        return Pairs([key, _pairs(value)] for key, value in data.items())
    return [_pairs(item) for item in data] if isinstance(data, list) else data


GENTLE: tuple[Callable[[Any, Random], None], ...] = (_graft, _graft, _nudge, _remove, _crowd)
"""What often leaves a protocol valid."""

ALTERATIONS: tuple[Callable[[Any, Random], None], ...] = (
    _replace,
    _replace,
    _replace,
    _nudge,
    _nudge,
    _graft,
    _remove,
    _rename,
    _duplicate,
    _add,
    _multiply,
    _crowd,
    _nest,
    _share,
    _name_code,
)

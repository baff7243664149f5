"""The points of a sweep: which settings, in which combinations, which animals. No torch here."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from neuro_aws import rng
from neuro_aws.errors import NeuroAWSError, clipped
from neuro_aws.protocol.document import key_path

MOST_RUNS = 100_000
MOST_ANIMAL = 2_000_000_000
REFUSED = {
    "seeds": "Give the animals by --seeds, such as --seeds 0-7",
    "name": "Runs are told apart by their settings; keep the protocol's name",
}
"""Keys that a sweep does not set, and what to do instead."""

OPENING, CLOSING = "([{", ")]}"
SPAN = re.compile(r"([0-9]{1,10})(?:-([0-9]{1,10}))?")


@dataclass(frozen=True)
class Grid:
    """Settings of a sweep: what is the same everywhere, and the values of what is varied.

    ``points`` are the combinations that are run, each a value for every axis.
    """

    constant: Mapping[str, str]
    axes: Mapping[str, tuple[str, ...]]
    points: tuple[Mapping[str, str], ...]

    def overrides(self, point: Mapping[str, str]) -> tuple[str, ...]:
        """Return the settings of a point as ``--set`` takes them."""
        return tuple(f"{key}={value}" for key, value in {**self.constant, **point}.items())


def grid(sets: Iterable[str], *, zipped: bool = False, random: int | None = None) -> Grid:
    """Return the points that ``--set key.path=value,value,...`` ask for.

    Every combination by default; with ``zipped`` the first values of all lists together, the second
    ones, and so on; with ``random`` so many different points of all combinations, the same ones
    whenever they are asked for.
    """
    if zipped and random is not None:
        raise NeuroAWSError("goes without --random", where="--zip", next_step="Give one of them")
    given: dict[str, tuple[str, ...]] = {}
    paths = set()
    for assignment in sets:
        key, values = _assignment(assignment)
        if key_path(key) in paths:
            raise NeuroAWSError(
                "this key is set twice", where=f"--set {clipped(key)}", next_step="Keep one"
            )
        paths.add(key_path(key))
        given[key] = values
    axes = {key: values for key, values in given.items() if len(values) > 1}
    constant = {key: values[0] for key, values in given.items() if len(values) == 1}
    if zipped:
        combined = _zipped(axes)
    elif random is not None:
        combined = _drawn(axes, random)
    else:
        _refuse_many(prod(map(len, axes.values())))
        combined = (_at(axes, index) for index in range(prod(map(len, axes.values()))))
    points = tuple(dict(zip(axes, values, strict=True)) for values in combined)
    return Grid(constant, axes, points)


def _assignment(assignment: str) -> tuple[str, tuple[str, ...]]:
    key, separator, text = assignment.partition("=")
    key, where = key.strip(), f"--set {clipped(assignment)}"
    if not separator or not key:
        raise NeuroAWSError("write key.path=value or key.path=value,value", where=where)
    if key in REFUSED:
        raise NeuroAWSError("is not set in a sweep", where=where, next_step=REFUSED[key])
    return key, tuple(_values(text, where))


def _values(text: str, where: str) -> Iterator[str]:
    """Yield the values between the commas that stand in no brackets and in no quotes."""
    found = [""]
    expected: list[str] = []
    quote = ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'" and found[-1].rstrip()[-1:] in ("", *OPENING, ",", ":"):
            quote = character
        elif character in OPENING:
            expected.append(CLOSING[OPENING.index(character)])
        elif character in CLOSING and (not expected or character != expected.pop()):
            raise NeuroAWSError(f"a {character} too many", where=where)
        elif character == "," and not expected:
            found.append("")
            continue
        found[-1] += character
    if expected or quote:
        missing = expected[-1] if expected else quote
        raise NeuroAWSError(f"a {missing} is missing", where=where)
    values = [value.strip() for value in found]
    if len(values) > 1 and "" in values:
        raise NeuroAWSError(
            "a value between commas is empty", where=where, next_step="Write null for no value"
        )
    if len(set(values)) < len(values):
        raise NeuroAWSError("a value is given twice", where=where, next_step="Keep one")
    yield from values


def _zipped(axes: Mapping[str, Sequence[str]]) -> Iterable[tuple[str, ...]]:
    lengths = {key: len(values) for key, values in axes.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{key} {n}" for key, n in lengths.items())
        raise NeuroAWSError(f"lists of different lengths ({clipped(said, 200)})", where="--zip")
    return zip(*axes.values(), strict=True) if axes else [()]


def _drawn(axes: Mapping[str, Sequence[str]], count: int) -> Iterator[tuple[str, ...]]:
    there = prod(map(len, axes.values()))
    if count > there:
        raise NeuroAWSError(
            f"{count} points, but the grid has {there}", where="--random", next_step="Ask for fewer"
        )
    _refuse_many(count)
    if there >= 2**63:
        raise NeuroAWSError("the grid has more points than can be drawn from", where="--random")
    chosen = rng.numpy_generator(0, rng.SWEEP).choice(there, count, replace=False)
    return (_at(axes, index) for index in sorted(chosen.tolist()))


def _at(axes: Mapping[str, Sequence[str]], index: int) -> tuple[str, ...]:
    """Return a point of the grid by its number; the last axis changes fastest."""
    values = []
    for axis in reversed(list(axes.values())):
        index, here = divmod(index, len(axis))
        values.append(axis[here])
    return tuple(reversed(values))


def _refuse_many(points: int) -> None:
    if points > MOST_RUNS:
        raise NeuroAWSError(
            f"{points} points, at most {MOST_RUNS}", where="--set", next_step="--random N takes N"
        )


def animals(text: str) -> list[int]:
    """Return the animals that ``--seeds`` names: 0-31, or 0,3,8-11."""
    found: list[int] = []
    for part in text.split(","):
        match, where = SPAN.fullmatch(part.strip()), f"--seeds {clipped(text)}"
        if match is None:
            raise NeuroAWSError(
                "no range of animals", where=where, next_step="Write 0-31, or 0,3,8-11"
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last <= MOST_ANIMAL or last - first >= MOST_RUNS:
            raise NeuroAWSError(
                "a range runs from a smaller number to a larger one",
                where=where,
                next_step=f"Animals are 0 to {MOST_ANIMAL}, {MOST_RUNS} of them at most",
            )
        found += range(first, last + 1)
    if len(found) == 1 and "-" not in text:
        raise NeuroAWSError(
            "may mean one animal or so many",
            where=f"--seeds {clipped(text)}",
            next_step=f"Write {found[0]}-{found[0]} for animal {found[0]}, or a range from 0",
        )
    if len(set(found)) < len(found):
        raise NeuroAWSError("an animal is named twice", where=f"--seeds {clipped(text)}")
    return found

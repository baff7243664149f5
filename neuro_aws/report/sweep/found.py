"""What a sweep found, in sentences made from its table."""

from collections.abc import Iterator

from neuro_aws.metrics.statistics import estimate
from neuro_aws.plots.style import readable
from neuro_aws.plots.sweep import columns_of, short_key, wanted_values
from neuro_aws.report.document import Section, Sentences, Words
from neuro_aws.report.sweep.manifest import Reported
from neuro_aws.report.sweep.values import Ended, ended, ends, label_of
from neuro_aws.report.wording import Key, counted, listed, named, where

FEW = 4
"""Points whose values are all told; of more, the lowest and the highest."""


def section(found: Reported) -> Section:
    """Return the section."""
    total, done, failed = len(found.runs), len(found.finished), len(found.failed)
    waiting = total - done - failed
    told = [f"{done} of {counted(total, 'run')} finished"]
    told += [f"{failed} failed (below)"] if failed else []
    told += [f"{waiting} not made yet: the same command goes on"] if waiting else []
    blocks: list[Words | Sentences] = [Words(["; ".join(told) + "."])]
    sentences = list(_values(found))
    if sentences:
        blocks.append(Sentences([("", text) for text in sentences]))
        blocks.append(
            Words(
                [
                    "Means over animals with 95 % intervals, at the end of each arm; changes are "
                    "paired by animal, and not corrected for how many comparisons there are."
                ]
            )
        )
    return Section("found", "What was found", blocks)


def _values(found: Reported) -> Iterator[str]:
    last = ends(found)
    if last.empty:
        return
    columns = columns_of(last, list(found.grid.axes))
    for key in wanted_values(last):
        told = list(ended(found, columns, key))
        for arm in found.arms:
            mine = [one for one in told if one.arm == arm]
            if mine:
                yield _sentence(found, key, mine)


def _sentence(found: Reported, key: Key, mine: list[Ended]) -> str:
    start = f"In {readable(mine[0].arm)}, {named(key[0])}{where(key[1], key[2])}"
    if len(mine) == 1:
        return f"{start} was {mine[0].found}."
    at = [f"{one.found} at {label_of(found, one)}" for one in mine]
    if len(mine) <= FEW:
        text = f"{start} was {listed(at)}."
    else:
        lowest, highest = (
            pick(range(len(mine)), key=lambda i: mine[i].found.mean) for pick in (min, max)
        )
        text = f"{start} was lowest, {at[lowest]}, and highest, {at[highest]}."
    return text + _change(found, mine)


def _change(found: Reported, mine: list[Ended]) -> str:
    """Return how the value differs between the ends of the axis, where there is one of numbers."""
    axes = list(found.grid.axes)
    if len(axes) != 1 or isinstance(mine[0].value, str):
        return ""
    first, last = mine[0], mine[-1]
    apart = estimate((last.animals - first.animals).to_numpy(float))
    if not apart.n:
        return ""
    return f" From {short_key(axes[0])} {first.value:g} to {last.value:g} it changed by {apart}."

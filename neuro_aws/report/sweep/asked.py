"""What a sweep asks: one protocol, the settings that are varied, the animals."""

from collections.abc import Iterable

from neuro_aws.plots.style import readable
from neuro_aws.report.document import Section, Table, Verbatim, Words
from neuro_aws.report.sweep.manifest import Made, Reported
from neuro_aws.report.wording import counted, listed

MOST_POINTS = 200
"""Points that are listed."""


def section(found: Reported) -> Section:
    """Return the section."""
    grid, example = found.grid, found.example
    words = [
        f"The protocol {found.facts.get('protocol')} at {counted(len(grid.points), 'point')}, in "
        f"{counted(len(found.animals), 'animal')} each (the same ones): {spans(found.animals)}. "
        f"Arms: {listed([readable(arm) for arm in found.arms])}."
    ]
    words += ["This is the protocol's short form."] if found.facts.get("short") else []
    if example is not None:
        words.insert(0, " ".join(example.protocol.spec.description.split()))
    constant = [(key, value, "set at every point") for key, value in grid.constant.items()]
    varied = [(key, ", ".join(values), "varied") for key, values in grid.axes.items()]
    blocks: list[Words | Table | Verbatim] = [Words([text for text in words if text])]
    if constant or varied:
        blocks.append(Table("Settings", ("setting", "values", "how"), [*varied, *constant]))
    blocks.append(_points(found))
    if example is not None:
        text = example.protocol.text
        blocks.append(Verbatim("The protocol as it was written", text, folded=True, paper=True))
    return Section("asked", "What was asked", blocks)


def _points(found: Reported) -> Table:
    rows = []
    for number, point in enumerate(found.grid.points[:MOST_POINTS]):
        mine = [run for run in found.runs if run.point == point]
        values = ", ".join(f"{key} = {value}" for key, value in point.items())
        rows.append((str(number), values or "the protocol as it is", _state(mine)))
    left = len(found.grid.points) - len(rows)
    caption = "Points" + (f"; {left:,} more are in the manifest" if left else "")
    return Table(caption, ("point", "settings", "runs"), rows)


def _state(runs: list[Made]) -> str:
    done, failed = sum(bool(run.folder) for run in runs), sum(bool(run.error) for run in runs)
    told = [f"{done} of {len(runs)} finished"] + [f"{failed} failed"] * bool(failed)
    return ", ".join(told)


def spans(animals: Iterable[int]) -> str:
    """Return animals as `--seeds` takes them: 0-3,8,12-15."""
    numbers = sorted(animals)
    parts: list[list[int]] = []
    for animal in numbers:
        if parts and animal == parts[-1][1] + 1:
            parts[-1][1] = animal
        else:
            parts.append([animal, animal])
    alone = len(parts) == 1
    return ",".join(f"{a}-{b}" if alone or a != b else str(a) for a, b in parts)

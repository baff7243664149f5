"""Receptive fields as pictures: the weights from stimuli to cells of layer 1, before and after.

They come from the weights that every recording has at the branch and at the ends of periods.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuro_aws.errors import NeuroAWSError
from neuro_aws.plots.style import WIDTH, Axes, Figure, figure, readable
from neuro_aws.protocol.measures_with_settings import ReceptiveField
from neuro_aws.protocol.schema import ProtocolSpec
from neuro_aws.protocol.stimuli_built_in import Patches
from neuro_aws.protocol.targets import fields, followed, resolve
from neuro_aws.recording.reader import Run

Array = NDArray[Any]
COLUMNS, MOST_ARMS = 10, 6
"""Cells beside each other, and arms below each other: two rows each."""

LABELS, HEAD, LEAST_ROW = 1.7, 0.85, 0.2
"""Inches: left of the pictures, above and below them, and the least height of a row."""

INTO_1 = "weights/feedforward_into1"


@dataclass(frozen=True)
class Fields:
    """What one arm made of the fields of some cells: (cells, rows, columns, channels) each."""

    arm: str
    before: Array
    after: Array

    @property
    def change(self) -> Array:
        """What was added since the branch."""
        changed: Array = self.after - self.before
        return changed


def as_pictures(weights: Array, spec: ProtocolSpec) -> Array | None:
    """Return rows of feedforward weights into layer 1 as pictures (cells, rows, columns, channels).

    Of two eyes the pictures stand side by side; of a convolutional network they are its kernels.
    None where stimuli are no pictures.
    """
    seen, count = spec.stimulus, len(weights)
    shape = seen.picture
    if weights.ndim == 4:
        pictures: Array = np.moveaxis(weights, 1, -1)
    elif isinstance(seen, Patches):
        eyes = weights.reshape(count, -1, seen.size, seen.size, 1)
        pictures = np.concatenate(list(eyes.swapaxes(0, 1)), axis=2)
    elif shape is not None:
        pictures = weights.reshape(count, *shape)
    else:
        return None
    return pictures


def chosen_cells(run: Run, animal: int) -> tuple[str, tuple[int, ...], int]:
    """Return the cells of layer 1 to draw: their name, their ids, and the size of the layer.

    Those that the protocol measures, else the first set it follows, else the layer's first cells.
    """
    spec = run.protocol.spec
    units = spec.network.layers[1]
    known = {name: resolve(cells, spec, animal) for name, cells in followed(spec).items()}
    plain = ReceptiveField(measure="receptive_field")
    asked = next((m for m in spec.measure if isinstance(m, ReceptiveField)), plain)
    for name, cells in fields(asked, known).items():
        if cells.layer == 1:
            return name, cells.ids, units
    return "first cells", tuple(range(min(COLUMNS, units))), units


def of_arm(run: Run, animal: int, arm: str, cells: Sequence[int]) -> Fields | None:
    """Return the fields of some cells at the branch and at the last recorded moment of an arm."""
    plan = run.protocol.tree.arms[arm]
    steps = run.read(animal, arm, "weights/step")
    weights = run.read(animal, arm, INTO_1)
    onset = int(np.flatnonzero(steps == plan.branch)[0])
    before, after = (as_pictures(weights[k][list(cells)], plan.spec) for k in (onset, -1))
    return None if before is None or after is None else Fields(arm, before, after)


def draw(run: Run, animal: int, arms: Sequence[str]) -> Figure | None:
    """Draw the fields of cells at the branch, and at the end of each arm with what it changed.

    Each cell is a column with a scale of its own; all changes share one. Arms that perturb cells
    come before those that do not. None where stimuli are no pictures.
    """
    name, ids, units = chosen_cells(run, animal)
    others = tuple(unit for unit in range(units) if unit not in set(ids))
    groups = {f"{readable(name)} (layer 1)": ids, "other cells of layer 1": others}
    shown = {title: cells[:COLUMNS] for title, cells in groups.items() if cells}
    first, *rest = arms
    rest.sort(key=lambda arm: not any(p.cells for p in run.protocol.tree.arms[arm].perturb))
    chosen = [first, *rest][:MOST_ARMS]
    made = [[of_arm(run, animal, arm, cells) for arm in chosen] for cells in shown.values()]
    drawable = [[one for one in group if one is not None] for group in made]
    if not all(drawable):
        return None
    change = max(float(np.abs(one.change).max()) for group in drawable for one in group)
    high, wide = drawable[0][0].before.shape[1:3]
    row = max(LEAST_ROW, (WIDTH - LABELS) / (COLUMNS * len(shown)) * high / wide)
    drawn = figure(WIDTH, HEAD + row * (1 + 2 * len(chosen)))
    places = list(drawn.subplots(1, len(shown), squeeze=False).flat)
    for axes, (title, cells), group in zip(places, shown.items(), drawable, strict=True):
        _sheet(axes, group, change or 1.0)
        axes.set_xticks(axes.get_xticks(), [str(cell) for cell in cells])
        axes.set_xlabel("cell (id)")
        axes.set_title(title, loc="left")
    words = [w for arm in chosen for w in (fill(f"{readable(arm)}, end", 30), "change")]
    places[0].set_yticks(places[0].get_yticks(), ["at the branch", *words])
    left_out = len(arms) - len(chosen)
    more = f"; {left_out} more arms (--arm)" if left_out else ""
    scales = "red positive, blue negative; each cell has its own scale, all changes share one"
    text = f"{run.protocol.spec.name}, animal {animal}: feedforward weights into layer 1{more}"
    drawn.suptitle(f"{text}\n{scales}")
    return drawn


def _sheet(axes: Axes, made: Sequence[Fields], largest_change: float) -> None:
    """Draw one picture a cell and a row, with a pixel of grey between them."""
    weights = np.stack([made[0].before, *(one.after for one in made)])
    largest = np.abs(weights).max(axis=(0, 2, 3, 4), keepdims=True)[0]
    largest = np.where(largest == 0, 1.0, largest)
    rows = [made[0].before / largest]
    for one in made:
        rows += [one.after / largest, one.change / largest_change]
    padded = np.pad(rows, [(0, 0), (0, 0), (0, 1), (0, 1), (0, 0)], constant_values=np.nan)
    sheet = np.concatenate(np.concatenate(padded, axis=1), axis=1)[:-1, :-1]
    high, wide = padded.shape[2:4]
    if sheet.shape[-1] == 3:
        axes.imshow(np.nan_to_num((sheet + 1) / 2, nan=0.85))
    else:
        axes.set_facecolor("0.85")
        axes.imshow(sheet.mean(-1), cmap="RdBu_r", vmin=-1, vmax=1)
    axes.set_xticks([wide * (k + 0.5) - 1 for k in range(padded.shape[1])])
    axes.set_yticks([high * (k + 0.5) - 1 for k in range(len(rows))], [""] * len(rows))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def refuse_none(drawn: Figure | None) -> Figure:
    """Return the figure; say why there is none."""
    if drawn is None:
        raise NeuroAWSError("stimuli are no pictures, so fields cannot be drawn", where="plot")
    return drawn

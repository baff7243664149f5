"""Pictures of dreams and of predictions."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Bytes = NDArray[np.uint8]
GAP = 1
"""Pixels between pictures."""


def tiled(images: Bytes, columns: int) -> Bytes:
    """Return pictures (n, height, width, channels) side by side, row by row, on grey."""
    count, high, wide, channels = images.shape
    rows = -(-count // columns)
    sheet = np.full(
        (rows * (high + GAP) - GAP, columns * (wide + GAP) - GAP, channels), 96, np.uint8
    )
    for k, picture in enumerate(images):
        y, x = divmod(k, columns)
        top, left = y * (high + GAP), x * (wide + GAP)
        sheet[top : top + high, left : left + wide] = picture
    return sheet


def strip(images: Bytes) -> Bytes:
    """Return (stimuli, 1 + N, ...) as a sheet: one column a stimulus, one row a depth."""
    turned = images.swapaxes(0, 1)
    return tiled(turned.reshape(-1, *images.shape[2:]), images.shape[0])


def show(axes: "Axes", sheet: Bytes, title: str) -> None:
    """Draw a sheet of pictures."""
    grey = sheet.shape[-1] == 1
    axes.imshow(sheet[..., 0] if grey else sheet, cmap="gray" if grey else None, vmin=0, vmax=255)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_title(title, loc="left")


def as_png(sheet: Bytes, scale: int = 1) -> bytes:
    """Return a sheet as the bytes of a PNG file, each pixel ``scale`` wide."""
    import matplotlib.image  # here: workers that write no pictures do without it

    large = sheet.repeat(scale, 0).repeat(scale, 1)
    if large.shape[-1] == 1:
        large = large.repeat(3, -1)
    file = io.BytesIO()
    matplotlib.image.imsave(file, large, format="png")
    return file.getvalue()


def write_png(path: Path, sheet: Bytes, scale: int = 2) -> None:
    """Write a sheet as a PNG file, each pixel ``scale`` wide."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(as_png(sheet, scale))
    temporary.replace(path)


def write_pictures(folder: Path, step: int, dreams: Bytes, predicted: Bytes) -> list[Path]:
    """Write the dreams (64, h, w, c) of a step, and stimuli with predictions (10, 1 + N, h, w, c).

    Dreams stand in rows of eight; of the predictions each column is a stimulus, each row a depth.
    """
    sheets = {"dreams": tiled(dreams, 8), "predicted": strip(predicted)}
    written = []
    for name, sheet in sheets.items():
        written.append(folder / f"{name}_{step:08d}.png")
        write_png(written[-1], sheet)
    return written

"""Image files through Pillow: whatever is wrong with one becomes a line. No torch here."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.files import decoding, opened, shown
from neuro_aws.protocol.image_folders import REPAIR, image_files, image_groups
from neuro_aws.protocol.stimuli_built_in import Patches
from neuro_aws.protocol.stimuli_from_files import Images

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM", "GIF")
"""What is read, whatever a file is called: of others, some are read by other programs."""

MODES = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB"}
"""Pillow's names of images of bytes."""


@contextmanager
def open_image(file: Path) -> Iterator[Image.Image]:
    """Open an image of bytes; its pixels are decoded when they are asked for, inside the `with`."""
    where = shown(file)
    with (
        opened(file) as handle,
        decoding(where, "is not a readable image", REPAIR),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # of metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            found = Image.open(handle, formats=FORMATS)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise NeuroAWSError(
                f"promises more than {Image.MAX_IMAGE_PIXELS:,} pixels",
                where=where,
                next_step="Make it smaller, or move it out of the folder",
            ) from error
        if found.mode not in MODES:
            raise NeuroAWSError(
                f"holds numbers that are no bytes (mode {found.mode}), which would be cut at 255",
                where=where,
                next_step="Save it with 8 bits a channel, or as .npy for source: array",
            )
        yield found


def refuse_broken_images(section: Any) -> None:
    """Refuse a section's images by their headers alone; other stimuli are no image files."""
    if isinstance(section, Images):
        for file in (file for group in image_groups(section) for file in group):
            _size(file)
    elif isinstance(section, Patches) and section.folder is not None:
        refuse_small([_size(file) for file in image_files(section.folder)], section)


def refuse_small(sizes: list[tuple[int, int]], section: Patches) -> None:
    """Refuse images (height, width) that are too small for patches to be cut from them."""
    high, wide = section.least_image
    small = [size for size in sizes if size[0] < high or size[1] < wide]
    if small:
        raise NeuroAWSError(
            f"{len(small)} of {len(sizes)} images are smaller than {wide} x {high} pixels, "
            "the least that patches of this size need",
            where="stimulus.folder" + (f": {shown(section.folder)}" if section.folder else ""),
            next_step="Remove them or choose a smaller size",
        )


def _size(file: Path) -> tuple[int, int]:
    with open_image(file) as image:
        return image.height, image.width

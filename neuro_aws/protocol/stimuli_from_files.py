"""Stimuli from files: folders of images, arrays, MNIST, Fashion-MNIST, CIFAR-10."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.arrays import LEAST, ArrayFacts, array_facts
from neuro_aws.protocol.image_folders import class_folders
from neuro_aws.protocol.stimulus_base import StimulusSection


class Images(StimulusSection):
    """Whole images from a folder, grey or in colour, resized to a square."""

    source: Literal["images"]
    folder: str
    """An image, or a folder of images."""
    side: int = Field(16, ge=2, le=256)
    """Side after resizing, pixels."""
    channels: Literal[1, 3] = 1
    """1: grey; 3: red, green, blue."""
    held_out: int = Field(50, ge=2, le=100_000)
    """Images kept out of training, for measuring."""
    class_folders: bool = False
    """Each sub-folder is a class: in alphabetical order they are the labels 0, 1, ..."""

    @property
    def pixels(self) -> int:
        """Size of h_0."""
        return self.side**2 * self.channels

    @property
    def labels(self) -> int | None:
        """Number of labels, 0: none; None: not known, the folder cannot be read."""
        if not self.class_folders:
            return 0
        try:
            return len(class_folders(self.folder))
        except NeuroAWSError:
            return None

    @property
    def picture(self) -> tuple[int, int, int]:
        """Height, width and channels of a stimulus."""
        return (self.side, self.side, self.channels)


class ArrayStimuli(StimulusSection):
    """Arrays of your own in a .npy or .npz file, as rows of pixels or as pictures.

    uint8 becomes x / 127.5 - 1; floats lie in [-1, 1], or ``scale`` says what becomes -1 and 1.
    """

    source: Literal["array"]
    file: str
    """.npy: the images; .npz: `images`, and if you like `labels`, `held_out_images` and
    `held_out_labels`. Images are (n, pixels), (n, height, width) or with channels last."""
    held_out: int | None = Field(None, ge=2)
    """Images kept out of training, drawn per animal; default: held_out_images, or else a fifth."""
    scale: tuple[float, float] | None = None
    """The values that become -1 and 1."""

    @property
    def facts(self) -> ArrayFacts | None:
        """What the file holds; None where it cannot be read."""
        return array_facts(self.file)

    @property
    def pixels(self) -> int | None:
        """Size of h_0; None: not known, the file cannot be read."""
        return self.facts.pixels if self.facts else None

    @property
    def labels(self) -> int | None:
        """Number of labels, 0: none; None: not known, the file cannot be read."""
        return self.facts.labels if self.facts else None

    @property
    def picture(self) -> tuple[int, int, int] | None:
        """Height, width and channels of a stimulus; None where it is a row of pixels."""
        return self.facts.picture if self.facts else None

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yield what does not fit together within the section, as (key, message)."""
        if self.scale is not None and not self.scale[0] < self.scale[1]:
            yield "scale", f"must rise: [LOW, HIGH], not {list(self.scale)}"


class _Labelled(StimulusSection):
    folder: str | None = None
    """Where the files are; default: the data set's own folder in $NEURO_AWS_DATA, or --data."""
    held_out: int = Field(2000, ge=50, le=10_000)
    """Test images used for measuring, the first ones of the test file."""
    binarised: bool = False
    """Round pixels to -1 or 1 (after resizing)."""

    @property
    def labels(self) -> int:
        """Number of labels, 0: none."""
        return 10


class _Idx(_Labelled):
    side: int = Field(28, ge=4, le=512)
    """Side of the image; 14 and 7 average blocks of pixels, others resize (bilinear)."""
    validation: bool = False
    """Hold out the last training images instead of the first test images: to choose settings by."""

    @property
    def least_images(self) -> tuple[int, int]:
        """How many images the training and the test file have to hold."""
        return (LEAST + self.held_out, LEAST) if self.validation else (LEAST, self.held_out)

    @property
    def pixels(self) -> int:
        """Size of h_0."""
        return self.side**2

    @property
    def picture(self) -> tuple[int, int, int]:
        """Height, width and channels of a stimulus."""
        return (self.side, self.side, 1)


class Mnist(_Idx):
    """MNIST from the four idx files (gzip or not)."""

    source: Literal["mnist"]


class FashionMnist(_Idx):
    """Fashion-MNIST from its four idx files (gzip or not)."""

    source: Literal["fashion_mnist"]


class Cifar10(_Labelled):
    """CIFAR-10 from its python batches, read without running code from them."""

    source: Literal["cifar10"]
    side: int = Field(32, ge=4, le=512)
    """Side of the image; 16 and 8 average blocks of pixels, others resize (bilinear)."""
    batches: (
        Annotated[tuple[Annotated[int, Field(ge=1, le=5)], ...], Field(min_length=1)] | None
    ) = None
    """Training batches; default all five, then checked by md5 (a subset by shape and labels)."""
    test_file: str | None = None
    """Another file of test images, in the same format; default test_batch."""

    @property
    def pixels(self) -> int:
        """Size of h_0."""
        return 3 * self.side**2

    @property
    def picture(self) -> tuple[int, int, int]:
        """Height, width and channels of a stimulus."""
        return (self.side, self.side, 3)

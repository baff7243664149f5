"""The `stimulus` section: what the animal sees."""

from typing import Annotated, Literal

from pydantic import Field

from neuro_aws.protocol.base import Section

Digit = Annotated[int, Field(ge=0, le=9)]


class _Stimulus(Section):
    batch: int = Field(64, ge=2, le=65536)
    """Samples in one step."""


class Digits(_Stimulus):
    """scikit-learn's digits, pixels x / 8 - 1."""

    source: Literal["digits"]
    held_out: int = Field(597, ge=50, le=1697)
    """Images kept out of the animal's life, for measuring; drawn per animal."""
    side: int = Field(8, ge=8, le=64, multiple_of=8)
    """Side of the image, pixels; above 8 they are enlarged (bilinear)."""
    classes: Annotated[tuple[Digit, ...], Field(min_length=1)] | None = None
    """Only these digits; default: all."""

    @property
    def pixels(self) -> int:
        """Size of h_0."""
        return self.side**2

    @property
    def labels(self) -> int:
        """Number of labels, 0: none."""
        return 10


class SpikePattern(_Stimulus):
    """A frozen pattern of Poisson spikes, repeated, with a teacher at the soma (spiking only).

    The teacher's excitatory conductance goes through two periods of a sine in one pattern.
    """

    source: Literal["spike_pattern"]
    afferents: int = Field(200, ge=1, le=5000)
    rate: float = Field(10.0, gt=0, le=200)
    """Of each afferent, Hz."""
    period: float = Field(200.0, ge=10, le=10_000)
    """Length of the pattern, ms."""
    held_out: int = Field(50, ge=2)
    """Not used: there are no images."""

    @property
    def pixels(self) -> int:
        """Size of h_0."""
        return 1

    @property
    def labels(self) -> int:
        """Number of labels, 0: none."""
        return 0


class Patches(_Stimulus):
    """Whitened patches of photographs (scikit-learn's own two, or yours)."""

    source: Literal["patches"]
    size: int = Field(8, ge=2, le=64)
    """Side of a patch, pixels."""
    eyes: Literal["monocular", "binocular"] = "monocular"
    """binocular: h_0 is the left eye's patch followed by the right eye's."""
    disparity: int = Field(1, ge=0, le=16)
    """Largest horizontal shift between the eyes, pixels (binocular only)."""
    correlation: float = Field(0.9, ge=0, le=1)
    """Correlation of the two eyes' input at zero disparity (binocular only)."""
    count: int = Field(8000, ge=200, le=1_000_000)
    """Patches in the animal's dataset."""
    held_out: int = Field(1000, ge=50, le=100_000)
    """Patches kept out of the animal's life, for measuring."""
    folder: str | None = None
    """An image, or a folder of images, of your own."""

    @property
    def pixels(self) -> int:
        """Size of h_0."""
        return self.size**2 * (2 if self.eyes == "binocular" else 1)

    @property
    def labels(self) -> int:
        """Number of labels, 0: none."""
        return 0


class Images(_Stimulus):
    """Whole images from a folder, grey or in colour, resized to a square."""

    source: Literal["images"]
    folder: str
    """An image, or a folder of images."""
    side: int = Field(16, ge=2, le=256)
    """Side after resizing, pixels."""
    channels: Literal[1, 3] = 1
    """1: grey; 3: red, green, blue."""
    held_out: int = Field(50, ge=2, le=100_000)
    """Images kept out of the animal's life, for measuring."""

    @property
    def pixels(self) -> int:
        """Size of h_0."""
        return self.side**2 * self.channels

    @property
    def labels(self) -> int:
        """Number of labels, 0: none."""
        return 0


class _Labelled(_Stimulus):
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

    @property
    def pixels(self) -> int:
        """Size of h_0."""
        return self.side**2


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


Stimulus = Annotated[
    Digits | SpikePattern | Patches | Images | Mnist | FashionMnist | Cifar10,
    Field(discriminator="source"),
]

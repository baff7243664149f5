"""The `stimulus` section: what the animal sees."""

from typing import Annotated, Literal

from pydantic import Field

from neuro_aws.protocol.base import Section

DIGIT_PIXELS = 64


class _Stimulus(Section):
    batch: int = Field(64, ge=2, le=65536)
    """Samples in one step."""


class Digits(_Stimulus):
    """scikit-learn's digits, pixels x / 8 - 1."""

    source: Literal["digits"]
    held_out: int = Field(597, ge=50, le=1697)
    """Images kept out of the animal's life, for measuring; drawn per animal."""

    @property
    def pixels(self) -> int:
        """Size of h_0."""
        return DIGIT_PIXELS

    @property
    def labels(self) -> int:
        """Number of labels, 0: none."""
        return 10


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
    """Patches in the animal's world."""
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
    """Whole images from a folder, grey, resized to a square."""

    source: Literal["images"]
    folder: str
    """An image, or a folder of images."""
    side: int = Field(16, ge=2, le=256)
    """Side after resizing, pixels."""
    held_out: int = Field(50, ge=2, le=100_000)
    """Images kept out of the animal's life, for measuring."""

    @property
    def pixels(self) -> int:
        """Size of h_0."""
        return self.side**2

    @property
    def labels(self) -> int:
        """Number of labels, 0: none."""
        return 0


class Mnist(_Stimulus):
    """MNIST from the four idx files (gzip or not)."""

    source: Literal["mnist"]
    folder: str | None = None
    """Where the files are; default: $NEURO_AWS_DATA/mnist."""
    side: Literal[28, 14, 7] = 28
    """Side after averaging blocks of pixels."""
    held_out: int = Field(2000, ge=50, le=10_000)
    """Test images used for measuring, the first ones of the test file."""

    @property
    def pixels(self) -> int:
        """Size of h_0."""
        return self.side**2

    @property
    def labels(self) -> int:
        """Number of labels, 0: none."""
        return 10


Stimulus = Annotated[Digits | Patches | Images | Mnist, Field(discriminator="source")]

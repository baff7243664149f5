"""Stimuli that come with the package, or are made: digits, patches, toys, patterns of spikes."""

import math
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from neuro_aws.protocol.stimulus_base import StimulusSection

Digit = Annotated[int, Field(ge=0, le=9)]

DIGIT_COUNTS = (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)
"""How many images of each digit scikit-learn has."""

LEAST_DIGITS = 100
"""Digits that must be left to train on."""

HELD_OUT_STRIP = 0.2
"""Share of each picture's height, at its foot, that only held-out patches come from."""


class Digits(StimulusSection):
    """scikit-learn's digits, pixels x / 8 - 1."""

    source: Literal["digits"]
    held_out: int = Field(597, ge=50, le=1697)
    """Images kept out of training, for measuring; drawn per animal."""
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

    @property
    def picture(self) -> tuple[int, int, int]:
        """Height, width and channels of a stimulus."""
        return (self.side, self.side, 1)

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yield what does not fit together within the section, as (key, message)."""
        chosen = sorted(set(self.classes or range(10)))
        count = sum(DIGIT_COUNTS[digit] for digit in chosen)
        if self.held_out > count - LEAST_DIGITS:
            names = ", ".join(map(str, chosen))
            yield (
                "held_out",
                f"{self.held_out} are to be held out, but there are {count} images of {names}; "
                f"hold out {count - LEAST_DIGITS} at most",
            )


class Patches(StimulusSection):
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
    """Patches kept out of training, for measuring."""
    folder: str | None = None
    """An image, or a folder of images, of your own."""

    @property
    def least_image(self) -> tuple[int, int]:
        """Height and width that an image must have for patches to be cut from it."""
        margin = self.disparity if self.eyes == "binocular" else 0
        return math.ceil(self.size / HELD_OUT_STRIP), self.size + 2 * margin

    @property
    def pixels(self) -> int:
        """Size of h_0."""
        return self.size**2 * (2 if self.eyes == "binocular" else 1)

    @property
    def labels(self) -> int:
        """Number of labels, 0: none."""
        return 0


class Toy(StimulusSection):
    """Points of two coordinates: on a curve, or around the centres of a mixture, and a little off.

    Curves and centres lie within the unit circle; noise is not cut off there.
    """

    source: Literal["toy"]
    kind: Literal["swiss_roll", "circle", "mixture"] = "swiss_roll"
    """mixture: Gaussians of equal share on a ring; a point's label is its Gaussian."""
    noise: float = Field(0.03, ge=0, le=1)
    """Standard deviation of each coordinate around the curve or the centre."""
    modes: int = Field(8, ge=2, le=100)
    """Gaussians of the mixture."""
    count: int = Field(5000, ge=100, le=1_000_000)
    """Points to train on."""
    held_out: int = Field(1000, ge=50, le=100_000)
    """Further points, for measuring."""

    @property
    def pixels(self) -> int:
        """Size of h_0."""
        return 2

    @property
    def labels(self) -> int:
        """Number of labels, 0: none."""
        return self.modes if self.kind == "mixture" else 0

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yield what does not fit together within the section, as (key, message)."""
        if self.kind != "mixture" and self.modes != type(self).model_fields["modes"].default:
            yield "modes", f"belongs to kind: mixture; {self.kind} has none"


class SpikePattern(StimulusSection):
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

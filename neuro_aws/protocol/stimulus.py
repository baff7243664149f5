"""The stimuli: what the animal sees; each one's settings, and its entry in the registry.

To add one: its function under ``neuro_aws/stimuli``, its settings and its entry here.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Union

from pydantic import Discriminator, Field, JsonValue, Tag

from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol.arrays import LEAST, ArrayFacts, array_facts
from neuro_aws.protocol.entry import CORTEX, NEURON, OWN, RATE, Entry, table
from neuro_aws.protocol.image_folders import class_folders
from neuro_aws.protocol.own_code import OWN_TAG, OwnCode, takes
from neuro_aws.protocol.sequences import Sequences
from neuro_aws.protocol.stimulus_base import StimulusSection as _Stimulus

Digit = Annotated[int, Field(ge=0, le=9)]

DIGIT_COUNTS = (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)
"""How many images of each digit scikit-learn has."""

LEAST_DIGITS = 100
"""Digits that must be left to train on."""

HELD_OUT_STRIP = 0.2
"""Share of each picture's height, at its foot, that only held-out patches come from."""


class Digits(_Stimulus):
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


class ArrayStimuli(_Stimulus):
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


class Toy(_Stimulus):
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


class OwnStimulus(_Stimulus, OwnCode):
    """Stimuli of the user's own, made by a function named as module:function.

    It is called as function(rng, **options), with a numpy Generator of the animal's own, and
    returns (images, held_out) or (images, held_out, labels, held_out_labels).
    """

    TAG: ClassVar[str] = OWN_TAG
    source: Annotated[str, Field(pattern=f"^{OWN.pattern}$")]
    shape: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1, max_length=3)]
    """Of one image: [pixels], [height, width], or [height, width, channels]."""
    labels: int = Field(0, ge=0)
    """Number of labels, 0: none."""
    options: dict[str, JsonValue] = {}
    """Further arguments of the function."""

    @property
    def reference(self) -> str:
        """Where the function is: module:function."""
        return self.source

    def unfit(self, found: Any) -> Iterator[str]:
        """Yield why the function cannot make stimuli."""
        said = takes(found, self.options, "rng")
        if said is not None:
            yield said

    @property
    def pixels(self) -> int:
        """Size of h_0."""
        return math.prod(self.shape)

    @property
    def picture(self) -> tuple[int, int, int] | None:
        """Height, width and channels of a stimulus; None where it is a row of pixels."""
        if len(self.shape) == 1:
            return None
        return (self.shape[0], self.shape[1], self.shape[2] if len(self.shape) == 3 else 1)


@dataclass(frozen=True)
class StimulusEntry(Entry):
    """A source of stimuli: a function (section, animal, dtype) -> Dataset."""

    settings: type[_Stimulus]


def _entry(name: str, help: str, settings: type[_Stimulus], where: str) -> StimulusEntry:
    code = f"neuro_aws.stimuli.{where}"
    return StimulusEntry(name, help, settings, code={RATE: code, CORTEX: code})


STIMULI = table(
    _entry(
        "digits",
        "scikit-learn's 1,797 digits, 8 x 8 or enlarged, embedded",
        Digits,
        "digits:digits",
    ),
    _entry(
        "patches",
        "whitened patches of natural photographs, one eye or two, embedded or your own",
        Patches,
        "patches:patches",
    ),
    _entry(
        "images",
        "a folder of your own images, whole, grey or in colour, resized",
        Images,
        "images:images",
    ),
    _entry(
        "array",
        "arrays of your own, .npy or .npz, with or without labels",
        ArrayStimuli,
        "arrays:array",
    ),
    _entry("mnist", "MNIST in idx format from a folder, checked by md5", Mnist, "idx:mnist"),
    _entry(
        "fashion_mnist",
        "Fashion-MNIST in idx format from a folder",
        FashionMnist,
        "idx:fashion_mnist",
    ),
    _entry(
        "cifar10",
        "CIFAR-10 in its python format, read without running code from it",
        Cifar10,
        "cifar10:cifar10",
    ),
    _entry(
        "toy",
        "points of two coordinates: a Swiss roll, a circle or a mixture of Gaussians, embedded",
        Toy,
        "toy:toy",
    ),
    StimulusEntry(
        "sequences",
        "sequences of symbols: digits pixel by pixel, text that comes with Python, or your own",
        Sequences,
        code={RATE: "neuro_aws.stimuli.sequences:sequences"},
    ),
    StimulusEntry(
        "spike_pattern",
        "a frozen pattern of spikes and a teacher, for a single neuron (spiking)",
        SpikePattern,
        code={NEURON: ""},
    ),
)
"""Every source by the name a protocol gives it."""


def _source(value: Any) -> str | None:
    """Return the tag of a stimulus' settings: its source, or that of the user's own code."""
    name = value.get("source") if isinstance(value, dict) else getattr(value, "source", None)
    if not isinstance(name, str) or name in STIMULI:
        return name if isinstance(name, str) else None
    return OWN_TAG if ":" in name else name


Stimulus = Annotated[
    Union[  # noqa: UP007
        Annotated[Digits, Tag("digits")],
        Annotated[SpikePattern, Tag("spike_pattern")],
        Annotated[Patches, Tag("patches")],
        Annotated[Images, Tag("images")],
        Annotated[ArrayStimuli, Tag("array")],
        Annotated[Mnist, Tag("mnist")],
        Annotated[FashionMnist, Tag("fashion_mnist")],
        Annotated[Cifar10, Tag("cifar10")],
        Annotated[Toy, Tag("toy")],
        Annotated[Sequences, Tag("sequences")],
        Annotated[OwnStimulus, Tag(OWN_TAG)],
    ],
    Discriminator(_source),
]

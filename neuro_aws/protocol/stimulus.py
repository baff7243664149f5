"""The stimuli: what the animal sees; each source's entry in the registry, and one's own.

To add one: its function under ``neuro_aws/stimuli``, its settings, and its entry here.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Union

from pydantic import Discriminator, Field, JsonValue, Tag

from neuro_aws.protocol.entry import CORTEX, NEURON, OWN, RATE, Entry, table
from neuro_aws.protocol.own_code import OWN_TAG, OwnCode, takes
from neuro_aws.protocol.sequences import Sequences
from neuro_aws.protocol.stimuli_built_in import Digits, Patches, SpikePattern, Toy
from neuro_aws.protocol.stimuli_from_files import ArrayStimuli, Cifar10, FashionMnist, Images, Mnist
from neuro_aws.protocol.stimulus_base import StimulusSection


class OwnStimulus(StimulusSection, OwnCode):
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

    settings: type[StimulusSection]


def _entry(name: str, help: str, settings: type[StimulusSection], where: str) -> StimulusEntry:
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

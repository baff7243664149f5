"""What a measure is to a protocol: its settings, its values, what it needs, its entry."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, JsonValue, create_model

from neuro_aws.phase import Phase
from neuro_aws.protocol.base import KeyPath, Section
from neuro_aws.protocol.entry import OWN, Entry
from neuro_aws.protocol.own_code import OWN_TAG, OwnCode, takes
from neuro_aws.protocol.stimulus_counts import distinct_labels

if TYPE_CHECKING:
    from neuro_aws.protocol.schema import ProtocolSpec


class Measure(Section):
    """One measure and when: at initialisation, at the branch, at ends of periods, and `every`."""

    measure: str
    every: int = Field(0, ge=0)
    """Also every so many cycles after the branch; 0: not."""

    def misfits(self, spec: "ProtocolSpec") -> Iterator[tuple[KeyPath, str]]:
        """Yield what does not fit the protocol, as (key path within the settings, message)."""
        yield from ()

    def times(self, spec: "ProtocolSpec") -> float:
        """Return how many times the ``seconds`` of its entry it takes."""
        return 1.0


class TrainedMeasure(Measure):
    """A measure that trains something."""

    repeats: int = Field(3, ge=1, le=100)
    """Splits or starts that it is averaged over."""

    def times(self, spec: "ProtocolSpec") -> float:
        """Return how many times the ``seconds`` of its entry it takes."""
        return float(self.repeats)


class OwnMeasure(Measure, OwnCode):
    """A measure of the user's own, named as module:function."""

    TAG: ClassVar[str] = OWN_TAG
    measure: Annotated[str, Field(pattern=f"^{OWN.pattern}$")]
    options: dict[str, JsonValue] = {}
    """Further arguments of the function."""
    values: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Names of its values, where `expect` or `keep.best` ask for one."""

    @property
    def reference(self) -> str:
        """Where the function is: module:function."""
        return self.measure

    def unfit(self, found: Any) -> Iterator[str]:
        """Yield why the function cannot be a measure."""
        said = takes(found, self.options, "subject")
        if said is not None:
            yield said


Need = Callable[["ProtocolSpec"], str | None]
"""(protocol) -> why a measure cannot be taken in it, or None."""


@dataclass(frozen=True)
class ValueInfo:
    """One column of the table of results; ``low`` and ``high`` where nothing lies beyond them.

    ``gained``: random weights already give much of it, so that what learning gained is the
    difference to the same network at initialisation; tables show both. ``weights_of``: the kind of
    projections that it is computed from, where it is of weights alone.
    """

    name: str
    help: str
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    main: bool = True
    gained: bool = False
    weights_of: str = ""

    @property
    def range(self) -> str:
        """The range in words: 0 to 1, from 0, or nothing."""
        if math.isinf(self.low):
            return ""
        return f"from {self.low:g}" if math.isinf(self.high) else f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class MeasureEntry(Entry):
    """A measure.

    ``noise`` says whether the network's noise is on while it is taken, ``against_onset`` that it
    compares with the arm's own onset, ``of_weights`` that it looks at weights, not at activity;
    ``seconds`` is what one repeat takes where a small-array operation takes
    ``cost.REFERENCE_CALL``.
    """

    settings: type[Measure]
    values: tuple[ValueInfo, ...] = ()
    needs: tuple[Need, ...] = ()
    noise: str = ""
    against_onset: bool = False
    of_weights: bool = False
    seconds: float = 0.01

    def unmet(self, spec: "ProtocolSpec") -> Iterator[str]:
        """Yield what the measure needs and a protocol does not have."""
        for need in self.needs:
            if (said := need(spec)) is not None:
                yield f"{self.name} {said}"


def labelled(spec: "ProtocolSpec") -> str | None:
    """Need stimuli with labels."""
    if spec.stimulus.labels == 0:
        return f"needs labelled stimuli; {spec.stimulus.source} has none"
    return None


def two_labels(spec: "ProtocolSpec") -> str | None:
    """Need stimuli of two labels at least: one alone cannot be told from another."""
    said = labelled(spec)
    if said is None and distinct_labels(spec.stimulus) == 1:
        said = f"needs two classes; {spec.stimulus.source} as set up here has one"
    return said


def few(count: int | None, each: int, spec: "ProtocolSpec") -> bool:
    """Say whether there are fewer stimuli than so many for each label, as far as it is known."""
    labels = distinct_labels(spec.stimulus)
    return count is not None and labels is not None and count < each * labels


def labelled_for_features(spec: "ProtocolSpec") -> str | None:
    """Need labels to train a classifier by, whose features are used."""
    if spec.stimulus.labels == 0:
        return (
            f"trains a classifier of labels; {spec.stimulus.source} has none "
            "(neuro-aws evaluate RUN --extractor FILE needs none)"
        )
    return two_labels(spec)


def single_pictures(spec: "ProtocolSpec") -> str | None:
    """Need stimuli that are single pictures of known height and width."""
    if spec.stimulus.picture is None:
        return f"needs single pictures; {spec.stimulus.source} as set up here has none"
    return None


def no_sequences(spec: "ProtocolSpec") -> str | None:
    """Need stimuli that are no sequences of symbols."""
    if spec.stimulus.sequence is not None:
        return "has no meaning for sequences of symbols"
    return None


def in_time(spec: "ProtocolSpec") -> str | None:
    """Need a recurrent network."""
    if spec.network.recurrent is None:
        return "needs a recurrent network (network.recurrent)"
    return None


def two_eyes(spec: "ProtocolSpec") -> str | None:
    """Need a stimulus with two eyes."""
    if getattr(spec.stimulus, "eyes", "monocular") != "binocular":
        return "needs two eyes (patches, `eyes: binocular`)"
    return None


def cells(spec: "ProtocolSpec") -> str | None:
    """Need cells to look at."""
    acted = any(p.cells for arm in spec.arms.values() for p in arm.perturb)
    if not spec.targets and not acted:
        return "needs cells: define `targets`, or perturb some"
    return None


def perturbed_dreams(spec: "ProtocolSpec") -> str | None:
    """Need cells that are perturbed in REM."""
    acted = [p for arm in spec.arms.values() for p in arm.perturb if p.cells]
    if not any(Phase.REM in p.during for p in acted):
        return "needs an arm that silences or scales cells in REM"
    return None


def _named(name: str, base: type[Measure] = Measure) -> type[Measure]:
    """Return the settings of a measure: those of its base, under its own name."""
    title = "".join(word.capitalize() for word in name.split("_"))
    fields: dict[str, Any] = {"measure": (Literal[name], ...)}
    model: type[Measure] = create_model(title, __base__=base, __doc__=base.__doc__, **fields)
    return model


def measure(
    name: str, help: str, *values: ValueInfo, base: type[Measure] = Measure, **more: Any
) -> MeasureEntry:
    """Return the entry of a measure whose settings are those of ``base``."""
    return MeasureEntry(name, help, _named(name, base), values=values, **more)

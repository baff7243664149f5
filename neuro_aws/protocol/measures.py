"""The measures: each one's settings, values, needs, and its entry in the registry.

To add one: its function under ``neuro_aws/metrics``, and its entry here.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Union

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    Tag,
    create_model,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from neuro_aws.phase import Phase
from neuro_aws.protocol.base import Section
from neuro_aws.protocol.entry import CORTEX, NEURON, OWN, RATE, Entry, table
from neuro_aws.protocol.own_code import OWN_TAG, OwnCode, takes

if TYPE_CHECKING:
    from neuro_aws.protocol.schema import ProtocolSpec


class Measure(Section):
    """One measure and when it is taken: at the branch, at the ends of periods, and `every`."""

    measure: str
    every: int = Field(0, ge=0)
    """Also every so many cycles after the branch; 0: not."""


class TrainedMeasure(Measure):
    """A measure that trains something."""

    repeats: int = Field(3, ge=1, le=100)
    """Splits or starts that it is averaged over."""


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
    """One column of the table of results; ``low`` and ``high`` where nothing lies beyond them."""

    name: str
    help: str
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    main: bool = True

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


def labelled_for_features(spec: "ProtocolSpec") -> str | None:
    """Need labels to train a classifier by, whose features are used."""
    if spec.stimulus.labels == 0:
        return (
            f"trains a classifier of labels; {spec.stimulus.source} has none "
            "(neuro-aws evaluate RUN --extractor FILE needs none)"
        )
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


def _entry(
    name: str, help: str, *values: ValueInfo, base: type[Measure] = Measure, **more: Any
) -> MeasureEntry:
    return MeasureEntry(name, help, _named(name, base), values=values, **more)


V = ValueInfo
_CELLS, _DISTANCES = "neuro_aws.metrics.cells", "neuro_aws.metrics.distances"
_IMAGES, _REPRESENTATION = "neuro_aws.metrics.images", "neuro_aws.metrics.representation"
_SPIKES = "neuro_aws.metrics.spikes"

MEASURES = table(
    _entry(
        "target_cells",
        "waking activity of the target cells and of the non-target ones, against onset",
        V("target_activity", "mean soma of the targets", "rate", 0, main=False),
        V("target_activity_relative", "over the arm's own onset", "onset = 1", 0),
        V("spared_activity_relative", "the same of the layer's other cells", "onset = 1", 0),
        V("target_spared_ratio", "one over the other", "ratio", 0, main=False),
        V("target_potential", "mean F h + b", "drive", main=False),
        V("target_never_active", "share silent for every stimulus", "share of cells", 0, 1),
        V(
            "spared_never_active",
            "the same of the layer's other cells",
            "share of cells",
            0,
            1,
            main=False,
        ),
        V("target_dendrite", "mean prediction by feedback", "rate", 0, main=False),
        V(
            "target_feedforward",
            "length of their feedforward weights over onset",
            "onset = 1",
            0,
            main=False,
        ),
        needs=(cells,),
        noise="off",
        against_onset=True,
        code={RATE: f"{_CELLS}:target_cells"},
    ),
    _entry(
        "dream_match",
        "distance of waking activity to the perturbed and the unperturbed dreams",
        V(
            "wake_to_plain_dreams",
            "sliced distance of waking activity (all layers above 0) to dreams kept at onset, "
            "unperturbed",
            "distance",
            0,
            main=False,
        ),
        V(
            "wake_to_perturbed_dreams",
            "and under each perturbation of cells",
            "distance",
            0,
            main=False,
        ),
        V(
            "move_to_perturbed",
            "fall of the second since onset minus fall of the first, above 0 when waking moved to "
            "the perturbed dreams",
            "distance",
        ),
        needs=(perturbed_dreams,),
        noise="on",
        against_onset=True,
        seconds=0.08,
        code={RATE: f"{_DISTANCES}:dream_match"},
    ),
    _entry(
        "ach_gap",
        "mean D in wake minus mean D in REM",
        V("ach_gap", "nothing perturbed", "D"),
        V(
            "ach_gap_perturbed",
            "the same with REM under each perturbation of cells, the gap D learns with in that arm",
            "D",
            main=False,
        ),
        noise="on",
        code={RATE: f"{_DISTANCES}:ach_gap"},
    ),
    _entry(
        "fresh_classifier",
        "a new perceptron trained on wake against REM: accuracy, 0.5 is perfect matching",
        V(
            "fresh_classifier",
            "accuracy of a new perceptron (64 hidden, 40 epochs) given wake and REM, on held-out "
            "stimuli and new dreams; 0.5 is perfect matching, 1.0 that of an untrained network",
            "accuracy",
            0,
            1,
        ),
        base=TrainedMeasure,
        noise="on",
        seconds=1.1,
        code={RATE: f"{_DISTANCES}:fresh_classifier"},
    ),
    _entry(
        "linear_probe",
        "logistic regression of the labels on each layer's waking activity",
        V(
            "linear_probe",
            "accuracy of a logistic regression on each layer's standardised soma, fitted on nine "
            "tenths of the training stimuli (`repeats` splits), tested on held-out ones",
            "accuracy",
            0,
            1,
        ),
        V("linear_probe_noisy", "the same with waking noise", "accuracy", 0, 1),
        base=TrainedMeasure,
        needs=(labelled,),
        noise="off / on",
        seconds=0.2,
        code={RATE: f"{_REPRESENTATION}:linear_probe"},
    ),
    _entry(
        "reconstruction",
        "unexplained variance of each layer given the layer above",
        V(
            "reconstruction",
            "unexplained variance of each layer given the layer above; 0 perfect, 1 as good as "
            "the mean",
            "share of variance",
            0,
        ),
        noise="off",
        code={RATE: f"{_REPRESENTATION}:reconstruction"},
    ),
    _entry(
        "sliced_distance",
        "sliced Wasserstein distance of dreamt stimuli to held-out ones",
        V(
            "sliced_distance",
            "mean difference of sorted projections on 200 random directions, dreams against "
            "held-out stimuli",
            "stimulus units",
            0,
        ),
        V(
            "sliced_distance_real",
            "training stimuli against held-out ones, the floor",
            "stimulus units",
            0,
            main=False,
        ),
        noise="on",
        seconds=0.03,
        code={RATE: f"{_DISTANCES}:sliced_distance"},
    ),
    _entry(
        "diversity",
        "spread of dreams over the spread of the data (1: as varied; 0: collapsed)",
        V(
            "diversity",
            "spread of dreams over the spread of waking, by layer; near 0 is mode collapse",
            "data = 1",
            0,
        ),
        noise="on",
        code={RATE: f"{_DISTANCES}:diversity"},
    ),
    _entry(
        "collapse",
        "variety of dreams and of inference: what `watch` looks at",
        V(
            "dream_spread",
            "spread of dreams over that of waking, noise off",
            "waking = 1",
            0,
        ),
        V("waking_rank", "effective rank of waking activity", "dimensions", 0, main=False),
        noise="off",
        code={RATE: "neuro_aws.metrics.collapse:collapse"},
    ),
    _entry(
        "frechet_distance",
        "Frechet distance of dreamt images to held-out ones in some features",
        V(
            "frechet_classifier",
            "Frechet distance of dreamt images to held-out ones in the 64 features of a small "
            "classifier that the program trains on the training labels, kept in the cache; with "
            "`evaluate --extractor FILE` in that network's, named `frechet_<file>`, and `fid` only "
            "for an Inception network",
            "feature units squared",
            0,
        ),
        V(
            "frechet_classifier_real",
            "as many training stimuli, the floor",
            "feature units squared",
            0,
            main=False,
        ),
        V("frechet_samples", "number of dreams", "images", 0, main=False),
        V("frechet_reference", "number of held-out stimuli", "images", 0, main=False),
        V(
            "extractor_accuracy",
            "the classifier's accuracy on held-out stimuli",
            "accuracy",
            0,
            1,
            main=False,
        ),
        needs=(labelled_for_features,),
        noise="on",
        seconds=15.0,
        code={RATE: f"{_IMAGES}:frechet_distance"},
    ),
    _entry(
        "nearest_neighbours",
        "distance of dreamt images to the nearest training stimulus",
        V(
            "neighbour_distance",
            "mean distance of a dream to the nearest training stimulus, in pixels",
            "distance over pixels",
            0,
        ),
        V(
            "neighbour_distance_real",
            "of a held-out stimulus; far below it, dreams are copies",
            "distance over pixels",
            0,
            main=False,
        ),
        noise="on",
        code={RATE: f"{_IMAGES}:nearest_neighbours"},
    ),
    _entry(
        "log_likelihood",
        "log p(h_i | h_{i+1}) of each layer given the one above, nats a unit",
        V(
            "log_likelihood",
            "mean log p(h_i given h_{i+1}) a unit: Gaussian with each layer's residual variance on "
            "the training stimuli, or Bernoulli; the part of the ELBO that G climbs, no bound on "
            "log p(x)",
            "nats per unit",
        ),
        noise="off",
        code={RATE: f"{_IMAGES}:layer_likelihood"},
    ),
    _entry(
        "svm_10fold",
        "linear SVM on each layer, ten folds inside the held-out stimuli (as the paper)",
        V(
            "svm_10fold",
            "accuracy of a linear support vector machine on each layer, ten folds inside the "
            "held-out stimuli (the paper's Figure 2C; it sees no training stimulus)",
            "accuracy",
            0,
            1,
        ),
        V("svm_10fold_spread", "standard deviation over folds", "accuracy", 0, main=False),
        needs=(labelled,),
        noise="off",
        seconds=30.0,
        code={RATE: f"{_IMAGES}:svm_10fold"},
    ),
    _entry(
        "ocular_dominance",
        "(left - right) / (left + right) of the first layer's weights",
        V(
            "ocular_dominance",
            "(left - right) / (left + right) of the summed feedforward weights into layer 1",
            "index",
            -1,
            1,
        ),
        V(
            "ocular_dominance_response",
            "of the rectified drive of layer 1 by each eye alone (rate network only)",
            "index",
            -1,
            1,
            main=False,
        ),
        needs=(two_eyes,),
        noise="off",
        of_weights=True,
        code={
            RATE: f"{_REPRESENTATION}:ocular_dominance",
            CORTEX: f"{_SPIKES}:spike_ocular_dominance",
        },
    ),
    _entry(
        "class_representation",
        "share of the cells that prefer each label, and their response",
        V(
            "preferring_share",
            "share of layer 1's active cells that prefer each label",
            "share of cells",
            0,
            1,
        ),
        V(
            "class_response",
            "response to the label over the mean response",
            "mean response = 1",
            0,
            main=False,
        ),
        V("class_distance", "how far the class stands out", "distance", 0, main=False),
        needs=(labelled,),
        noise="off",
        code={RATE: f"{_REPRESENTATION}:class_representation"},
    ),
    _entry(
        "spike_rates",
        "mean rate of each layer in wake and in REM, Hz",
        V("wake_rate", "mean rate of each layer in wake", "Hz", 0),
        V("rem_rate", "and in REM", "Hz", 0, main=False),
        code={CORTEX: f"{_SPIKES}:spike_rates"},
    ),
    _entry(
        "spike_prediction",
        "squared error of spike counts against what the dendrite expected",
        V(
            "prediction_error",
            "mean squared difference of a waking count and what the dendrite expected of its cell, "
            "by layer",
            "spikes squared",
            0,
            main=False,
        ),
        V("prediction_error_relative", "over the first one measured", "first = 1", 0),
        V(
            "count_variance",
            "what predicting every cell's own mean would leave",
            "spikes squared",
            0,
            main=False,
        ),
        code={CORTEX: f"{_SPIKES}:spike_prediction"},
    ),
    _entry(
        "spike_dreams",
        "rates and covariances of dreams against waking, layer by layer",
        V(
            "dream_rate_correlation",
            "of the cells' mean rates in REM and in wake",
            "correlation",
            -1,
            1,
        ),
        V("dream_rate_distance", "their root mean square difference", "Hz", 0, main=False),
        V("dream_rate_distance_relative", "to the first measured", "first = 1", 0, main=False),
        V(
            "dream_covariance_correlation",
            "of the covariances of pairs of cells",
            "correlation",
            -1,
            1,
        ),
        V(
            "dream_covariance_size",
            "their norm in REM over that in wake",
            "wake = 1",
            0,
            main=False,
        ),
        code={CORTEX: f"{_SPIKES}:spike_dreams"},
    ),
    _entry(
        "spike_ach",
        "how well ACh tells wake from REM: area under the ROC curve",
        V(
            "ach_auc",
            "how well ACh (its mean over a step) tells wake from REM, area under the ROC curve",
            "area under ROC",
            0,
            1,
        ),
        V("ach_wake", "its mean in wake", "logit", main=False),
        V("ach_rem", "and in REM", "logit", main=False),
        V(
            "wake_rem_probe",
            "accuracy of a fresh logistic regression on all counts, the control for a slow ACh",
            "accuracy",
            0,
            1,
            main=False,
        ),
        code={CORTEX: f"{_SPIKES}:spike_ach"},
    ),
    _entry(
        "spike_probe",
        "logistic regression of the labels on each layer's waking spike counts",
        V(
            "spike_probe",
            "accuracy of a logistic regression of the labels on a layer's waking counts, five "
            "folds",
            "accuracy",
            0,
            1,
        ),
        needs=(labelled,),
        code={CORTEX: f"{_SPIKES}:spike_probe"},
    ),
    _entry(
        "spike_targets",
        "waking rate of the target cells and of the non-target ones, against onset",
        V("target_rate", "waking rate of the target cells", "Hz", 0, main=False),
        V("target_rate_relative", "over the window before the arms parted", "onset = 1", 0),
        V("spared_rate_relative", "the same of the layer's other cells", "onset = 1", 0),
        needs=(cells,),
        against_onset=True,
        code={CORTEX: f"{_SPIKES}:spike_targets"},
    ),
    _entry(
        "single_neuron",
        "dendritic prediction against the soma of the neuron of Urbanczik & Senn",
        V("match", "correlation of V* and U, teacher on", "correlation", -1, 1),
        V(
            "match_teacher_off",
            "of U alone with the mean U of the patterns with the teacher",
            "correlation",
            -1,
            1,
        ),
        V("match_error", "mean squared difference of V* and U", "(15 mV)^2", 0, main=False),
        V("match_error_relative", "to the first measured", "first = 1", 0),
        code={NEURON: ""},
    ),
)
"""Every measure by the name a protocol gives it."""

VALUES: dict[str, MeasureEntry] = {v.name: m for m in MEASURES.values() for v in m.values}
"""Every value in a table of results, with the measure that gives it."""


def against_onset(name: str) -> bool:
    """Say whether a measure compares with the arm's own onset."""
    return name in MEASURES and MEASURES[name].against_onset


def of_weights(name: str) -> bool:
    """Say whether a measure looks at weights, not at activity."""
    return name in MEASURES and MEASURES[name].of_weights


def _by_name_alone(value: object) -> object:
    return {"measure": value} if isinstance(value, str) else value


def _measure(value: Any) -> str | None:
    """Return the tag of a measure's settings: its name, or that of the user's own code."""
    name = value.get("measure") if isinstance(value, dict) else getattr(value, "measure", None)
    if not isinstance(name, str) or name in MEASURES:
        return name if isinstance(name, str) else None
    return OWN_TAG if ":" in name else name


class _OrItsName:
    """Lets the JSON Schema have a measure's name alone."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema of a measure: its name, or a mapping."""
        name = {"type": "string", "enum": list(MEASURES)}
        own = {"type": "string", "pattern": f"^{OWN.pattern}$"}
        return {"anyOf": [name, own, handler(core_schema)]}


if TYPE_CHECKING:
    AnyMeasure = Measure
else:
    AnyMeasure = Annotated[
        Union[
            *(Annotated[entry.settings, Tag(name)] for name, entry in MEASURES.items()),
            Annotated[OwnMeasure, Tag(OWN_TAG)],
        ],
        Discriminator(_measure),
        BeforeValidator(_by_name_alone),
        _OrItsName(),
    ]
"""An entry of `measure`: the settings of one measure, or its name alone."""

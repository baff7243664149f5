"""The registry of measures, and what `measure` may hold in a protocol.

To add a measure: its function under ``neuro_aws/metrics``, and its entry in the table of its kind
(``measures_of_*``).
"""

from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import BeforeValidator, Discriminator, GetJsonSchemaHandler, Tag
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from neuro_aws.protocol.entry import OWN
from neuro_aws.protocol.measure import Measure, MeasureEntry, OwnMeasure
from neuro_aws.protocol.measures_in_time import IN_TIME
from neuro_aws.protocol.measures_of_activity import OF_ACTIVITY
from neuro_aws.protocol.measures_of_images import OF_IMAGES
from neuro_aws.protocol.measures_of_spikes import OF_SPIKES
from neuro_aws.protocol.own_code import OWN_TAG

MEASURES: dict[str, MeasureEntry] = OF_ACTIVITY | OF_IMAGES | IN_TIME | OF_SPIKES
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

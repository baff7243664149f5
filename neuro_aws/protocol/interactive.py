"""Perturbations and measures of a session: checked as a protocol's own are."""

import json
from collections.abc import Mapping
from typing import Any

from neuro_aws.errors import NeuroAWSError, ProtocolError
from neuro_aws.protocol.branches import branch_index
from neuro_aws.protocol.load import Protocol
from neuro_aws.protocol.measure import Measure
from neuro_aws.protocol.measures import MEASURES
from neuro_aws.protocol.perturb import Perturbation


def perturbation(protocol: Protocol, arm: str, entry: Mapping[str, Any]) -> Perturbation:
    """Return an entry of ``perturb`` that is in force in every period; refuse what cannot act."""
    names = [period.name for period in protocol.spec.schedule]
    during = entry.get("during", ())
    written = {**entry, "in": names[branch_index(protocol.spec) :]}
    if during:
        written["during"] = during if isinstance(during, str) else list(during)
    assignment = f"arms.{arm}.perturb={json.dumps([written])}"
    try:
        made = protocol.changed([assignment]).spec.arms[arm].perturb[0]
    except ProtocolError as error:
        said = error.faults[0].removeprefix(f"--set arms.{arm}.perturb[0].")
        raise NeuroAWSError(said, where="perturb") from error
    return made.model_copy(update={"periods": tuple(names)})


def measure(
    protocol: Protocol, name: str, settings: Mapping[str, Any]
) -> tuple[Measure | str, dict[str, Any]]:
    """Return a measure with the settings that are its own, and the other ones."""
    entry = MEASURES.get(name)
    known = entry.settings.model_fields if entry is not None else {}
    own = {key: value for key, value in settings.items() if key in known and key != "every"}
    rest = {key: value for key, value in settings.items() if key not in own}
    if not own:
        return name, rest
    others = [
        m.model_dump(mode="json", exclude_unset=True)
        for m in protocol.spec.measure
        if m.measure != name
    ]
    assignment = f"measure={json.dumps([{'measure': name, **own}, *others])}"
    try:
        made = protocol.changed([assignment]).spec.measure[0]
    except ProtocolError as error:
        said = error.faults[0].removeprefix("--set measure[0]").lstrip(".: ")
        raise NeuroAWSError(said, where=name) from error
    return made, rest

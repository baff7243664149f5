"""Perturbations added while a session goes on: checked as a protocol's own are."""

import json
from collections.abc import Mapping
from typing import Any

from neuro_aws.errors import NeuroAWSError, ProtocolError
from neuro_aws.protocol.branches import branch_index
from neuro_aws.protocol.load import Protocol
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

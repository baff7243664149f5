"""What shipped protocols expect of a probe is never what networks give that have learnt nothing."""

import json
from pathlib import Path

import pandas as pd
import pytest

from neuro_aws import Session
from neuro_aws.experiment.results import KEYS, judge
from neuro_aws.metrics.initial import initial_values
from neuro_aws.protocol import Protocol, registry
from neuro_aws.protocol.backends import backend_of
from neuro_aws.protocol.schema import Expectation
from tests.conftest import PROTOCOLS

FORMS = {path: (Protocol.load(path), Protocol.load(path, short=True)) for path in PROTOCOLS}
STEPS = 20
"""Steps without plasticity between two probes of the same weights."""


def of_probes(protocol: Protocol) -> list[Expectation]:
    return [e for e in protocol.spec.expect if registry.value(e.value).gained]


PROBED = [path for path, forms in FORMS.items() if any(map(of_probes, forms))]


PROBED_FOR_THE_TABLE = {
    "critical_period",
    "quickstart",
    "ach_dose",
    "ach_pairing",
    "gan",
    "wgan_gp",
    "family",
    "interneuron",
}
"""Measure probes beside what they ask."""
NOT_MEASURED_YET = {"cifar10_doubly", "gamma_sweep"}
"""At full length: there is nothing to expect."""


def measures_probes(protocol: Protocol) -> bool:
    return any(m.measure == "linear_probe" for m in protocol.spec.measure)


def test_protocols_that_probe_say_what_they_expect():
    measured = {path.stem for path, (full, _) in FORMS.items() if measures_probes(full)}
    assert measured == {p.stem for p in PROBED} | PROBED_FOR_THE_TABLE | NOT_MEASURED_YET
    assert any(of_probes(full) for full, _ in FORMS.values())
    assert any(of_probes(short) for _, short in FORMS.values())


@pytest.mark.parametrize("path", PROBED, ids=lambda p: p.stem)
def test_probes_are_expected_to_change(path):
    for e in (e for form in FORMS[path] for e in of_probes(form)):
        assert e.since or e.relative_to, e
        assert not e.between[0] <= 0 <= e.between[1], e


def probed(path: Path, arm: str) -> pd.DataFrame:
    """Return the probes of an arm's initial network at step 0, and after steps without plasticity.

    Other splits, other noise, and running statistics of the drive make the difference.
    """
    spec = FORMS[path][1].spec
    still = [
        f"schedule.{i}.{kind}_plasticity=0"
        for i in range(len(spec.schedule))
        for kind in ("feedforward", "feedback")
    ]
    session = Session(Protocol.load(path, still, short=True), arm=arm)
    parts = []
    for step in (0, STEPS):
        if step:
            session.step(STEPS)
        parts.append(session.measure("linear_probe", repeats=1).assign(step=step))
    return pd.concat(parts).assign(animal=0, arm=arm, cycle=0)


@pytest.mark.parametrize(
    "path", [p for p in PROBED if backend_of(FORMS[p][0].spec).batches], ids=lambda p: p.stem
)
def test_networks_that_have_learnt_nothing_do_not_meet_what_is_expected_of_probes(path):
    asked = [e for form in FORMS[path] for e in of_probes(form) if "linear" in e.value]
    tree = FORMS[path][1].tree
    known: dict[str, pd.DataFrame] = {}
    parts = []
    for arm in {arm for e in asked for arm in (e.arm, e.relative_to) if arm}:
        key = json.dumps(tree.arms[arm].spec.arms[arm].initial, sort_keys=True)
        if key not in known:
            known[key] = probed(path, arm)
        for period in {e.period for e in asked}:
            parts.append(known[key].assign(arm=arm, period=period))
    metrics = pd.concat(parts, ignore_index=True)[["animal", *KEYS, "value"]]
    initial = initial_values(metrics, tree, metrics["arm"].unique())
    found = [judge(metrics, initial, e, "") for e in asked]
    assert all(v.found.n for v in found)
    assert [v for v in found if v.met or v.met_initially] == []

"""Values before anything was learnt, what was gained since, and expectations that ask for it."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from neuro_aws.errors import ProtocolError
from neuro_aws.experiment import results
from neuro_aws.metrics import Subject
from neuro_aws.metrics.initial import gained, gains, initial_values, only_gained
from neuro_aws.metrics.statistics import last_values
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.schema import Expectation
from tests.conftest import TINY

ARMS = "  other: {initial: {algorithm.credit: none}}\nrecord:"
COMMON = TINY.replace("record:", ARMS)
FROM_THE_START = COMMON.replace("branch: true, ", "")
NEWBORN = COMMON.replace(
    "cycles: 6, ", "cycles: 6, feedforward_plasticity: 0, feedback_plasticity: 0, "
)
LAYERS = (1, 2)


def run_of(text: str, rows: list[tuple]) -> SimpleNamespace:
    """Return what tables need of a run, with values (animal, branch, period, step, value) of 1."""
    protocol = Protocol.from_text(text, "tiny.yaml")
    metrics = pd.DataFrame(
        [
            (animal, arm, period, 0, step, "linear_probe", layer, "", value + 0.1 * layer)
            for animal, arm, period, step, value in rows
            for layer in LAYERS
        ],
        columns=["animal", *results.KEYS, "value"],
    )
    arms = list(protocol.tree.arms)
    animals = sorted(set(metrics["animal"]))
    return SimpleNamespace(protocol=protocol, metrics=metrics, arms=arms, animals=animals)


def shared() -> SimpleNamespace:
    """Return a run of two animals: 0.5 and 0.6 at initialisation, 0.1 and 0.2 more at the end."""
    rows = []
    for animal in (0, 1):
        rows += [(animal, t, "infancy", 0, 0.5 + 0.1 * animal) for t in ("common", "common_1")]
        rows += [(animal, t, "infancy", 42, 9.0) for t in ("common", "common_1")]
        rows += [
            (animal, arm, "critical_period", 70, 0.6 + 0.2 * animal + more)
            for arm, more in (("control", 0.0), ("rem_silenced", 0.05), ("other", -0.3))
        ]
    return run_of(COMMON, rows)


def initial(run: SimpleNamespace) -> pd.DataFrame:
    return initial_values(run.metrics, run.protocol.tree, run.arms)


def of(table: pd.DataFrame, arm: str, layer: int = 1) -> list[float]:
    rows = table[(table["arm"] == arm) & (table["layer"] == layer)]
    return rows.sort_values("animal")["value"].round(9).tolist()


def test_arms_that_share_a_run_begin_with_its_values_and_others_with_their_own():
    run = shared()
    run.metrics.loc[run.metrics["arm"] == "common_1", "value"] += 0.01
    found = initial(run)
    assert of(found, "control") == of(found, "rem_silenced") == [0.6, 0.7]
    assert of(found, "other") == [0.61, 0.71]
    alone = run_of(FROM_THE_START, [(0, "control", "infancy", 0, 0.3), (0, "control", "x", 9, 0.8)])
    assert of(initial(alone), "control") == [0.4]
    assert of(initial(alone), "other") == []


@pytest.mark.parametrize(
    ("text", "known"), [(COMMON, []), (NEWBORN, [0.6])], ids=["learnt", "newborn"]
)
def test_what_was_first_measured_once_something_was_learnt_is_no_initial_value(text, known):
    rows = [(0, "common", "infancy", 42, 0.5), (0, "control", "critical_period", 70, 0.9)]
    assert of(initial(run_of(text, rows)), "control") == known


def test_the_gain_is_that_of_each_animal_over_those_that_have_both():
    run = shared()
    last = last_values(run.metrics)
    assert of(gained(last, initial(run)), "control") == [0.1, 0.2]
    table = gains(last, initial(run)).set_index(["arm", "layer"])
    one = table.loc[("control", 2)]
    assert (one["initially"], one["mean"], one["n"]) == pytest.approx((0.75, 0.15, 2))
    lost = run.metrics[(run.metrics["animal"] == 0) | (run.metrics["step"] > 0)]
    run.metrics = lost
    assert of(gained(last, initial(run)), "control") == [0.1]
    assert set(only_gained(last.assign(name="ach_gap"))["name"]) == set()


def judged(run: SimpleNamespace, **more) -> results.Verdict:
    asked = {"arm": "control", "value": "linear_probe", "period": "critical_period", "layer": 1}
    return results.judge(run.metrics, initial(run), Expectation(**{**asked, **more}), "")


def test_expectations_ask_for_the_difference_to_the_initial_value():
    run = shared()
    there = judged(run, between=(0.5, 1.0))
    assert there.met
    assert there.met_initially  # a network that has learnt nothing meets it
    assert there.initially.mean == pytest.approx(0.65)
    gain = judged(run, between=(0.1, 0.2), since="initial")
    assert (gain.found.mean, gain.met, gain.met_initially) == (pytest.approx(0.15), True, False)
    assert gain.found.low < 0  # a difference: not squeezed between 0 and 1
    assert not judged(run, between=(0.2, 0.9), since="initial").met
    assert judged(run, between=(-0.2, 0.9), since="initial").met_initially


def test_gains_are_compared_between_arms_that_began_differently():
    run = shared()
    run.metrics.loc[(run.metrics["arm"] == "common_1"), "value"] += 0.01
    plain = judged(run, arm="other", relative_to="control", between=(-1, 1))
    assert plain.found.mean == pytest.approx(-0.3)
    assert plain.initially.mean == pytest.approx(0.01)
    both = judged(run, arm="other", relative_to="control", since="initial", between=(-1, -0.1))
    assert both.found.mean == pytest.approx(-0.31)
    assert (both.met, both.met_initially) == (True, False)


def test_without_an_initial_value_a_gain_is_not_judged():
    run = shared()
    run.metrics = run.metrics[run.metrics["step"] > 0]
    found = judged(run, between=(-1, 1), since="initial")
    assert (found.met, found.met_initially, found.why) == (None, None, "not measured")
    assert judged(run, between=(0, 1)).met


def test_metrics_json_has_the_initial_values(tmp_path):
    run = shared()
    run.folder = tmp_path
    text = COMMON + (
        "  - linear_probe\nexpect:\n  - {arm: control, value: linear_probe, layer: 1, "
        "period: critical_period, since: initial, between: [0.1, 0.2]}\n"
    )
    run.protocol = Protocol.from_text(text, "tiny.yaml")
    results.write(run)
    document = json.loads((tmp_path / "metrics.json").read_text())
    (told,) = document["expectations"]
    assert told["since"] == "initial"
    assert told["found"] == pytest.approx(0.15)
    assert told["initially"] == pytest.approx(0.65)
    assert (told["met"], told["met_initially"]) == (True, False)
    rows = pd.DataFrame(document["since_initialisation"]["rows"])
    assert set(rows["arm"]) == {"control", "rem_silenced", "other"}


SINCE = (
    "\nexpect:\n  - {arm: control, value: VALUE, since: initial, period: training, between: [0, 9]}"
)
SPIKES = """
schema_version: 3
name: spikes
backend: spiking
stimulus: {source: digits, classes: [0, 1, 2], held_out: 50}
network: {layers: [64, 10, 6]}
algorithm: {name: adversarial_wake_sleep, credit: scalar}
schedule:
  - {name: newborn, cycles: 2, feedback_plasticity: 0, feedforward_plasticity: 0, phases: [{wake: 5}, {rem: 5}]}
  - {name: training, cycles: 2, phases: [{wake: 5}, {rem: 5}]}
measure: [spike_probe]
""" + SINCE.replace("VALUE", "spike_probe")


def test_spikes_need_a_first_period_without_plasticity():
    Protocol.from_text(SPIKES, "spikes.yaml")
    Protocol.from_text(SPIKES, "spikes.yaml", ["schedule.0.discriminator_plasticity=1"])
    learning = SPIKES.replace("feedback_plasticity: 0, ", "")
    with pytest.raises(ProtocolError, match=r"expect\[0\]\.since.*without plasticity"):
        Protocol.from_text(learning, "spikes.yaml")


def test_a_normalised_drive_without_statistics_is_normalised_by_what_is_shown(animal):
    """At step 0 running statistics are made up: mean 0, variance 1 whatever the weights are."""
    dcgan = "network.dcgan={filters: 4, latents: 3, side: 16, channels: 1}"

    def active(step: int, times: float) -> torch.Tensor:
        one = animal(dcgan, "network.batch_norm=plain")
        for layer in one.network.layers:
            layer.feedforward[0].mul_(times)
        subject = Subject(one.network, one.dataset, 0, step, {}, {}, {})
        return subject.waking(noisy=True)[3]

    def apart(step: int) -> float:
        return float((active(step, 1.0) - active(step, 10.0)).abs().mean())

    assert apart(0) < 1e-3  # scale does not matter: noise hits small and large weights alike
    assert apart(1) > 0.1


def test_an_interval_of_one_gain_is_none():
    run = shared()
    run.metrics = run.metrics[run.metrics["animal"] == 0]
    table = gains(last_values(run.metrics), initial(run))
    assert np.isnan(table["low"]).all()
    assert (table["n"] == 1).all()

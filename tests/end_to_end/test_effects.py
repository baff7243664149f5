"""Expected effects, with a margin, over animals: shrunken in CI, full size with -m slow."""

import subprocess
import sys

import pytest

from neuro_aws import Options, run
from neuro_aws.experiment.results import verdicts
from neuro_aws.protocol import Protocol
from tests.conftest import ROOT

SHORT = """
schema_version: 2
name: short
seeds: 3
stimulus: {source: digits, batch: 64}
algorithm: {feedforward: {rate: 1.4e-4}, feedback: {rate: 2e-3}, discriminator: {rate: 2e-3}}
targets:
  cells: {layer: 1, fraction: 0.3}
schedule:
  - {name: infancy, cycles: 24, phases: [{repeat: 25, phases: [{wake: 1}, {rem: 1}]}]}
  - {name: critical, cycles: 10, branch: true, phases: [{repeat: 25, phases: [{wake: 1}, {rem: 1}]}]}
arms:
  control: {}
  silenced: {perturb: [{silence: {targets: cells}, during: rem, in: critical}]}
  activated: {perturb: [{scale: {targets: cells, by: 2}, during: rem, in: critical}]}
  clamped:
    perturb: [{silence: {targets: cells}, during: rem, in: critical}, {clamp: {neuromodulator: ach}, in: critical}]
  random:
    perturb: [{silence: {targets: cells}, during: rem, in: critical}, {yoke: {teaching: random}, in: critical}]
  shuffled:
    perturb: [{silence: {targets: cells}, during: rem, in: critical}, {yoke: {teaching: shuffled}, in: critical}]
  kl_only:
    set: {algorithm.credit: none}
    perturb: [{silence: {targets: cells}, during: rem, in: critical}]
  wake_sleep: {initial: {algorithm.name: wake_sleep}}
  wake_sleep_clamped:
    initial: {algorithm.name: wake_sleep}
    perturb: [{silence: {targets: cells}, during: rem, in: critical}, {clamp: {neuromodulator: ach}, in: critical}]
  wake_sleep_silenced:
    initial: {algorithm.name: wake_sleep}
    perturb: [{silence: {targets: cells}, during: rem, in: critical}]
measure: [target_cells, dream_match, linear_probe, fresh_classifier]
"""


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    """Return the last value of every measure by arm, one for each of three animals."""
    finished = run(
        Protocol.from_text(SHORT), options=Options(out=str(tmp_path_factory.mktemp("e")), jobs=None)
    )
    metrics = finished.metrics
    last = metrics[metrics.step == metrics.step.max()]

    def get(arm: str, name: str, group: str | None = None, layer: int | None = None) -> list[float]:
        rows = last[(last.arm == arm) & (last.name == name)]
        rows = rows if group is None else rows[rows.group == group]
        rows = rows if layer is None else rows[rows.layer == layer]
        assert len(rows) == 3
        return rows.value.tolist()

    return get


RELATIVE = "target_activity_relative"


def test_cells_silenced_in_rem_fall_silent_in_wake(ends):
    assert max(ends("silenced", RELATIVE)) < 0.5
    assert all(0.8 < x < 1.25 for x in ends("control", RELATIVE))


def test_cells_activated_in_rem_fire_more_in_wake(ends):
    assert min(ends("activated", RELATIVE)) > 1.3


@pytest.mark.parametrize("arm", ["clamped", "random", "kl_only"])
def test_without_the_teaching_signal_they_stay(ends, arm):
    assert all(0.8 < x < 1.25 for x in ends(arm, RELATIVE))


def test_the_signal_is_specific_to_the_unit_not_to_the_sample(ends):
    assert max(ends("shuffled", RELATIVE)) < 0.5


def test_waking_moves_to_the_perturbed_dreams(ends):
    moved = ends("silenced", "move_to_perturbed", "cells_x0")
    stayed = ends("control", "move_to_perturbed", "cells_x0")
    assert min(moved) > max(stayed) + 0.1


def test_under_wake_sleep_ach_has_no_part(ends):
    assert ends("wake_sleep_silenced", RELATIVE) == ends("wake_sleep_clamped", RELATIVE)
    assert max(ends("wake_sleep_silenced", RELATIVE)) < min(ends("wake_sleep", RELATIVE))


def test_digits_are_learnt_and_wake_comes_near_rem(ends):
    assert min(ends("control", "linear_probe", layer=1)) > 0.85
    assert max(ends("control", "fresh_classifier")) < 0.985


def angles(pairs: int, seeds: int) -> dict[str, list[float]]:
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "analysis" / "linear_gaussian.py"),
            "--pairs",
            str(pairs),
            "--seeds",
            str(seeds),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    return {row[0]: [float(x) for x in row[1 : 1 + seeds]] for row in rows}


def test_the_principal_subspace_is_found():
    found = angles(2500, 1)
    assert set(found) == {"layer", "backprop", "wake_sleep"}
    assert all(max(a) < 3.0 for a in found.values()), found


@pytest.mark.slow
def test_the_principal_subspace_is_found_within_two_degrees():
    assert all(max(a) < 2.0 for a in angles(6000, 5).values())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["critical_period", "critical_period_controls", "what_ach_adds"])
def test_shipped_expectations_are_met_at_full_size(name, tmp_path):
    finished = run(
        ROOT / "protocols" / f"{name}.yaml", options=Options(out=str(tmp_path), jobs=None)
    )
    judged = verdicts(finished, finished.metrics)
    assert judged
    assert not [v for v in judged if not v.met]

"""What is measured of free runs: statistics with known answers, and a run that is measured."""

import numpy as np
import pytest
import torch

from neuro_aws import Options, run
from neuro_aws.backends.rate.simulator import RateSimulator
from neuro_aws.metrics.in_time import courses, nearest, ngrams, pairs, states_of, variation
from neuro_aws.protocol.measures import MEASURES
from tests.algorithms.test_in_time import simulator
from tests.reference.passes import Logged
from tests.sequences import protocol

ROUND = torch.arange(12).remainder(3).expand(5, 12)
"""0 1 2 0 1 2 ..."""


def test_ngrams_and_pairs_of_a_sequence_that_goes_round():
    found = ngrams(ROUND, 3, 2)
    of = {"12": 1 + 2 * 3, "01": 0 + 1 * 3, "20": 2 + 0 * 3}  # the first symbol counts 1
    assert {n: round(11 * float(found[k])) for n, k in of.items()} == {"12": 4, "01": 4, "20": 3}
    assert found.sum() == 1
    assert pairs(ROUND, 3, 1).view(3, 3)[0, 1] == pytest.approx(4 / 11)
    assert pairs(ROUND, 3, 3).view(3, 3).diagonal().sum() == 1


def test_variation_is_half_the_summed_difference():
    p, q = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.25, 0.25, 0.5])
    assert variation(p, q) == 0.5
    assert variation(p, p) == 0


def test_states_are_those_of_steps_and_courses_those_of_sequences():
    h = torch.arange(24.0).view(2, 3, 4)
    some = states_of(h, 50, Logged(0))
    assert {tuple(row) for row in some.tolist()} == {tuple(row) for row in h.view(6, 4).tolist()}
    assert courses(h)[0].tolist() == [4.0, 5.0, 6.0, 7.0, 4.0, 4.0, 4.0, 4.0]
    assert nearest(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [6.0, 8.0]])) == 5


def values(one: RateSimulator, *settings: str) -> dict[str, float]:
    class At:
        step = 0

    measure = protocol(
        "measure=[{measure: free_running, runs: 60, states: 200, lengths: 2}]", *settings
    )
    return {v.name: v.value for v in one.measure(measure.spec.measure[0], At())}


def test_free_runs_that_are_forced_by_the_data_match_it():
    one, apart = simulator(), simulator()
    network, x = one.animal.network, one.animal.dataset.train

    def forced(count, steps, noise, gains=None, forced=None):
        return x[: min(count, len(x))].view(-1, 9, 28)

    network.run_freely = forced
    matched, random = values(one), values(apart)
    assert matched["ngram_distance"] == 0
    assert matched["pair_distance"] < 0.5 * random["pair_distance"]
    assert matched["course_distance"] < 0.7 * random["course_distance"]
    assert random["ngram_distance"] > 0.5
    assert set(matched) == {v.name for v in MEASURES["free_running"].values}


def test_a_run_is_measured_recorded_and_drawn_upon(tmp_path):
    names = (
        "objective, ach_gap, target_cells, receptive_field, dream_match, sliced_distance, diversity"
    )
    more = "{measure: fresh_classifier, repeats: 1}, collapse, reconstruction, nearest_neighbours"
    chosen = protocol(
        "algorithm.name=professor_forcing",
        f"measure=[{names}, {more}, {{measure: free_running, runs: 20, states: 100, lengths: 2}}]",
        "record={activity: [{layer: 0, every: 2}, {layer: 1, every: 2}], samples: {every: 2}}",
    )
    finished = run(chosen, options=Options(out=str(tmp_path)))
    assert np.isfinite(finished.metrics["value"]).mean() > 0.97
    traces = finished.traces(0, "silenced")
    changed = {f"layer1_{kind}_applied" for kind in ("feedforward", "lateral")}
    assert {*changed, "layer0_feedback_applied", "layer1_teaching"} <= set(traces)
    assert all(float(abs(traces[name]).max()) > 0 for name in changed)
    activity = finished.activity(0, "silenced", 1)
    critical = activity.sel(step=activity.step >= 12)  # wake and REM take turns from there
    size = abs(critical.soma).groupby(critical.step % 2).max()
    assert float(size.sel(step=1, unit=[0, 3]).max()) == 0
    assert float(size.sel(step=1, unit=[1, 2, 4]).min()) > 0
    assert float(size.sel(step=0, unit=[0, 3]).min()) > 0

"""Measures against closed forms; taking one changes nothing."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from neuro_aws.experiment.results import alarms
from neuro_aws.metrics import Subject, function
from neuro_aws.metrics.correlation import correlation
from neuro_aws.metrics.distances import sliced
from neuro_aws.metrics.statistics import estimate, interaction, paired
from neuro_aws.protocol import registry
from neuro_aws.protocol.entry import RATE
from neuro_aws.protocol.measures_with_settings import (
    Decoder,
    FromTop,
    OccludedDecoder,
    ReceptiveField,
)
from neuro_aws.protocol.targets import Targets
from tests.conftest import ROOT

SETTINGS = ("network.layers=[64, 20, 6]",)


def subject(animal, *overrides: str, **more) -> Subject:
    built = animal(*SETTINGS, *overrides)
    gains = {"cells_x0": {1: torch.cat([torch.zeros(5), torch.ones(15)]).double()}}
    fields = {"targets": {"cells": Targets(1, tuple(range(5)))}, "dream_gains": gains, "memory": {}}
    fields |= {"algorithm": built.algorithm, "repeats": 1}
    return Subject(built.network, built.dataset, 0, 7, **{**fields, **more})


def values(name: str, of: Subject) -> dict[tuple[str, int], float]:
    return {(v.name, v.layer): v.value for v in function(name)(of)}


@pytest.mark.parametrize(
    "name",
    [
        m.name
        for m in registry.MEASURES.values()
        if RATE in m.code and m.name not in ("ocular_dominance", "free_running", "memory_distance")
    ],
)
def test_measuring_changes_nothing_and_repeats_itself(animal, name):
    one = subject(animal)
    before = {k: v.clone() for k, v in one.network.state_dict().items()}
    first, second = values(name, one), values(name, subject(animal))
    assert first == second or all(np.isnan(v) for v in first.values())
    assert first
    for key, tensor in one.network.state_dict().items():
        assert torch.equal(before[key], tensor)


def test_sliced_distance_of_shifted_and_of_equal_samples():
    x = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert sliced(x, x[torch.randperm(4000)]) == pytest.approx(0.0, abs=1e-12)
    shift = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
    # a shift by v moves each projection by |v . w|, whose mean over the sphere in 3-D is |v| / 2
    assert sliced(x + shift, x) == pytest.approx(0.5, abs=0.05)


def test_sliced_distance_sorts_each_projection():
    draws = torch.Generator().manual_seed(1)
    a, b = (torch.randn(50, 3, generator=draws, dtype=torch.float64) for _ in range(2))
    axes = torch.randn(3, 200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    axes = axes / axes.norm(dim=0)
    wanted = ((a @ axes).sort(0)[0] - (b @ axes).sort(0)[0]).abs().mean()
    assert sliced(a, b) == float(wanted)


def test_activity_with_noise_is_that_of_noisy_waking_over_its_own_onset(animal):
    one = subject(animal, "network.noise.scale=0.5")
    keys = (("target_activity_relative", 1), ("target_activity_relative_noisy", 1))
    assert [values("target_cells", one)[key] for key in keys] == [1.0, 1.0]
    stimuli, draws = one.dataset.held_out, one.draws
    before = one.network.recognise(stimuli, draws("waking/held_out")).somas[1][:, :5].mean()
    one.network.layers[0].feedforward[1][:5] = -0.6
    after = one.network.recognise(stimuli, draws("waking/held_out")).somas[1][:, :5].mean()
    quiet, noisy = (values("target_cells", one)[key] for key in keys)
    assert noisy == pytest.approx(float(after / before))
    assert noisy != pytest.approx(quiet, rel=0.01)
    del one.memory["onset/cells/noisy"]  # as a run of an older version left it
    assert keys[1] not in values("target_cells", one)


def test_target_cells_are_relative_to_the_onset(animal):
    one = subject(animal)
    start = values("target_cells", one)
    assert start["target_activity_relative", 1] == 1.0
    weight, bias = one.network.layers[0].feedforward
    weight[:5] *= 3.0
    later = values("target_cells", one)
    assert later["target_feedforward", 1] == pytest.approx(3.0)
    assert later["target_activity_relative", 1] > 1.0
    assert later["spared_activity_relative", 1] < 1.0  # divisive normalisation
    weight[:5], bias[:5] = 0.0, -1.0
    gone = values("target_cells", one)
    assert gone["target_activity", 1] == 0.0
    assert gone["target_never_active", 1] == 1.0
    assert gone["target_potential", 1] == pytest.approx(-1.0)
    assert gone["target_spared_ratio", 1] == 0.0


def fields_of(one: Subject, **settings) -> dict[tuple[str, str], float]:
    asked = ReceptiveField(measure="receptive_field", **settings)
    found = function("receptive_field")(replace(one, settings=asked))
    return {(v.name.removeprefix("receptive_field_"), v.group): v.value for v in found}


def test_receptive_fields_are_compared_with_those_at_the_onset_by_cell(animal):
    one = subject(animal)
    start = fields_of(one)
    assert start == {
        (name, group): pytest.approx(1.0)
        for name in ("cosine", "length")
        for group in ("cells", "cells_others")
    }
    weight = one.network.layers[0].feedforward[0]
    weight[0] *= -3.0  # one of the five targets turns round and grows, the others stay
    weight[7:9] *= 2.0
    later = fields_of(one)
    assert later["cosine", "cells"] == pytest.approx((4 - 1) / 5)
    assert later["length", "cells"] == pytest.approx((4 + 3) / 5)
    assert later["common", "cells"] == pytest.approx(1 / 5)  # one of five changed
    assert later["cosine", "cells_others"] == pytest.approx(1.0)
    assert later["length", "cells_others"] == pytest.approx((13 + 2 * 2) / 15)
    weight[0] = 0.0
    assert fields_of(one)["cosine", "cells"] == pytest.approx(1.0)  # of those that have any
    few = fields_of(one, layer=1, first=1)
    assert few["length", "layer1_first1"] == 0.0
    assert fields_of(one, layer=2, first=6).keys() == {
        (name, "layer2_first6") for name in ("cosine", "length")
    }
    one.memory.clear()
    fields_of(one)
    weight[:5] += weight[9]
    assert fields_of(one)["common", "cells"] == pytest.approx(1.0)  # the same in all of them


def test_reconstruction_is_0_for_a_perfect_and_1_for_a_constant_prediction(animal):
    one = subject(
        animal, "network.bottom=linear", "network.transfer=linear", "network.normalisation=none"
    )
    layer = one.network.layers[0]
    x = one.dataset.held_out
    somata = one.waking()
    layer.feedback[0].zero_()
    layer.feedback[1].copy_(x.mean(0))
    assert values("reconstruction", one)["reconstruction", 0] == pytest.approx(1.0)
    h = torch.cat([somata[1], torch.ones(len(x), 1, dtype=x.dtype)], 1)
    solved = torch.linalg.lstsq(h, x).solution
    layer.feedback[0].copy_(solved[:-1].T)
    layer.feedback[1].copy_(solved[-1])
    left = float((x - h @ solved).square().sum() / (x - x.mean(0)).square().sum())
    assert values("reconstruction", one)["reconstruction", 0] == pytest.approx(left)


def test_what_comes_back_from_the_top_of_stimuli_and_of_corrupted_ones(animal):
    linear = ("network.bottom=linear", "network.transfer=linear", "network.normalisation=none")
    given = FromTop(measure="from_top", corruption=0.7, masked=0.2)
    one = subject(animal, *linear, settings=given)
    x = one.dataset.held_out
    for layer in one.network.layers:
        layer.feedforward[1].add_(0.1)
        layer.feedback[1].add_(0.2)
    draws = one.draws("from_top")
    seen = x + 0.7 * draws.normal(x.shape)
    seen = torch.where(draws.uniform(x.shape) < 0.2, 0.0, seen)
    for name, h in (("from_top", x), ("from_top_corrupted", seen)):
        for layer in one.network.layers:
            h = h @ layer.feedforward[0].T + layer.feedforward[1]
        for layer in reversed(one.network.layers):
            h = h @ layer.feedback[0].T + layer.feedback[1]
        wanted = float((x - h).square().sum() / (x - x.mean(0)).square().sum())
        assert values("from_top", one)[name, 0] == pytest.approx(wanted)
    bottom = one.network.layers[0]
    bottom.feedback[0].zero_(), bottom.feedback[1].copy_(x.mean(0))
    assert values("from_top", one)["from_top_corrupted", 0] == pytest.approx(1.0)


def test_probe_is_chance_without_and_perfect_with_the_label(animal):
    one = subject(animal)
    y, y_test = one.dataset.train_labels, one.dataset.held_out_labels
    one_hot = [torch.nn.functional.one_hot(t, 20).double() for t in (y, y_test)]
    for key, h in zip(("life", "held_out"), one_hot, strict=True):
        for noisy in (False, True):
            noise = torch.randn(len(h), 6, generator=torch.Generator().manual_seed(1)).double()
            one._cache[f"{key}/{noisy}"] = [h[:, :1], h, noise]
    found = values("linear_probe", one)
    assert found["linear_probe", 1] == 1.0
    assert found["linear_probe", 2] < 0.2


def decoded(one: Subject, **settings) -> dict[tuple[str, int], float]:
    return values(
        "linear_probe", replace(one, settings=Decoder(measure="linear_probe", **settings))
    )


def test_any_layer_and_compartment_can_be_decoded_with_noise_or_without(animal, monkeypatch):
    one = subject(animal)
    usual = values("linear_probe", one)
    assert set(usual) == {(f"linear_probe{n}", i) for n in ("", "_noisy") for i in (1, 2)}
    assert decoded(one) == usual
    some = decoded(one, layers=(0, 2), compartments=("soma", "dendrite"), noise="without")
    assert set(some) == {("linear_probe", 0), ("linear_probe", 2), ("linear_probe_dendrite", 0)}
    assert some["linear_probe", 2] == usual["linear_probe", 2]
    assert some["linear_probe", 0] > 0.85  # pixels
    both = ("linear_probe_dendrite", "linear_probe_dendrite_noisy")
    assert set(decoded(one, compartments=("dendrite",))) == {(n, i) for n in both for i in (0, 1)}
    assert set(decoded(one, layers=(1,), noise="with")) == {("linear_probe_noisy", 1)}
    for layer in one.network.layers:  # what is predicted no longer depends on what was seen
        layer.feedback[0].zero_()
    blind = decoded(one, compartments=("dendrite",), noise="without")
    assert max(blind.values()) < 0.2
    assert decoded(one, layers=(2,), noise="without")["linear_probe", 2] > 0.5


def test_a_probe_behind_tiles_is_the_linear_probe_without_them_and_blind_behind_all(animal):
    one = subject(animal)

    def behind(**settings):
        asked = OccludedDecoder(measure="occluded_probe", layers=(0, 2), **settings)
        return values("occluded_probe", replace(one, settings=asked))

    whole = decoded(one, layers=(0, 2))
    found = behind(rate=0)
    assert {(f"occluded{n[6:]}", i): v for (n, i), v in whole.items()} == found
    hidden = behind(rate=1)
    assert max(hidden.values()) < 0.2
    half = behind(rate=0.5, tile=4)
    assert hidden["occluded_probe", 0] + 0.1 < half["occluded_probe", 0]
    assert half["occluded_probe", 0] < whole["linear_probe", 0] - 0.1
    asked = {"compartments": ("dendrite",), "noise": "without"}
    dendrite = behind(**asked)
    assert set(dendrite) == {("occluded_probe_dendrite", 0)}


def test_fresh_classifier_is_half_where_dreams_are_waking_and_one_where_not(animal, monkeypatch):
    one = subject(animal)
    assert values("fresh_classifier", one)["fresh_classifier", -1] > 0.97  # at initialisation
    rows = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0)).double()
    spans = {"classifier/train": rows[:1200], "classifier/test": rows[1200:2000]}
    monkeypatch.setattr(Subject, "waking_train", lambda self, noisy=False: [rows[2000:3200]])
    monkeypatch.setattr(Subject, "waking", lambda self, noisy=False: [rows[3200:4000]])
    monkeypatch.setattr(
        Subject, "dreams", lambda self, n, stream="dreams", gains=None: [spans[stream]]
    )
    assert values("fresh_classifier", one)["fresh_classifier", -1] == pytest.approx(0.5, abs=0.07)


def test_gap_is_that_of_the_discriminator(animal):
    one = subject(animal)
    found = values("ach_gap", one)["ach_gap", -1]
    one.network.acetylcholine.weights.readout.mul_(2.0)
    assert values("ach_gap", one)["ach_gap", -1] == pytest.approx(2 * found)


def test_diversity_is_zero_for_a_constant_dream(animal):
    one = subject(animal, "network.noise.scale=0")
    one.network.layers[0].feedback[0].zero_()
    assert values("diversity", one)["diversity", 0] == pytest.approx(0.0, abs=1e-9)


def test_dream_match_moves_toward_what_waking_becomes(animal):
    one = subject(animal)
    start = values("dream_match", one)
    assert start["move_to_perturbed", -1] == 0.0
    one.network.layers[0].feedforward[1][:5] = -100.0  # the silenced cells fall silent in wake
    one._cache.clear()
    assert values("dream_match", one)["move_to_perturbed", -1] > 0.0


def test_ocular_dominance_has_the_sign_of_the_stronger_eye(animal):
    built = animal(
        "stimulus={source: patches, eyes: binocular, size: 4, count: 300, held_out: 60}",
        "network.layers=[32, 20, 6]",
        "measure=[ach_gap]",
    )
    one = Subject(built.network, built.dataset, 0, 0, {}, {}, {})
    weight = built.network.layers[0].feedforward[0]
    weight.abs_()
    weight[:, :16] = weight[:, 16:] * 3
    found = values("ocular_dominance", one)
    assert found["ocular_dominance", 1] == pytest.approx(0.5)
    assert found["ocular_dominance_response", 1] > 0.3


def test_class_representation_finds_the_cells_of_a_class(animal):
    one = subject(animal)
    y = one.dataset.held_out_labels
    rates = torch.zeros(len(y), 20, dtype=torch.float64)
    rates[y == 3, :15] = 1.0
    rates[y == 4, 15:] = 1.0
    one._cache["held_out/False"] = [one.dataset.held_out, rates]
    found = {(v.name, v.group): v.value for v in function("class_representation")(one)}
    assert found["preferring_share", "label3"] == 0.75
    assert found["preferring_share", "label4"] == 0.25
    assert found["class_distance", "label3"] > found["class_distance", "label5"]


def test_intervals_and_paired_tests_have_their_textbook_values():
    e = estimate([1.0, 2.0, 3.0])
    assert (e.mean, e.n) == (2.0, 3)
    assert e.high - e.mean == pytest.approx(4.302653 * 1.0 / 3**0.5, rel=1e-6)  # t, 2 df
    assert np.isnan(estimate([5.0]).low)
    test = paired([1.0, 2.0, 4.0], [0.0, 1.0, 1.0])
    assert test.difference.mean == pytest.approx(5 / 3)
    assert test.t == pytest.approx(2.5)
    both = interaction([3.0, 4.0, 6.0], [1.0, 1.0, 1.0], [1.0, 2.0, 2.0], [1.0, 1.0, 1.0])
    assert both.difference.mean == pytest.approx(np.mean([2.0, 2.0, 4.0]))


def test_arms_are_paired_by_animal_not_by_position():
    a = pd.Series([1.0, 2.0, 4.0], index=[0, 1, 3])
    b = pd.Series([10.0, 1.0, 2.0], index=[2, 1, 0])
    assert paired(a, b).difference == estimate([1.0 - 2.0, 2.0 - 1.0])
    assert interaction(a, b, a, b).difference.mean == 0.0


def test_correlation_leaves_out_what_was_not_recorded():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(500), rng.standard_normal(500)
    holes = x.copy()
    holes[::3] = np.nan
    kept = np.isfinite(holes)
    assert correlation(holes, y) == correlation(x[kept], y[kept])


def test_correlation_and_its_null():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(3000)
    related = correlation(x, x + rng.standard_normal(3000))
    assert related.r == pytest.approx(np.corrcoef(x, x + 0)[0, 1] * 2**-0.5, abs=0.03)
    assert related.low < 0 < related.high < 0.1
    drift = np.linspace(0, 1, 3000)
    drifting = correlation(drift + 0.01 * x, drift + 0.01 * rng.standard_normal(3000))
    assert drifting.high > 0.4  # two drifts correlate by themselves; so does the null
    assert np.isnan(correlation(np.ones(100), x[:100]).r)


def test_collapsed_dreams_raise_an_alarm():
    rows = [
        (0, "a", 10, "diversity", 0, 0.9),
        (1, "a", 10, "diversity", 0, 0.1),
        (1, "a", 10, "diversity", 1, 0.1),
    ]
    table = pd.DataFrame(rows, columns=["animal", "arm", "step", "name", "layer", "value"])
    (line,) = alarms(table)
    assert "animal 1, a" in line
    assert "0.10" in line


def test_docs_name_every_value_measure_and_perturbation():
    measures = (ROOT / "docs" / "measures.md").read_text()
    for name in [*registry.VALUES, *registry.MEASURES]:
        assert f"`{name}`" in measures, name
    protocol = (ROOT / "docs" / "protocol.md").read_text()
    for name in [*registry.PERTURBATIONS, *registry.STIMULI]:
        assert f"`{name}`" in protocol, name
    model = (ROOT / "docs" / "model.md").read_text()
    for name in [*registry.CREDITS, "wake_sleep", "frozen"]:
        assert f"`{name}`" in model, name

"""Measures of images, their extractors, alarms, and the learnt prior: closed forms and limits."""

import numpy as np
import pytest
import torch

from neuro_aws.errors import NeuroAWSError
from neuro_aws.functional.noise import Draws
from neuro_aws.metrics import Subject, Value, function
from neuro_aws.metrics.classifier import default_extractor, pictures
from neuro_aws.metrics.collapse import alarms, collapse, effective_rank, raise_or_report
from neuro_aws.metrics.extractor import load_extractor
from neuro_aws.metrics.frechet import frechet
from neuro_aws.metrics.images import nearest
from neuro_aws.model.prior import LearntPrior
from neuro_aws.protocol.schema import Watch
from neuro_aws.protocol.stimuli_built_in import Digits
from neuro_aws.stimuli import Dataset
from neuro_aws.stimuli.digits import digits


def test_frechet_distance_of_gaussians_is_the_closed_form():
    """Independent axes: |m - n|^2 + sum (s - t)^2; and 0 of a sample to itself."""
    rng = np.random.default_rng(0)
    s, t = np.array([1.0, 2.0, 0.5]), np.array([2.0, 1.0, 0.5])
    gap = np.array([0.5, 0.0, -1.0])
    white = rng.standard_normal((4000, 3))
    white = (white - white.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(white.T)).T)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    a, b = white * s @ turn, (white * t + gap) @ turn
    assert frechet(a, b) == pytest.approx(((s - t) ** 2).sum() + (gap**2).sum(), rel=1e-6)
    assert frechet(a, a) == pytest.approx(0.0, abs=1e-8)
    assert frechet(a, b) == pytest.approx(frechet(b, a), rel=1e-9)


def test_an_extractor_is_named_for_what_it_is(tmp_path):
    class Features(torch.nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.width = width

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1)[:, : self.width]

    torch.jit.script(Features(40)).save(tmp_path / "mine.ts")
    torch.jit.script(Features(2048)).save(tmp_path / "inception_v3.ts")
    torch.jit.script(Features(2048)).save(tmp_path / "other.ts")
    shape, cpu = (3, 32, 32), torch.device("cpu")
    names = [
        load_extractor(tmp_path / f, shape, cpu).name
        for f in ("mine.ts", "inception_v3.ts", "other.ts")
    ]
    assert names == ["frechet_mine", "fid", "frechet_other"]
    (tmp_path / "broken.ts").write_bytes(b"no network")
    with pytest.raises(NeuroAWSError, match="does not serve"):
        load_extractor(tmp_path / "broken.ts", shape, cpu)
    with pytest.raises(NeuroAWSError, match="no such"):
        load_extractor(tmp_path / "absent.ts", shape, cpu)


def test_the_default_extractor_is_trained_once_and_reads_digits(tmp_path, monkeypatch):
    monkeypatch.setenv("NEURO_AWS_CACHE", str(tmp_path))
    dataset = digits(Digits(source="digits", side=16), 0, torch.float32)
    first = default_extractor(dataset)
    assert first.accuracy > 0.95
    assert len(list(tmp_path.glob("classifier-*.pt"))) == 1
    monkeypatch.setattr("neuro_aws.metrics.classifier._train", None)  # a second training would fail
    assert default_extractor(dataset).hash == first.hash


def test_nearest_neighbours_are_found():
    train = torch.arange(30.0).view(10, 3)
    distance, index = nearest(train[[7, 2]] + 0.01, train)
    assert index.tolist() == [7, 2]
    assert float(distance.max()) < 0.02


def test_effective_rank_counts_directions():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(400, 3, generator=rng) @ torch.randn(3, 50, generator=rng)
    assert 1.5 < effective_rank(x) <= 3.01
    assert effective_rank(torch.ones(10, 4)) == 0.0
    assert effective_rank(torch.eye(100)[:, :5].repeat(3, 1)) == pytest.approx(5, abs=0.3)


def test_collapse_measures_every_layer_and_alarms_name_what_is_below_its_limit(animal):
    built = animal("network.layers=[64, 20, 6]")
    for layer in built.network.layers:
        layer.feedback[0].zero_()  # feedback that predicts the same of everything
    subject = Subject(built.network, built.dataset, 0, 40, {}, {}, {})
    values = list(collapse(subject))
    assert [(v.name, v.layer) for v in values] == [
        ("dream_spread", 0),
        ("dream_spread", 1), ("waking_rank", 1),
        ("dream_spread", 2), ("waking_rank", 2),
    ]  # fmt: skip
    found = {(v.name, v.layer): v.value for v in values}
    assert found["dream_spread", 0] < 0.5 < found["dream_spread", 2]
    assert found["waking_rank", 1] == effective_rank(subject.waking()[1][:500])
    assert values == list(collapse(subject))  # the same draws whenever it is asked
    made = [Value("dream_spread", 0.049, 0), Value("dream_spread", float("nan"), 1)]
    made += [
        Value("waking_rank", 1.25, 1),
        Value("dream_spread", 0.5, 2),
        Value("waking_rank", 9, 2),
    ]
    assert alarms(made, Watch(every=1, diversity=0.1, rank=2), 40) == [
        "mode collapse at step 40, layer 0: dreams have 0.05 of waking's spread (limit 0.1)",
        "mode collapse at step 40, layer 1: dreams have nan of waking's spread (limit 0.1)",
        "collapse at step 40, layer 1: waking activity has effective rank 1.2 (limit 2)",
    ]


def test_pictures_need_not_be_square(tmp_path, monkeypatch):
    monkeypatch.setenv("NEURO_AWS_CACHE", str(tmp_path))
    monkeypatch.setattr("neuro_aws.metrics.classifier.LEAST_STEPS", 2)
    images = np.random.default_rng(0).integers(0, 256, (60, 5, 9, 3), dtype=np.uint8)
    dataset = Dataset.from_arrays(images, np.arange(60) % 4)
    assert default_extractor(dataset)(pictures(dataset.held_out, dataset)).shape == (12, 64)


@pytest.mark.parametrize("measure", ["linear_probe", "svm_10fold"])
@pytest.mark.parametrize("labels", [np.zeros(300, int), np.arange(300) // 4])
def test_labels_that_no_classifier_can_learn_are_refused_in_one_line(animal, measure, labels):
    built = animal()
    images = np.random.default_rng(0).uniform(-1, 1, (300, 64))
    dataset = Dataset.from_arrays(images, labels, dtype=torch.float64)
    subject = Subject(built.network, dataset, 0, 0, {}, {}, {})
    with pytest.raises(NeuroAWSError, match=f"{measure} needs two labels"):
        list(function(measure)(subject))


def test_an_alarm_stops_the_run_only_if_asked_to():
    raise_or_report(["collapse at step 5, layer 2"], Watch(every=1), "animal 0")
    with pytest.raises(NeuroAWSError, match="step 5, layer 2"):
        raise_or_report(["collapse at step 5, layer 2"], Watch(every=1, stop=True), "animal 0")


@pytest.mark.parametrize("components", [1, 4])
def test_the_prior_learns_the_waking_top(components):
    """Two far clusters of correlated units: covariance by one Gaussian, the clusters by four."""
    draws = Draws(torch.Generator().manual_seed(0), torch.float64)
    prior = LearntPrior(components, 2, torch.Generator().manual_seed(1), torch.float64)

    def waking(n: int) -> torch.Tensor:
        sign = (draws.uniform(torch.Size((n, 1))) < 0.5).double() * 2 - 1
        z = draws.normal(torch.Size((n, 2)))
        return sign * 2 + torch.stack([z[:, 0], 0.8 * z[:, 0] + 0.6 * z[:, 1]], 1) * 0.3

    for _ in range(1500):
        prior.track(waking(64))
    mine, real = prior.sample(4000, draws), waking(4000)
    assert torch.allclose(mine.mean(0), real.mean(0), atol=0.25)
    assert torch.allclose(mine.T.cov(), real.T.cov(), rtol=0.15, atol=0.15)
    between = float(
        (mine.abs().mean(1) < 1.0).double().mean()
    )  # nothing wakes between the clusters
    assert (between < 0.05) == (components > 1)

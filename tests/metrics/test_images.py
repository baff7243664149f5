"""Measures of images, their extractors, the watch, and the learnt prior: closed forms and limits."""

import numpy as np
import pytest
import torch

from neuro_aws.backends.rate.engine import Engine, Streams
from neuro_aws.errors import NeuroAWSError
from neuro_aws.functional.noise import Draws
from neuro_aws.metrics.classifier import default_extractor
from neuro_aws.metrics.collapse import effective_rank, raise_or_report
from neuro_aws.metrics.extractor import load_extractor
from neuro_aws.metrics.frechet import frechet
from neuro_aws.metrics.images import nearest
from neuro_aws.model.memory import Replay
from neuro_aws.model.prior import LearntPrior
from neuro_aws.perturbations import Slots
from neuro_aws.protocol.schedule import Schedule
from neuro_aws.protocol.schema import Block, Period, Watch
from neuro_aws.protocol.stimulus import Digits
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
    life = torch.arange(30.0).view(10, 3)
    distance, index = nearest(life[[7, 2]] + 0.01, life)
    assert index.tolist() == [7, 2]
    assert float(distance.max()) < 0.02


def test_effective_rank_counts_directions():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(400, 3, generator=rng) @ torch.randn(3, 50, generator=rng)
    assert 1.5 < effective_rank(x) <= 3.01
    assert effective_rank(torch.ones(10, 4)) == 0.0
    assert effective_rank(torch.eye(100)[:, :5].repeat(3, 1)) == pytest.approx(5, abs=0.3)


def test_an_alarm_stops_the_run_only_if_told_to():
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


def test_replay_puts_the_most_wakelike_states_before_the_prior():
    replay = Replay(0.5, 3, torch.float64, torch.device("cpu"))
    draws = torch.zeros(4, 3, dtype=torch.float64)
    assert torch.equal(replay.mixed(draws), draws)  # nothing was lived yet
    tops = torch.arange(12.0, dtype=torch.float64).view(4, 3)
    replay.store(tops, torch.tensor([0.1, 3.0, -1.0, 2.0], dtype=torch.float64))
    assert torch.equal(replay.mixed(draws), torch.cat([tops[[1, 3]], draws[2:]]))


def test_replayed_dreams_begin_from_waking(animal):
    living = animal("algorithm.replay=0.5")
    spec = Period(name="life", cycles=1, phases=(Block(wake=1), Block(rem=1)))
    streams = Streams(0, torch.float64, torch.device("cpu"))
    engine = Engine(
        living.network, living.algorithm, living.updates, living.dataset, Schedule((spec,)), streams,
        16, lambda _: Slots(),
    )  # fmt: skip
    wake, rem = engine.step(0), engine.step(1)
    best = wake.ach.own.reading.level.topk(8).indices
    assert torch.equal(rem.state.somas[-1][:8], wake.state.somas[-1][best])
    assert not torch.equal(rem.state.somas[-1][8:], wake.state.somas[-1][8:])

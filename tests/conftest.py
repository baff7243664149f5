"""What many tests share: small protocols and small networks."""

import os

# Before torch is there: two workers of the tests, and the commands that they start, whose threads
# wait for one another's on the same two cores take eight times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from neuro_aws.backends.rate.build import Animal, build_animal
from neuro_aws.protocol import Protocol

ROOT = Path(__file__).parents[1]

PROTOCOLS = [
    path
    for path in sorted((ROOT / "protocols").glob("*.yaml"))
    if "matrix_version:" not in path.read_text()
]
"""Those that are shipped; a prediction matrix is no protocol."""

DEVICE = torch.device(os.environ.get("NEURO_AWS_TEST_DEVICE", "cpu"))
"""Where small animals are made: benchmarks/gpu_check.py runs the table of laws on a GPU."""

TINY = """
schema_version: 3
preset: without_homeostasis
name: tiny
seeds: 1
stimulus: {source: digits, batch: 16}
network: {layers: [64, 20, 6], discriminator: {hidden: 8}}
targets:
  cells: {layer: 1, fraction: 0.3}
schedule:
  - {name: infancy, cycles: 6, phases: [{repeat: 3, phases: [{wake: 1}, {rem: 1}]}, {nrem: 1}]}
  - {name: critical_period, cycles: 4, branch: true, phases: [{repeat: 3, phases: [{wake: 1}, {rem: 1}]}, {nrem: 1}]}
arms:
  control: {}
  rem_silenced: {perturb: [{silence: {targets: cells}, during: rem, in: critical_period}]}
record:
  activity: [{layer: 1, every: 3}]
measure:
  - {measure: target_cells, every: 2}
  - ach_gap
"""


TINY_CONV = TINY.replace("source: digits", "source: digits, side: 16").replace(
    "layers: [64, 20, 6], ", ""
)
"""Needs `network.dcgan` beside it."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests on one worker (``--dist loadgroup``), but for those that say otherwise."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory, worker_id: str) -> None:
    """Keep what is made once (resized data, default extractors) out of the user's cache, and what
    code was allowed out of the user's configuration.

    All workers of one call share the cache.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    os.environ["NEURO_AWS_CACHE"] = str(shared / "cache")
    os.environ["NEURO_AWS_CONFIG"] = str(base / "config")


@pytest.fixture(scope="module", autouse=True)
def undrawn(request) -> Iterator[None]:
    """Draw no figures at the end of a run, most of its time when it is short.

    A module that looks at figures says ``FIGURES = True``.
    """
    with pytest.MonkeyPatch.context() as patch:
        if not getattr(request.module, "FIGURES", False):
            patch.setattr("neuro_aws.plots.figures.draw_run", lambda run: [])
        yield


@pytest.fixture
def root() -> Path:
    return ROOT


@pytest.fixture
def tiny() -> Protocol:
    return Protocol.from_text(TINY, "tiny.yaml")


@pytest.fixture
def tiny_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture
def animal() -> Callable[..., Animal]:
    """Return a maker of small animals in float64: animal(**settings as key.path=value)."""

    def make(*overrides: str, seed: int = 0) -> Animal:
        settings = ("network.precision=float64", *overrides)
        conv = any(o.startswith("network.dcgan") for o in overrides)
        protocol = Protocol.from_text(
            TINY_CONV if conv else TINY, "tiny.yaml", settings, allow_code=True
        )
        return build_animal(protocol.spec, seed, DEVICE)

    return make

"""The dendrite's rule against NEST's: masked or not while refractory, and the benchmark of both."""

import importlib.util
import re
import subprocess
import sys

import numpy as np
import pytest

from neuro_aws.backends.spiking import brian2_compat
from neuro_aws.backends.spiking.neuron import SingleNeuron, frozen_pattern
from neuro_aws.protocol import Protocol
from tests.calls import script
from tests.conftest import ROOT

BENCHMARK = ROOT / "benchmarks" / "nest_urbanczik_senn.py"


def test_a_single_neuron_is_taken_down_while_refractory_as_in_nest_alone():
    path = ROOT / "protocols" / "spiking_urbanczik_senn.yaml"
    brian2_compat.chosen_target("numpy")
    weights, spikes = {}, {}
    for error in ("masked", "nest"):
        spec = Protocol.load(path, [f"spiking.refractory_error={error}"]).spec
        neuron = SingleNeuron(spec, 0)
        result = neuron.simulate(np.ones(3), np.full(3, 1e-9), 1, 3)
        weights[error], spikes[error] = neuron.weights(), result.spikes
    assert len(spikes["masked"]) > 10
    assert np.array_equal(spikes["masked"], spikes["nest"])
    active = np.isin(np.arange(200), frozen_pattern(spec.stimulus, 0, 1.0)[0])
    assert (weights["nest"][active] < weights["masked"][active]).all()
    assert np.array_equal(weights["nest"][~active], weights["masked"][~active])


def test_the_benchmark_refuses_in_one_line_where_nest_is_absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "nest", None)
    done = script(BENCHMARK)
    assert done.returncode
    assert done.stderr.startswith("NEST is not installed: pip install")
    assert done.stderr.count("\n") <= 1


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("nest") is None, reason="NEST is not installed")
def test_the_same_spikes_change_weights_as_in_nest():
    """But for the factor g_D / (g_L + g_D); masked, the rule is another."""
    small = ["--seeds", "1", "--seconds", "2", "--target", "numpy"]
    done = subprocess.run(
        [sys.executable, str(BENCHMARK), *small], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if "[" in line]
    found = {name: [float(re.split(" ", text)[0]) for text in values] for name, *values in rows}
    assert float(re.search(r"apart by (\S+)", done.stdout)[1]) < 1e-5
    r, slope = found["nest"]
    assert r > 0.9998
    assert slope == pytest.approx(0.948, abs=0.01)
    r, slope = found["nest, without g_D / (g_L + g_D)"]
    assert slope == pytest.approx(1, abs=0.01)
    r, slope = found["masked"]
    assert r < 0.98
    assert slope < 0.8

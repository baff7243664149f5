"""The registry: one entry a thing, everything else follows from it."""

import ast
import importlib
from typing import get_args

import pytest
import torch

from neuro_aws.metrics import function
from neuro_aws.protocol import registry
from neuro_aws.protocol.backends import BACKENDS
from neuro_aws.protocol.entry import CORTEX, RATE
from neuro_aws.protocol.perturb import SLOTS, Perturbation
from neuro_aws.protocol.stimulus import Stimulus
from tests.conftest import ROOT

TABLES = {
    "theories": registry.THEORIES,
    "measures": registry.MEASURES,
    "perturbations": registry.PERTURBATIONS,
    "stimuli": registry.STIMULI,
}
ENTRIES = [(kind, entry) for kind, table in TABLES.items() for entry in table.values()]


@pytest.mark.parametrize(("kind", "entry"), ENTRIES, ids=lambda e: getattr(e, "name", e))
def test_every_entry_names_code_that_is_there_and_simulators_that_are_known(kind, entry):
    assert set(entry.code) <= {backend.name for backend in BACKENDS}
    assert entry.code, "nobody can do it"
    for target in filter(None, entry.code.values()):
        module, _, attribute = target.partition(":")
        assert callable(getattr(importlib.import_module(module), attribute)), target
    assert entry.help
    assert "\n" not in entry.help


def test_every_credit_is_allowed_and_there():
    from neuro_aws.algorithms.credit import CREDITS

    field = registry.THEORIES["adversarial_wake_sleep"].settings.model_fields["credit"]
    assert list(registry.CREDITS) == list(get_args(field.annotation)) == list(CREDITS)


def test_every_perturbation_has_a_key_and_every_key_an_entry():
    keys = set(Perturbation.model_fields) - {"during", "periods", "cycles"}
    assert keys == set(registry.PERTURBATIONS)
    for name, entry in registry.PERTURBATIONS.items():
        if entry.code[RATE] and name != "apply":
            assert callable(getattr(entry.load(), entry.slot)), name
    assert {e.slot for e in registry.PERTURBATIONS.values()} == {*SLOTS, "schedule", "any"}


def test_every_source_is_one_of_the_union():
    union, *_ = get_args(Stimulus)
    settings = {get_args(option)[0] for option in get_args(union)}
    assert {entry.settings for entry in registry.STIMULI.values()} <= settings


def test_values_have_one_measure_each_and_a_range_that_rises():
    names = [v.name for m in registry.MEASURES.values() for v in m.values]
    assert len(names) == len(set(names))
    for entry in registry.MEASURES.values():
        assert any(v.main for v in entry.values), entry.name
        for v in entry.values:
            assert v.unit
            assert v.low < v.high
    assert registry.value("linear_probe").range == "0 to 1"
    assert registry.value("wake_rate").unit == "Hz"
    assert registry.value("of_my_own").unit == ""


def strings(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_a_measure_stands_in_its_entry_and_its_own_file_only():
    """To add one touches two files; a name anywhere else is a list that somebody must keep."""
    files = {
        p: set(strings(p))
        for p in (ROOT / "neuro_aws").rglob("*.py")
        if p.parent.name != "plots"  # where is chosen what a figure leads with
    }
    for name in ("nearest_neighbours", "log_likelihood", "svm_10fold", "reconstruction"):
        where = [p for p, found in files.items() if name in found]
        assert len(where) <= 2, (name, where)
    for name in ("attenuate_eye", "inactivate_eye"):
        assert [p.name for p, found in files.items() if name in found] == ["perturb.py"], name
    for name in registry.THEORIES:
        where = {p.stem.split("_")[0] for p, found in files.items() if name in found}
        assert where <= {"theories", "presets", "inputs"}, (name, where)


def test_a_new_measure_needs_its_function_and_its_entry(monkeypatch, tiny):
    """Registered here, it is listed, checked, costed and taken."""
    from click.testing import CliRunner

    from neuro_aws.cli.list import command
    from neuro_aws.protocol import measure, measures
    from neuro_aws.protocol.check import measure_faults

    entry = measure.measure(
        "top_spread",
        "spread of the top layer",
        measure.ValueInfo("top_spread", "standard deviation over stimuli", "rate", 0),
        needs=(measure.two_eyes,),
        code={RATE: "tests.protocol.test_registry:top_spread"},
    )
    monkeypatch.setitem(measures.MEASURES, "top_spread", entry)
    monkeypatch.setitem(measures.VALUES, "top_spread", entry)
    printed = CliRunner().invoke(command, ["measures"]).output
    assert "top_spread" in printed
    assert "[rate, from 0] standard deviation over stimuli" in printed
    assert list(measure_faults(tiny.spec, "top_spread")) == [
        "top_spread needs two eyes (patches, `eyes: binocular`)"
    ]
    assert registry.value("top_spread").unit == "rate"
    assert function("top_spread").__qualname__ == "top_spread"
    value = next(iter(function(entry.settings(measure="top_spread"))(Still())))
    assert value[:2] == ("top_spread", 0)


class Still:
    """A subject whose layers do not vary."""

    def waking(self):
        return [torch.ones(4, 3)]


def top_spread(subject):
    yield "top_spread", float(subject.waking()[-1].std()), 2


def test_what_a_simulator_cannot_measure_is_said(tiny):
    from neuro_aws.protocol.check import measure_faults

    assert list(measure_faults(tiny.spec, "spike_rates")) == ["spike_rates measures spikes"]
    assert function("ocular_dominance") is not function("ocular_dominance", CORTEX)

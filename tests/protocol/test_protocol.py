"""What a protocol means: targets, arms, overrides, schema, vocabulary."""

import json
import subprocess
import sys

import jsonschema
import pytest
import yaml

from neuro_aws.errors import ProtocolError
from neuro_aws.protocol import Protocol, json_schema
from neuro_aws.protocol.describe import describe, in_words
from neuro_aws.protocol.perturb import Perturbation
from tests.conftest import PROTOCOLS, ROOT, TINY


def test_published_json_schema_is_the_models_and_accepts_what_is_shipped():
    assert json_schema.PUBLISHED.read_text() == json_schema.text()
    validator = jsonschema.Draft202012Validator(json.loads(json_schema.text()))
    files = [
        *PROTOCOLS,
        ROOT / "neuro_aws/protocol/template.yaml",
    ]
    for path in files:
        data = yaml.safe_load(path.read_text())
        assert validator.is_valid(data), path
        data["measure"] = ["ach_gapp"]
        assert not validator.is_valid(data), path


def test_validate_and_the_protocol_package_do_not_import_torch():
    code = (
        "import sys; from neuro_aws.cli import main\n"
        f"main(['validate', {str(ROOT / 'protocols/quickstart.yaml')!r}])\n"
        "sys.exit(any(m.split('.')[0] in ('torch', 'sklearn', 'matplotlib') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_targets_are_nested_fractions_and_the_same_in_every_arm():
    text = TINY.replace(
        "targets:\n",
        "targets:\n  few: {layer: 1, fraction: 0.1}\n  other: {layer: 1, fraction: 0.3, draw: 1}\n",
    )
    protocol = Protocol.from_text(text)
    for animal in range(10):
        cells = protocol.targets(animal)
        assert set(cells["few"].ids) <= set(cells["cells"].ids)
        assert len(cells["few"].ids) == 2
        assert len(cells["cells"].ids) == 6
        assert cells == protocol.targets(animal)
        assert cells["cells"].ids == tuple(sorted(cells["cells"].ids))
    assert len({protocol.targets(a)["cells"].ids for a in range(20)}) > 10
    assert any(protocol.targets(a)["cells"] != protocol.targets(a)["other"] for a in range(3))


def test_validate_prints_the_ids_that_are_used(tiny):
    text = "\n".join(describe(tiny, [3]))
    ids = " ".join(map(str, tiny.targets(3)["cells"].ids))
    assert f"animal 3, cells: layer 1, 6 cells: {ids}" in text
    assert "silence targets=cells in rem; critical_period, steps 42 to 69" in text


def test_a_perturbation_is_worded_in_one_way(tiny):
    """In recordings, tables and what `validate` prints alike."""
    (silenced,) = tiny.tree.arms["rem_silenced"].perturb
    assert in_words(silenced) == "silence targets=cells in rem"
    clamp = Perturbation.model_validate(
        {"clamp": {"neuromodulator": "ach", "discriminator": "held"}, "in": "critical_period"}
    )
    assert in_words(clamp) == "clamp ach discriminator=held"
    assert in_words(silenced) in "\n".join(describe(tiny, [0]))


def test_a_level_of_a_clamp_is_refused_and_read_where_it_was_run():
    """Its gradient is 0 whatever it is; a run that wrote one down stays readable."""
    leveled = TINY.replace(
        "{silence: {targets: cells}, during: rem, in: critical_period}",
        "{clamp: {neuromodulator: ach, level: 0.5}, in: critical_period}",
    )
    with pytest.raises(ProtocolError) as refused:
        Protocol.from_text(leveled)
    (fault,) = refused.value.faults
    assert "perturb[0].clamp.level" in fault
    assert "a constant teaches nothing" in fault
    clamp = Protocol.from_text(leveled, older=True).spec.arms["rem_silenced"].perturb[0].clamp
    assert clamp.level == 0.5
    Protocol.from_text(leveled.replace("level: 0.5", "level: 0.0"))


def test_arms_share_a_trunk_unless_they_differ_initially():
    text = TINY.replace(
        "arms:\n",
        "arms:\n  scalar: {initial: {algorithm.credit: scalar}}\n"
        "  scalar_too: {initial: {algorithm.credit: scalar}, set: {algorithm.kl: 0.5}}\n",
    )
    tree = Protocol.from_text(text).tree
    assert [a.trunk for a in tree.arms.values()] == ["common"] * 2 + ["common_1"] * 2
    too = tree.arms["scalar_too"]
    assert (too.initial.algorithm.kl, too.spec.algorithm.kl) == (1e-3, 0.5)
    assert too.initial.algorithm.credit == too.spec.algorithm.credit == "scalar"
    assert too.branch == 42
    assert tree.steps == 2 * 42 + 4 * 28


def test_overrides_reach_the_settings_and_the_resolved_file():
    protocol = Protocol.from_text(
        TINY,
        "t",
        ["network.noise.scale=0.5", "schedule.0.cycles=7", "algorithm.feedforward.rate=5e-5"],
    )
    assert protocol.spec.network.noise.scale == 0.5
    assert protocol.spec.schedule[0].cycles == 7
    resolved = yaml.safe_load(protocol.resolved())
    assert resolved["network"]["noise"]["scale"] == 0.5
    assert resolved["algorithm"]["feedforward"]["rate"] == 5e-5
    again = Protocol.from_text(protocol.resolved())
    assert again.spec == protocol.spec


def test_a_misplaced_window_does_not_perturb(tiny):
    text = TINY.replace("in: critical_period}", "in: critical_period, cycles: {from: 1, until: 3}}")
    arm = Protocol.from_text(text).tree.arms["rem_silenced"]
    acts = [bool(arm.active(1, cycle, "rem")) for cycle in range(4)]
    assert acts == [False, True, True, False]
    assert not arm.active(1, 1, "wake")
    assert not arm.active(0, 1, "rem")


def test_what_an_arm_changes_within_a_mapping_of_its_own_leaves_its_initial_settings():
    """An arm that is switched at the branch shares the common run of what it grew up under."""
    arms = """
  grown: {initial: {network.homeostasis: {over: time, steps: 100}}}
  switched: {initial: {network.homeostasis: {over: time, steps: 100}}, set: {network.homeostasis.steps: 10}}
"""
    text = TINY.replace("\n  rem_silenced:", f"{arms}  rem_silenced:")
    tree = Protocol.from_text(text).tree
    switched = tree.arms["switched"]
    assert switched.trunk == tree.arms["grown"].trunk
    assert switched.initial.network.homeostasis.steps == 100
    assert switched.spec.network.homeostasis.steps == 10

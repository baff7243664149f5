"""Malformed protocols: each refused before the run, in one line that names the key, no traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

from neuro_aws.errors import NeuroAWSError, ProtocolError
from neuro_aws.protocol import Protocol

GOOD = """
schema_version: 3
name: good
seeds: 2
stimulus: {source: digits, batch: 16}
network: {layers: [64, 20, 6]}
algorithm: {credit: layer}
targets:
  cells: {layer: 1, fraction: 0.3}
schedule:
  - {name: infancy, cycles: 6, phases: [{wake: 1}, {rem: 1}]}
  - {name: critical, cycles: 4, branch: true, phases: [{wake: 1}, {rem: 1}]}
arms:
  control: {}
  silenced: {perturb: [{silence: {targets: cells}, during: rem, in: critical}]}
measure: [target_cells, ach_gap]
expect:
  - {arm: control, value: ach_gap, period: critical, between: [0, 9]}
"""

# (what is replaced, by what, a key that the line must name, what it must say)
MALFORMED = [
    ("cycles: 6", "cycels: 6", "schedule[0].cycels", "did you mean 'cycles'"),
    ("cycles: 6", "cycles: '6'", "schedule[0].cycles", "valid integer"),
    ("cycles: 6", "cycles: 0", "schedule[0].cycles", "greater than or equal to 1"),
    ("cycles: 6", "cycles: true", "schedule[0].cycles", "valid integer"),
    ("cycles: 6", "cycles: 2.5", "schedule[0].cycles", "valid integer"),
    ("cycles: 6, ", "", "schedule[0].cycles", "missing"),
    ("schema_version: 3", "schema_version: 4", "schema_version", "Allowed: 3"),
    ("schema_version: 3", "schema_version: 1", "schema_version", "`neuro-aws upgrade bad.yaml`"),
    ("schema_version: 3\n", "", "schema_version", "missing"),
    ("name: good", "name: ../../etc", "name", "a letter, then letters"),
    ("seeds: 2", "seeds: -1", "seeds", "greater than or equal"),
    ("seeds: 2", "seeds: 2\nseeds: 3", "seeds", "stands twice"),
    ("source: digits", "source: digit", "stimulus", "did you mean 'digits'"),
    ("source: digits, ", "", "stimulus", "say the source"),
    ("batch: 16", "batch: 1", "stimulus.batch", "greater than or equal to 2"),
    ("batch: 16", "bach: 16", "stimulus.bach", "did you mean 'batch'"),
    ("[64, 20, 6]", "[60, 20, 6]", "network.layers", "64 pixels"),
    ("[64, 20, 6]", "[64]", "network.layers", "at least 2"),
    ("[64, 20, 6]", "[64, 0, 6]", "network", "1 to 100000 units"),
    ("[64, 20, 6]", "[64, 20, 6], noise: {scale: .nan}", "network.noise.scale", "not allowed"),
    ("[64, 20, 6]", "[64, 20, 6], transfer: relo", "network.transfer", "did you mean 'relu'"),
    ("[64, 20, 6]", "[64, 20, 6], noise: {scale: loud}", "network.noise.scale", "valid number"),
    ("credit: layer", "credit: layers", "algorithm.credit", "did you mean 'layer'"),
    (
        "{credit: layer}",
        "{name: adversarial_wake_sleep, gamma: 0.5}",
        "algorithm.gamma",
        "it belongs to doubly_adversarial",
    ),
    ("credit: layer", "credit: scalar}\nnetworks: {a: 1", "networks", "did you mean 'network'"),
    (
        "credit: layer",
        "name: wake_sleep, credit: scalar",
        "algorithm.credit",
        "unknown key under wake_sleep (it belongs to adversarial_wake_sleep). Allowed: density",
    ),
    ("credit: layer", "name: aws", "algorithm.name", "module:Class"),
    ("credit: layer", "options: {a: 1}", "algorithm.options", "unknown key under adversarial"),
    ("credit: layer", "name: frozen, feedforward: {rate: 1.0}", "algorithm.feedforward", "frozen"),
    ("credit: layer", "name: frozen, feedbak: {}", "algorithm.feedbak", "did you mean 'feedback'"),
    ("algorithm: {credit: layer}", "algorithm: 3", "algorithm", "mapping"),
    (
        "control: {}",
        "control: {initial: {algorithm.name: wake_sleep}}",
        "arms.control.initial",
        "initial: {algorithm: {name: wake_sleep}}",
    ),
    ("control: {}", "control: {birth: {seeds: 1}}", "arms.control.birth", "Allowed: description"),
    ("credit: layer", "feedforward: {rate: 0}", "algorithm.feedforward.rate", "greater than 0"),
    (
        "credit: layer",
        "feedforward: {apply: month}",
        "algorithm.feedforward.apply",
        "'step' or 'cycle'",
    ),
    ("fraction: 0.3", "fraction: 1.3", "targets.cells.fraction", "less than or equal to 1"),
    ("fraction: 0.3", "fraction: 0.3, ids: [1]", "targets.cells", "exactly one of"),
    ("fraction: 0.3", "ids: [3, 20]", "targets.cells.ids", "units 0 to 19"),
    ("fraction: 0.3", "ids: [3, 3]", "targets.cells", "twice"),
    ("fraction: 0.3", "ids: [-1]", "targets.cells.ids[0]", "greater than or equal to 0"),
    ("layer: 1", "layer: 3", "targets.cells.layer", "from 0 (the stimulus) to 2"),
    ("layer: 1, ", "", "targets.cells", "say which cells"),
    ("name: critical", "name: infancy", "schedule[1].name", "two periods"),
    ("{name: infancy", "{branch: true, name: infancy", "schedule[1].branch", "once only"),
    ("[{wake: 1}, {rem: 1}]}", "[]}", "schedule[0].phases", "at least 1"),
    ("[{wake: 1}, {rem: 1}]}", "[{wake: 1, rem: 1}]}", "schedule[0].phases[0]", "one of wake"),
    (
        "[{wake: 1}, {rem: 1}]}",
        "[{wake: 1}, {dream: 1}]}",
        "schedule[0].phases[1].dream",
        "Allowed",
    ),
    ("[{wake: 1}, {rem: 1}]}", "[{repeat: 2}]}", "schedule[0].phases[0]", "go together"),
    ("[{wake: 1}, {rem: 1}]}", "[{wake: -1}]}", "schedule[0].phases[0].wake", "greater than"),
    (
        "silence: {targets: cells}",
        "silence: {targets: cell}",
        "arms.silenced.perturb[0].silence.targets",
        "did you mean 'cells'",
    ),
    (
        "silence: {targets: cells}",
        "silnce: {targets: cells}",
        "arms.silenced.perturb[0].silnce",
        "did you mean 'silence'",
    ),
    (
        "silence: {targets: cells}",
        "scale: {targets: cells}",
        "arms.silenced.perturb[0].scale.by",
        "missing",
    ),
    (
        "silence: {targets: cells}",
        "scale: {targets: cells, by: -1}",
        "arms.silenced.perturb[0].scale.by",
        "greater than",
    ),
    (
        "silence: {targets: cells}",
        "clamp: {neuromodulator: dopamine}",
        "clamp.neuromodulator",
        "'ach'",
    ),
    (
        "silence: {targets: cells}",
        "pair: {labels: [10], gain: 3}",
        "pair.labels",
        "labels are 0 to 9",
    ),
    ("silence: {targets: cells}", "pair: {labels: [1], gain: 1}", "pair.gain", "greater than 1"),
    (
        "silence: {targets: cells}",
        "dose: {neuromodulator: ach, by: 0}",
        "dose.by",
        "greater than 0",
    ),
    (
        "silence: {targets: cells}",
        "dose: {neuromodulator: ach, by: 2, labels: [10]}",
        "dose.labels",
        "labels are 0 to 9",
    ),
    ("silence: {targets: cells}", "lid_suture: {eye: left}", "lid_suture", "two eyes"),
    ("silence: {targets: cells}", "yoke: {teaching: swapped}", "yoke.teaching", "shuffled"),
    ("silence: {targets: cells}, ", "", "arms.silenced.perturb[0]", "exactly one action"),
    (
        "silence: {targets: cells}",
        "silence: {targets: cells}, block: {neuromodulator: ach}",
        "arms.silenced.perturb[0]",
        "exactly one action",
    ),
    (
        "silence: {targets: cells}, during: rem",
        "deprive_sleep: {wake_block: 3}",
        "deprive_sleep",
        "divide",
    ),
    ("during: rem", "during: dreaming", "arms.silenced.perturb[0].during", "wake, nrem, rem"),
    ("during: rem", "during: nrem", "arms.silenced.perturb[0].during", "never happen"),
    ("in: critical", "in: adulthood", "arms.silenced.perturb[0].in", "no period 'adulthood'"),
    ("in: critical", "in: infancy", "arms.silenced.perturb[0].in", "before the branch"),
    (", in: critical", "", "arms.silenced.perturb[0].in", "missing"),
    ("in: critical", "in: critical, cycles: {from: 3, until: 2}", "cycles", "empty window"),
    ("in: critical", "in: critical, cycles: {until: 9}", "cycles.until", "4 cycles"),
    (
        "in: critical}",
        "in: critical}, {silence: {targets: cells}, during: rem, in: critical}",
        "arms.silenced.perturb[1]",
        "overlaps",
    ),
    (
        "in: critical}",
        "in: critical}, {scale: {layer: 1, ids: [2], by: 2}, during: rem, in: critical}",
        "arms.silenced.perturb[1]",
        "overlaps",
    ),
    ("control: {}", "control: {reference: ctrl}", "arms.control.reference", "no arm 'ctrl'"),
    (
        "control: {}",
        "control: {set: {network.layers: [64, 9]}}",
        "arms.control.set",
        "cannot change after the branch",
    ),
    (
        "control: {}",
        "control: {initial: {algorithm.credit: layre}}",
        "arms.control.initial",
        "did you mean 'layer'",
    ),
    ("control: {}", "control: 3", "arms.control", "mapping"),
    ("control: {}", "my control: {}", "arms.my control", "letters"),
    ("[target_cells, ach_gap]", "[target_cells, ach_gapp]", "measure[1]", "did you mean 'ach_gap'"),
    ("[target_cells, ach_gap]", "[ach_gap, ach_gap]", "measure[1]", "listed twice"),
    ("[target_cells, ach_gap]", "[ocular_dominance, ach_gap]", "measure[0]", "two eyes"),
    (
        "[target_cells, ach_gap]",
        "[{measure: linear_probe, layers: [0, 3]}, ach_gap]",
        "measure[0].layers",
        "no layer 3",
    ),
    (
        "[target_cells, ach_gap]",
        "[{measure: linear_probe, layers: [2], compartments: [dendrite]}, ach_gap]",
        "measure[0].layers",
        "no dendrites",
    ),
    (
        "[target_cells, ach_gap]",
        "[{measure: linear_probe, compartments: [dendrites]}, ach_gap]",
        "compartments",
        "did you mean 'dendrite'",
    ),
    (
        "[target_cells, ach_gap]",
        "[{measure: receptive_field, targets: cellz}, ach_gap]",
        "measure[0].targets",
        "no set 'cellz'. Sets: cells",
    ),
    (
        "[target_cells, ach_gap]",
        "[{measure: receptive_field, layer: 1, first: 21}, ach_gap]",
        "measure[0].first",
        "layer 1 has 20 units",
    ),
    (
        "[target_cells, ach_gap]",
        "[{measure: receptive_field, layer: 1}, ach_gap]",
        "measure[0]",
        "go together",
    ),
    (
        "[target_cells, ach_gap]",
        "[{measure: ach_gap, layers: [1]}]",
        "measure[0]",
        "unknown key",
    ),
    ("value: ach_gap", "value: gap", "expect[0].value", "no value 'gap'"),
    ("value: ach_gap", "value: diversity", "expect[0].value", "needs the measure"),
    ("between: [0, 9]", "between: [9, 0]", "expect[0]", "[low, high]"),
    ("between: [0, 9]", "since: birth, between: [0, 9]", "expect[0].since", "Allowed: 'initial'"),
    (
        "ach_gap, period: critical, between: [0, 9]",
        "target_activity, period: critical, since: initial, between: [0, 9]",
        "expect[0].since",
        "from the onset of the arm on",
    ),
    ("arm: control, value", "arm: contrl, value", "expect[0].arm", "did you mean 'control'"),
    ("period: critical,", "period: late,", "expect[0].period", "no period 'late'"),
    (
        "measure: [",
        "record: {activity: [{layer: 5}]}\nmeasure: [",
        "record.activity[0].layer",
        "no layer 5",
    ),
    (
        "measure: [",
        "record: {activity: [{layer: 1, ids: [20]}]}\nmeasure: [",
        "record.activity[0].ids",
        "units 0 to 19",
    ),
    (
        "measure: [",
        "record: {activity: [{layer: 1}, {layer: 1}]}\nmeasure: [",
        "record.activity[1].layer",
        "twice",
    ),
    (
        "[{wake: 1}, {rem: 1}]}",
        "[{wake: 10000000000}]}",
        "schedule[0].phases[0].wake",
        "less than or equal",
    ),
    (
        "[{wake: 1}, {rem: 1}]}",
        "[{repeat: 9999999, phases: [{repeat: 9999999, phases: [{wake: 9}]}]}]}",
        "schedule[0].phases",
        "steps in a cycle",
    ),
    ("cycles: 6", "cycles: 9000000", "schedule", "steps in a run"),
    (
        "silence: {targets: cells}, during: rem",
        "clamp: {neuromodulator: ach}, during: rem",
        "during",
        "acts in wake only",
    ),
    (
        "silence: {targets: cells}, during: rem",
        "pair: {labels: [1], gain: 2}, during: [rem, nrem]",
        "during",
        "acts in wake only",
    ),
    ("control: {}", "common_1: {}", "arms.common_1", "kept for the run"),
    (
        "[64, 20, 6]",
        "[64, 20, 6], inverse_relu: 0.1, transfer: tanh",
        "network.inverse_relu",
        "inverse of a ReLU",
    ),
    ("seeds: 2", "seeds: [2", "", "not valid YAML"),
    ("seeds: 2", "seeds: !!python/object/apply:os.system [ls]", "", "not valid YAML"),
    ("seeds: 2", "seeds: 2026-01-01", "seeds", "valid integer"),
    ("seeds: 2", "2: 3", "2", "must be text"),
    ("seeds: 2", "seeds: &a [*a]", "", "alias"),
]


@pytest.mark.parametrize(("old", "new", "key", "says"), MALFORMED)
def test_each_is_refused_in_a_line_that_names_the_key(old, new, key, says):
    assert old in GOOD
    with pytest.raises(ProtocolError) as caught:
        Protocol.from_text(GOOD.replace(old, new, 1), "bad.yaml")
    lines = str(caught.value).split("\n")
    assert any(key in line and says in line and line.startswith("bad.yaml") for line in lines), (
        lines
    )
    assert not any("pydantic" in line or "http" in line for line in lines)


def test_the_original_is_good_and_there_are_more_than_thirty():
    Protocol.from_text(GOOD)
    assert len(MALFORMED) > 30


def test_lines_point_at_the_line_of_the_key():
    with pytest.raises(ProtocolError, match=r"^bad.yaml:9: targets"):
        Protocol.from_text(GOOD.replace("fraction: 0.3", "fraction: 3"), "bad.yaml")


@pytest.mark.parametrize("text", ["", "3", "[1, 2]", "just words", "\x00", "a: b: c", "- - -"])
def test_what_is_no_mapping_is_refused(text):
    with pytest.raises(ProtocolError):
        Protocol.from_text(text)


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("seeds", "key.path=value"),
        ("seeds=[", "valid YAML"),
        ("sceds=3", "did you mean 'seeds'"),
        ("schedule.7.cycles=3", "items 0 to 1"),
        ("seeds.x=3", "has no keys"),
        ("seeds=many", "valid integer"),
    ],
)
def test_overrides_are_checked_too(assignment, says):
    with pytest.raises(ProtocolError) as caught:
        Protocol.from_text(GOOD, "good.yaml", [assignment])
    assert says in str(caught.value)
    assert "--set" in str(caught.value)


def test_files_that_cannot_be_read_are_named(tmp_path: Path):
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(NeuroAWSError, match=str(path)):
            Protocol.load(path)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(NeuroAWSError, match="UTF-8"):
        Protocol.load(binary)


def test_the_command_says_so_without_a_traceback(tmp_path: Path):
    path = tmp_path / "bad.yaml"
    path.write_text(GOOD.replace("cycles: 6", "cycels: 6"))
    for command in ("validate", "run"):
        done = subprocess.run(
            [sys.executable, "-m", "neuro_aws", command, str(path)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert done.returncode == 1
        assert "did you mean 'cycles'" in done.stderr
        assert "Traceback" not in done.stderr + done.stdout
    assert not (tmp_path / "runs").exists()

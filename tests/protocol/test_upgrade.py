"""neuro-aws upgrade: versions 1 and 2 become 3 in place, what is not changed stays to the character."""

import subprocess
import sys

import pytest

from neuro_aws.errors import NeuroAWSError, ProtocolError
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.rewrite import upgraded

OLD = """\
# What is asked here is in a comment.
schema_version: 1   # of the form
name: old
stimulus: {source: digits, batch: 16}
network: {layers: [64, 20, 6], noise: {scale: 0.1, decay: {factor: 1.0}}}
algorithm:
  credit: layer        # the default
  gamma: 0.5
  # kept as it is
  feedforward: {rate: 1.0e-4}
schedule:
  - {name: infancy, cycles: 6, phases: [{wake: 1}, {rem: 1}]}
  - {name: critical, cycles: 4, branch: true, phases: [{wake: 1}, {rem: 1}]}
arms:
  control: {}
  scalar: {birth: {algorithm.credit: scalar}}   # from the start
  ws:
    birth:
      algorithm.name: wake_sleep
      algorithm.feedforward.rate: 2.0e-4
      network.derivative: surrogate
    set: {network.noise.scale: 0.3}
  clamped: {perturb: [{clamp: {neuromodulator: ach, level: 0.5}, in: critical}]}
measure:
  - {measure: ach_gap, every: 2, repeats: 3}
  - measure: linear_probe
    repeats: 2
"""

NEW = """\
# What is asked here is in a comment.
preset: without_homeostasis
schema_version: 3   # of the form
name: old
stimulus: {source: digits, batch: 16}
network: {layers: [64, 20, 6], noise: {scale: 0.1}}
algorithm:
  credit: layer        # the default
  # kept as it is
  feedforward: {rate: 1.0e-4}
schedule:
  - {name: infancy, cycles: 6, phases: [{wake: 1}, {rem: 1}]}
  - {name: critical, cycles: 4, branch: true, phases: [{wake: 1}, {rem: 1}]}
arms:
  control: {}
  scalar: {initial: {algorithm.credit: scalar}}   # from the start
  ws:
    initial:
      {algorithm: {feedforward: {rate: 0.0002}, name: wake_sleep}, network.derivative: surrogate}
    set: {network.noise.scale: 0.3}
  clamped: {perturb: [{clamp: {neuromodulator: ach}, in: critical}]}
measure:
  - {measure: ach_gap, every: 2}
  - measure: linear_probe
    repeats: 2
"""


def test_layout_and_comments_stay_and_what_had_no_effect_goes():
    text, notes = upgraded(OLD, "old.yaml")
    assert text == NEW
    assert len(notes) == 9
    assert "algorithm.gamma dropped: adversarial_wake_sleep has no such setting" in notes
    tree = Protocol.from_text(text).tree
    ws = tree.arms["ws"].initial
    assert (ws.algorithm.name, ws.algorithm.feedforward.rate) == ("wake_sleep", 2e-4)
    assert ws.network.derivative == "surrogate"
    assert tree.arms["ws"].spec.network.noise.scale == 0.3


def test_an_older_text_is_refused_in_a_line_and_read_where_a_run_is_looked_at():
    with pytest.raises(ProtocolError, match=r"old.yaml:2: .*`neuro-aws upgrade old.yaml`") as e:
        Protocol.from_text(OLD, "old.yaml")
    assert "\n" not in str(e.value)
    lost = OLD.replace("  gamma: 0.5", "  surprisal: 0.5")
    older = Protocol.from_text(
        lost, "old.yaml", ["arms.scalar.birth={algorithm.credit: none}"], older=True
    )
    assert older.tree.arms["scalar"].initial.algorithm.credit == "none"
    assert any("algorithm.surprisal dropped" in note for note in older.notes)
    assert set(older.tree.trunks) == {"common_life", "common_life_1", "common_life_2"}
    assert set(Protocol.from_text(NEW).tree.trunks) == {"common", "common_1", "common_2"}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("gamma: 0.5", "surprisal: 0.5", r"old.yaml:8: algorithm.surprisal: cannot be upgraded"),
        ("decay: {factor: 1.0}", "by_layer: [1, 2, 1]", "network.noise.by_layer"),
        ("decay: {factor: 1.0}", "decay: {factor: 0.9}", "network.noise.decay"),
        ("layers: [64", "birth: small, layers: [64", "no `small` any more"),
        ("schema_version: 1", "schema_version: 3", "schema_version 3 already"),
        ("schema_version: 1", "schema_version: 7", "no schema_version that can be upgraded"),
        ("birth: {algorithm.credit: scalar}", "birth: {algorithm.surprisal: 1.0}", "surprisal"),
    ],
)
def test_what_would_be_lost_is_refused(old, new, says):
    assert old in OLD
    with pytest.raises(NeuroAWSError, match=says):
        upgraded(OLD.replace(old, new, 1), "old.yaml")


def test_the_command_rewrites_the_file_or_leaves_it_as_it_was(tmp_path):
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(OLD)
    wrong = OLD.replace("cycles: 6", "cycels: 6")
    bad.write_text(wrong)

    def upgrade(name):
        return subprocess.run(
            [sys.executable, "-m", "neuro_aws", "upgrade", name],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )

    done = upgrade("good.yaml")
    assert done.returncode == 0, done.stderr
    assert "good.yaml: arms.scalar.birth -> initial" in done.stdout
    assert good.read_text() == NEW
    done = upgrade("bad.yaml")
    assert done.returncode == 1
    assert "did you mean 'cycles'" in done.stderr
    assert bad.read_text() == wrong


OF_2 = """\
schema_version: 2
name: second
stimulus: {source: digits}
schedule: [{name: all, cycles: 4, phases: [{wake: 1}, {rem: 1}]}]
"""


@pytest.mark.parametrize(
    ("more", "preset"),
    [
        ("", "without_homeostasis"),
        ("preset: dcgan\nnetwork: {dcgan: {side: 16}}\n", "dcgan"),
        ("backend: spiking\nalgorithm: {credit: scalar}\nnetwork: {layers: [64, 30]}\n", None),
    ],
)
def test_what_version_2_took_as_its_defaults_is_written_out(more, preset):
    """Its numbers stay: whatever a protocol of then did not say is said by the preset."""
    text = OF_2 + more
    if "dcgan" in more:
        text = text.replace("source: digits", "source: digits, side: 16")
    spec = Protocol.from_text(upgraded(text, "second.yaml")[0]).spec
    assert spec.preset == preset
    if preset:
        rates = [spec.algorithm.learning(kind).rate for kind in ("feedforward", "feedback")]
        assert spec.network.homeostasis.over == "none"
        assert rates == ([2e-5, 2e-3] if preset == "dcgan" else [5e-5, 1e-3])
    with pytest.raises(ProtocolError, match="2 is an older form"):
        Protocol.from_text(text, "second.yaml")
    assert set(Protocol.from_text(text, older=True).tree.trunks) == {"common"}


REPLAYED = """\
schema_version: 2
name: old
stimulus: {source: digits, batch: 16}
NETWORK
algorithm: {replay: 0.5, kl: 0.0}
schedule:
  - {name: training, cycles: 6, phases: [{wake: 1}, {rem: 1}]}
arms:
  control: {}
  none: {initial: {algorithm.replay: 0}}   # dreams of the prior
  more: {initial: {network.derivative: surrogate, algorithm.replay: 1}}
  sleep: {initial: {algorithm: {name: wake_sleep}}}
  frozen: {initial: {algorithm: {name: frozen, replay: 0.25}}}
"""

HALF = "{hopfield: continuous, recall: exact, patterns: 8, best: 8, share: 0.5}"


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("network", "becomes"),
    [
        ("network: {layers: [64, 20, 6]}", f"network: {{memory: {HALF}, layers: [64, 20, 6]}}"),
        (
            "network:\n    layers: [64, 20, 6]  # small\n    top: tanh",
            f"network:\n    memory: {HALF}\n    layers: [64, 20, 6]  # small\n    top: tanh",
        ),
        ("network: {}", f"network: {{memory: {HALF}}}"),
        ("", ""),
    ],
)
def test_a_memory_stands_for_replay(network, becomes, version):
    old = REPLAYED.replace("NETWORK\n", f"{network}\n" if network else "")
    old = old.replace("schema_version: 2", f"schema_version: {version}")
    if version == 1:
        old = old.replace("initial:", "birth:")
    text, notes = upgraded(old, "old.yaml")
    assert becomes in text
    assert "algorithm: {kl: 0.0}" in text
    assert "  none: {initial: {network.memory: null}}   # dreams of the prior" in text
    assert "algorithm.replay dropped: a memory does it" in notes
    tree = Protocol.from_text(text).tree
    found = {name: arm.initial.network.memory for name, arm in tree.arms.items()}
    told = {name: kept and (kept.recall, kept.best, kept.share) for name, kept in found.items()}
    assert told == {
        "control": ("exact", 8, 0.5),
        "none": None,
        "more": ("exact", 16, 1.0),
        "sleep": None,
        "frozen": ("exact", 4, 0.25),
    }
    assert tree.arms["sleep"].initial.algorithm.name == "wake_sleep"
    older = Protocol.from_text(old, "old.yaml", older=True)
    assert older.tree.arms["more"].initial.network.memory == found["more"]


def test_replay_that_changes_at_the_branch_is_refused_and_none_goes_without_a_word():
    changing = REPLAYED.replace("NETWORK", "network: {}").replace(
        "{initial: {algorithm.replay: 0}}", "{set: {algorithm.replay: 0.1}}"
    )
    with pytest.raises(NeuroAWSError, match="algorithm.replay: cannot be upgraded"):
        upgraded(changing, "old.yaml")
    none = REPLAYED.replace("NETWORK", "network: {}").partition("arms:")[0]
    text, _ = upgraded(none.replace("replay: 0.5", "replay: 0"), "old.yaml")
    assert "memory" not in text
    assert "replay" not in text

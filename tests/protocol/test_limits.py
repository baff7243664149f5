"""What a file costs before it is refused: nothing that a page of YAML says may blow up."""

import subprocess
import sys

import pytest

from neuro_aws.errors import ProtocolError
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.document import LONGEST_FAULT
from tests.calls import command
from tests.conftest import ROOT, TINY

SILENCED = "perturb: [{silence: {targets: cells}, during: rem, in: critical_period}]"


def aliases(levels: int = 7, width: int = 9) -> str:
    """Return a few lines that stand for ``width`` to the power of ``levels`` values."""
    lines = [f"x0: &a0 [{', '.join(['1'] * width)}]"]
    lines += [f"x{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width)}]" for i in range(1, levels)]
    return "\n".join(lines) + "\n"


def arms(settings: str) -> str:
    return TINY.replace(
        "record:", "".join(f"  a{i}: {{{settings}}}\n" for i in range(400)) + "record:"
    )


def periods(count: int) -> str:
    new = "".join(
        f"  - {{name: p{i}, cycles: 1, phases: [{{wake: 1}}, {{rem: 1}}]}}\n" for i in range(count)
    )
    return TINY.replace("arms:", new + "arms:")


def keys(count: int) -> str:
    return TINY + "".join(f"unknown_{i}: 1\n" for i in range(count))


LARGE = {
    "aliases": aliases() + TINY,
    "aliases in a name": aliases() + TINY.replace("name: tiny", "name: *a6"),
    "400 arms": arms(SILENCED),
    "400 arms with settings of their own": arms(f"set: {{algorithm.credit: none}}, {SILENCED}"),
    "400 initialisations": arms("initial: {network.noise.scale: 0.1}"),
    "400 schedules": arms("initial: {schedule.0.cycles: 3}"),
    "1,000 periods": periods(998),
    "5,000 periods": periods(5000),
    "20,000 unknown keys": keys(20_000),
    "9,000 unknown keys": keys(9_000),
    "9,000 keys of an arm": TINY.replace(
        "control: {}", "control: {set: {" + ", ".join(f"k{i}: 1" for i in range(9000)) + "}}"
    ),
    "9,000 keys of the short form": TINY
    + "short: {set: {"
    + ", ".join(f"k{i}: 1" for i in range(9000))
    + "}}\n",
    "100,000 cells": TINY.replace("fraction: 0.3", f"ids: [{'1, ' * 100_000}]"),
    "10,000 blocks": TINY.replace(
        "[{wake: 1}, {rem: 1}]", f"[{', '.join(['{wake: 1}, {rem: 1}'] * 10_000)}]"
    ),
    "100 perturbations of an arm": TINY.replace(
        "rem_silenced: {perturb: [",
        "rem_silenced: {perturb: ["
        + "".join(
            f"{{silence: {{layer: 1, ids: [{i % 20}]}}, during: rem, in: critical_period, "
            f"cycles: {{from: {i % 4}, until: {i % 4 + 1}}}}}, "
            for i in range(99)
        ),
    ),
    "100 lists deep": TINY + "x: " + "[" * 100 + "]" * 100 + "\n",
    "500 lists deep": TINY + "x: " + "[" * 500 + "]" * 500 + "\n",
    "an endless number": TINY.replace("seeds: 1", "seeds: " + "9" * 300_000),
    "a long text": TINY.replace("source: digits", "source: " + "x" * 300_000),
    "a long key": TINY + "x" * 300_000 + ": 1\n",
    "a long cycle": TINY.replace("repeat: 3", "repeat: 499999").replace("cycles: 6", "cycles: 1"),
}

MEASURED = """
import resource, sys, time
from neuro_aws.errors import NeuroAWSError
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.cost import estimate
from neuro_aws.protocol.describe import describe
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    before, began = peak(), time.process_time()
    try:
        protocol = Protocol.load(path, short=path.endswith("short.yaml"))
        list(describe(protocol, protocol.animals()))
        estimate(protocol, 1)
        said = 0
    except NeuroAWSError as error:
        said = len(str(error).encode())
    print(time.process_time() - began, (peak() - before) / 1000, said)
"""


def test_no_protocol_takes_seconds_or_200_megabytes_to_be_refused_or_accepted(tmp_path):
    """A law against blow-up, to minutes and gigabytes: most take a tenth of a second."""
    paths = []
    for i, (name, text) in enumerate(LARGE.items()):
        paths.append(tmp_path / f"{i}{'short' if 'short' in name else ''}.yaml")
        paths[-1].write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, paths)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = dict(zip(LARGE, done.stdout.splitlines(), strict=True))
    for name, line in found.items():
        seconds, megabytes, said = map(float, line.split())
        assert seconds < 6, (name, line)
        assert megabytes < 200, (name, line)
        assert said <= 2000, (name, line)


def test_at_most_twenty_faults_are_said_each_short():
    with pytest.raises(ProtocolError) as caught:
        Protocol.from_text(keys(100), "p.yaml")
    *faults, last = str(caught.value).split("\n")
    assert 5 < len(faults) <= 20
    assert last.startswith("and more")
    assert len(str(caught.value)) < 2000
    words = [fault.split(": ", 2)[2] for fault in faults]
    assert all(len(w) <= LONGEST_FAULT for w in words)


def test_many_arms_are_checked_as_one_arm_is():
    """Each against its own settings: a fault of the last of 400 arms is found and named."""
    wrong = arms("initial: {network.noise.scale: 0.1}").replace(
        "a399: {initial: {network.noise.scale: 0.1}", "a399: {initial: {network.layers: [64, 5, 6]}"
    )
    wrong = wrong.replace("fraction: 0.3", "ids: [7]")
    with pytest.raises(ProtocolError, match=r"arms.a399.initial.*layer 1 has units 0 to 4, not 7"):
        Protocol.from_text(wrong)


SCALARS = [
    "0x" + "f" * 5000,
    "0b",
    "0x_",
    "-",
    "1_000",
    "!!bool maybe",
    "!!int x",
    "!!float ''",
    "!!timestamp nonsense",
    "!!binary /w==",
    "!!set {a}",
    "!!python/name:os.system ''",
    '"\\UFFFFFFFF"',
    '"\\ud800"',
    '"\\e[31mred"',
    '"\\x9b31m"',
    "1:30",
    "190:20:30",
    "010",
    "190:20:30.15",
    "2026-01-01",
    "2026-99-99",
    "2026-01-01t25:61:61Z",
    ".inf",
    ".nan",
    "1e999",
    "9" * 50,
    "9" * 5000,
    "<<",
    "*nowhere",
    "&a [*a]",
    "{<<: {a: 1}}",
    "[" * 500,
    "[" * 500 + "]" * 500,
    "{a: 1, a: 2}",
    "{1: 2}",
    "{[1]: 2}",
    "x" * 300_000,
    "'" + "é" * 100_000 + "'",
]


@pytest.mark.parametrize("scalar", SCALARS, ids=lambda s: s[:20].encode("unicode_escape").decode())
@pytest.mark.parametrize("way", ["file", "set", "seeds"])
def test_no_scalar_breaks_the_reading(scalar, way, tmp_path):
    """Whatever YAML makes of it: a line or two, which echo little of it."""
    path = str(ROOT / "protocols" / "quickstart.yaml")
    words = ["validate", path, "--set", f"name={scalar}"]
    if way == "seeds":
        words[-1] = f"seeds={scalar}"
    if way == "file":
        path = str(tmp_path / "p.yaml")
        (tmp_path / "p.yaml").write_text(TINY.replace("name: tiny", f"name: {scalar}"))
        words = ["validate", path]
    done = command(*words)
    assert done.returncode == 1 or scalar in ("1_000",)
    assert "unexpected" not in done.stderr
    assert len(done.stderr) < 1000
    assert "\x1b" not in done.stderr
    assert "\x9b" not in done.stderr


@pytest.mark.parametrize(
    ("assignments", "says"),
    [
        (["seeds=1", "seeds=2"], "set twice"),
        (["seeds=1", " seeds =2"], "set twice"),
        (["network={transfer: relu, transfer: tanh}"], "stands twice"),
        ([".".join("a" * 5000) + "=1"], "5000 parts"),
        (["schedule." + "9" * 5000 + ".cycles=1"], "items 0 to"),
        (["=1"], "key.path=value"),
        (["seeds." + "x" * 300_000 + "=1"], "has no keys"),
        (["x" * 300_000 + "=1"], "unknown key"),
    ],
)
def test_assignments_are_refused_in_a_line(assignments, says):
    sets = [word for a in assignments for word in ("--set", a)]
    done = command("validate", str(ROOT / "protocols" / "quickstart.yaml"), *sets)
    assert done.returncode == 1
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert len(done.stderr) < 1000


def test_a_run_of_an_older_version_is_read_although_its_measures_would_be_refused_today():
    text = TINY.replace("source: digits", "source: digits, classes: [3], held_out: 50")
    text += "  - class_representation\n"
    with pytest.raises(ProtocolError, match="two classes"):
        Protocol.from_text(text)
    assert Protocol.from_text(text, older=True).spec.stimulus.classes == (3,)

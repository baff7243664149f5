"""The short form of a protocol, and when its expectations are judged."""

import json
import os
import signal

import pytest
import yaml

from neuro_aws import Options, run
from neuro_aws.cli import tables
from neuro_aws.errors import ProtocolError
from neuro_aws.experiment.results import verdicts, write
from neuro_aws.experiment.run import Stopped, resume
from neuro_aws.protocol import Protocol
from tests.conftest import TINY

SHORT = """
short:
  set:
    seeds: 2
    schedule.0.cycles: 2
    measure: [ach_gap]
  expect:
    - {arm: control, value: ach_gap, period: critical_period, between: [-100, 100]}
"""
FULL = """
expect:
  - {arm: control, value: target_activity_relative, period: critical_period, between: [0, 9]}
  - {arm: control, value: ach_gap, period: critical_period, between: [-100, 100]}
"""
TEXT = TINY + FULL + SHORT


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return a run of the text as it is written."""
    options = Options(out=str(tmp_path_factory.mktemp("short")), arms=("control",))
    return run(Protocol.from_text(TEXT, "tiny.yaml"), options=options)


@pytest.fixture
def met(finished):
    """Return what is said of each expectation in metrics.json, had the run been made so."""

    def judge(*overrides: str, short: bool = False) -> list[tuple[bool | None, str]]:
        finished.protocol = Protocol.from_text(TEXT, "tiny.yaml", overrides, short=short)
        write(finished)
        told = json.loads((finished.folder / "metrics.json").read_text())["expectations"]
        return [(e["met"], e.get("why", "")) for e in told]

    return judge


def test_the_short_form_has_its_settings_and_its_expectations():
    full, short = (Protocol.from_text(TEXT, short=s) for s in (False, True))
    assert (full.spec.seeds, short.spec.seeds) == (1, 2)
    assert (full.spec.schedule[0].cycles, short.spec.schedule[0].cycles) == (6, 2)
    assert short.spec.schedule[1] == full.spec.schedule[1]
    assert len(full.spec.expect) == 2
    assert short.spec.expect == short.spec.short.expect
    assert [m.measure for m in short.spec.measure] == ["ach_gap"]
    assert Protocol.from_text(TEXT, "t", ["seeds=5"], short=True).spec.seeds == 5


def test_a_short_run_says_so_and_is_resumed_and_read_back_as_one(tmp_path):
    class StopAtOnce:
        def begin(self, run, expected, steps):
            os.kill(os.getpid(), signal.SIGINT)

        def update(self, task, steps, note): ...

        def end(self): ...

    options = Options(out=str(tmp_path), arms=("control",), seeds=1)
    protocol = Protocol.from_text(TEXT, short=True)
    with pytest.raises(Stopped):
        run(protocol, overrides=["record.ach.every=2"], options=options, progress=StopAtOnce())
    finished = resume(next((tmp_path / "tiny").iterdir()))
    assert finished.provenance["short"] is True
    assert (finished.folder / "protocol.yaml").read_text() == TEXT
    resolved = (finished.folder / "resolved.yaml").read_text()
    assert resolved.startswith("# the short form")
    assert yaml.safe_load(resolved)["schedule"][0]["cycles"] == 2
    assert Protocol.from_text(resolved).spec == finished.protocol.spec
    assert finished.intervals(0, "control", "phases")["stop"].max() == 2 * 7 + 4 * 7
    assert not Protocol.from_text(TEXT).resolved().startswith("#")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("schedule.7.cycles: 2", "schedule has items 0 to 1, not 7"),
        ("schedule.0.cycles: few", "'few' is refused"),
        ("measure: [diversity]", "needs the measure 'ach_gap'"),
        ("no_such_key: 1", "unknown key"),
    ],
)
def test_a_short_form_that_cannot_be_run_is_refused_with_its_line(change, says):
    lines = [line for line in TEXT.split("\n") if "    seeds" not in line]
    at = next(i for i, line in enumerate(lines) if line.strip() == "set:") + 1
    key = change.split(":")[0]
    lines = [*lines[:at], *(line for line in lines[at:] if not line.startswith(f"    {key}:"))]
    lines.insert(at, "    " + change)
    Protocol.from_text("\n".join(lines))  # the full form is as it was
    with pytest.raises(ProtocolError, match=says) as refused:
        Protocol.from_text("\n".join(lines), "tiny.yaml", short=True)
    fault = refused.value.faults[0]
    wanted = {at + 1} if "measure" not in key else {len(lines) - 1}
    assert any(fault.startswith(f"tiny.yaml:{line}: ") for line in wanted), fault


def test_no_short_form_is_said():
    with pytest.raises(ProtocolError, match="no `short:` section"):
        Protocol.from_text(TINY, short=True)
    with pytest.raises(ProtocolError, match="must be a mapping"):
        Protocol.from_text(TINY + "\nshort: {set: [seeds]}\n", short=True)


def test_expectations_are_not_judged_where_set_changed_what_is_run(met):
    assert met() == [(True, ""), (True, "")]
    why = "not judged: --set changed schedule.0.cycles, network.noise.scale"
    found = met("schedule.0.cycles=1", "seeds=1", "network.noise.scale=0.3")
    assert found == [(None, why), (None, why)]
    assert met(short=True) == [(True, "")]
    why = "not judged: --set changed schedule.0.cycles"
    assert met("schedule.0.cycles=1", short=True) == [(None, why)]


def test_they_are_where_the_run_is_the_same_or_set_brings_its_own(met):
    same = ["name=mine", "record.ach.every=2", "keep.last=1", "arms.control.description=x"]
    assert met(*same) == [(True, ""), (True, "")]
    own = "[{arm: control, value: ach_gap, period: critical_period, between: [200, 300]}]"
    assert met("schedule.0.cycles=1", f"expect={own}") == [(False, "")]


def test_a_measure_that_set_removes_does_not_make_a_protocol_invalid(tmp_path):
    protocol = Protocol.from_text(TEXT, "t", ["measure=[ach_gap]"])
    found = run(protocol, options=Options(out=str(tmp_path), arms=("control",)))
    judged = verdicts(found, found.metrics)
    assert [(v.met, v.why) for v in judged] == [(None, "not measured"), (True, "")]
    Protocol.from_text(TEXT, "t", ["measure=[]", "schedule.0.cycles=1"])
    written = TEXT.replace("- {measure: target_cells, every: 2}\n", "")
    with pytest.raises(ProtocolError, match="needs the measure 'target_cells'"):
        Protocol.from_text(written, "t", ["seeds=2"])


def test_the_table_says_why(finished):
    finished.protocol = Protocol.from_text(TEXT, "t", ["schedule.0.cycles=1"])
    console = tables.console()
    with console.capture() as capture:
        console.print(tables.expectations(verdicts(finished, finished.metrics)))
    printed = " ".join(capture.get().split())
    assert "not judged: --set changed schedule.0.cycles" in printed
    assert "NOT MET" not in printed

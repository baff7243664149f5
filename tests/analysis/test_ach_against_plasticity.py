"""ACh against plasticity over animals: tables and figure of a small run."""

import importlib
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from neuro_aws import Options, run
from neuro_aws.plots import events
from neuro_aws.plots.style import styled
from neuro_aws.protocol import Protocol
from tests.conftest import ROOT, TINY

CLAMP = "{perturb: [{clamp: {neuromodulator: ach}, in: critical_period, cycles: {until: 2}}]}"
ARMS = f"arms:\n  control: {{}}\n  clamped: {CLAMP}\nrecord:\n  samples: {{every: 1}}"
TEXT = TINY[: TINY.index("arms:")] + ARMS


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the script, and what it makes of a run of two animals."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "analysis"))
        script = importlib.import_module("ach_against_plasticity")
    options = Options(out=str(tmp_path_factory.mktemp("runs")), jobs=1, seeds=2)
    finished = run(Protocol.from_text(TEXT, "tiny.yaml"), options=options)
    tables = events.Tables(finished)
    return SimpleNamespace(
        script=script,
        run=finished,
        turns=events.switches(tables, "control", 42),
        rows=script.correlations_of([finished]),
        tables=tables,
        found=events.events(finished),
        stimuli=script.of_stimuli(finished),
    )


def test_every_row_is_of_an_animal_an_arm_a_layer_a_change_and_a_signal(made):
    keys = ["arm", "animal", "layer", "change", "signal"]
    assert not made.rows.duplicated(keys).any()
    assert len(made.rows) == 2 * 2 * 2 * 2 * 2
    control = made.rows[made.rows.arm == "control"]
    assert (control["n"] == 12).all()  # wake steps from the branch on
    assert (control["wake_share"] == 1).all()


def test_the_table_of_events_has_the_arm_beside_its_reference(made, capsys):
    made.script.report_events(made.tables, made.found)
    said = capsys.readouterr().out
    assert "clamped, onset of clamp ACh, step 42" in said
    assert "clamped, end of clamp ACh, step 56" in said
    onset = said[said.index("onset of clamp") :].splitlines()
    assert onset[1].startswith("    clamped, 0 to 103: ACh in wake")
    assert onset[2].startswith("      layer 1: teaching x 0.")
    assert onset[4].startswith("    control, 0 to 103: ACh in wake")
    assert "520 to 623" not in said  # beyond the run


def test_stimuli_are_related_within_batches_from_the_branch_on(made, monkeypatch):
    step = np.arange(0, 70, 2)
    rng = np.random.default_rng(0)
    ach, label = rng.standard_normal((35, 16)), rng.integers(0, 3, (35, 16))
    related = np.where(step[:, None] < 42, -ach, ach) + 2.0  # turned round at the branch
    of_label = 3.0 * label + 0.1 * rng.standard_normal(label.shape) + 1.0

    def recorded(run, animal, arm):
        dims = ("step", "sample")
        values = {"ach": ach + 3.0 * label, "label": label}
        values |= {"layer1_teaching": related + 3.0 * label, "layer2_teaching": of_label}
        return xr.Dataset({k: (dims, v) for k, v in values.items()}, coords={"step": step})

    monkeypatch.setattr(made.script.by_stimulus, "recorded", recorded)
    found = made.script.of_stimuli(made.run).groupby("layer")[["r", "r_of_label", "n"]].mean()
    assert found["r"]["layer 1"] == pytest.approx(1)
    assert found["r"]["layer 2"] > 0.8
    assert found["r_of_label"]["layer 1"] > 0.99
    assert abs(found["r_of_label"]["layer 2"]) < 0.2  # nothing but the label was common
    assert set(found["n"]) == {14 * 16}


def test_after_a_switch_to_wake_all_sizes_are_there_and_else_none(made, capsys):
    made.script.report_switches(made.turns, "control")
    lines = capsys.readouterr().out.splitlines()[3:]
    assert [line.split(":")[0].strip() for line in lines] == [
        "wake to REM",
        "REM to wake",
        "REM to NREM",
        "NREM to wake",
    ]
    for line in lines:
        there = " to wake" in line
        assert ("applied |dF| 0 [0, 0]" in line) != there
        assert ("teaching 0 [0, 0]" in line) != there


def test_a_clamp_leaves_nothing_that_teaches(made, capsys):
    made.script.report_stimuli(made.stimuli)
    said = capsys.readouterr().out
    assert "control" in said
    made.script.report_ages(made.run, "control")
    ages = capsys.readouterr().out.splitlines()
    assert ages[0].startswith("  control, layer 1, mean in each 24th of its 70 steps")
    assert len(ages[1].split()) == 24
    assert made.stimuli["n"].max() == 12 * 16
    clamped = made.stimuli[made.stimuli["arm"] == "clamped"]
    assert (clamped["n"] == 6 * 16).all()  # batches whose teaching varies: those after the clamp


def test_the_page_has_a_block_for_all_that_there_is(made):
    with styled():
        drawn = made.script.draw(made.rows, made.tables, made.turns, made.found, made.stimuli)
        bare = made.script.draw(made.rows, made.tables, made.turns, [], made.stimuli.iloc[:0])
    heads = [f._suptitle.get_text() for f in drawn.subfigs]
    assert [h[0] for h in heads] == ["a", "b", "c", "d"]
    assert [f._suptitle.get_text()[:8] for f in bare.subfigs] == ["a   Arou", "b   Corr"]
    titles = [a.get_title() for a in drawn.subfigs[1].axes[:3]]
    assert "onset: clamp ACh" in titles
    assert "mean and 95 % interval over 2 animals" in drawn.get_suptitle()
    assert "optimiser" in drawn._supxlabel.get_text()
    dots = drawn.subfigs[2].axes[0]
    points = [line for line in dots.lines if line.get_marker() == "."]
    assert all(len(line.get_xdata()) == 2 for line in points)
    wanted = made.rows[(made.rows.change == "raw") & (made.rows.signal == "ach")]["r"].dropna()
    there = np.concatenate([line.get_xdata() for line in points])
    assert sorted(there[np.isfinite(there)]) == pytest.approx(sorted(wanted))

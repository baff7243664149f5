"""Analysis scripts: refuse other runs in one line, say what is true, correct their p values."""

import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.results import KEYS
from neuro_aws.metrics.statistics import holm, paired
from neuro_aws.plots.style import figure, styled
from neuro_aws.protocol import Protocol
from tests.conftest import ROOT

OF_RUNS = [
    "ach_dose",
    "ach_against_plasticity",
    "critical_period",
    "family",
    "gamma_sweep",
    "homeostasis",
    "monocular_deprivation",
    "professor_forcing",
    "rates_and_spikes",
    "rem_silencing_dose",
    "samples",
    "what_ach_adds",
]
"""The scripts that read runs; the others simulate for themselves."""

MADE_FOR = [("ach_against_plasticity", "sleep_deprivation")]


@pytest.fixture
def load(monkeypatch):
    """Return an importer of scripts, as they import each other."""
    monkeypatch.syspath_prepend(str(ROOT / "analysis"))
    return importlib.import_module


def fake(name: str, animals: int = 3, **values) -> SimpleNamespace:
    """Return a run of a shipped protocol with made-up values: name -> (layer, group, by arm)."""
    protocol = Protocol.load(ROOT / "protocols" / f"{name}.yaml")
    arms = list(protocol.tree.arms)
    rows = []
    for key, (layer, group, of) in values.items():
        for arm in arms:
            for stretch in protocol.tree.arms[arm].schedule.stretches[1:]:
                for animal in range(animals):
                    value = of(arm) + 0.001 * animal
                    rows.append(
                        (animal, arm, stretch.name, 4, stretch.stop, key, layer, group, value)
                    )
    metrics = pd.DataFrame(rows, columns=["animal", *KEYS, "value"])
    return SimpleNamespace(
        folder=Path("runs") / name,
        metrics=metrics,
        arms=arms,
        animals=list(range(animals)),
        protocol=protocol,
    )


def silencing(animals: int = 3) -> SimpleNamespace:
    """Return a run of critical_period: silencing takes activity to 0.002 where ACh is intact."""

    def activity(arm: str) -> float:
        return 0.002 if arm == "rem_silenced" else 1.0

    cells = {
        "target_activity_relative": (1, "cells", activity),
        "spared_activity_relative": (1, "cells", lambda arm: 1.1),
        "target_spared_ratio": (1, "cells", activity),
        "target_never_active": (1, "cells", lambda arm: 0.1),
        "target_feedforward": (1, "cells", lambda arm: 1.0),
        "target_dendrite": (1, "cells", activity),
        "move_to_perturbed": (-1, "cells_x0", lambda arm: 0.3),
        "ach_gap": (-1, "", lambda arm: 4.0),
        "ach_gap_perturbed": (-1, "cells_x0", lambda arm: 5.0),
    }
    return fake("critical_period", animals, **cells)


@pytest.mark.parametrize(
    ("script", "other"),
    [
        (script, other)
        for script in OF_RUNS
        for other in ("spiking_urbanczik_senn", "sleep_deprivation")
        if (script, other) not in MADE_FOR
    ],
)
def test_a_script_refuses_a_run_it_was_not_made_for(load, monkeypatch, capsys, script, other):
    module, common = load(script), load("common")
    monkeypatch.setattr(common, "open_run", lambda path: fake(other))
    monkeypatch.setattr(
        "sys.argv", [script, "folder", *["second"] * (script == "rates_and_spikes")]
    )
    with pytest.raises(SystemExit) as ended:
        common.script(module.main)
    line = str(ended.value.code)  # a text: printed to standard error, exit code 1
    assert line.count("\n") == 0
    assert line.startswith(str(Path("runs") / other))
    assert "this run of " + other in line
    assert "The script is made for" in line
    assert capsys.readouterr().out == ""


def test_what_is_missing_is_named(load, monkeypatch):
    common = load("common")
    monkeypatch.setattr(common, "open_run", lambda path: silencing())
    with pytest.raises(NeuroAWSError, match="no arm other; no value a, b, c and 1 more; no set"):
        common.opened("x", arms=["control", "other"], values=list("abcd"), targets=["cells", "no"])
    assert common.opened("x", arms=["control"], periods=["adulthood"]).arms


def test_the_critical_period_says_what_was_done_in_this_run(load):
    module = load("critical_period")
    run = silencing()
    assert module.title(run).startswith("Silencing or activating 30 % of layer 1 in REM: mean and")
    assert "3 animals" in module.title(run)
    run.arms = ["control", "rem_silenced"]
    run.animals = [0]
    assert module.title(run) == "Silencing 30 % of layer 1 in REM: one animal, no interval"


def test_the_silenced_bar_can_be_seen(load):
    module = load("critical_period")
    run = silencing()
    with styled():
        drawn = figure(3, 2)
        axes = drawn.subplots()
        module._two_by_two(axes, run, run.metrics)
        drawn.canvas.draw()
    assert {"0.003", "1.00"} <= {t.get_text() for t in axes.texts}
    points = [line for line in axes.lines if line.get_marker() == "o"]
    assert len(points) == 4
    silenced = min(points, key=lambda line: line.get_ydata()[0])
    assert len(silenced.get_ydata()) == 3
    at = axes.transData.transform(silenced.get_xydata())[:, 1]
    assert (at >= axes.bbox.y0).all()  # on the axis, not below it
    assert not silenced.get_clip_on()


def test_p_values_are_corrected_over_all_tests_of_a_script(load):
    common = load("common")
    report = common.Report()
    rng = np.random.default_rng(0)
    tests = [paired(rng.standard_normal(6) + k, np.zeros(6)) for k in range(4)]
    report.say("first")
    for k, test in enumerate(tests):
        report.test(f"test {k}", test)
        report.say()
    report.test("one animal", paired([1.0], [0.0]))
    text = str(report)
    printed = re.findall(r" p (\S.*)", text)
    assert printed == [common.probability(p) for p in holm([t.p for t in tests])]
    assert "4 tests above (Holm)" in text
    assert "nan" not in text
    quiet = common.Report()
    quiet.test("one animal", paired([1.0], [0.0]))
    assert "Holm" not in str(quiet)  # nothing was tested


def test_tables_of_one_animal_have_no_interval(load):
    text = str(load("critical_period").tables(silencing(1), silencing(1).metrics))
    assert "one animal, no interval" in text
    assert "[" not in text
    assert "Holm" not in text


def test_monocular_deprivation_is_drawn_against_each_animal_s_own_control(load):
    module = load("monocular_deprivation")
    index = {"lid_suture": -0.02, "wake_sleep_lid_suture": 0.05, "wake_sleep_control": 0.01}
    one = (1, "", lambda arm: index.get(arm, 0.0))
    run = fake("monocular_deprivation", 3, ocular_dominance=one, ocular_dominance_response=one)
    run.metrics["value"] += run.metrics["animal"]  # animals differ far more than arms
    with styled():
        drawn = module.draw(run, run.metrics)
    rows = [a for a in drawn.axes if "own control" in a.get_xlabel()]
    assert len(rows) == 2
    labels = [t.get_text() for t in rows[0].get_yticklabels()]
    assert len(labels) == 8
    points = [line for line in rows[0].lines if line.get_marker() == "."]
    found = dict(zip(labels, (p.get_xdata() for p in points), strict=True))
    assert found["lid suture"] == pytest.approx([-0.02] * 3)
    assert found["wake sleep lid\nsuture"] == pytest.approx([0.04] * 3)
    lines = [line for line in drawn.axes[0].lines if len(line.get_xdata()) == 2]
    assert all(abs(y) < 0.1 for line in lines[:8] for y in line.get_ydata())
    assert "own control (index)" in drawn.axes[0].get_ylabel()


def test_samples_have_row_labels(load):
    module = load("samples")
    run = fake("digits_dcgan", 1)
    dreams = np.zeros((2, 64, 8, 8, 1), np.uint8)
    predicted = np.zeros((2, 10, 4, 8, 8, 1), np.uint8)
    pictures = xr.Dataset(
        {
            "dreams": (("step", "dream", "row", "column", "channel"), dreams),
            "predicted": (("step", "stimulus", "depth", "row", "column", "channel"), predicted),
        },
        coords={"step": [0, 600]},
    )
    run.pictures = lambda animal, arm: pictures
    drawn = module.draw([(run, "control"), (run, "rem_silenced")])
    lower = drawn.axes[2]
    labels = [t.get_text() for t in lower.get_yticklabels()]
    assert labels == ["stimulus", "1 layer", "2 layers", "3 layers"]
    at = lower.get_yticks()
    high = 8 + 1  # a picture and the gap
    assert [int(y // high) for y in at] == [0, 1, 2, 3]
    assert drawn.axes[0].get_ylabel() == "dreams"
    assert "600 steps" in drawn.axes[0].get_title(loc="left")


def test_a_script_whose_reader_has_gone_says_nothing():
    code = "import common; common.script(lambda: print('x' * 10**6))"
    started = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT / "analysis",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert started.stdout is not None
    started.stdout.close()
    _, said = started.communicate(timeout=60)
    assert said == b""
    assert started.returncode == 1

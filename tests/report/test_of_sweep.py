"""The page of a sweep says what its table says, finished or not."""

import json

import numpy as np
import pandas as pd
import pytest

from neuro_aws import Options, run
from neuro_aws.errors import NeuroAWSError
from neuro_aws.metrics.statistics import estimate
from neuro_aws.protocol import Protocol
from neuro_aws.recording.reader import open_run
from neuro_aws.report.make import report
from neuro_aws.report.sweep.asked import spans
from tests.conftest import TINY
from tests.report.parsed import EVIL, Page

pytest.importorskip("bokeh")
KEY = "network.noise.scale"
POINTS = ("0.1", "0.3")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Return a sweep of two points in two animals; one run failed, and there is no table yet."""
    home = tmp_path_factory.mktemp("sweep")
    runs = []
    for point, animal in [("0.1", 0), ("0.1", 1), ("0.3", 0)]:
        protocol = Protocol.from_text(TINY, "tiny.yaml", [f"{KEY}={point}"])
        options = Options(seed=animal, seeds=1, jobs=1, out=str(home / "runs"), figures=False)
        folder = run(protocol, options=options).folder
        runs.append(entry(point, animal, "finished", f"../{folder.relative_to(home)}"))
    runs.append(entry("0.3", 1, f"failed: {EVIL}", ""))
    facts = {
        "format": 1,
        "protocol": "tiny",
        "source": "/home/somebody/tiny.yaml",
        "neuro_aws": "0",
        "constant": {},
        "axes": {KEY: list(POINTS)},
        "animals": [0, 1],
        "arms": ["control", "rem_silenced"],
        "short": False,
        "runs": runs,
    }
    folder = home / "0123abcd"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(facts))
    return folder, runs


def entry(point: str, animal: int, outcome: str, folder: str) -> dict:
    facts = {"key": "k", "point": {KEY: point}, "animal": animal, "step": "written-out"}
    return {**facts, "outcome": outcome, "folder": folder, "sha256": "0" if folder else ""}


def test_the_page_holds_the_values_of_the_runs(sweep):
    folder, runs = sweep
    text = report(folder).read_text(encoding="utf-8")
    tables = [open_run(folder / r["folder"]).metrics for r in runs if r["folder"]]
    values = []
    for table in tables:
        rows = table[(table["arm"] == "rem_silenced") & (table["name"] == "ach_gap")]
        values.append(float(rows[rows["step"] == rows["step"].max()]["value"].iloc[0]))
    found = estimate(values[:2], "ach_gap")
    assert f"In rem silenced, ACh gap was {found} at noise scale 0.1" in text
    change = estimate(np.array([values[2] - values[0]]))
    assert f"From noise scale 0.1 to 0.3 it changed by {change}." in text
    charts = [t for a, t in Page(text).scripts if a.get("data-chart", "").startswith("value-")]
    assert any(all(json.dumps(value) in chart for value in values) for chart in charts)
    assert "3 of 4 runs finished; 1 failed (below)." in text
    assert "This sweep is unfinished: 1 of its 4 runs are not finished" in text
    assert "&lt;script&gt;alert(1)" in text
    command = f"neuro-aws sweep tiny.yaml --seeds 0-1 --set {KEY}=0.1,0.3 --step written-out"
    assert command in text


def test_the_table_of_the_sweep_is_taken_where_it_is_of_all_runs(sweep):
    folder, runs = sweep
    parts = [
        open_run(folder / r["folder"])
        .metrics.assign(run=r["folder"], value=0.0625)
        .assign(**{KEY: float(r["point"][KEY])})
        for r in runs
        if r["folder"]
    ]
    path = folder / "table.csv"
    try:
        pd.concat(parts).to_csv(path, index=False)
        assert "ACh gap was 0.0625 [0.0625, 0.0625] at noise" in report(folder).read_text()
        pd.concat(parts[:2]).to_csv(path, index=False)
        assert "ACh gap was 0.0625" not in report(folder).read_text()
    finally:
        path.unlink()


@pytest.mark.parametrize("change", [{"runs": []}, {"axes": 3}, {"animals": ["a"]}])
def test_a_damaged_manifest_is_one_line(sweep, tmp_path, change):
    facts = json.loads((sweep[0] / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**facts, **change}))
    with pytest.raises(NeuroAWSError, match=r"manifest.json: cannot be read"):
        report(tmp_path)


def test_runs_are_looked_for_beside_the_sweep_only(sweep, tmp_path):
    facts = json.loads((sweep[0] / "manifest.json").read_text())
    facts["runs"][0]["folder"] = "../../elsewhere"
    (tmp_path / "manifest.json").write_text(json.dumps(facts))
    with pytest.raises(NeuroAWSError, match="does not lie beside the sweep"):
        report(tmp_path)


def test_animals_are_written_as_the_command_takes_them():
    assert spans([0, 1, 2, 3]) == "0-3"
    assert spans([4]) == "4-4"
    assert spans([8, 0, 1, 12, 13]) == "0-1,8,12-13"

"""The page of a matrix says what its tables say, whoever wrote them."""

import json
import re

import pandas as pd
import pytest

from neuro_aws.errors import NeuroAWSError
from neuro_aws.report.make import report
from neuro_aws.report.matrix.tables import read
from tests.report import made
from tests.report.parsed import EVIL, Page, column

pytest.importorskip("bokeh")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = made.matrix(tmp_path_factory.mktemp("matrix"), EVIL)
    text = report(folder).read_text(encoding="utf-8")
    return folder, text, Page(text)


def table_of(text: str, caption: str) -> list[list[str]]:
    """Return the cells of a table, row by row."""
    (found,) = re.findall(rf"<caption>{caption}.*?</table>", text, re.S)
    rows = re.findall(r"<tr>(.*?)</tr>", found, re.S)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in rows]


def test_figure_and_table_hold_what_the_csv_holds(page):
    folder, text, found = page
    rows = table_of(text, "images: effect")
    names = ["silenced", "clamped", "frozen awake", "frozen asleep", "unheld"]
    assert [row[0] for row in rows[1:]] == names
    assert rows[0] == ["manipulation", "learns", "asleep †", "still"]
    assert rows[1][1] == "-0.712 [-0.724, -0.700]\np 0.001\nF in wake; G in wake\nACh: yes"
    assert rows[1][3] == rows[3][3] == "0, by definition"
    assert "as without, by definition" in rows[2][2]
    chart = next(t for a, t in found.scripts if a.get("data-chart") == "matrix-images")
    for said in ("-0.712 [-0.724, -0.700] (target activity relative, onset = 1)", "F in wake"):
        assert json.dumps(said)[1:-1] in chart
    effects = pd.read_csv(folder / "effects.csv")
    mine = effects[(effects["manipulation"] == "silenced") & (effects["theory"] == "learns")]
    drawn = next(t for a, t in found.scripts if a.get("data-chart") == "animals-0")
    assert all(json.dumps(value) in drawn for value in mine["effect"])
    power = pd.read_csv(folder / "power.csv")
    assert column(found, "power-by-animals", "mean").tolist() == pytest.approx(
        power[power["noise"] == 0.1]["power"].tolist()
    )


def test_sentences_follow_the_numbers(page):
    _, text, _ = page
    for said in (
        "Silenced changes target activity relative by plasticity of F in wake: wholly under learns "
        "(-0.700 [-0.712, -0.688] taken away, 0.000 [-0.012, 0.012] left); by definition not under "
        "asleep.",
        "Silenced changes target activity relative by plasticity of F in sleep: wholly under asleep "
        "(0.310 [0.298, 0.322] taken away, 0.000 [-0.012, 0.012] left); by definition not under "
        "learns.",
        "Nothing changes anything, by definition, under still.",
        "Silenced acts through ACh: wholly under learns; by definition not under asleep.",
        "Silenced has, with homeostasis blocked, a larger effect under learns (-0.900 [-0.912, "
        "-0.888] instead of -0.712 [-0.724, -0.700], before correction); no effect that can be told "
        "from that without the block under asleep.",
        "asleep has not learnt by its own criterion: gain of its objective in images was 0.123 "
        "[0.100, 0.146], not below 0.",
        "are separated by silenced (1 of 1 pairs)",
        "Silenced (target activity relative): lower under learns (-0.712 [-0.724, -0.700]); higher "
        "under asleep (0.310 [0.298, 0.322], before correction); 0 by definition under still.",
        "learns against asleep was asked for and is not compared",
        "neuro-aws matrix matrix.yaml --seed 0 --seeds 3",
    ):
        assert said in text, said


def test_no_script_gets_in_and_names_are_unique(page):
    _, text, found = page
    assert len([1 for a, _ in found.scripts if a.get("type") != "application/json"]) == 2
    assert not any(name.startswith("on") for _, a in found.elements for name in a)
    assert "&lt;script&gt;alert(1)" in text
    names = [a["id"] for _, a in found.elements if "id" in a]
    assert len(names) == len(set(names))


def test_what_is_not_run_is_said(tmp_path):
    folder = made.matrix(tmp_path, finished=False)
    (folder / "matrix.csv").write_text("not,ours\n1,2\n")
    text = report(folder).read_text(encoding="utf-8")
    assert "This matrix is unfinished: 3 of its 3 runs have not come to their end" in text
    assert (
        "Silenced (target activity relative): not run yet under learns, asleep and still." in text
    )
    # What was no table of ours was made anew, from the runs: there are none.
    assert (read(folder).cells["status"] == "not run").all()
    with pytest.raises(NeuroAWSError, match="shows all animals"):
        report(folder, animal=1)

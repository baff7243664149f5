"""A report without a browser: what it says is so, nothing gets in, nothing is loaded."""

import base64
import hashlib
import itertools
import json
import math
import re

import numpy as np
import pandas as pd
import pytest

from neuro_aws.experiment.results import Verdict
from neuro_aws.metrics.statistics import Estimate
from neuro_aws.protocol.schema import Expectation
from neuro_aws.recording.reader import open_run
from neuro_aws.report import page
from neuro_aws.report.interactive import library
from neuro_aws.report.interactive.courses import courses
from neuro_aws.report.run import sentences
from neuro_aws.report.run.courses import share
from neuro_aws.report.run.thinning import edges, thinned
from tests.calls import command
from tests.conftest import TINY
from tests.report.parsed import EVIL, Page, column

bokeh = pytest.importorskip("bokeh")

PROTOCOL = (
    TINY.replace("name: tiny\n", f"name: tiny\ndescription: '{EVIL}'\n")
    .replace("  control: {}", f"  control: {{description: '{EVIL}'}}")
    .replace("- ach_gap", "- {measure: ach_gap, every: 2}")
    + f"""expect:
  - {{arm: rem_silenced, value: target_activity_relative, period: critical_period, between: [90, 91], note: '{EVIL}'}}
  - {{arm: control, value: ach_gap, period: critical_period, between: [-1000, 1000]}}
"""
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a run of two animals, its page, and what stands in it."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "tiny.yaml").write_text(PROTOCOL)
    done = command("run", "tiny.yaml", "--seeds", "2", "--jobs", "1", cwd=folder)
    assert done.returncode == 0, done.stderr
    run = next((folder / "runs" / "tiny").iterdir())
    done = command("report", str(run), cwd=folder)
    assert (done.returncode, done.stdout.strip()) == (0, str(run / "report.html")), done.stderr
    text = (run / "report.html").read_text(encoding="utf-8")
    return run, text, Page(text)


def test_the_protocol_as_it_was_written_is_on_paper_too(made):
    _, text, _ = made
    assert '<details class="paper">\n<summary>The protocol as it was written</summary>' in text
    assert "<details>\n<summary>With every default written out</summary>" in text


def test_figures_hold_the_values_of_the_recording(made):
    run, _, found = made
    opened = open_run(run)
    for arm in ("control", "rem_silenced"):
        traces = opened.traces(0, arm)
        chart = f"course-{arm}-whole"
        np.testing.assert_array_equal(column(found, chart, "from"), traces["step"])
        np.testing.assert_array_equal(column(found, chart, "row0_0"), traces["ach"].astype("f4"))
        last = traces["layer1_feedforward_applied"].astype("f4")
        np.testing.assert_array_equal(column(found, chart, "row3_0"), last)
        np.testing.assert_array_equal(column(found, chart, "top0") > 0.07, traces["gate"] > 0)
    ends = opened.metrics.query("name == 'ach_gap' and arm == 'rem_silenced'")
    ends = ends[ends["step"] == ends["step"].max()].sort_values("animal")["value"]
    number = re.search(
        r'"ACh gap at the end.*?id="(measure-\d+)"|<figure class="chart" id="figure-(measure-\d+)">(?:(?!<figure).)*?<b>ACh gap at',
        made[1],
        re.S,
    )
    text = next(t for a, t in found.scripts if a.get("data-chart") == (number[1] or number[2]))
    assert all(json.dumps(value) in text for value in ends)


def test_sentences_say_what_was_met_and_found(made):
    run, text, _ = made
    assert "1 of 2 expectations met, 1 not met." in text
    value = open_run(run).metrics.query(
        "arm == 'rem_silenced' and name == 'target_activity_relative' and period == 'critical_period'"
    )
    found = value[value["step"] == value["step"].max()]["value"].mean()
    said = re.search(r"In rem silenced, target activity relative .*? was (-?[\d.]+) \[", text)
    assert float(said[1]) == pytest.approx(found, abs=0.51 * 10 ** -len(said[1].partition(".")[2]))
    assert re.search(r"feedforward weights changed in wake: wake in 30 of 30 steps", text)


def test_no_script_gets_in(made):
    _, text, found = made
    running = [words for a, words in found.scripts if a.get("type") != "application/json"]
    assert running == [library.text(), (page.HERE / "page.js").read_text()]
    assert not any(name.startswith("on") for _, a in found.elements for name in a)
    assert not any("onerror" in a.get("src", "") or a.get("src") == "x" for a in found.all("img"))
    assert text.count("{{ 7 * 7 }}") > 2  # shown as it was written
    assert "&lt;script&gt;alert(1)" in text


def test_a_browser_may_run_two_scripts_and_load_nothing(made):
    _, text, found = made
    policy = next(a["content"] for a in found.all("meta") if "http-equiv" in a)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    for a, words in found.scripts:
        digest = base64.b64encode(hashlib.sha256(words.encode()).digest()).decode()
        assert (f"'sha256-{digest}'" in policy) == (a.get("type") != "application/json")
    loaded = [
        a.get(key)
        for _, a in found.elements
        for key in ("src", "href", "srcset", "data", "action", "poster")
        if key in a
    ]
    assert loaded
    assert all(address.startswith(("data:", "#")) for address in loaded)
    style = re.search(r"<style>(.*?)</style>", text, re.S)[1]
    assert "url(" not in style and "@import" not in style
    assert len(text) < len(library.text()) + 1_500_000


def test_names_are_never_read_as_mathematics():
    """BokehJS fetches MathJax from elsewhere when a text has $$ around it."""
    model = courses([("$$x$$", [])], "$$y$$")
    texts = re.findall(r'\{[^{}]*"text": "\$\$\w\$\$"', json.dumps(library.item(model)))
    assert len(texts) == 2
    text = json.dumps(library.item(model))
    assert text.count('"name": "PlainText"') >= 2


def test_a_page_can_be_heard(made):
    _, text, found = made
    levels = [int(level) for level in re.findall(r"<h([1-6])\b", text.partition("<script")[0])]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    assert found.all("html") == [{"lang": "en"}]
    assert all(len(a["alt"]) > 20 for a in found.all("img"))
    names = [a["id"] for _, a in found.elements if "id" in a]
    assert len(names) == len(set(names))
    for a in found.all("section"):
        assert a["aria-labelledby"] in names
    assert all(a["href"][1:] in names for a in found.all("a"))
    figures = re.findall(r"<figure.*?</figure>", text, re.S)
    assert len(figures) > 5
    assert all("<figcaption" in one for one in figures)
    assert all("<table" in one for one in figures if 'class="chart"' in one)


def test_only_a_page_of_ours_is_replaced(made, tmp_path):
    run, text, _ = made
    default = run / "report.html"
    assert page.is_ours(default)
    default.write_text("<p>somebody's own</p>")
    done = command("report", str(run))
    assert done.returncode == 1
    assert "was not written by neuro-aws" in done.stderr and len(done.stderr.splitlines()) == 1
    assert default.read_text() == "<p>somebody's own</p>"
    default.write_text(text, encoding="utf-8")
    page.refuse_foreign(default, chosen=False)
    with pytest.raises(Exception, match="is a folder"):
        page.refuse_foreign(tmp_path, chosen=True)


def test_an_unfinished_run_is_said_to_be_one(made, tmp_path):
    run, *_ = made
    file = run / "provenance.json"
    kept, state = file.read_text(), run / "checkpoints" / "s1" / "rem_silenced.npz"
    file.write_text(kept.replace('"outcome": "finished"', '"outcome": "interrupted"'))
    hidden = state.rename(state.with_suffix(".away"))
    try:
        done = command("report", str(run), "--output", str(tmp_path / "page.html"))
    finally:
        file.write_text(kept)
        hidden.rename(state)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "page.html").read_text()
    assert "This run is unfinished (interrupted" in text
    assert "1 of its 2 animals came to the end of every arm" in text
    assert "Left out: they need every animal" in text


def test_without_bokeh_a_line_says_what_to_install(made, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = command("report", str(made[0]))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "neuro-aws: report: needs bokeh, which is not installed. pip install 'neuro-aws[report]'"
    ]


def test_thinning_hides_nothing():
    steps, values = np.arange(1000), np.zeros(1000)
    values[[17, 700]] = 5, -3
    values[999] = np.nan
    at = edges(0, 1000, 30)
    found = thinned(at, steps, values)
    assert len(found.mean) <= 30 and found.n.sum() == 999
    assert (np.nanmax(found.high), np.nanmin(found.low)) == (5, -3)
    assert np.nansum(found.mean * found.n) == pytest.approx(2)
    assert at[0] == 0 and at[-1] == 1000


def test_shares_count_a_step_once():
    spans = pd.DataFrame({"start": [0, 2, 9], "stop": [4, 4, 12]})
    assert share(spans, np.array([0, 4, 8, 12])).tolist() == [1.0, 0.0, 0.75]


FOUND = Estimate(0.5, 0.4, 0.6, 3)


def verdict(met, found=FOUND, **more):
    e = Expectation(arm="a_b", value="target_activity_relative", period="late", between=(0, 1))
    return Verdict(e, found, met, **more)


def test_sentences_of_expectations():
    mark, text = sentences.expected(verdict(True))
    assert mark == "met"
    assert text == (
        "In a b, target activity relative at the end of late was 0.50 [0.40, 0.60] (onset = 1; "
        "mean and 95 % interval over 3 animals); the protocol expects 0 to 1."
    )
    assert sentences.expected(verdict(False))[0] == "not met"
    untaught = verdict(True, initially=Estimate(0.7, math.nan, math.nan, 3), met_initially=True)
    assert (
        "A network that has learnt nothing meets it too (0.7)." in sentences.expected(untaught)[1]
    )
    refused = verdict(None, why="not judged: --set changed seeds")
    assert sentences.expected(refused)[1].endswith("Not judged: --set changed seeds.")
    nothing = verdict(None, found=Estimate(math.nan, math.nan, math.nan, 0), why="not measured")
    assert "was not measured" in sentences.expected(nothing)[1]
    assert sentences.tally([verdict(True), verdict(False), refused]) == (
        "1 of 2 expectations met, 1 not met; 1 not judged."
    )


def test_sentences_of_differences_follow_the_interval():
    rows = [
        ("up", "control", "v", -1, "", 2.0, 1.0, 3.0, 4),
        ("down", "control", "v", -1, "", -2.0, -3.0, -1.0, 4),
        ("same", "control", "v", -1, "", 0.1, -1.0, 1.2, 4),
    ]
    table = pd.DataFrame(
        rows, columns=["arm", "reference", "name", "layer", "group", "mean", "low", "high", "n"]
    )
    arms = ["up", "down", "same"]
    (text,) = sentences.against_reference(
        table, ("v", -1, ""), arms, dict.fromkeys(arms, "control")
    )
    assert "higher in up (2.0 [1.0, 3.0]); lower in down (-2.0 [-3.0, -1.0])" in text
    assert "not distinguishably different in same" in text

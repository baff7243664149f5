"""ACh against plasticity of one arm: what is shown, over which steps, and the words below."""

import numpy as np
import pandas as pd
import pytest

from neuro_aws import Options, run
from neuro_aws.plots import by_stimulus, scatters, traces
from neuro_aws.plots.hypnogram import CLOSE_UP, close_up, gate_bar, hypnogram
from neuro_aws.plots.style import figure, styled
from neuro_aws.protocol import Protocol
from tests.conftest import TINY

ADULT = "  - {name: adult, cycles: 4, feedforward_plasticity: 0.1, phases: [{wake: 3}, {rem: 3}]}\narms:"
OTHERS = """  sgd: {initial: {algorithm.feedforward.optimiser: sgd, algorithm.feedforward.rate: 1.0e-3}}
  wake_sleep: {initial: {algorithm: {name: wake_sleep}}}
  frozen: {initial: {algorithm: {name: frozen}}}
record:
  samples: {every: 2}"""
TEXT = TINY.replace("arms:", ADULT).replace("record:", OTHERS)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    protocol = Protocol.from_text(TEXT, "tiny.yaml")
    return run(protocol, options=Options(out=str(tmp_path_factory.mktemp("runs")), jobs=1))


@pytest.fixture(scope="module")
def drawn(finished):
    with styled():
        return traces.branch_figure(finished, 0, "rem_silenced")


def axes_of(drawn, words: str):
    return [a for a in drawn.axes if words in a.get_ylabel() or words in a.get_title()]


def phases(*spans: tuple[int, str]) -> pd.DataFrame:
    """Return intervals of so many steps each, one after the other."""
    stops = np.cumsum([n for n, _ in spans])
    starts = [0, *stops[:-1]]
    return pd.DataFrame({"start": starts, "stop": stops, "label": [p for _, p in spans]})


def shown(of: pd.DataFrame, span: tuple[int, int]) -> set[str]:
    return set(of[(of["stop"] > span[0]) & (of["start"] < span[1])]["label"])


def test_the_table_says_where_each_step_belongs(finished):
    frame = traces.table(finished, 0, "rem_silenced")
    assert list(frame.columns[:5]) == ["animal", "arm", "period", "phase", "step"]
    assert frame.groupby("period", sort=False).size().to_dict() == {
        "infancy": 42,
        "critical_period": 28,
        "adult": 24,
    }
    assert frame.loc[frame["step"] == 41, "period"].item() == "infancy"
    assert frame.loc[frame["step"] == 42, "period"].item() == "critical_period"
    assert set(frame["phase"]) == {"wake", "rem", "nrem"}
    exported = traces.drawn_columns(frame, ["ach"])
    assert list(exported.columns[:6]) == ["animal", "arm", "period", "phase", "step", "ach"]
    assert {"layer2_feedforward_raw", "layer1_teaching"} <= set(exported.columns)
    assert scatters.FACTOR not in exported.columns


@pytest.mark.parametrize("event", [0, 150, 500, 999])
def test_a_close_up_shows_every_phase_and_the_event(event):
    alternating = phases(*[(40, "wake"), (40, "rem"), (20, "nrem")] * 10)
    start, stop = close_up(alternating, event, 0, 1000)
    assert 0 <= start <= event < stop <= 1000
    assert shown(alternating, (start, stop)) == {"wake", "rem", "nrem"}
    assert CLOSE_UP <= stop - start <= 2 * CLOSE_UP


def test_a_close_up_goes_to_nrem_where_the_event_is_far_from_it():
    once = phases((30, "wake"), (10, "nrem"), *[(1, "wake"), (1, "rem")] * 2000)
    span = close_up(once, 3000, 0, 4040)
    assert shown(once, span) == {"wake", "nrem", "rem"}
    without = phases(*[(1, "wake"), (1, "rem")] * 2000)
    start, stop = close_up(without, 3000, 0, 4000)
    assert stop - start == CLOSE_UP
    assert 3000 - start == CLOSE_UP // 4
    apart = phases((2000, "wake"), (2000, "nrem"), (2000, "rem"))
    start, stop = close_up(apart, 4000, 0, 6000)
    assert start <= 4000 < stop
    assert close_up(phases((5, "wake"), (3, "rem")), 4, 0, 8) == (0, 8)  # a very short run


def test_a_hypnogram_has_a_row_for_each_phase_that_the_run_has_at_all():
    of = phases((10, "wake"), (2, "nrem"), (10, "rem"), (10, "wake"))
    axes = hypnogram(figure(2, 1).subplots(), of, 0, 10)
    assert [t.get_text() for t in axes.get_yticklabels()] == ["NREM", "REM", "wake"]
    assert len(axes.collections) == 1  # only wake occurs in the window
    axes = hypnogram(figure(2, 1).subplots(), of[of["label"] != "nrem"], 0, 40)
    assert [t.get_text() for t in axes.get_yticklabels()] == ["REM", "wake"]


def test_the_gate_is_a_bar_of_when_it_is_open(drawn):
    axes = gate_bar(figure(2, 1).subplots(), np.arange(5), np.array([1.0, 0, 1, 0, 0]))
    (bar,) = axes.patches
    assert bar.get_data().values.tolist() == [1, 0, 1, 0, 0]
    assert bar.get_data().edges.tolist() == [0, 1, 2, 3, 4, 5]
    assert not axes.lines
    assert [t.get_text() for t in axes.get_yticklabels()] == ["gate"]
    sparse = gate_bar(figure(2, 1).subplots(), np.array([0, 2, 4, 90]), np.ones(4), gap=2)
    data = sparse.patches[0].get_data()
    assert data.edges.tolist() == [0, 2, 4, 5, 90, 91]
    assert data.values.tolist() == [1, 1, 1, 0, 1]
    axes = gate_bar(figure(2, 1).subplots(), np.arange(3), np.array([1.0, 20, np.nan]))
    assert [t.get_text() for t in axes.get_yticklabels()] == ["gate\nto 20"]
    bars = [a for a in drawn.axes if "gate" in [t.get_text() for t in a.get_yticklabels()]]
    assert len(bars) == 2
    whole, near = (a.patches[0].get_data().values for a in bars)
    assert set(whole) == {1}
    assert set(near) == {0, 1}
    assert bars[0].get_title(loc="left") == "gate open: wake"


def test_every_step_is_a_dash_where_the_hypnogram_has_it(finished, drawn):
    (left,) = axes_of(drawn, "raw |dF|\n(Delta")
    right = drawn.axes[drawn.axes.index(left) + len(traces.DEFAULT_TRACES) + 1]
    frame = traces.table(finished, 0, "rem_silenced")
    first, second = right.collections[:2]
    for k, lines in enumerate((first, second), start=1):
        ends = np.array([path.vertices for path in lines.get_paths()])
        steps = ends[:, 0, 0].astype(int)
        assert (ends[:, 1, 0] - ends[:, 0, 0] == 1).all()
        wanted = frame.set_index("step")[f"layer{k}_feedforward_raw"].loc[steps]
        assert ends[:, 0, 1] == pytest.approx(wanted.to_numpy())
        assert (wanted == 0).any()  # REM is shown, as nothing


def test_lines_are_broken_where_nothing_is_known():
    steps = pd.Series([*range(0, 200, 2), *range(1000, 1200, 2)])
    x, y = traces.broken(steps, pd.Series(np.ones(200)))
    assert np.flatnonzero(np.isnan(y)).tolist() == [100]
    assert x[99] == 198
    assert x[101] == 1000
    assert not np.isnan(traces.broken(steps[:100], pd.Series(np.ones(100)))[1]).any()


def test_raw_and_applied_changes_stand_on_one_scale_with_r_null_and_n(finished, drawn):
    panels = axes_of(drawn, "(layer's mean = 1)")
    assert [a.get_ylabel().split(" ")[0] for a in panels] == ["raw", "raw", "applied", "applied"]
    assert len({a.get_ylim() for a in panels}) == 1
    table = scatters.correlations(traces.table(finished, 0, "rem_silenced"))
    one = table[(table.change == "raw") & (table.layer == "layer 2") & (table.signal == "ach")]
    wanted = f"r = {one.r.item():+.2f} (null {one.null_low.item():+.2f}"
    texts = [t.get_text() for t in panels[0].get_legend().get_texts()]
    assert wanted in texts[1]
    assert panels[0].get_title(loc="right") == f"n = {one.n.item()} steps"
    assert one.n.item() == 18 + 12 + 12
    for axes in panels:
        assert np.mean(axes.lines[0].get_ydata()) == pytest.approx(1)


def test_the_factor_of_a_period_is_not_taken_for_a_lack_of_change(finished):
    frame = traces.table(finished, 0, "control")
    adult = frame["period"] == "adult"
    applied = frame.loc[frame["phase"] == "wake", "layer1_feedforward_applied"]
    assert applied[adult].mean() < 0.3 * applied[~adult].mean()
    found = scatters.sizes(frame, "layer1", "applied")
    assert found[adult].to_numpy() == pytest.approx(10 * applied[adult].to_numpy())
    assert found[~adult].to_numpy() == pytest.approx(applied[~adult].to_numpy())


def test_words_below_say_what_the_optimiser_does_and_what_the_null_is(drawn):
    words = " ".join(drawn._supxlabel.get_text().split())
    assert "Adam divides each change by the root of its running square" in words
    assert "`optimiser: sgd` the applied change is the rate times the raw one" in words
    assert "shifted in a circle by random steps" in words
    assert "stimuli of every batch are shuffled" in words
    assert "over the factor of their period" in words
    arms = Protocol.from_text(TEXT, "tiny.yaml").tree.arms
    assert scatters.optimiser(arms["sgd"].spec).startswith("Optimiser of F: sgd")
    assert scatters.optimiser(arms["frozen"].spec) == ""


def test_under_sgd_the_applied_change_correlates_as_the_raw_one(finished):
    frame = traces.table(finished, 0, "sgd")
    table = scatters.correlations(frame).set_index(["change", "layer", "signal"])["r"]
    assert table["applied"].to_numpy() == pytest.approx(table["raw"].to_numpy(), abs=1e-4)
    ratio = scatters.sizes(frame, "layer1", "applied") / scatters.sizes(frame, "layer1", "raw")
    assert ratio.to_numpy() == pytest.approx(1e-3, rel=1e-3)


def test_single_stimuli_are_shown_where_they_were_recorded(finished, drawn, monkeypatch):
    (left,) = axes_of(drawn, "its |teaching|")
    samples = finished.samples(0, "rem_silenced")
    batches, batch = samples.ach.shape
    assert left.get_title(loc="right") == f"n = {batches} batches of {batch}"
    x, y = left.lines[0].get_xdata(), left.lines[0].get_ydata()
    assert np.reshape(x, (batches, batch)).mean(1) == pytest.approx(0, abs=1e-5)
    assert np.reshape(y, (batches, batch)).mean(1) == pytest.approx(1)
    (right,) = axes_of(drawn, "|teaching|\nwithin a batch")
    assert len(right.lines[1].get_xdata()) == batches
    monkeypatch.setattr(by_stimulus, "recorded", lambda run, animal, arm: None)
    with styled():
        without = traces.branch_figure(finished, 0, "rem_silenced")
    assert not axes_of(without, "its |teaching|")
    assert without.get_size_inches()[1] < drawn.get_size_inches()[1]


@pytest.mark.parametrize("arm", ["wake_sleep", "frozen"])
def test_other_theories_are_drawn_too(finished, arm):
    with styled():
        drawn = traces.branch_figure(finished, 0, arm)
    legend = axes_of(drawn, "(layer's mean = 1)")[0].get_legend()
    text = legend.get_texts()[0].get_text()
    assert ("too few" in text) == (arm == "frozen")
    assert ("r = " in text) == (arm == "wake_sleep")

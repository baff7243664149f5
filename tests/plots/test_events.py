"""Signals around events, on traces whose every number is known."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from neuro_aws.plots import event_panels, events
from neuro_aws.plots.events import Event
from neuro_aws.plots.scatters import FACTOR
from neuro_aws.plots.style import figure, styled

ONSET, STEPS = 200, 400
EVENT = Event("treated", "control", "onset", "silence cells in REM", ONSET)


def traces(animal: int, arm: str) -> pd.DataFrame:
    """Wake and REM by turns, two NREM steps after each 20; from the onset all sizes are fivefold.

    ACh is 3 above REM in wake (8 from the onset on), plus 10 an animal.
    """
    step = np.arange(STEPS)
    place = step % 22
    phase = np.where(place >= 20, "nrem", np.where(place % 2 == 0, "wake", "rem"))
    wake = phase == "wake"
    after = (step >= ONSET) & (arm == "treated")
    frame = pd.DataFrame({"step": step, "phase": phase, FACTOR: 1.0})
    frame["ach"] = 10 * animal + wake * np.where(after, 8.0, 3.0)
    for layer in (1, 2):
        size = wake * (2.0 + animal) * layer
        times = np.where(after, 5.0 * layer, 1.0)
        frame[f"layer{layer}_teaching"] = size * times
        frame[f"layer{layer}_feedforward_raw"] = size * times
        frame[f"layer{layer}_feedforward_applied"] = size * 1e-3
    return frame.set_index("step", drop=False)


class Fake:
    """Tables of two animals."""

    run = SimpleNamespace(animals=[0, 1])

    def __call__(self, animal: int, arm: str) -> pd.DataFrame:
        return traces(animal, arm)

    def phases(self, animal: int, arm: str) -> np.ndarray:
        return traces(animal, arm)["phase"].to_numpy(dtype=str)


def some(values: np.ndarray) -> np.ndarray:
    """Return what there is, and there is something."""
    assert np.isfinite(values).any()
    return values[np.isfinite(values)]


def test_sizes_are_shares_of_the_reference_before_and_ach_is_counted_from_rem():
    locked = events.around(Fake(), EVENT, "treated")
    before, after = (locked.lags < 0), (locked.lags >= 0) & (locked.lags < STEPS - ONSET)
    raw = locked.sizes["layer2", "feedforward_raw"]
    assert some(raw[:, before]) == pytest.approx(1)
    assert some(raw[:, after]) == pytest.approx(10)
    applied = locked.sizes["layer2", "feedforward_applied"]
    assert some(applied) == pytest.approx(1)
    assert some(locked.ach["wake"][:, before]) == pytest.approx(3)  # whatever the animal
    assert some(locked.ach["wake"][:, after]) == pytest.approx(8)
    assert some(locked.ach["rem"]) == pytest.approx(0)
    ach, sizes = events.change(locked, 0, 100)
    assert ach["wake"] == pytest.approx([5, 5])
    assert sizes["layer1", "teaching"] == pytest.approx([5, 5])


def test_steps_in_which_f_does_not_learn_and_beyond_the_run_have_no_size():
    locked = events.around(Fake(), EVENT, "treated")
    raw = locked.sizes["layer1", "feedforward_raw"]
    wake = traces(0, "treated")["phase"].reindex(ONSET + locked.lags) == "wake"
    assert (np.isfinite(raw) == wake.to_numpy()).all()
    assert not np.isfinite(raw[:, locked.lags >= STEPS - ONSET]).any()


def test_a_clamp_is_a_size_of_nothing_and_not_a_gap():
    class Clamped(Fake):
        def __call__(self, animal, arm):
            frame = super().__call__(animal, arm)
            if arm == "treated":
                frame.loc[ONSET:, "layer1_teaching"] = 0.0
            return frame

    locked = events.around(Clamped(), EVENT, "treated")
    _, sizes = events.change(locked, 0, 100)
    assert sizes["layer1", "teaching"] == pytest.approx([0, 0])


def test_switches_are_averaged_by_the_phases_on_both_sides():
    found = events.switches(Fake(), "control", 0)
    assert set(found) == {("wake", "rem"), ("rem", "wake"), ("rem", "nrem"), ("nrem", "wake")}
    locked = found["rem", "nrem"]
    assert locked.lags.tolist() == [-3, -2, -1, 0, 1, 2]
    present = {p: np.isfinite(v).all(0).tolist() for p, v in locked.ach.items()}
    no = False
    assert present["nrem"] == [no, no, no, True, True, no]
    assert present["rem"] == [True, no, True, no, no, no]
    assert present["wake"] == [no, True, no, no, no, True]
    assert locked.ach["wake"][:, 1] == pytest.approx([3, 3])
    assert locked.sizes["", "feedforward_raw"][0] == pytest.approx([0, 1, 0, 0, 0, 1])
    # of the switches from wake to REM some come just after NREM: those are not mixed in
    first = found["wake", "rem"]
    assert first.sizes["", "teaching"][0] == pytest.approx([1, 0, 1, 0, 1, 0])


def test_switches_are_those_of_the_schedule_however_seldom_steps_are_recorded():
    class Sparse(Fake):
        def __call__(self, animal, arm):
            return super().__call__(animal, arm).iloc[::7]

    every, sparse = (events.switches(of, "control", 0) for of in (Fake(), Sparse()))
    assert set(every) == set(sparse)
    for pair, locked in sparse.items():
        there = np.isfinite(locked.ach["wake"])
        assert locked.ach["wake"][there] == pytest.approx(every[pair].ach["wake"][there])


def run_of(intervals: dict[str, list[tuple[int, int, str]]]) -> SimpleNamespace:
    plan = SimpleNamespace(reference="control", schedule=SimpleNamespace(steps=STEPS))
    return SimpleNamespace(
        animals=[3],
        arms=list(intervals),
        protocol=SimpleNamespace(tree=SimpleNamespace(arms=dict.fromkeys(intervals, plan))),
        intervals=lambda animal, arm, table: pd.DataFrame(
            intervals[arm], columns=["start", "stop", "label"]
        ),
    )


def test_what_begins_and_ends_within_the_run_is_found_and_one_of_each_is_drawn():
    silence, clamp = "silence targets=cells in rem", "clamp ach"
    found = events.events(
        run_of(
            {
                "control": [],
                "both": [(200, 400, clamp), (200, 400, silence)],
                "from_the_start": [(0, 400, clamp)],
                "treated": [(200, 400, silence)],
                "released": [(200, 300, silence)],
                "clamped": [(200, 400, clamp)],
            }
        )
    )
    assert [(e.arm, str(e), e.step) for e in found] == [
        ("both", "onset of clamp ACh + silence cells in REM", 200),
        ("treated", "onset of silence cells in REM", 200),
        ("released", "onset of silence cells in REM", 200),
        ("released", "end of silence cells in REM", 300),
        ("clamped", "onset of clamp ACh", 200),
    ]
    assert {e.reference for e in found} == {"control"}
    shown = [(e.arm, e.kind) for e in events.chosen(found, 4)]
    assert shown == [("treated", "onset"), ("clamped", "onset"), ("released", "end")]
    assert len(events.chosen(found, 2)) == 2


def test_panels_show_arm_and_reference_with_intervals():
    with styled():
        drawn = figure(4, 4)
        event_panels.draw_events(drawn, Fake(), [EVENT], ["layer1", "layer2"])
    ach, first, second = drawn.axes
    assert ach.get_title() == "onset: silence cells in REM"
    raw, reference = (
        next(
            line
            for line in second.lines
            if line.get_color() == colour and np.nanmax(line.get_ydata()) == pytest.approx(most)
        )
        for colour, most in (
            (event_panels.SIZE_COLOURS["feedforward_raw"], 10),
            (event_panels.REFERENCE, 1),
        )
    )
    assert second.lines.index(raw) > second.lines.index(reference)  # the arm on top
    assert first.get_ylim()[0] == second.get_ylim()[0] == 0
    (legend,) = drawn.legends
    words = [t.get_text() for t in legend.get_texts()]
    assert words[-1] == "reference arm"
    assert {"teaching", "raw |dF|", "applied |dF|"} <= set(words)

"""Receptive fields as pictures: each weight in its place, what changed beside what it was."""

from types import SimpleNamespace

import numpy as np
import pytest

from neuro_aws.errors import NeuroAWSError
from neuro_aws.plots import figures, receptive_fields
from neuro_aws.plots.receptive_fields import as_pictures, chosen_cells
from neuro_aws.plots.style import WIDTH
from neuro_aws.protocol import Protocol
from tests.conftest import TINY

ARMS = "  clamped: {perturb: [{clamp: {neuromodulator: ach}, in: critical_period}]}\n"
BINOCULAR = TINY.replace(
    "source: digits", "source: patches, eyes: binocular, size: 4, count: 300, held_out: 60"
).replace("[64, 20, 6]", "[32, 20, 6]")


def protocol(*overrides: str, text: str = TINY) -> Protocol:
    text = text.replace("  rem_silenced:", f"{ARMS}  rem_silenced:")
    return Protocol.from_text(text, "tiny.yaml", list(overrides))


def fake(made: Protocol) -> SimpleNamespace:
    """Return a run whose targets lose all weights under silencing; else nothing changes."""
    arms = list(made.tree.arms)
    units, pixels = made.spec.network.layers[1], made.spec.network.layers[0]
    before = np.random.default_rng(0).standard_normal((units, pixels))
    after = before.copy()
    after[list(made.targets(0)["cells"].ids)] = 0

    def read(animal, arm, path):
        branch = made.tree.arms[arm].branch
        if path == "weights/step":
            return np.array([0, branch, branch, branch + 28])
        return np.stack([0 * before, before, before, after if arm == "rem_silenced" else before])

    return SimpleNamespace(protocol=made, arms=arms, animals=[0], read=read, before=before)


@pytest.mark.parametrize("shape", [(8, 8, 1), (4, 4, 3)])
def test_weights_stand_where_their_pixels_do(shape):
    spec = SimpleNamespace(stimulus=SimpleNamespace(picture=shape))
    weights = np.arange(2 * np.prod(shape), dtype=float).reshape(2, -1)
    found = as_pictures(weights, spec)
    assert found.shape == (2, *shape)
    high, wide, channels = shape
    assert found[1, 2, 3, channels - 1] == weights[1, (2 * wide + 3) * channels + channels - 1]


def test_two_eyes_stand_side_by_side_and_kernels_have_channels_last():
    weights = np.arange(32, dtype=float)[None]
    (seen,) = as_pictures(weights, protocol(text=BINOCULAR).spec)
    assert seen.shape == (4, 8, 1)
    assert seen[1, :, 0].tolist() == [4, 5, 6, 7, 20, 21, 22, 23]  # left eye, then right
    kernels = np.arange(2 * 3 * 4 * 4, dtype=float).reshape(2, 3, 4, 4)
    spec = SimpleNamespace(stimulus=SimpleNamespace(picture=(8, 8, 3)))
    assert as_pictures(kernels, spec)[1, 2, 3, 0] == kernels[1, 0, 2, 3]


def test_the_sheet_shows_each_cell_before_and_after_and_what_changed():
    run = fake(protocol())
    drawn = receptive_fields.draw(run, 0, run.arms)
    left, right = drawn.axes
    rows = [t.get_text() for t in left.get_yticklabels()]
    ends = ["control, end", "rem silenced, end", "clamped, end"]  # those that perturb cells first
    assert rows == ["at the branch", *(w for end in ends for w in (end, "change"))]
    ids = run.protocol.targets(0)["cells"].ids
    assert [t.get_text() for t in left.get_xticklabels()] == [str(i) for i in ids[:10]]
    assert not set(ids) & {int(t.get_text()) for t in right.get_xticklabels()}
    for axes in (left, right):
        sheet = np.asarray(axes.images[0].get_array())
        assert sheet.shape[0] == 7 * 9 - 1  # rows of eight pixels and a gap
        cell = int(axes.get_xticklabels()[1].get_text())
        row = [sheet[k * 9 : k * 9 + 8, 9:17] for k in range(7)]
        field = run.before[cell].reshape(8, 8) / np.abs(run.before[cell]).max()
        assert np.allclose(row[0], field)
        assert np.allclose(row[1], field)
        assert not row[2].any()
        silenced = axes is left
        assert np.allclose(row[3], 0 if silenced else field)
        assert row[4].any() == silenced
        assert np.allclose(row[4] * row[0].clip(0), -abs(row[4]) * row[0].clip(0))  # it was lost
    assert drawn.get_size_inches()[0] <= WIDTH
    assert "animal 0" in drawn.get_suptitle()


def test_arms_that_do_not_fit_are_counted(monkeypatch):
    monkeypatch.setattr(receptive_fields, "MOST_ARMS", 2)
    run = fake(protocol())
    drawn = receptive_fields.draw(run, 0, run.arms)
    assert "1 more arms (--arm)" in drawn.get_suptitle()
    rows = [t.get_text() for t in drawn.axes[0].get_yticklabels()]
    assert "rem silenced, end" in rows
    assert "clamped, end" not in rows


@pytest.mark.parametrize(
    ("asked", "name", "ids"),
    [
        ("receptive_field", "cells", None),
        ("{measure: receptive_field, layer: 1, first: 3}", "layer1_first3", (0, 1, 2)),
        ("{measure: receptive_field, layer: 2, first: 3}", "first cells", tuple(range(10))),
    ],
)
def test_the_cells_drawn_are_those_measured(asked, name, ids):
    run = fake(protocol(f"measure=[{asked}]"))
    found = chosen_cells(run, 0)
    assert found == (name, run.protocol.targets(0)["cells"].ids if ids is None else ids, 20)


def test_stimuli_that_are_no_pictures_are_refused_in_a_line(monkeypatch):
    run = fake(protocol())
    monkeypatch.setattr(receptive_fields, "as_pictures", lambda weights, spec: None)
    assert receptive_fields.draw(run, 0, run.arms) is None
    with pytest.raises(NeuroAWSError, match="no pictures"):
        figures.fields_figure(run, 0, run.arms)

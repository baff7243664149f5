"""What time is counted from in figures of several arms."""

from types import SimpleNamespace

import pytest
from matplotlib import pyplot as plt

from neuro_aws.plots.outcomes import mark_periods, onset_step
from neuro_aws.protocol import Protocol
from tests.conftest import TINY

OLDER = "arms:\n  older: {initial: {schedule.0.cycles: 9}}\n"


@pytest.fixture
def axes():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def run_of(text: str) -> SimpleNamespace:
    protocol = Protocol.from_text(text)
    return SimpleNamespace(protocol=protocol, arms=list(protocol.tree.arms))


def test_arms_that_part_at_one_age_are_drawn_from_there(axes):
    run = run_of(TINY)
    branch = run.protocol.tree.arms["control"].branch
    assert onset_step(run) == branch > 0
    mark_periods(axes, run, 0)
    assert [line.get_xdata()[0] for line in axes.lines] == [branch]


def test_arms_that_part_at_several_ages_are_drawn_from_the_first_step(axes):
    run = run_of(TINY.replace("arms:\n", OLDER))
    assert len({run.protocol.tree.arms[arm].branch for arm in run.arms}) == 2
    assert onset_step(run) == 0
    mark_periods(axes, run, 0)
    assert not axes.lines  # a mark would be true of some arms only

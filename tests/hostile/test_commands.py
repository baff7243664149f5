"""A wrong command line costs a line; some of everything also through a process of its own."""

import pytest

from tests.hostile.cases import Case, protocol, wrong_line, wrong_study

LINES, STUDIES = 80, 30


@pytest.mark.parametrize("number", range(LINES))
def test_a_wrong_command_line_is_refused_in_a_few_words(bases, tmp_path, number):
    assert wrong_line(Case("line", number), tmp_path / "world", bases).faults == ()


@pytest.mark.parametrize("number", range(STUDIES))
def test_a_wrong_line_on_many_runs_is_refused_in_a_few_words(bases, tmp_path, number):
    assert wrong_study(Case("study_line", number), tmp_path / "world", bases).faults == ()


@pytest.mark.parametrize(
    ("play", "number"), [(protocol, 0), (protocol, 1), (protocol, 2), (wrong_line, 0)]
)
def test_a_process_says_and_leaves_as_little(bases, tmp_path, play, number):
    ended = play(Case("command", number), tmp_path / "world", bases, process=True)
    assert ended.faults == ()

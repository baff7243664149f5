"""A run folder that is damaged, or that a stranger made, costs a line and nothing beside it."""

import json
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, note

from tests.hostile.cases import Case, damaged, damaged_copied, told
from tests.hostile.chance import chance, seeded
from tests.hostile.facts import facts
from tests.hostile.worlds import World

DAMAGED, IN_CI = 30, 12
COPIED, COPIED_IN_CI = 24, 3
FACTS = 12


@pytest.mark.parametrize(
    "number",
    [pytest.param(n, marks=[pytest.mark.slow] if n >= IN_CI else []) for n in range(DAMAGED)],
)
def test_a_damaged_run_is_refused_in_a_few_words_or_still_right(bases, tmp_path, number):
    ended = damaged(Case("damaged", number), tmp_path / "world", bases)
    assert ended.faults == (), ended.what


@pytest.mark.parametrize(
    "number",
    [pytest.param(n, marks=[pytest.mark.slow] if n >= COPIED_IN_CI else []) for n in range(COPIED)],
)
def test_what_is_made_of_a_damaged_run_is_refused_in_a_few_words_or_made(bases, tmp_path, number):
    ended = damaged_copied(Case("damaged_copied", number), tmp_path / "world", bases)
    assert ended.faults == (), ended.what


def test_hostile_facts_of_a_run_are_refused_or_accepted_in_a_few_words(bases):
    sound = json.loads((bases.stopped("rate") / "provenance.json").read_text())

    @seeded(FACTS)
    @given(chance)
    def holds(rng: random.Random):
        data = facts(sound, rng)
        note(ascii(data[:3000]))
        with tempfile.TemporaryDirectory() as folder:
            assert told(World(Path(folder)), bases, data).faults == ()

    holds()

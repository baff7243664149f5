"""Whatever a protocol, or a setting of it, is: accepted or refused in a few words, at once."""

import random
import tempfile
from pathlib import Path

from hypothesis import given, note

from tests.hostile.assignments import assignments
from tests.hostile.cases import assigned, validated
from tests.hostile.chance import chance, seeded
from tests.hostile.protocols import text
from tests.hostile.worlds import World

PROTOCOLS = 150
ASSIGNMENTS = 120


@seeded(PROTOCOLS)
@given(chance)
def test_a_hostile_protocol_is_refused_or_accepted_in_a_few_words(rng: random.Random):
    data = text(rng)
    note(ascii(data[:3000]))
    with tempfile.TemporaryDirectory() as folder:
        assert validated(World(Path(folder)), data).faults == ()


@seeded(ASSIGNMENTS)
@given(chance)
def test_hostile_settings_are_refused_or_accepted_in_a_few_words(rng: random.Random):
    made = assignments(rng)
    note(ascii(made)[:3000])
    with tempfile.TemporaryDirectory() as folder:
        assert assigned(World(Path(folder)), made).faults == ()

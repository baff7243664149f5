"""Random numbers from hypothesis, the same in every run of the tests."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

chance = st.randoms(use_true_random=False)
"""A ``random.Random`` whose choices hypothesis makes simpler until a failure is small."""


def seeded(examples: int) -> settings:
    """Return the settings of a test that tries the same examples every time."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )

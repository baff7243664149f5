"""The principal subspace of Gaussian stimuli is found, as theory says; other effects: test_shipped."""

import pytest

from tests.calls import script
from tests.conftest import ROOT


def angles(pairs: int, seeds: int) -> dict[str, list[float]]:
    """Return the angles to the true subspace, degrees, by rule: one a seed."""
    arguments = ["--pairs", str(pairs), "--seeds", str(seeds)]
    done = script(ROOT / "analysis" / "linear_gaussian.py", *arguments)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    return {row[0]: [float(x) for x in row[1 : 1 + seeds]] for row in rows}


def test_the_principal_subspace_is_found():
    found = angles(1500, 1)
    assert set(found) == {"layer", "backprop", "wake_sleep"}
    assert all(max(a) < 3.0 for a in found.values()), found


@pytest.mark.slow
def test_the_principal_subspace_is_found_within_two_degrees():
    assert all(max(a) < 2.0 for a in angles(6000, 5).values())

"""Numbers that commands take, within limits."""

import math
from typing import Any

import click

SEED = click.IntRange(0, 2_000_000_000)
"""The first animal; seeds are stored in 32 bits."""

SEEDS = click.IntRange(1, 10_000)
"""Animals of a run, as many as a protocol may have."""

JOBS = click.IntRange(1, 1024)
REPEATS = click.IntRange(1, 1000)
SAMPLES = click.IntRange(20, 10_000_000)
POINTS = click.IntRange(1, 100_000)


class _Number(click.FloatRange):
    """A range that nan, which no limit excludes, lies outside of."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number."""
        found = float(super().convert(value, param, ctx))
        if math.isnan(found):
            self.fail(f"{value} is no number", param, ctx)
        return found


STEP_SECONDS = _Number(0.0001, 3600.0)
"""What a step may be declared to last, s."""

SAVE_EVERY = _Number(0.1)
"""Seconds between checkpoints."""

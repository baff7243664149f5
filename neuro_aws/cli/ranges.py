"""Numbers that commands take, within limits."""

import click

SEED = click.IntRange(0, 2_000_000_000)
"""The first animal; seeds are stored in 32 bits."""

SEEDS = click.IntRange(1, 10_000)
"""Animals of a run, as many as a protocol may have."""

JOBS = click.IntRange(1, 1024)
REPEATS = click.IntRange(1, 1000)
SAMPLES = click.IntRange(20, 10_000_000)
POINTS = click.IntRange(1, 100_000)

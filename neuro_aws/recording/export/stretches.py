"""Perturbations that overlap, cut into stretches that do not."""

from itertools import pairwise

import pandas as pd


def stretches(intervals: pd.DataFrame) -> pd.DataFrame:
    """Return start, stop and labels: within each stretch the same intervals are in force.

    The stretches follow one another, so those of one label are together what it lasted.
    """
    edges = sorted({*intervals["start"].tolist(), *intervals["stop"].tolist()})
    rows = []
    for start, stop in pairwise(edges):
        covering = intervals[(intervals["start"] <= start) & (intervals["stop"] >= stop)]
        if len(covering):
            rows.append((start, stop, covering["label"].tolist()))
    return pd.DataFrame(rows, columns=["start", "stop", "labels"])

"""What was measured before anything was learnt, and what has been gained since."""

from collections.abc import Iterable

import pandas as pd

from neuro_aws.metrics.statistics import VALUE_KEYS, Estimate, estimate
from neuro_aws.protocol import registry
from neuro_aws.protocol.branches import Tree

INITIALLY = "initially"
"""The moment before anything was learnt, in tables."""

OF_ANIMAL = ["arm", "animal", *VALUE_KEYS]


def initial_values(metrics: pd.DataFrame, tree: Tree, arms: Iterable[str]) -> pd.DataFrame:
    """Return what was measured first in every arm, if nothing had been learnt by then.

    One row for an arm, animal, name, layer and group. Arms that share a run share these values; an
    arm with settings of its own from the start has its own. Rates are measured before the first
    step; spikes, which are counted over time, at the end of a first period without plasticity.
    """
    parts = []
    for arm in arms:
        plan = tree.arms[arm]
        rows = metrics[metrics["arm"].isin([plan.trunk, arm])]
        rows = rows[rows["step"] <= plan.schedule.learns_from].sort_values("step", kind="stable")
        first = rows.drop_duplicates(["animal", *VALUE_KEYS])
        parts.append(first.assign(arm=arm)[[*OF_ANIMAL, "value"]])
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def only_gained(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of values that random weights already give much of."""
    names = [name for name in table["name"].unique() if registry.value(name).gained]
    return table[table["name"].isin(names)]


def gained(last: pd.DataFrame, initial: pd.DataFrame) -> pd.DataFrame:
    """Return every animal's last value (``last_values``) minus the same animal's initial one.

    One row for an arm, animal, name, layer and group: ``initially``, and the difference ``value``.
    """
    both = last[[*OF_ANIMAL, "value"]].merge(
        initial.rename(columns={"value": INITIALLY}), on=OF_ANIMAL
    )
    return both.assign(value=both["value"] - both[INITIALLY])


def gains(last: pd.DataFrame, initial: pd.DataFrame) -> pd.DataFrame:
    """Return for every arm and value the mean initial value, and mean and t interval of the gain.

    Over the animals that have both.
    """
    keys = ["arm", *VALUE_KEYS]
    rows = [
        (*key, float(part[INITIALLY].mean()), *estimate(part["value"].to_numpy()))
        for key, part in gained(last, initial).groupby(keys, sort=False)
    ]
    return pd.DataFrame(rows, columns=[*keys, INITIALLY, *Estimate._fields])

"""What the analysis scripts share: arguments, what a run must hold, values, tests and tables."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from neuro_aws.errors import NeuroAWSError
from neuro_aws.metrics.initial import initial_values
from neuro_aws.metrics.statistics import PairedTest, caption, estimate, holm, paired
from neuro_aws.recording.reader import Run, open_run


def arguments(text: str | None, *, several: bool = False) -> argparse.ArgumentParser:
    """Return a parser for RUN (or several) and --out."""
    parser = argparse.ArgumentParser(description=(text or "").split("\n", 1)[0])
    parser.add_argument("run", nargs="+" if several else None, help="run folder")
    parser.add_argument("--out", type=Path, help="figure file; default: in the run's figures/")
    return parser


def script(main: Callable[[], None]) -> None:
    """Run a script; what a user can mend ends it with one line and exit code 1.

    Where its reader has gone (``| head``) it ends without a word.
    """
    try:
        main()
        sys.stdout.flush()
    except NeuroAWSError as error:
        raise SystemExit(str(error)) from error
    except BrokenPipeError:
        # What is left in the buffer would be written, and fail again, when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None


def opened(
    path: str,
    *,
    made_for: str = "",
    arms: Sequence[str] = (),
    values: Sequence[str] = (),
    periods: Sequence[str] = (),
    targets: Sequence[str] = (),
) -> Run:
    """Open a run that holds what a script needs; refuse another one, naming what it lacks.

    ``made_for`` is the protocol (or what it must be like) that the refusal recommends.
    """
    run = open_run(path)
    measured = run.metrics
    needed = {
        "arm": (arms, run.arms),
        "value": (values, set(measured[measured["arm"].isin(run.arms)]["name"])),
        "period": (periods, [period.name for period in run.protocol.spec.schedule]),
        "set of targets": (targets, list(run.protocol.spec.targets)),
    }
    missing = []
    for kind, (want, have) in needed.items():
        names = [name for name in want if name not in have]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        if names:
            missing.append(f"no {kind} {', '.join(names[:3])}{more}")
    if missing:
        raise refusal(run, f"has {'; '.join(missing)}", made_for)
    return run


def refusal(run: Run, why: str, made_for: str) -> NeuroAWSError:
    """Return the error that says why a script was not made for a run."""
    return NeuroAWSError(
        f"this run of {run.protocol.spec.name} {why}",
        where=str(run.folder),
        next_step=f"The script is made for {made_for}",
    )


def animals(run: Run) -> str:
    """Return the number of animals in words."""
    n = len(run.animals)
    return f"{n} animal{'s' if n > 1 else ''}"


def described(run: Run, names: Sequence[str], *, differences: bool = True) -> str:
    """Return what the numbers about these values are."""
    n = len(run.animals)
    return caption(names, n, differences=differences and n > 1)


def values(
    metrics: pd.DataFrame,
    arm: str,
    name: str,
    period: str | None = None,
    cycle: int | None = None,
    group: str | None = None,
    layer: int | None = None,
) -> pd.Series:
    """Return one value an animal: the last in the period, or the last up to a cycle of it."""
    rows = metrics[(metrics["arm"] == arm) & (metrics["name"] == name)]
    if period is not None:
        rows = rows[rows["period"] == period]
    if cycle is not None:
        rows = rows[rows["cycle"] <= cycle]
    if group is not None:
        rows = rows[rows["group"] == group]
    if layer is not None:
        rows = rows[rows["layer"] == layer]
    if rows.empty:
        return pd.Series(dtype=float)
    last = rows[rows["step"] == rows["step"].max()]
    found: pd.Series = last.groupby("animal")["value"].mean()
    return found


def initially(run: Run, metrics: pd.DataFrame, arm: str, name: str, layer: int) -> pd.Series:
    """Return one value an animal: what an arm began with, before anything was learnt."""
    table = initial_values(metrics, run.protocol.tree, [arm])
    rows = table[(table["name"] == name) & (table["layer"] == layer)]
    found: pd.Series = rows.groupby("animal")["value"].mean()
    return found


def probability(p: float) -> str:
    """Return a p value as it is printed."""
    if np.isnan(p):
        return "-"
    return "< 1e-6" if p < 1e-6 else f"{p:.2g}"


class Report:
    """The lines a script prints; p values are corrected over all tests of the script (Holm)."""

    def __init__(self) -> None:
        self._lines: list[str | tuple[str, PairedTest]] = []

    def say(self, text: object = "") -> None:
        """Add a line."""
        self._lines.append(str(text))

    def test(self, label: str, test: PairedTest) -> None:
        """Add a paired comparison."""
        self._lines.append((label, test))

    def __str__(self) -> str:
        tests = [line[1] for line in self._lines if not isinstance(line, str)]
        corrected = iter(holm([test.p for test in tests]))
        lines = [
            line if isinstance(line, str) else _test_line(*line, next(corrected))
            for line in self._lines
        ]
        count = sum(not np.isnan(test.p) for test in tests)
        if count:
            lines.append(
                f"\np: paired t tests, two-sided, corrected for the {count} tests above (Holm)"
            )
        return "\n".join(lines)


def _test_line(label: str, test: PairedTest, p: float) -> str:
    statistics = "" if np.isnan(test.t) else f" t = {test.t:7.2f}  p {probability(p)}"
    return f"  {label:<58} {test.difference!s:<28}{statistics}".rstrip()


def arm_table(
    metrics: pd.DataFrame, arms: list[str], names: list[str], period: str | None, group: str | None
) -> str:
    """Return mean [95 % interval] of several values for every arm, as a table."""
    rows = []
    for arm in arms:
        found = [(name, values(metrics, arm, name, period, group=group)) for name in names]
        rows.append([arm, *(str(estimate(of.to_numpy(), name)) for name, of in found)])
    return pd.DataFrame(rows, columns=["arm", *names]).to_string(index=False)


def against_reference(
    report: Report,
    run: Run,
    metrics: pd.DataFrame,
    name: str,
    period: str | None,
    group: str | None,
) -> None:
    """Add the paired test of every arm against its reference, same animals, same age."""
    for arm in run.arms:
        reference = run.protocol.tree.arms[arm].reference
        if reference == arm or reference not in run.arms:
            continue
        a, b = (values(metrics, x, name, period, group=group) for x in (arm, reference))
        if len(a) and len(b):
            report.test(f"{arm} - {reference}", paired(a, b))

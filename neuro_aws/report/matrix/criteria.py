"""Has each theory learnt, by its own criterion?"""

from typing import Any

from neuro_aws.metrics.statistics import Estimate
from neuro_aws.plots.style import readable
from neuro_aws.report.document import Section, Table, Words
from neuro_aws.report.matrix.tables import Reported, rows_of
from neuro_aws.report.wording import listed

MET = {"True": "met", "False": "not met"}


def section(found: Reported) -> Section:
    """Return the section."""
    table = found.tables["criteria"]
    title = "Has it learnt?"
    if table.empty:
        return Section("criteria", title, [Words(["No run has come to its end yet."])])
    rows = [
        (
            readable(row.theory),
            readable(row.block),
            readable(row.part),
            f"{row.initially:.3g}",
            str(_estimate(row)),
            row.wanted or "not asked",
            MET.get(str(row.met), "not judged" if row.wanted else "-"),
        )
        for row in rows_of(table)
    ]
    head = ("theory", "block", "part", "initially", "mean [95 % interval]", "wanted", "verdict")
    words = (
        "In animals that nothing is done to. A theory that has not met all that it was asked is "
        "shown and marked (†), and not compared with others; nulls are not asked."
    )
    return Section("criteria", title, [Words([words]), Table("Criteria", head, rows)])


def _estimate(row: Any) -> Estimate:
    return Estimate(row.mean, row.low, row.high, int(row.n))


def failed(found: Reported) -> list[str]:
    """Return a sentence for each theory that did not meet its criterion: which part of it."""
    table = found.tables["criteria"]
    told = []
    for theory in found.spec.theories:
        rows = table[(table["theory"] == theory) & (table["met"].astype(str) == "False")]
        parts = [
            f"{readable(r.part)} in {readable(r.block)} was {_estimate(r)}, not {r.wanted}"
            for r in rows_of(rows)
        ]
        if parts:
            name = readable(theory)
            told.append(f"{name} has not learnt by its own criterion: {listed(parts)}.")
    return told


def marked(found: Reported, theory: str) -> str:
    """Return what a theory is called, with a mark if it has not learnt."""
    rows = found.cells[found.cells["theory"] == theory]
    return readable(theory) + (" †" if (rows["learnt"] == "no").any() else "")

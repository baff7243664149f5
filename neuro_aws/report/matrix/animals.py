"""Every animal's effect, manipulation by manipulation."""

from neuro_aws.experiment.matrix.expand import Status
from neuro_aws.plots.style import arm_styles, readable
from neuro_aws.report.document import Chart, Part, Section, Table, Words
from neuro_aws.report.interactive.by_arm import Dots, by_arm
from neuro_aws.report.matrix.criteria import marked
from neuro_aws.report.matrix.grid import found_unit
from neuro_aws.report.matrix.tables import Place, Reported, effect_of
from neuro_aws.report.wording import listed

SHOWN = (Status.MEASURED, Status.AS_WITHOUT)


def section(found: Reported) -> Section:
    """Return the section."""
    parts = []
    for block in found.spec.blocks:
        charts = [_chart(found, p, k) for k, p in enumerate(found.places) if p[0] == block]
        known = [chart for chart in charts if chart is not None]
        parts += [Part(readable(block), known)] if known else []
    words = (
        "A point is an animal's value in the arm minus the same animal's in its reference; a bar "
        "the mean with its 95 % interval (Student's t). What is 0 by definition, or by definition "
        "as without what is done beside under every theory, is left out."
    )
    nothing = [] if parts else ["Nothing has been measured yet."]
    return Section("animals", "Effects animal by animal", [Words([words, *nothing])], parts)


def _chart(found: Reported, place: Place, number: int) -> Chart | None:
    effects = found.tables["effects"]
    effects = effects[(effects["block"] == place[0]) & (effects["manipulation"] == place[1])]
    rows = [row for row in found.rows(place) if row.status in SHOWN]
    if not any(row.status == Status.MEASURED for row in rows):
        return None
    colours = arm_styles(list(found.spec.theories))
    dots, table = [], []
    for row in rows:
        theory = str(row.theory)
        mine = effects[effects["theory"] == theory].sort_values("animal")
        values = dict(zip(mine["animal"].astype(int), mine["effect"].astype(float), strict=True))
        name = marked(found, theory)
        dots.append(Dots(name, colours[theory][0], values, effect_of(row)))
        each = ", ".join(f"{animal}: {value:.4g}" for animal, value in values.items())
        table.append((name, str(effect_of(row)), each))
    same = [readable(str(r.theory)) for r in rows if r.status == Status.AS_WITHOUT]
    beside = f" As without what is done beside, by definition: {listed(same)}." if same else ""
    title = found.words(place)
    return Chart(
        f"animals-{number}",
        title,
        f"Effect on {found_unit(rows[0])}.{beside}",
        by_arm([("arm minus its reference", dots)], zero_in_first=True),
        Table(title, ("theory", "mean [95 % interval]", "animals"), table),
    )

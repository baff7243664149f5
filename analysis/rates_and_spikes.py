"""The same experiment in both backends: what REM silencing and ACh do to waking activity.

    python analysis/rates_and_spikes.py RATE_RUN SPIKING_RUN [--out figure.png]

RATE_RUN is a run of critical_period, SPIKING_RUN one of spiking_critical_period (any two protocols
whose arms have the same names). For every arm that both have: activity of the target cells and of
the non-target ones in wake, relative to the moment the arms part; then the arm's effect, against
control of the same animal, and whether the two backends agree in its sign.
"""

import pandas as pd
from common import animals, arguments, opened, script, values

from neuro_aws.errors import NeuroAWSError
from neuro_aws.metrics.statistics import Estimate, estimate
from neuro_aws.plots.style import ARM_COLOURS, WIDTH, Figure, figure, readable, save, styled
from neuro_aws.recording.reader import Run

NAMES = {"rate": "target_activity_relative", "spiking": "target_rate_relative"}
OTHERS = {"rate": "spared_activity_relative", "spiking": "spared_rate_relative"}
NOTHING = 0.15
"""An effect whose mean is smaller is called none: activity is relative to 1."""


def effects(run: Run, arms: list[str], period: str) -> pd.DataFrame:
    """Return targets, non-target cells and the effect against control, one row an arm."""
    backend = run.protocol.spec.backend
    control = values(run.metrics, "control", NAMES[backend], period)
    rows = []
    for arm in arms:
        mine = values(run.metrics, arm, NAMES[backend], period)
        others = values(run.metrics, arm, OTHERS[backend], period)
        rows.append((arm, estimate(mine), estimate(others), estimate(mine - control)))
    return pd.DataFrame(rows, columns=["arm", "targets", "others", "effect"])


def sign(effect: Estimate) -> str:
    """Return the sign of an effect in a word."""
    if abs(effect.mean) < NOTHING:
        return "none"
    return "up" if effect.mean > 0 else "down"


def draw(runs: list[Run], tables: list[pd.DataFrame]) -> Figure:
    """Draw targets by arm, the two backends side by side."""
    drawn = figure(WIDTH, 3.3)
    grid = drawn.subplots(1, 2, sharey=True)
    for axes, run, table in zip(grid, runs, tables, strict=True):
        for i, row in enumerate(table.itertuples()):
            for key, label, shift, colour in (
                ("targets", "target cells", -0.12, 1), ("others", "non-target cells", 0.12, 0)
            ):  # fmt: skip
                e = getattr(row, key)
                axes.errorbar(
                    i + shift, e.mean, [[e.mean - e.low], [e.high - e.mean]], fmt="o", ms=4,
                    capsize=2, color=ARM_COLOURS[colour], label=label if not i else None,
                )  # fmt: skip
        axes.axhline(1, color="0.8", lw=0.8, zorder=0)
        axes.set_xticks(
            range(len(table)), [readable(a) for a in table["arm"]], rotation=35, ha="right"
        )
        spec = run.protocol.spec
        layers = "-".join(map(str, spec.network.layers))
        axes.set_title(
            f"{'spikes' if spec.backend == 'spiking' else 'rates'}: {layers}, "
            f"{animals(run)}{', 95 % intervals (t)' if len(run.animals) > 1 else ''}",
            loc="left",
        )  # fmt: skip
    grid[0].set_ylabel("waking activity (onset = 1)")
    grid[0].set_ylim(bottom=-0.06)
    grid[0].legend(loc="best")
    return drawn


def main() -> None:
    """Print the tables, then draw them."""
    options = arguments(__doc__, several=True).parse_args()
    if len(options.run) != 2:
        raise NeuroAWSError("give two runs: one of the rate backend, then a spiking one")
    runs = [
        opened(
            path,
            made_for=f"protocols/{protocol}.yaml here, or one with arms of the same names",
            arms=["control"],
            values=[NAMES[backend], OTHERS[backend]],
        )
        for path, backend, protocol in zip(
            options.run, NAMES, ["critical_period", "spiking_critical_period"], strict=True
        )
    ]
    arms = [arm for arm in runs[0].arms if arm in runs[1].arms]
    periods = [run.protocol.tree.arms["control"].schedule for run in runs]
    names = [s.stretches[s(run.protocol.tree.arms["control"].branch).period].name
             for s, run in zip(periods, runs, strict=True)]  # fmt: skip
    tables = [effects(run, arms, name) for run, name in zip(runs, names, strict=True)]
    agreed = 0
    print(f"{'arm':<28} {'rates: targets':<22} {'spikes: targets':<22} effect")
    for a, b in zip(tables[0].itertuples(), tables[1].itertuples(), strict=True):
        both = sign(a.effect), sign(b.effect)  # type: ignore[arg-type]
        agreed += both[0] == both[1]
        print(f"{a.arm:<28} {a.targets!s:<22} {b.targets!s:<22} {both[0]} / {both[1]}")
    print(f"the sign agrees in {agreed} of {len(arms)} arms (below {NOTHING}: none)")
    path = options.out or runs[1].folder / "figures" / "rates_and_spikes.png"
    with styled():
        print(save(draw(runs, tables), path))


if __name__ == "__main__":
    script(main)

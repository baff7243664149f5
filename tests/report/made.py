"""Folders of a matrix and of a sweep with made-up values, so that nothing is simulated for a page."""

import hashlib
import json
from pathlib import Path

import pandas as pd

from neuro_aws.experiment.matrix.run import begin
from neuro_aws.protocol.matrix import Matrix

MATRIX = """
matrix_version: 1
name: made
description: '{evil}'
seeds: 3
theories:
  learns: {{description: '{evil}'}}
  asleep: {{settings: {{algorithm: {{name: wake_sleep}}}}}}
  still: {{settings: {{algorithm: {{name: frozen}}}}, criterion: {{exempt: true}}}}
blocks:
  images:
    protocol:
      stimulus: {{source: digits, batch: 16, held_out: 1297}}
      network: {{layers: [64, 20, 6], discriminator: {{hidden: 8}}}}
      targets: {{cells: {{layer: 1, fraction: 0.3}}}}
      schedule:
        - {{name: infancy, cycles: 8, phases: [{{wake: 1}}, {{rem: 1}}]}}
        - {{name: later, branch: true, cycles: 8, phases: [{{wake: 1}}, {{rem: 1}}]}}
      measure: [target_cells, objective]
    manipulations:
      silenced:
        perturb: [{{silence: {{targets: cells}}, during: rem, in: later}}]
        value: target_activity_relative
        layer: 1
      clamped: {{of: silenced, under: [{{clamp: {{neuromodulator: ach}}, in: later}}]}}
      frozen_awake: {{of: silenced, under: [{{plasticity: {{feedforward: 0}}, during: wake, in: later}}]}}
      frozen_asleep: {{of: silenced, under: [{{plasticity: {{feedforward: 0}}, during: rem, in: later}}]}}
      unheld: {{of: silenced, under: [{{block: {{homeostasis: true}}, in: later}}]}}
noise:
  target_activity_relative: {{levels: [0.1, 0.2, 0.4], default: 0.2, source: a test's}}
compare: [learns, asleep]
"""

NAN = float("nan")
EFFECTS = {
    # theory, manipulation: status, effect, interaction, p corrected, p of the interaction, ACh
    ("learns", "silenced"): ("measured", -0.7123, NAN, 0.001, NAN, "yes"),
    ("learns", "clamped"): ("measured", 0.0, -0.71, NAN, 0.002, ""),
    ("learns", "frozen_awake"): ("measured", 0.0, -0.7, NAN, 0.003, ""),
    ("learns", "frozen_asleep"): ("as without, by definition", -0.7123, 0.0, 0.001, NAN, ""),
    ("learns", "unheld"): ("measured", -0.9, 0.19, 0.001, 0.2, ""),
    ("asleep", "silenced"): ("measured", 0.31, NAN, 0.2, NAN, "no, by definition"),
    ("asleep", "clamped"): ("as without, by definition", 0.31, 0.0, 0.2, NAN, ""),
    ("asleep", "frozen_awake"): ("as without, by definition", 0.31, 0.0, 0.2, NAN, ""),
    ("asleep", "frozen_asleep"): ("measured", 0.0, 0.31, NAN, 0.04, ""),
    ("asleep", "unheld"): ("measured", 0.31, 0.0, 0.2, NAN, ""),
    **{
        ("still", name): ("by definition", 0.0, NAN, NAN, NAN, "")
        for name in ("silenced", "clamped", "frozen_awake", "frozen_asleep", "unheld")
    },
}
WIDTH = 0.012
"""Half of every interval."""


def matrix(folder: Path, evil: str = "", finished: bool = True) -> Path:
    """Write the folder of a matrix: its tables, and of its runs what says that they ended."""
    study = begin(
        Matrix.from_text(MATRIX.format(evil=evil.replace("'", "''")), "made.yaml"),
        seed=0,
        seeds=None,
        out=str(folder),
    )
    cells, effects = [], []
    for (theory, name), (status, effect, taken, p, taken_p, ach) in EFFECTS.items():
        wide = 0.0 if status == "by definition" else WIDTH
        cells.append(
            {
                "block": "images",
                "theory": theory,
                "manipulation": name,
                "value": "target_activity_relative",
                "unit": "onset = 1",
                "status": status,
                "why": "",
                "learnt": {"learns": "yes", "asleep": "no", "still": "not asked"}[theory],
                "compared": theory != "asleep",
                "effect": effect,
                "low": effect - wide,
                "high": effect + wide,
                "animals": 3,
                "direction": "none" if abs(effect) <= wide else "up" if effect > 0 else "down",
                "p_corrected": p,
                "interaction": taken,
                "interaction_low": taken - wide,
                "interaction_high": taken + wide,
                "interaction_p_corrected": taken_p,
                "ach_mediates": ach,
                "feedforward_changed_in": "rem" if theory == "asleep" else "wake",
                "feedback_changed_in": "wake",
            }
        )
        for animal in range(3):
            value = effect + 0.004321 * (animal - 1) * (wide > 0)
            effects.append(("images", theory, name, "target_activity_relative", animal, value))
    columns = ["block", "theory", "manipulation", "value", "animal", "effect"]
    asked = [
        ("images", "learns", "gain of its objective", "below 0", 1.5, -0.4, -0.5, -0.3, 3, True),
        ("images", "asleep", "gain of its objective", "below 0", 1.5, 0.123, 0.1, 0.146, 3, False),
        ("images", "still", "gain of its objective", "", 1.5, 0.0, 0.0, 0.0, 3, None),
    ]
    power = [
        (
            *("learns", "still", 1, "images", "silenced", "target_activity_relative", noise),
            *(noise == 0.2, 0.004, 0.0, -0.7123, 3.5, n, min(1.0, n / (noise * 60))),
        )
        for noise in (0.1, 0.2, 0.4)
        for n in range(4, 21)
    ]
    tables = {
        "matrix": pd.DataFrame(cells),
        "effects": pd.DataFrame(effects, columns=columns),
        "criteria": pd.DataFrame(
            asked,
            columns=[
                "block",
                "theory",
                "part",
                "wanted",
                "initially",
                "mean",
                "low",
                "high",
                "n",
                "met",
            ],
        ),
        "power": pd.DataFrame(
            power,
            columns=[
                "first",
                "second",
                "rank",
                "block",
                "manipulation",
                "value",
                "noise",
                "default",
                "spread_first",
                "spread_second",
                "difference",
                "distance",
                "animals",
                "power",
            ],
        ),
        "separating": pd.DataFrame(
            [("images", "silenced", 1, 1)],
            columns=["block", "manipulation", "separated", "asked"],
        ),
    }
    for name, table in tables.items():
        table.to_csv(study.folder / f"{name}.csv", index=False)
    for theory in ("learns", "asleep", "still") if finished else ():
        _run(study.folder / "runs" / f"images-{theory}" / "20260101-000000-s0")
    return study.folder


def _run(folder: Path) -> None:
    folder.mkdir(parents=True)
    facts = {
        "neuro_aws": "0",
        "command": [],
        "protocol": "made.yaml",
        "protocol_sha256": hashlib.sha256(b"").hexdigest(),
        "overrides": [],
        "animals": [0, 1, 2],
        "arms": ["control"],
        "outcome": "finished",
        "started": "2026-01-01T00:00:00+00:00",
        "git": {"commit": None, "dirty": None},
        "device": "cpu",
        "threads": 1,
        "libraries": {"numpy": "1"},
    }
    (folder / "provenance.json").write_text(json.dumps(facts))

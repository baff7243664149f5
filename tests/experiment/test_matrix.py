"""A matrix: what it expands to, what is 0 by definition, its cells, its ranking, its commands."""

import math

import numpy as np
import pandas as pd
import pytest

from neuro_aws import Options, open_run, run
from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.matrix.acts import acts_in, facts_of
from neuro_aws.experiment.matrix.cells import Cell, cells_of
from neuro_aws.experiment.matrix.criterion import Question, comparable, learnt
from neuro_aws.experiment.matrix.expand import Status, expand
from neuro_aws.experiment.matrix.results import _mediated
from neuro_aws.experiment.matrix.run import begin, carry_out, take_up
from neuro_aws.metrics.statistics import Estimate, estimate, holm, paired
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.matrix import Matrix
from tests.calls import command
from tests.conftest import ROOT, TINY

SHIPPED = ROOT / "protocols" / "prediction_matrix.yaml"

SMALL = """
matrix_version: 1
name: small
seeds: 2
theories:
  aws:
    settings: {network.homeostasis: {over: none}, network.prior: standard, algorithm: {name: adversarial_wake_sleep, feedforward: {rate: 2.0e-3}}}
  frozen:
    settings: {algorithm: {name: frozen}}
    criterion: {exempt: true}
  wake_sleep:
    phases: [wake, rem]
    settings: {algorithm: {name: wake_sleep}}
    criterion: {probe: linear_probe_noisy, beyond: frozen}
blocks:
  images:
    protocol:
      stimulus: {source: digits, batch: 16, held_out: 1297}
      network: {layers: [64, 20, 6], discriminator: {hidden: 8}}
      targets:
        cells: {layer: 1, fraction: 0.3}
      schedule:
        - {name: infancy, cycles: 8, phases: [{wake: 1}, {nrem: 1}, {rem: 1}]}
        - {name: later, branch: true, cycles: 8, phases: [{wake: 1}, {nrem: 1}, {rem: 1}]}
      measure: [target_cells, {measure: linear_probe, repeats: 1}, objective]
    manipulations:
      rem_silenced:
        perturb: [{silence: {targets: cells}, during: rem, in: later}]
        value: target_activity_relative
        layer: 1
      clamped:
        of: rem_silenced
        under: [{clamp: {neuromodulator: ach}, in: later}]
      clamped_in_rem:
        of: rem_silenced
        under: [{clamp: {neuromodulator: ach}, during: rem, in: later}]
noise:
  target_activity_relative: {levels: [0.1, 0.2, 0.4], default: 0.2, source: a test's}
compare: [frozen, wake_sleep]
"""


def small(**changes: str) -> Matrix:
    return Matrix.from_text(SMALL, "small.yaml", [f"{k}={v}" for k, v in changes.items()])


def by_theory(matrix: Matrix, block: str) -> dict:
    return {plan.theory: plan for plan in expand(matrix) if plan.block == block}


def test_the_shipped_matrix_asks_what_theories_can_answer():
    matrix = Matrix.load(SHIPPED)
    images, eyes = by_theory(matrix, "images"), by_theory(matrix, "binocular")
    assert len(images) >= 8
    assert sum(len(b.manipulations) for b in matrix.spec.blocks.values()) >= 10
    assert matrix.spec.seeds == 8
    aws = images["adversarial_wake_sleep"].cells
    assert aws["rem_silenced"].status is Status.MEASURED
    assert aws["rem_silenced_ach_clamped_rem"].status is Status.AS_WITHOUT
    assert aws["rem_silenced_ach_clamped_both"].arm == aws["rem_silenced_ach_clamped_wake"].arm
    assert aws["nrem_silenced"].status is Status.BY_DEFINITION
    assert images["wake_sleep"].cells["nrem_silenced"].status is Status.NOT_APPLICABLE
    assert images["wake_sleep"].cells["rem_silenced_f_frozen_wake"].status is Status.AS_WITHOUT
    assert images["wake_sleep"].cells["rem_silenced_f_frozen_sleep"].status is Status.MEASURED
    assert images["vae"].cells["rem_silenced"].why == "no REM"
    assert images["aws_no_homeostasis"].cells["homeostasis_blocked"].why == "no homeostasis"
    assert images["frozen"].cells["rem_silenced"].status is Status.BY_DEFINITION
    pad = images["perturbed_adversarial_dreaming"]
    assert pad.cells["nrem_silenced"].status is Status.MEASURED
    assert set(pad.lesions) == {"without_rem", "without_nrem"}
    assert "perturbed_adversarial_dreaming" not in eyes
    assert eyes["wake_sleep"].cells["lid_suture_ach_blocked"].status is Status.AS_WITHOUT
    assert eyes["wake_sleep"].cells["lid_suture"].status is Status.MEASURED
    unread = eyes["predictive_coding"].cells["lid_suture"]
    assert unread.status is Status.BY_DEFINITION and "never learn" in unread.why
    assert images["predictive_coding"].cells["wake_silenced"].status is Status.MEASURED


IDLE = {
    "adversarial_wake_sleep": [
        "{silence: {targets: cells}, during: nrem, in: critical_period}",
        "{plasticity: {feedforward: 0}, during: [nrem, rem], in: critical_period}",
    ],
    "wake_sleep": [
        "{silence: {targets: cells}, during: nrem, in: critical_period}",
        "{clamp: {neuromodulator: ach}, in: critical_period}",
        "{block: {neuromodulator: ach}, in: critical_period}",
        "{plasticity: {feedforward: 0}, during: wake, in: critical_period}",
    ],
    "frozen": ["{silence: {targets: cells}, during: rem, in: critical_period}"],
    "interneuron": ["{clamp: {neuromodulator: ach}, in: critical_period}"],
}
BUSY = {
    "adversarial_wake_sleep": [
        "{silence: {targets: cells}, during: rem, in: critical_period}",
        "{clamp: {neuromodulator: ach}, during: wake, in: critical_period}",
    ],
    "wake_sleep": ["{plasticity: {feedforward: 0}, during: rem, in: critical_period}"],
    "perturbed_adversarial_dreaming": [
        "{silence: {targets: cells}, during: nrem, in: critical_period}"
    ],
}


@pytest.mark.parametrize("theory", sorted({*IDLE, *BUSY}))
def test_what_is_0_by_definition_is_0_to_the_bit_and_nothing_else_is(theory, tmp_path):
    text = TINY.replace("preset: without_homeostasis\n", f"algorithm: {{name: {theory}}}\n")
    idle, busy = IDLE.get(theory, []), BUSY.get(theory, [])
    text = text[: text.index("arms:")] + "arms:\n  control: {}\n"
    text += "".join(f"  arm{i}: {{perturb: [{p}]}}\n" for i, p in enumerate([*idle, *busy]))
    protocol = Protocol.from_text(text + "measure: [target_cells]\n")
    facts = facts_of(protocol.spec, protocol.spec.arms["arm0"].perturb[0].during)
    finished = run(protocol, options=Options(out=str(tmp_path), figures=False, save_seconds=600))
    metrics = finished.metrics.query("name in ['target_potential', 'target_activity']")
    control = metrics[metrics["arm"] == "control"]["value"].to_numpy()
    assert len(control)
    for i in range(len(idle) + len(busy)):
        acts = bool(acts_in(protocol.spec.arms[f"arm{i}"].perturb[0], facts))
        arm = metrics[metrics["arm"] == f"arm{i}"]["value"].to_numpy()
        assert acts == (i >= len(idle)), i
        assert np.array_equal(arm, control) == (not acts), i


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Return a small matrix that was stopped after its first run and resumed by the command."""
    folder = tmp_path_factory.mktemp("matrix")
    (folder / "small.yaml").write_text(SMALL)
    matrix = Matrix.load(folder / "small.yaml")
    study, plans = begin(matrix, seed=3, seeds=None, out=str(folder)), expand(matrix)
    carry_out(study, plans[:1], Options())
    first = next(study.place(plans[0]).iterdir())
    before = (first / "provenance.json").read_bytes()
    assert not (first / "figures").exists()
    order = ("--jobs", "1", "--theories", "frozen,aws,wake_sleep")
    shown = command("matrix", "--resume", str(study.folder), *order)
    assert shown.returncode == 0, shown.stderr
    assert (first / "provenance.json").read_bytes() == before, "a finished run is passed over"
    return study, plans, shown.stdout


def test_cells_are_paired_differences_of_ordinary_runs(done):
    study, plans, _ = done
    table = pd.read_csv(study.folder / "matrix.csv").set_index(["theory", "manipulation"])
    finished = open_run(next(study.place(plans[0]).iterdir()))
    assert finished.animals == [3, 4]
    metrics = finished.metrics.query("name == 'target_activity_relative'")
    last = metrics[metrics["step"] == metrics["step"].max()].pivot(
        index="animal", columns="arm", values="value"
    )
    silenced = last["rem_silenced"] - last["control"]
    clamped = last["clamped"] - last["clamped_reference"]
    row = table.loc["aws", "rem_silenced"]
    found, between = paired(silenced, silenced * 0), paired(silenced, clamped)
    assert [row.effect, row.low, row.high] == pytest.approx(list(found.difference[:3]))
    assert row.p == pytest.approx(found.p)
    assert table.loc["aws", "clamped"].interaction == pytest.approx(between.difference.mean)
    assert row.effect != 0
    assert table.loc["aws", "clamped"].effect == pytest.approx(clamped.mean())
    tests = [row.p, table.loc["aws", "clamped"].interaction_p, table.loc["wake_sleep", "clamped"].p]
    corrected = [
        row.p_corrected,
        table.loc["aws", "clamped"].interaction_p_corrected,
        table.loc["wake_sleep", "rem_silenced"].p_corrected,
    ]
    assert corrected == pytest.approx(holm(tests))
    assert table.loc["aws", "clamped_in_rem"].p_corrected == row.p_corrected
    # Under the clamp nothing is left, in any animal: no test.
    assert (clamped == 0).all()
    assert math.isnan(table.loc["aws", "clamped"].p)


def test_a_gain_is_held_against_that_of_a_null_in_the_same_animals(done):
    study, plans, _ = done
    gains = {}
    for plan in plans:
        found = study.run_of(plan).metrics.query("layer == 2 and name == 'linear_probe_noisy'")
        ended = found[found["arm"] == "control"].set_index("animal")["value"]
        began = found[(found["arm"] != "control") & (found["step"] == 0)].set_index("animal")
        gains[plan.theory] = ended - began["value"]
    table = pd.read_csv(study.folder / "criteria.csv").set_index(["theory", "part"])
    part = "gain of linear_probe_noisy, top layer"
    beyond = table.loc["wake_sleep", f"{part}, beyond frozen"]
    assert np.isclose(beyond["mean"], (gains["wake_sleep"] - gains["frozen"]).mean())
    assert np.isclose(table.loc[("wake_sleep", part), "mean"], gains["wake_sleep"].mean())
    assert beyond["wanted"] == "above 0" and beyond["n"] == 2
    assert not any("beyond" in name for theory, name in table.index if theory != "wake_sleep")


def test_statuses_and_phases_are_those_of_the_theory(done):
    study, _, _ = done
    table = pd.read_csv(study.folder / "matrix.csv", keep_default_na=False)
    table = table.set_index(["theory", "manipulation"])
    assert table.loc["frozen", "rem_silenced"].status == "by definition"
    assert float(table.loc["frozen", "rem_silenced"].effect) == 0
    assert table.loc["aws", "clamped_in_rem"].status == "as without, by definition"
    assert float(table.loc["aws", "clamped_in_rem"].interaction) == 0
    assert table.loc["wake_sleep", "clamped"].status == "as without, by definition"
    assert table.loc["wake_sleep", "rem_silenced"].ach_mediates == "no, by definition"
    assert table.loc["aws", "rem_silenced"].feedforward_changed_in == "wake"
    assert table.loc["wake_sleep", "rem_silenced"].feedforward_changed_in == "rem"
    assert table.loc["wake_sleep", "rem_silenced"].feedback_changed_in == "wake"
    assert float(table.loc["aws", "clamped"].feedforward_wake) >= 0


def test_tables_figures_and_words_are_there(done):
    study, _, out = done
    assert 0 < out.index("frozen: run") < out.index("aws: finished") < out.index("wake_sleep: run")
    for name in ("matrix.csv", "effects.csv", "criteria.csv", "power.csv", "figures/matrix.png"):
        assert (study.folder / name).stat().st_size > 100, name
    assert "Holm, over all effects and interactions of the matrix" in out
    criteria = pd.read_csv(study.folder / "criteria.csv")
    assert not criteria[criteria["theory"] == "frozen"]["met"].notna().any()
    assert criteria[criteria["theory"] == "aws"]["met"].notna().any()
    powers = pd.read_csv(study.folder / "power.csv")
    shown = set(powers["first"]) | set(powers["second"])
    asked = criteria.dropna(subset="met").groupby("theory")["met"].all()
    assert shown <= {"frozen", *asked[asked].index}


def test_a_matrix_that_was_stopped_equals_an_unbroken_one(done, tmp_path):
    study, _, _ = done
    other = begin(study.matrix, seed=3, seeds=None, out=str(tmp_path))
    plans = expand(study.matrix)[1:2]
    carry_out(other, plans, Options())
    mine = [c.effects for c in cells_of(other, plans)]
    same = [c.effects for c in cells_of(study, plans)]
    assert all(np.array_equal(a, b) for a, b in zip(mine, same, strict=True))
    assert [c.status for c in cells_of(take_up(other.folder), expand(study.matrix))].count(
        "not run"
    ) == 6


def test_runs_of_other_animals_are_not_taken_for_the_matrix_s_own(done):
    study, _, _ = done
    path = study.folder / "matrix.json"
    facts = path.read_text()
    path.write_text(facts.replace('"seeds": 2', '"seeds": 3'))
    refused = command("matrix", "--resume", str(study.folder))
    path.write_text(facts)
    assert refused.returncode == 1
    assert "holds other animals than the 3 from 3 on that matrix.json says" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "facts",
    ["", "[]", "[" * 100_000, '{"short": 0, "seed": Infinity}', '{"short": 0, "seed": "x"}'],
    ids=["empty", "list", "deep", "infinite", "text"],
)
def test_hostile_facts_of_a_matrix_are_no_matrix(facts, tmp_path):
    (tmp_path / "matrix.json").write_text(facts)
    (tmp_path / "matrix.yaml").write_text(SMALL)
    with pytest.raises(NeuroAWSError, match="holds no matrix"):
        take_up(tmp_path)


def test_ach_mediates_where_its_absence_takes_the_effect_away():
    matrix = small()

    def cell(
        name: str, effects: list[float], p: float, status: str = "measured", taken: float = 0.0
    ) -> Cell:
        values = pd.Series(effects)
        test = paired(values, values * 0)
        between = paired(values + taken, values * 2)
        return Cell("images", "aws", name, "", status, "", values, test, between, interaction_p=p)

    class Study:
        pass

    study = Study()
    study.matrix = matrix
    key = ("images", "aws", "rem_silenced")
    nothing, some = [0.01, -0.01, 0.0], [0.5, 0.52, 0.51]
    assert _mediated(study, [cell("clamped", nothing, 0.01)])[key] == "yes"
    assert _mediated(study, [cell("clamped", some, 0.01)])[key] == "in part"
    assert _mediated(study, [cell("clamped", nothing, 0.2)])[key] == "no"
    told = _mediated(study, [cell("clamped", nothing, 0.2, taken=-0.9)])
    assert told[key] == "yes, before correction"
    told = _mediated(study, [cell("clamped", some, 0.2, taken=-0.9)])
    assert told[key] == "in part, before correction"
    told = _mediated(study, [cell("clamped", some, math.nan, "as without, by definition")])
    assert told[key] == "no, by definition"
    assert _mediated(study, [cell("rem_silenced", some, 0.01)]) == {}


def test_a_theory_has_learnt_if_it_met_all_that_it_was_asked():
    class Study:
        matrix = small()

    def asked(theory: str, met: bool | None, wanted: str = "above 0") -> Question:
        return Question("images", theory, "", wanted, Estimate(0, 0, 0, 3), 0.0, met)

    found = [asked("aws", True), asked("aws", False), asked("wake_sleep", True)]
    found += [asked("wake_sleep", None, ""), asked("frozen", None, "")]
    verdict = learnt(Study, found)
    assert verdict == {"aws": False, "wake_sleep": True, "frozen": None}
    assert comparable(Study, verdict) == ["frozen", "wake_sleep"]
    assert learnt(Study, [asked("aws", None)])["aws"] is None
    assert estimate([1.0]).n == 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("of: rem_silenced\n        under: [{clamp: {neuromodulator: ach}, in", "of: rem_silence\n        under: [{clamp: {neuromodulator: ach}, in", "no manipulation 'rem_silence'; did you mean 'rem_silenced'?"),
        ("value: target_activity_relative", "value: target_dendrite", "has no measurement noise"),
        ("compare: [frozen, wake_sleep]", "compare: [frozen, frozen]", "names one theory twice"),
        ("compare: [frozen, wake_sleep]", "compare: [frozen, vae]", "no theory 'vae'"),
        ("default: 0.2", "default: 0.3", "default is one of the levels"),
        ("      measure: [", "      arms: {control: {}}\n      measure: [", "is the matrix's own business"),
        ("algorithm: {name: wake_sleep}", "algorithm: {name: wake_slep}", "images under wake_sleep: algorithm.name: 'wake_slep' is unknown"),
        ("during: rem, in: later}]\n        value", "during: rem, in: latter}]\n        value", "no period 'latter'"),
        ("phases: [wake, rem]", "phases: [wake, dream]", "phases"),
        ("        layer: 1\n", "        layer: 3\n", "rem_silenced: layer 3 is none. Layers are 1 to 2"),
        ("        layer: 1\n", "        targets: cell\n", "rem_silenced: no targets 'cell'. Targets: cells"),
        ("measure: [target_cells, ", "measure: [", "target_activity_relative is not measured. measure: [target_cells]"),
        ("matrix_version: 1", "matrix_version: 2", "matrix_version"),
        ("beyond: frozen", "beyond: frosen", "no theory 'frosen'; did you mean 'frozen'?"),
        ("beyond: frozen", "beyond: aws", "'aws' is no null"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_refused_in_lines_before_anything_is(old, new, said, tmp_path):
    assert SMALL.count(old) >= 1
    (tmp_path / "small.yaml").write_text(SMALL.replace(old, new, 1))
    refused = command("matrix", "small.yaml", cwd=tmp_path)
    assert refused.returncode == 1
    assert said in refused.stderr
    assert all(
        line.startswith(("small.yaml", "neuro-aws: ")) for line in refused.stderr.splitlines()
    )
    assert "expanded" not in refused.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["small.yaml"]


def test_commands_say_what_they_need(tmp_path):
    (tmp_path / "small.yaml").write_text(SMALL)
    for arguments, said in {
        (): "give a MATRIX, or --resume FOLDER",
        ("small.yaml", "--resume", "."): "give a MATRIX, or --resume FOLDER",
        ("--resume", "."): "holds no matrix",
        ("--resume", ".", "--seeds", "2"): "keeps its settings",
        ("small.yaml", "--compare", "aws", "vae"): "no theory 'vae'",
        ("small.yaml", "--theories", "aws,vae"): "no theory 'vae'",
        ("small.yaml", "--short"): "has no `short:` section",
        ("small.yaml", "--set", "seeds=0"): "--set seeds",
    }.items():
        refused = command("matrix", *arguments, cwd=tmp_path)
        assert refused.returncode == 1, arguments
        assert said in refused.stderr, (arguments, refused.stderr)
        assert len(refused.stderr.splitlines()) == 1
    refused = command("run", "small.yaml", cwd=tmp_path)
    assert "is a prediction matrix; `neuro-aws matrix` runs it" in refused.stderr
    shown = command("list", "protocols", "--folder", str(SHIPPED.parent))
    assert "matrix: Which experiment tells the theories apart?" in shown.stdout


@pytest.mark.slow
def test_the_shipped_matrix_runs_in_its_short_form(tmp_path):
    shown = command("matrix", str(SHIPPED), "--short", "--jobs", "1", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    table = pd.read_csv(next(tmp_path.rglob("matrix.csv")), keep_default_na=False)
    table = table.set_index(["theory", "manipulation"])
    assert float(table.loc["aws_no_homeostasis", "rem_silenced"].effect) < -0.02
    assert float(table.loc["wake_sleep", "rem_silenced"].effect) < 0
    assert table.loc["vae", "rem_silenced"].status == "not applicable"

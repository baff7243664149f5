"""Theories of the user's own stand in a matrix, with consent only."""

import json
import os
import signal
from pathlib import Path

import pandas as pd
import pytest

from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.matrix.expand import expand, own_code
from neuro_aws.experiment.matrix.run import begin, carry_out, take_up
from neuro_aws.experiment.progress import Silent
from neuro_aws.experiment.run import Options, Stopped
from neuro_aws.protocol.matrix import Matrix
from neuro_aws.recording.reader import open_run
from tests.calls import command
from tests.experiment.test_matrix import SMALL

CODE = """
from pathlib import Path

from neuro_aws.algorithms.base import feedback_delta, propagate
from neuro_aws.model.state import Delta
from neuro_aws.phase import DISCRIMINATOR, FEEDBACK, NREM, WAKE

Path(__file__).with_name("imported").touch()


class Still:
    return_path = False
    uses_autograd = False

    def propagate(self, network, stimulus, phase, noise, gains):
        return propagate(network, stimulus, phase, noise, gains)

    def deltas(self, network, state, ach, phase):
        if phase is NREM:
            return {}
        deltas = {DISCRIMINATOR: Delta(network.acetylcholine.plasticity(state, ach))}
        if phase is WAKE:
            deltas[FEEDBACK] = Delta(feedback_delta(network, state, "gaussian"))
        return deltas
"""

MINE = """
  mine:
    settings: {algorithm: {name: 'my_code:Still'}}
    criterion: {exempt: true}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NEURO_AWS_CONFIG", str(tmp_path / "config"))
    here = tmp_path / "here"
    here.mkdir()
    (here / "my_code.py").write_text(CODE)
    before, after = SMALL.split("blocks:\n", 1)
    (here / "m.yaml").write_text(f"{before.rstrip()}{MINE}blocks:\n{after}")
    return here


def test_code_of_one_s_own_is_named_and_refused_without_being_imported(folder):
    matrix = Matrix.load(folder / "m.yaml")
    assert own_code(matrix) == ["my_code:Still"]
    with pytest.raises(NeuroAWSError, match="my_code:Still.*--allow-code"):
        expand(matrix)
    out = folder / "out"
    refused = command("matrix", str(folder / "m.yaml"), "--out", str(out))
    assert refused.returncode == 1 and len(refused.stderr.splitlines()) == 1
    assert "images under mine" in refused.stderr and "--allow-code" in refused.stderr
    assert not out.exists() and not (folder / "imported").exists()


@pytest.mark.parametrize(
    "change",
    [
        "manipulations.rem_silenced.perturb=[{apply: {code: 'my_code:Any'}, in: later}]",
        "protocol.stimulus={source: 'my_code:Any', shape: [64], labels: 10}",
    ],
)
def test_code_is_found_wherever_it_is_named(change):
    matrix = Matrix.from_text(SMALL, "m.yaml", [f"blocks.images.{change}"])
    assert own_code(matrix) == ["my_code:Any"]
    with pytest.raises(NeuroAWSError, match="my_code:Any"):
        expand(matrix)


def test_a_theory_of_one_s_own_stands_in_a_matrix_like_any_other(folder):
    words = ("--out", str(folder / "out"), "--jobs", "1", "--theories", "mine")
    shown = command("matrix", str(folder / "m.yaml"), *words, "--allow-code")
    assert shown.returncode == 0, shown.stderr
    (study,) = (folder / "out").glob("*/*-s0")
    table = pd.read_csv(study / "matrix.csv").set_index(["theory", "manipulation"])
    row = table.loc["mine", "rem_silenced"]
    # It does not say what it changes, so that its cells are measured; F stays as it is: 0, exactly.
    assert row.status == "measured" and row.effect == 0 and row.animals == 2
    assert table.loc["mine", "rem_silenced"].feedforward_wake == 0
    (run,) = (study / "runs" / "images-mine").iterdir()
    assert open_run(run).provenance["protocol"] == str((folder / "m.yaml").resolve())

    again = command("matrix", "--resume", str(study), "--theories", "mine")
    assert again.returncode == 0, "consent is remembered"
    assert command("report", str(study)).returncode == 0
    code = folder / "my_code.py"
    code.write_text(CODE + "\n# another letter\n")
    for line in (("matrix", "--resume", str(study)), ("report", str(study))):
        refused = command(*line)
        assert refused.returncode == 1 and len(refused.stderr.splitlines()) == 1, line
        assert "my_code:Still" in refused.stderr and "--allow-code" in refused.stderr
    assert command("report", str(study), "--allow-code").returncode == 0
    page = (study / "report.html").read_text()
    assert "neuro-aws matrix matrix.yaml --seed 0 --seeds 2 --allow-code" in page


@pytest.mark.parametrize("source", ["a\0b", "\ud800"], ids=["null", "surrogate"])
def test_a_matrix_that_was_begun_nowhere_is_none(source, tmp_path):
    facts = {"source": source, "short": False, "overrides": [], "seed": 0, "seeds": 2}
    (tmp_path / "matrix.json").write_text(json.dumps(facts))
    (tmp_path / "matrix.yaml").write_text(SMALL)
    with pytest.raises(NeuroAWSError, match="holds no matrix"):
        take_up(tmp_path)
    facts["source"] = os.fspath(tmp_path / "matrix.yaml")
    (tmp_path / "matrix.json").write_text(json.dumps(facts))
    assert take_up(tmp_path).matrix.origin == facts["source"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("changes = 5", "holds no names of projections"),
        ("gated = 'feedforward'", "holds no names of projections"),
        ("changes = {WAKE: (FEEDBACK, 'nonsense')}", "changes nonsense"),
        ("changes = {'dusk': (FEEDBACK,)}", "changes dusk"),
    ],
)
def test_a_declaration_that_means_nothing_is_refused_before_anything_is_run(line, said, folder):
    path = folder / "my_code.py"
    path.write_text(CODE.replace("class Still:\n", f"class Still:\n    {line}\n"))
    with pytest.raises(NeuroAWSError, match=f"algorithm my_code:Still.*{said}"):
        expand(Matrix.load(folder / "m.yaml", allow_code=True))


def test_code_that_raises_or_exits_when_it_is_made_is_one_line(folder):
    path, init = folder / "my_code.py", "    def __init__(self):\n        raise SystemExit(0)\n"
    path.write_text(CODE.replace("class Still:\n", f"class Still:\n{init}"))
    refused = command("matrix", str(folder / "m.yaml"), "--allow-code")
    assert refused.returncode == 1 and "Still does not take these options" in refused.stderr
    changes = "    @property\n    def changes(self):\n        return 1 / 0\n"
    path.write_text(CODE.replace("class Still:\n", f"class Still:\n{changes}"))
    refused = command("matrix", str(folder / "m.yaml"), "--allow-code")
    assert refused.returncode == 1 and "cannot be read (division by zero)" in refused.stderr


EVIL = """
from pathlib import Path

Path(__file__).with_name("evil_ran").touch()
"""


def tampered(facts: dict, evil: Path) -> dict:
    return facts | {"protocol": str(evil / "p.yaml")}


def overridden(facts: dict, evil: Path) -> dict:
    return facts | {"overrides": ["algorithm={name: 'bad:Still'}"]}


@pytest.mark.parametrize("change", [tampered, overridden])
def test_consent_to_a_matrix_is_none_to_what_its_folder_names(change, folder):
    evil = folder / "evil"
    evil.mkdir()
    for place in (evil / "my_code.py", folder / "bad.py"):
        place.write_text(EVIL + CODE)
    matrix = Matrix.load(folder / "m.yaml", allow_code=True)
    study = begin(matrix, seed=0, seeds=None, out=str(folder / "out"))
    mine = [plan for plan in expand(matrix) if plan.theory == "mine"]
    stop = StopAtOnce()
    with pytest.raises(Stopped):
        carry_out(study, mine, Options(jobs=1), stop)
    (run,) = study.place(mine[0]).iterdir()
    path = run / "provenance.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(change(facts, evil)))
    with pytest.raises(NeuroAWSError, match="another expansion"):
        carry_out(study, mine, Options(jobs=1))
    assert not (evil / "evil_ran").exists() and not (folder / "evil_ran").exists()
    path.write_text(json.dumps(facts))
    carry_out(study, mine, Options(jobs=1))
    assert study.run_of(mine[0]) is not None


class StopAtOnce(Silent):
    def begin(self, run, expected, steps):
        os.kill(os.getpid(), signal.SIGINT)


def test_what_a_theory_is_not_asked_is_not_looked_at_for_code():
    eyes = (
        "protocol: {stimulus: {source: patches, eyes: binocular}, network: {layers: [128, 20, 6]}"
    )
    before, after = SMALL.split("noise:\n", 1)
    text = before + "  eyes:\n    " + eyes + ", " + PERIODS + "}\n    manipulations:\n" + SUTURE
    text += (
        "noise:\n  ocular_dominance: {levels: [0.1, 0.2, 0.4], default: 0.2, source: a}\n" + after
    )
    only = "{network.layers: [64, 20, 6], algorithm: {name: wake_sleep}}"
    text = text.replace(
        "blocks:\n", f"  only: {{settings: {only}, blocks: [images]}}\nblocks:\n", 1
    )
    matrix = Matrix.from_text(text, "m.yaml")
    assert own_code(matrix) == []
    assert {p.block for p in expand(matrix) if p.theory == "only"} == {"images"}


PERIODS = (
    "schedule: [{name: infancy, cycles: 2, phases: [{wake: 1}, {rem: 1}]}, "
    "{name: later, branch: true, cycles: 2, phases: [{wake: 1}, {rem: 1}]}], "
    "measure: [ocular_dominance, objective]"
)
SUTURE = (
    "      sutured: {perturb: [{lid_suture: {eye: left}, in: later}], "
    "value: ocular_dominance, layer: 1}\n"
)


def test_a_fault_keeps_its_letters_whatever_the_file_is_called():
    matrix = Matrix.from_text(SMALL, "e", ["blocks.images.protocol.network.nois=1"])
    with pytest.raises(NeuroAWSError) as refused:
        expand(matrix)
    assert str(refused.value).startswith("e: images under aws: network.nois: unknown key")

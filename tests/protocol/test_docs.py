"""The documents say what is so: their tables are the registry's, their examples run."""

import importlib.util
import re

import pytest
import yaml

from neuro_aws.protocol import Protocol
from tests.calls import command
from tests.conftest import ROOT, TINY

DOCS = ROOT / "docs"


def test_tables_are_those_of_the_registry():
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    marked = set()
    for path in DOCS.glob("*.md"):
        text = path.read_text()
        marked |= set(re.findall(r"<!-- table: (\w+) -->", text))
        assert generate.rewritten(text) == text, f"python docs/generate.py rewrites {path.name}"
    assert marked == set(generate.TABLES)


def test_what_was_run_for_the_results_is_stored():
    stored = yaml.safe_load((DOCS / "measured.yaml").read_text())
    commands = " ".join(entry.get("command", "") for entry in stored)
    named = set(re.findall(r"protocols/\w+\.yaml", (DOCS / "results.md").read_text()))
    missing = [name for name in sorted(named) if name not in commands]
    assert missing == [], "docs/measured.yaml says nothing of a command in docs/results.md"
    scripts = {entry["analysis"] for entry in stored if "analysis" in entry}
    files = [ROOT / "analysis" / name for name in scripts]
    files += [ROOT / name for name in re.findall(r"(?:protocols|benchmarks)/\w+\.\w+", commands)]
    assert [str(file) for file in files if not file.exists()] == []


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```", (DOCS / "extending.md").read_text(), re.M | re.S)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """Return the document's own code, and a small protocol with all that it says."""
    folder = tmp_path_factory.mktemp("extending")
    (folder / "my_code.py").write_text("\n".join(blocks("python")))
    data = yaml.safe_load(TINY)
    for block in blocks("yaml"):
        data |= yaml.safe_load(block)
    data["expect"] = [
        {"arm": "flicker", "value": "sparseness", "period": "critical_period", "between": [0, 1]}
    ]
    path = folder / "extended.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


def test_what_extending_says_runs(experiment):
    from neuro_aws import Options, run

    finished = run(
        experiment, options=Options(out=str(experiment.parent / "runs"), allow_code=True)
    )
    table = finished.metrics
    assert set(table[table.name == "sparseness"].layer) == {1}
    assert table[table.name == "sparseness"].value.between(0, 1).all()
    applied = {
        arm: finished.traces(0, arm).isel(step=slice(42, None)).layer0_feedback_applied
        for arm in ("control", "flicker")
    }
    assert float(abs(applied["flicker"]).max()) > 0
    assert not applied["flicker"].equals(applied["control"])
    assert float(finished.traces(0, "flicker").layer1_feedforward_applied.max()) == 0
    labels = finished.intervals(0, "flicker", "perturbations").label
    assert labels.str.startswith("apply code=my_code:Flicker").all()


def test_own_stimuli_are_what_the_function_returns(experiment):
    import torch

    from neuro_aws.stimuli import load

    section = Protocol.load(experiment, allow_code=True).spec.stimulus
    dataset = load(section, 0, torch.float32)
    assert dataset.train.shape == (500, 64)
    assert dataset.held_out.shape == (100, 64)
    assert set(dataset.train_labels.tolist()) == {0, 1}
    assert torch.equal(dataset.train, load(section, 0, torch.float32).train)
    assert not torch.equal(dataset.train, load(section, 1, torch.float32).train)


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        ("rng.random((9, 8, 8))", "returns neither"),
        ("(rng.random((9, 7, 8)), rng.random((9, 8, 8)))", "9 x 7 x 8; wanted: images x 8 x 8"),
        ("(2 * rng.random((99, 8, 8)), rng.random((9, 8, 8)))", "do not lie in -1 to 1"),
        ("(rng.random((9, 8, 8)), rng.random((9, 8, 8)))", "returns no labels"),
        ("(rng.random((9, 64)), rng.random((9, 64)), [3] * 9, [0] * 9)", "numbers from 0 to 1"),
    ],
)
def test_own_stimuli_that_do_not_fit_are_refused(tmp_path, returned, says):
    import torch

    from neuro_aws.errors import NeuroAWSError
    from neuro_aws.stimuli import load

    (tmp_path / "mine.py").write_text(f"def some(rng):\n    return {returned}\n")
    own = "source: 'mine:some', shape: [8, 8], labels: 2"
    (tmp_path / "p.yaml").write_text(TINY.replace("source: digits", own))
    section = Protocol.load(tmp_path / "p.yaml", allow_code=True).spec.stimulus
    with pytest.raises(NeuroAWSError, match=says) as caught:
        load(section, 0, torch.float32)
    assert "mine:some" in str(caught.value)


def test_the_rules_of_extending_obey_the_laws(experiment):
    for rule in ("FeedbackOnly", "Oja"):
        done = command("check-algorithm", f"my_code:{rule}", cwd=experiment.parent)
        assert done.returncode == 0, done.stdout
        assert done.stdout.count("holds") > 3
    wrong = command("check-algorithm", "my_code:Ojo", cwd=experiment.parent)
    assert "my_code has no Ojo" in wrong.stderr
    assert "FeedbackOnly, Oja" in wrong.stderr
    assert "propagate" not in wrong.stderr


def test_the_matrix_of_installing_may_be_run():
    from neuro_aws.experiment.matrix.expand import expand
    from neuro_aws.protocol.matrix import Matrix

    written = (DOCS / "installing.md").read_text()
    (text,) = re.findall(r"^```yaml\n(.*?)^```", written, re.M | re.S)
    matrix = Matrix.from_text(text, "my_matrix.yaml")
    assert f"neuro-aws matrix {matrix.spec.name}.yaml" in written
    assert len(expand(matrix)) == len(matrix.spec.theories)

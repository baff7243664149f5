"""Everything shipped is run: protocols, analysis scripts, benchmarks, README commands."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from neuro_aws import Options, run
from neuro_aws.experiment.results import verdicts
from neuro_aws.protocol import Protocol
from tests.conftest import ROOT

PROTOCOLS = sorted((ROOT / "protocols").glob("*.yaml"))
SCRIPTS = sorted(p for p in (ROOT / "analysis").glob("*.py") if p.stem != "common")
TABLES = ("search_dcgan", "quality")
"""Tables of settings for benchmarks/search_dcgan.py; the other YAML files there are protocols."""

BENCHMARKS = sorted(p for p in (ROOT / "benchmarks").glob("*.yaml") if p.stem not in TABLES)


def shrunken(path: Path, **more: str) -> Protocol:
    """Return a protocol with few cycles, small samples and one repeat; all its arms stay."""
    data = yaml.safe_load(path.read_text())
    overrides, arms = ["seeds=1"], data.get("arms", {"control": {}})
    for i, period in enumerate(data["schedule"]):
        blocks = [b for arm in arms.values() for b in (arm or {}).get("perturb", [])]
        blocks = [b["deprive_sleep"] for b in blocks if "deprive_sleep" in b]
        cycles = 100 if blocks else 4 if period.get("phases", [{}])[0].get("repeat") else 20
        overrides.append(f"schedule.{i}.cycles={cycles}")
        if period["phases"][0].get("repeat"):
            overrides.append(f"schedule.{i}.phases.0.repeat=2")
    for i, arm in enumerate(arms.values()):
        for k, p in enumerate((arm or {}).get("perturb", [])):
            name = list(arms)[i]
            if "cycles" in p:
                overrides.append(f"arms.{name}.perturb.{k}.cycles={{until: 2}}")
    measures = []
    for m in data["measure"]:
        m = {"measure": m} if isinstance(m, str) else dict(m)
        m.update(repeats=1)
        m.pop("every", None)
        measures.append(m)
    overrides.append(
        "measure=" + yaml.safe_dump(measures, default_flow_style=True, width=10**6).strip()
    )
    if data.get("backend") == "spiking":
        overrides += [f"schedule.{i}.cycles=3" for i in range(len(data["schedule"]))]
        overrides.append("spiking.target=numpy")
    if data["stimulus"]["source"] == "patches":
        overrides += ["stimulus.count=400", "stimulus.held_out=100"]
    if "dcgan" in data.get("network", {}):
        overrides += small_images(data)
    overrides += [f"{key}={value}" for key, value in more.items()]
    return Protocol.load(path, overrides)


def small_images(data: dict) -> list[str]:
    """Return overrides that make a convolutional protocol small; digits stand in for its data."""
    side = data["network"]["dcgan"].get("side", 32)
    overrides = [
        f"stimulus={{source: digits, side: {side}, batch: 16, held_out: 200}}",
        "network.dcgan.channels=1",
        "network.dcgan.filters=4",
        "network.dcgan.latents=8",
        "network.discriminator.hidden=8",
    ]
    if data.get("preset") == "dcgan":
        overrides.append("network.prior_components=2")
    return overrides


@pytest.fixture(scope="module")
def short_runs(tmp_path_factory):
    """Return a maker of short runs of shipped protocols, each made once."""
    out, made = tmp_path_factory.mktemp("shipped"), {}

    def get(name: str):
        if name not in made:
            protocol = shrunken(ROOT / "protocols" / f"{name}.yaml")
            slow = protocol.spec.network.dcgan or protocol.spec.backend == "spiking"
            seeds = 1 if slow else 2
            made[name] = run(protocol, options=Options(out=str(out), jobs=1, seeds=seeds))
        return made[name]

    return get


def test_there_is_a_protocol_for_every_experiment():
    assert {p.stem for p in PROTOCOLS} >= {
        "quickstart",
        "critical_period",
        "critical_period_controls",
        "rem_silencing_dose",
        "rem_silencing_wake_sleep",
        "monocular_deprivation",
        "ach_pairing",
        "sleep_deprivation",
        "what_ach_adds",
        "digits_dcgan",
        "mnist_aws",
        "mnist_doubly",
        "mnist_wake_sleep_relu",
        "mnist_wake_sleep_binary",
        "cifar10_doubly",
        "gamma_sweep",
        "spiking_urbanczik_senn",
        "spiking_critical_period",
        "spiking_ach_sign",
        "spiking_matched_dreams",
        "spiking_silencing_at_once",
        "spiking_monocular_deprivation",
    }


@pytest.mark.parametrize("path", PROTOCOLS, ids=lambda p: p.stem)
def test_every_protocol_states_what_it_expects(path):
    spec = Protocol.load(path).spec
    assert spec.expect
    assert spec.description
    assert spec.name == path.stem


@pytest.mark.parametrize("path", PROTOCOLS, ids=lambda p: p.stem)
def test_every_protocol_runs_and_judges_itself(path, short_runs):
    finished = short_runs(path.stem)
    assert finished.provenance["outcome"] == "finished"
    arm = finished.arms[0]
    lived = finished.protocol.tree.arms[arm].schedule.steps
    assert finished.intervals(finished.animals[0], arm, "phases")["stop"].max() == lived <= 700
    found = verdicts(finished, finished.metrics)
    assert len(found) == len(finished.protocol.spec.expect)
    measured = [v for v in found if v.met is not None]
    assert len(measured) == len(found), [v.expectation for v in found if v.met is None]
    for figure in (finished.folder / "figures").glob("*.png"):
        assert figure.stat().st_size > 10_000


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda p: p.stem)
def test_every_search_is_valid_and_its_first_arm_runs(path, tmp_path):
    protocol = shrunken(path)
    arm = next(iter(protocol.tree.arms))
    run(protocol, options=Options(out=str(tmp_path), jobs=1, arms=(arm,)))


ARGUMENTS = {
    "critical_period": ["critical_period", "--controls", "critical_period_controls"],
    "monocular_deprivation": ["monocular_deprivation"],
    "ach_against_plasticity": ["quickstart", "rem_silencing_wake_sleep"],
    "rem_silencing_dose": ["rem_silencing_dose"],
    "what_ach_adds": ["what_ach_adds"],
    "samples": ["mnist_aws", "mnist_wake_sleep_binary"],
    "gamma_sweep": ["gamma_sweep"],
    "linear_gaussian": ["--pairs", "40", "--seeds", "1"],
    "rates_and_spikes": ["critical_period", "spiking_critical_period"],
    "three_factor": ["--seconds", "10", "--seeds", "1"],
    "linearised_layer": ["--seconds", "40", "--seeds", "1"],
}


PRINT_ONLY = ("linear_gaussian", "linearised_layer")


def test_no_analysis_script_is_forgotten():
    assert {p.stem for p in SCRIPTS} == set(ARGUMENTS)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_every_analysis_script_prints_its_table_and_draws(script, short_runs, tmp_path):
    names = {p.stem for p in PROTOCOLS}
    arguments = [str(short_runs(a).folder) if a in names else a for a in ARGUMENTS[script.stem]]
    figure = tmp_path / "figure.png"
    draws = script.stem not in PRINT_ONLY
    if draws:
        arguments += ["--out", str(figure)]
    done = subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 1
    if draws:
        assert figure.stat().st_size > 10_000
    wrong = subprocess.run([sys.executable, str(script), "nowhere"], capture_output=True, text=True)
    assert wrong.returncode != 0
    assert "Traceback" not in wrong.stderr


def test_the_benchmark_compares_equal_things():
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "benchmarks" / "local_step.py"),
            "--pairs",
            "3",
            "--rounds",
            "1",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[2:]]
    assert len(rows) == 3
    assert all(float(row[-1]) < 1e-12 for row in rows)


def test_the_spiking_benchmark_tells_how_cost_grows():
    script = str(ROOT / "benchmarks" / "spiking_step.py")
    small = ["--seconds", "0.5", "--rounds", "1", "--sizes", "64-12-6", "64-40-16"]
    done = subprocess.run(
        [sys.executable, script, *small, "--targets", "numpy"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    memory, _, *lines = done.stdout.splitlines()
    assert memory.startswith("peak memory grew by ")
    rows = [line.split("|") for line in lines]
    assert [int(row[1].split()[0]) for row in rows] == [82, 120]
    assert all(float(row[2]) > 0 for row in rows)


def readme_commands() -> list[str]:
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```(?:sh|bash)\n(.*?)```", text, re.S)
    return [
        line.split("#")[0].strip()
        for b in blocks
        for line in b.splitlines()
        if line.split("#")[0].strip()
    ]


def test_readme_commands_are_commands_that_exist(tmp_path):
    """Every line of the README's shell blocks is known to make, click, or is a script that is there."""
    commands = readme_commands()
    assert "make demo" in commands
    assert "make test" in commands
    makefile = (ROOT / "Makefile").read_text()
    for line in commands:
        words = shlex.split(line)
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", makefile, re.M), line
        elif words[0] == "neuro-aws":
            for word in words[1:]:
                if word.endswith(".yaml") and "/" in word:
                    assert (ROOT / word).exists(), line
            help_ = subprocess.run(
                [sys.executable, "-m", "neuro_aws", words[1], "--help"],
                capture_output=True,
                text=True,
            )
            assert help_.returncode == 0, line
            for word in words:
                if word.startswith("--"):
                    assert word.split("=")[0] in help_.stdout, line
        elif words[0] == "python":
            assert (ROOT / words[1]).exists(), line
        else:
            assert words[0] in {"git", "cd", "pip", "source"}, line


def test_readme_python_runs(tmp_path, monkeypatch, short_runs):
    """The README's Python block, on a shrunken protocol in place of the one it names."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert blocks
    small = tmp_path / "small.yaml"
    small.write_text(short_runs("quickstart").protocol.resolved())
    for block in blocks:
        assert "protocols/quickstart.yaml" in block
        monkeypatch.chdir(tmp_path)
        exec(block.replace("protocols/quickstart.yaml", str(small)), {"__name__": "readme"})

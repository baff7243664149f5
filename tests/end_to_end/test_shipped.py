"""Everything shipped is run: protocols, analysis scripts, benchmarks, README commands."""

import json
import re
import shlex
from pathlib import Path

import pytest
import torch

from neuro_aws import Options, run
from neuro_aws.experiment.results import verdicts
from neuro_aws.plots.style import save as SAVE
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.data import DATA_VARIABLE
from tests.calls import command, script
from tests.conftest import PROTOCOLS, ROOT

FIGURES = True
"""Runs of this module draw theirs (tests/conftest.py)."""

SCRIPTS = sorted(p for p in (ROOT / "analysis").glob("*.py") if p.stem != "common")
TABLES = ("search_dcgan", "search_images", "quality")
"""Tables of settings for benchmarks/search_dcgan.py; the other YAML files there are protocols."""

BENCHMARKS = sorted(p for p in (ROOT / "benchmarks").glob("*.yaml") if p.stem not in TABLES)

DATA = ROOT.parent / "shared" / "data"
NEEDS_DATA = (
    "cifar10_doubly",
    "gamma_sweep",
    "mnist_aws",
    "mnist_doubly",
    "mnist_wake_sleep_binary",
    "mnist_wake_sleep_relu",
)
"""Protocols whose full form reads data files."""

NEEDS_GPU = ("cifar10_doubly",)
"""Weeks without one."""

SECONDS = 6500
"""Steps that a short form may take in all its arms and animals: some twenty seconds."""

ARGUMENTS = {
    "critical_period": ["critical_period", "--controls", "critical_period_controls"],
    "monocular_deprivation": ["monocular_deprivation"],
    "ach_against_plasticity": ["quickstart", "rem_silencing_wake_sleep"],
    "ach_dose": ["ach_dose"],
    "homeostasis": ["homeostasis"],
    "rem_silencing_dose": ["rem_silencing_dose"],
    "what_ach_adds": ["what_ach_adds"],
    "samples": ["mnist_aws", "mnist_wake_sleep_binary"],
    "gamma_sweep": ["gamma_sweep"],
    "family": ["family", "--pairs", "1"],
    "professor_forcing": ["professor_forcing"],
    "linear_gaussian": ["--pairs", "20", "--seeds", "1"],
    "predictive_coding": ["--pairs", "5", "--seeds", "1"],
    "boltzmann": ["--pairs", "5", "--seeds", "1"],
    "hopfield_memory": ["--seeds", "1", "--units", "40", "--dense", "8", "12"],
    "ddc_gaussian": ["--samples", "500", "--seeds", "1"],
    "ddc_explaining_away": ["--samples", "500", "--seeds", "1"],
    "ddc_patches": ["--pairs", "4", "--seeds", "1"],
    "variational_walkback": ["--part", "digits", "--steps", "5", "--seeds", "1"],
    "interneuron_toy": ["--steps", "20", "--seeds", "1"],
    "interneuron_costs": ["width", "--widths", "32", "--pairs", "4", "--seeds", "1"],
    "interneuron_silencing": ["--pairs", "4", "--silenced", "4", "--seeds", "1"],
    "initial_probes": [str(ROOT / "protocols" / "quickstart.yaml"), "--seeds", "1"],
    "rates_and_spikes": ["critical_period", "spiking_critical_period"],
    "three_factor": ["--seconds", "2", "--seeds", "1", "--target", "numpy"],
    "linearised_layer": ["--seconds", "2", "--seeds", "1", "--target", "numpy"],
}
PRINT_ONLY = (
    "boltzmann",
    "initial_probes",
    "interneuron_costs",
    "linear_gaussian",
    "linearised_layer",
    "predictive_coding",
)

TOGETHER = {
    "critical": (
        "critical_period",
        "critical_period_controls",
        "spiking_critical_period",
        "rates_and_spikes",
    ),
    "wake_sleep": ("quickstart", "rem_silencing_wake_sleep", "ach_against_plasticity"),
    "images": ("mnist_aws", "mnist_wake_sleep_binary", "samples"),
}
"""Protocols and the scripts that read several of their runs: one worker runs them."""


def covering(paths: list[Path]) -> set[str]:
    """Return protocols of which each measures something, or simulates in a way, that none before did."""
    chosen, seen = set(), set()
    for path in paths:
        spec = Protocol.load(path, short=True).spec
        shown = {m.measure for m in spec.measure} | {spec.backend, spec.network.dcgan is None}
        if not shown <= seen:
            chosen.add(path.stem)
            seen |= shown
    return chosen


DRAWN = covering(PROTOCOLS)
"""Protocols whose runs draw their figures here: between them, all that is ever drawn."""

SLOWER = (
    "spiking_matched_dreams",
    "spiking_monocular_deprivation",
    "spiking_silencing_at_once",
)
"""Short forms of half a minute that no script reads: by default they run for a cycle of two seconds a period."""


def grouped(paths: list[Path]) -> list:
    """Return the parameters of a test, each to run on the worker that has its runs."""
    return [
        pytest.param(
            path,
            id=path.stem,
            marks=[
                pytest.mark.xdist_group(
                    next((g for g, names in TOGETHER.items() if path.stem in names), path.stem)
                ),
                *([pytest.mark.slow] if path.stem in SLOWER else []),
            ],
        )
        for path in paths
    ]


@pytest.fixture(scope="module")
def drawn():
    """Return every figure that is saved, by path; none is written."""
    figures = {}

    def save(figure, path):
        figures[Path(path)] = figure
        return path

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neuro_aws.plots.style.save", save)
        patch.setattr("neuro_aws.plots.figures.save", save)
        yield figures


@pytest.fixture(scope="module")
def short_runs(tmp_path_factory, drawn):
    """Return a maker of the short runs of shipped protocols, each made once."""
    out, made = tmp_path_factory.mktemp("shipped"), {}

    def get(name: str):
        if name not in made:
            protocol = Protocol.load(ROOT / "protocols" / f"{name}.yaml", short=True)
            with pytest.MonkeyPatch.context() as patch:
                if name not in DRAWN:
                    patch.setattr("neuro_aws.plots.figures.draw_run", lambda finished: [])
                made[name] = run(protocol, options=Options(out=str(out), jobs=1))
        return made[name]

    return get


def unmet(finished) -> list[str]:
    """Return the expectations that a run does not meet; there must be some to meet."""
    found = verdicts(finished, finished.metrics)
    assert len(found) == len(finished.protocol.spec.expect) > 0
    return [f"{v.expectation!r}: found {v.found}" for v in found if not v.met]


def assert_shows_data(figure) -> None:
    """Assert that no panel of a figure is empty, and that its axes are labelled."""
    panels = [axes for axes in figure.axes if axes.get_visible() and axes.axison]
    for axes in panels:
        assert axes.has_data(), (axes.get_title(loc="left"), axes.get_ylabel())
    assert any(axes.get_xlabel() or axes.get_ylabel() for axes in panels) or not panels
    assert any(axes.has_data() for axes in figure.axes)


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
def test_every_protocol_states_what_it_expects_and_has_a_short_form(path):
    full, short = Protocol.load(path), Protocol.load(path, short=True)
    assert full.spec.expect
    assert full.spec.description
    assert full.spec.name == path.stem
    assert short.spec.expect
    assert set(short.tree.arms) == set(full.tree.arms)
    assert short.tree.steps * short.spec.seeds < SECONDS
    embedded = ("digits", "patches", "toy", "sequences", "spike_pattern")
    files = full.spec.stimulus.source not in embedded
    assert files == (path.stem in NEEDS_DATA)


@pytest.mark.parametrize("name", SLOWER)
def test_every_arm_of_a_slower_short_form_runs(name, tmp_path):
    second = "phases=[{wake: 1}, {rem: 1}]"
    once = [f"schedule.{i}.{key}" for i in range(2) for key in ("cycles=1", second)]
    protocol = Protocol.load(ROOT / "protocols" / f"{name}.yaml", once, short=True)
    finished = run(protocol, options=Options(out=str(tmp_path), jobs=1))
    assert finished.provenance["outcome"] == "finished"
    assert set(finished.metrics["arm"]) >= set(protocol.tree.arms)
    assert len(verdicts(finished, finished.metrics)) == len(protocol.spec.expect)


@pytest.mark.parametrize("path", grouped(PROTOCOLS))
def test_every_short_form_gives_what_it_expects(path, short_runs):
    finished = short_runs(path.stem)
    assert finished.provenance["outcome"] == "finished"
    arm = finished.arms[0]
    steps = finished.protocol.tree.arms[arm].schedule.steps
    assert finished.intervals(finished.animals[0], arm, "phases")["stop"].max() == steps
    assert not unmet(finished)


@pytest.mark.parametrize("path", grouped([p for p in PROTOCOLS if p.stem in DRAWN]))
def test_short_forms_draw_what_they_measured(path, short_runs, drawn):
    finished = short_runs(path.stem)
    figures = {p.name: f for p, f in drawn.items() if p.parent == finished.folder / "figures"}
    fields = any(m.measure == "receptive_field" for m in finished.protocol.spec.measure)
    assert len(figures) == 1 + min(2, len(finished.arms)) + fields
    assert path.stem in figures["outcomes.png"].get_suptitle()
    for figure in figures.values():
        assert_shows_data(figure)


@pytest.mark.slow
@pytest.mark.parametrize("path", PROTOCOLS, ids=lambda p: p.stem)
@pytest.mark.parametrize("animal", range(5))
def test_every_animal_of_five_gives_what_its_short_form_expects(path, animal, tmp_path):
    """Short forms run one or two animals by default: their margins must not be theirs alone."""
    protocol = Protocol.load(path, short=True)
    assert not unmet(
        run(protocol, options=Options(seed=animal, seeds=1, jobs=1, out=str(tmp_path)))
    )


@pytest.mark.slow
@pytest.mark.parametrize("path", PROTOCOLS, ids=lambda p: p.stem)
def test_every_protocol_gives_what_it_expects_at_full_size(path, tmp_path, monkeypatch):
    if path.stem in NEEDS_DATA:
        if not DATA.is_dir():
            pytest.skip(f"no data files in {DATA}")
        monkeypatch.setenv(DATA_VARIABLE, str(DATA))
    if path.stem in NEEDS_GPU and not torch.cuda.is_available():
        pytest.skip("no GPU")
    device = "cuda" if path.stem in NEEDS_GPU else "cpu"
    assert not unmet(run(path, options=Options(out=str(tmp_path), jobs=None, device=device)))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda p: p.stem)
def test_every_search_is_valid_and_its_first_arm_runs(path, tmp_path):
    small = ["schedule.0.cycles=4", "schedule.1.cycles=4", "measure=[ach_gap]"]
    protocol = Protocol.load(path, small)
    arm = next(iter(protocol.tree.arms))
    finished = run(protocol, options=Options(out=str(tmp_path), jobs=1, seeds=1, arms=(arm,)))
    assert set(finished.metrics["arm"]) == {arm}


def test_no_analysis_script_is_forgotten():
    assert {p.stem for p in SCRIPTS} == set(ARGUMENTS)


@pytest.mark.parametrize("path", grouped(SCRIPTS))
def test_every_analysis_script_prints_its_table_and_draws(
    path, short_runs, drawn, tmp_path, capsys
):
    names = {p.stem for p in PROTOCOLS}
    arguments = [str(short_runs(a).folder) if a in names else a for a in ARGUMENTS[path.stem]]
    figure = tmp_path / "figure.png"
    if path.stem not in PRINT_ONLY:
        arguments += ["--out", str(figure)]
    capsys.readouterr()
    done = script(path, *arguments)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 1
    if path.stem not in PRINT_ONLY:
        assert_shows_data(drawn[figure])
    wrong = script(path, "nowhere")
    assert wrong.returncode != 0


def test_the_benchmark_compares_equal_things():
    short = ["--pairs", "3", "--rounds", "1"]
    done = script(ROOT / "benchmarks" / "local_step.py", "--no-compile", *short)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("written-out") == 6
    done = script(ROOT / "benchmarks" / "local_step.py", "--given", *short)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[2:]]
    assert len(rows) == 3
    assert all(float(row[-1]) < 1e-12 for row in rows)


def test_the_cost_of_checks_is_measured_side_by_side():
    done = script(ROOT / "benchmarks" / "integrity.py", "--pairs", "25", "--rounds", "1")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^ratio +\d", done.stdout, re.MULTILINE)


def test_the_spiking_benchmark_tells_how_cost_grows():
    small = ["--seconds", "0.5", "--rounds", "1", "--sizes", "64-12-6", "64-40-16"]
    done = script(ROOT / "benchmarks" / "spiking_step.py", *small, "--targets", "numpy")
    assert done.returncode == 0, done.stderr
    memory, _, *lines = done.stdout.splitlines()
    assert memory.startswith("peak memory grew by ")
    rows = [line.split("|") for line in lines]
    assert [int(row[1].split()[0]) for row in rows] == [82, 120]
    assert all(float(row[2]) > 0 for row in rows)


def test_what_a_step_is_expected_to_take_stands_beside_what_it_takes():
    done = script(ROOT / "benchmarks" / "estimates.py", "--rounds", "1", "--pairs", "2")
    assert done.returncode == 0, done.stderr
    _, *rows = (line.split() for line in done.stdout.splitlines())
    assert len({" ".join(row[:-5]) for row in rows}) == 11
    assert all(float(number) > 0 for row in rows for number in (row[-4], row[-2], row[-1]))


def test_growth_is_measured_in_both_forms_of_the_step(tmp_path, monkeypatch):
    monkeypatch.setattr("neuro_aws.plots.style.save", SAVE)  # whatever ``drawn`` has put there
    small = ["--rounds", "1", "--largest", "64", "--animals", "1", "--pairs", "4", "--jobs", "1"]
    small += ["--turns", "1"]
    done = script(ROOT / "benchmarks" / "growth.py", *small, "--out", str(tmp_path / "growth.png"))
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    sizes = [row for row in rows if row[0] in ("width", "batch", "depth")]
    assert [row[0] for row in sizes].count("batch") == 6
    assert done.stdout.count("peak memory") == 2
    assert all(float(row[-3]) > 0 and float(row[-2]) > 0 for row in sizes)
    assert (tmp_path / "growth.png").exists()


@pytest.mark.slow
def test_workers_and_dask_are_timed_in_turns():
    small = ["--branches", "2", "--jobs", "1", "--rounds", "1", "--cycles", "2"]
    done = script(ROOT / "benchmarks" / "parallel.py", *small)
    assert done.returncode == 0, done.stderr
    rows = {
        match[1]: [float(number) for number in match[2].split()]
        for match in re.finditer(r"^(workers|dask|dask, cluster there)  +(.*)$", done.stdout, re.M)
    }
    assert rows.keys() == {"workers", "dask", "dask, cluster there"}
    assert rows["workers"][3] == 1
    assert 0 < rows["dask, cluster there"][0] < rows["dask"][0]


def gpu_check(out: Path, *only: str) -> dict[str, dict[str, object]]:
    asked = ["--device", "cpu", "--short", "--only", ",".join(only), "--out", str(out)]
    done = script(ROOT / "benchmarks" / "gpu_check.py", *asked)
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(out.read_text())


def test_the_gpu_check_can_be_tried_without_one(tmp_path):
    found = gpu_check(tmp_path / "gpu.json", "against_cpu")
    apart = found["against_cpu"]
    assert {f"{n}_weights_float64" for n in ("dense", "conv")} <= apart.keys()
    assert apart["passed"]
    if not torch.cuda.is_available():
        refused = script(ROOT / "benchmarks" / "gpu_check.py")
        assert refused.returncode == 1
        assert "nothing is measured" in refused.stderr


@pytest.mark.slow
def test_all_of_the_gpu_check_runs_on_a_cpu(tmp_path):
    looks = ("conformance", "against_cpu", "kill_and_resume", "speed", "torchrun")
    found = gpu_check(tmp_path / "gpu.json", *looks)
    assert all(found[name].get("passed", True) for name in looks)


def readme_commands() -> list[str]:
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```(?:sh|bash)\n(.*?)```", text, re.S)
    return [
        line.split("#")[0].strip()
        for b in blocks
        for line in b.splitlines()
        if line.split("#")[0].strip()
    ]


def test_readme_commands_are_commands_that_exist():
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
            shown = command(words[1], "--help")
            assert shown.returncode == 0, line
            for word in words:
                if word.startswith("--"):
                    assert word.split("=")[0] in shown.stdout, line
        elif words[0] == "python":
            assert (ROOT / words[1]).exists(), line
        else:
            assert words[0] in {"git", "cd", "pip", "source"}, line

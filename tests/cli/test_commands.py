"""The command line: every command works, and says in one line what is wrong."""

import re
import shlex
import shutil
import subprocess
import sys

import h5py
import pandas as pd
import pytest

from neuro_aws import Session, open_run
from neuro_aws.cli.main import COMMANDS
from neuro_aws.plots.figures import outcome_figure
from neuro_aws.protocol import Protocol
from tests.calls import command
from tests.conftest import ROOT, TINY

FIGURES = True


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("commands")
    (folder / "tiny.yaml").write_text(TINY)
    done = command("run", "tiny.yaml", "--seeds", "2", "--jobs", "1", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, next((folder / "runs" / "tiny").iterdir()), done.stdout


def test_run_prints_the_table_and_where_the_figure_is(place):
    _, run, out = place
    assert "target activity relative" in out
    assert "over 2 animals" in out
    figures = [place[0] / figure for figure in re.findall(r"figure\s+(\S+)", out)]
    assert {f.name for f in figures} >= {"outcomes.png", "traces_control.png"}
    assert all(f.exists() for f in figures)
    assert f"run folder  runs/tiny/{run.name}" in out
    assert re.search(r"expected\s+\S+ steps, about \d+", out)


def test_figures_can_be_drawn_again_with_chosen_traces_and_exported(place):
    folder, run, _ = place
    done = command(
        "plot",
        str(run),
        "--traces",
        "ach,gate,plasticity,raw",
        "--arm",
        "rem_silenced",
        "--animal",
        "1",
        "--csv",
        "t.csv",
        "--out",
        "t.png",
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "t.png").exists()
    table = pd.read_csv(folder / "t.csv")
    assert len(table) == 70
    assert list(table.columns[:5]) == ["animal", "arm", "period", "phase", "step"]
    assert set(zip(table.animal, table.arm, strict=True)) == {(1, "rem_silenced")}
    assert {
        "step",
        "phase",
        "ach",
        "gate",
        "layer1_feedforward_applied",
        "layer1_feedforward_raw",
        "layer2_teaching",
    } <= set(table.columns)
    assert "null_low" in done.stdout
    assert command("plot", str(run), cwd=folder).stdout.count(".png") >= 2


@pytest.mark.parametrize(
    ("arm", "traces"), [("control", ("--traces", "gate,release")), ("rem_silenced", ())]
)
def test_any_arm_can_be_drawn_with_and_without_chosen_traces(place, arm, traces):
    folder, run, _ = place
    done = command("plot", str(run), "--arm", arm, *traces, cwd=folder)
    assert done.returncode == 0, done.stderr
    figure = run / "figures" / f"traces_s0_{arm}.png"
    assert done.stdout.splitlines()[0] == str(figure)
    assert figure.exists()
    figure.unlink()
    rows = [line.split() for line in done.stdout.splitlines()[2:]]
    assert {row[0] for row in rows} == {"raw", "applied"}


def test_evaluate_measures_again_what_the_run_measured(place):
    folder, run, _ = place
    done = command("evaluate", str(run), "--measure", "ach_gap,diversity", cwd=folder)
    assert done.returncode == 0, done.stderr
    again = pd.read_csv(run / "evaluation.csv")
    before = pd.read_csv(run / "metrics.csv")
    last = (
        before[(before.step == 70) & (before.name == "ach_gap")].set_index(["animal", "arm"]).value
    )
    now = again[again.name == "ach_gap"].set_index(["animal", "arm"]).value
    assert (last - now).abs().max() == 0.0
    assert "diversity" in done.stdout
    everything = command("evaluate", str(run), "--arm", "control", "--repeats", "1", cwd=folder)
    assert everything.returncode == 0, everything.stderr
    table = pd.read_csv(run / "evaluation.csv")
    names = set(table.name)
    assert (table.groupby("animal").extractor_hash.nunique() == 1).all()
    assert table.extractor_hash.str.len().eq(16).all()
    assert {
        "frechet_classifier",
        "extractor_accuracy",
        "linear_probe",
        "fresh_classifier",
        "reconstruction",
        "target_activity_relative",
    } <= names
    assert not {"ocular_dominance", "move_to_perturbed"} & names


def test_evaluate_probes_the_network_that_an_arm_began_with(place):
    folder, run, _ = place
    options = ("--arm", "control", "--repeats", "1", "--measure", "linear_probe,diversity")
    done = command("evaluate", str(run), *options, cwd=folder)
    table = pd.read_csv(run / "evaluation.csv")
    began = table[table.step == 0]
    assert set(began.name) == {"linear_probe", "linear_probe_noisy"}
    assert set(began.arm) == {"common"}
    protocol = Protocol.load(run / "protocol.yaml")
    known = Session(protocol, animal=1).measure("linear_probe", repeats=1)
    assert began[began.animal == 1].value.tolist() == pytest.approx(known.value.tolist())
    assert done.stdout.count("initially") == 4 + 1  # two layers, noise off and on; the caption


def test_compare_sets_gains_since_initialisation_side_by_side(place, monkeypatch, tmp_path):
    monkeypatch.setattr("neuro_aws.plots.figures.draw_run", lambda run: [])
    text = TINY + "  - {measure: linear_probe, repeats: 1}\n"
    (tmp_path / "probed.yaml").write_text(text)
    short = ("--jobs", "1", "--arms", "control", "--set", "schedule.0.cycles=1")
    assert command("run", "probed.yaml", *short, cwd=tmp_path).returncode == 0
    run = next((tmp_path / "runs" / "tiny").iterdir())
    told = command("compare", str(run), str(run)).stdout
    assert told.count("initial value") == 4  # two layers, noise off and on


def test_compare_knows_the_trunk_by_its_older_name(place, tmp_path):
    _, run, _ = place
    older = tmp_path / "older"
    shutil.copytree(run, older)
    with h5py.File(older / "recording.h5", "r+") as file:
        for animal in ("s0", "s1"):
            file.move(f"{animal}/common", f"{animal}/common_life")
    for pair in ((run, older), (older, run)):
        same = command("compare", *map(str, pair))
        assert same.stdout.count("identical, bit for bit") == 6, same.stdout


def test_compare_finds_equal_bits_and_changed_settings(place, monkeypatch):
    monkeypatch.setattr("neuro_aws.plots.figures.draw_run", lambda run: [])
    folder, run, _ = place
    same = command("compare", str(run), str(run), cwd=folder)
    assert same.stdout.count("identical, bit for bit") == 6
    assert "settings: the same" in same.stdout
    assert (
        command(
            "run",
            "tiny.yaml",
            "--jobs",
            "1",
            "--set",
            "network.noise.scale=0.3",
            "--out",
            "o",
            cwd=folder,
        ).returncode
        == 0
    )
    other = next((folder / "o" / "tiny").iterdir())
    differ = command("compare", str(run), str(other), cwd=folder)
    assert "network.noise.scale: 0.2 -> 0.3" in differ.stdout
    assert "datasets differ" in differ.stdout


def test_inspect_shows_how_a_run_was_made(place):
    folder, run, _ = place
    done = command("inspect", str(run), "--datasets", cwd=folder)
    assert "tiny: finished" in done.stdout
    assert "s1/rem_silenced: 28 steps recorded" in done.stdout
    assert "neuromodulators/ach (42,) float32 [D]" in done.stdout


def test_inspect_prints_the_results_that_run_printed(place):
    _, run, printed = place
    done = command("inspect", str(run), "--results")
    table = printed[printed.index("end of each arm") : printed.index("figure ")]
    assert table.split() == done.stdout[done.stdout.index("end of each arm") :].split()


def test_new_writes_a_protocol_that_is_valid(tmp_path):
    assert command("new", "mine.yaml", cwd=tmp_path).returncode == 0
    assert command("validate", "mine.yaml", cwd=tmp_path).returncode == 0
    again = command("new", "mine.yaml", cwd=tmp_path)
    assert again.returncode == 1
    assert "exists already" in again.stderr


def test_validate_prints_schedule_targets_time_and_size(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    out = command("validate", "tiny.yaml", "--seed", "5", cwd=tmp_path).stdout
    assert "infancy: steps 0 to 41, 6 cycles of [3 x [1 wake, 1 rem], 1 nrem]" in out
    assert "animal 5, cells: layer 1, 6 cells" in out
    assert re.search(r"estimate: 98 steps, about \d+ s, recording [\d.]+ MB", out)
    schema = command("validate", "tiny.yaml", "--json-schema", cwd=tmp_path).stdout
    assert schema.startswith("{")


def test_list_names_everything(tmp_path):
    out = command("list", cwd=tmp_path).stdout
    for name in (
        "  critical_period  ",
        "  prediction_matrix  ",
        "wake_sleep",
        "layer_random",
        "digits",
        "deprive_sleep",
        "fresh_classifier",
    ):
        assert name in out
    assert "not valid" not in out
    (tmp_path / "mine.yaml").write_text(TINY)
    own = command("list", "protocols", "--folder", ".", cwd=tmp_path).stdout
    assert own.splitlines()[1].startswith("  mine.yaml  ")
    assert len(own.splitlines()) == 2


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_with_examples(name, tmp_path):
    done = command(name, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert f"neuro-aws {name}" in done.stdout.split("Usage", 1)[1].split("\n", 1)[1]


WRONG = [
    ("", "no command|Missing command|Usage"),
    ("ruin x.yaml", "no command 'ruin'"),
    ("run", "give a PROTOCOL"),
    ("run nowhere.yaml", "no such protocol"),
    ("run quickstrat", "no such protocol. Did you mean quickstart?"),
    ("validate protocols/critical_period.yaml", "Did you mean critical_period\\?"),
    ("matrix critical_period", "no prediction matrix"),
    ("new x.yaml --from nowhere", "no such protocol"),
    ("run tiny.yaml --seeds 0", "seeds"),
    ("run tiny.yaml --seeds many", "seeds"),
    ("run tiny.yaml --arms contrl", "no arm 'contrl'"),
    ("run tiny.yaml --device tpu", "no device 'tpu'"),
    ("run tiny.yaml --device cuda", "CUDA"),
    ("run tiny.yaml --set network.layers=[64]", "at least 2"),
    ("run tiny.yaml --out tiny.yaml", "tiny.yaml"),
    ("run tiny.yaml --resume x", "PROTOCOL, or --resume"),
    ("run --resume nowhere", "not a run folder"),
    ("run --resume . --seed 3", "keeps its settings"),
    ("run tiny.yaml --frobnicate", "frobnicate"),
    ("validate", "PROTOCOL"),
    ("export nowhere", "not a run folder"),
    ("export RUN --format docx", "docx.*nwb"),
    ("export RUN --arm nobody", "no arm 'nobody'"),
    ("export RUN --animal 99 --format csv", "no animal 99"),
    ("export RUN --format csv --step-duration 2", "step-duration.*nwb"),
    ("export RUN --format sonata", "sonata.*run of rates"),
    ("export RUN --step-duration nan", "step-duration"),
    ("export RUN --step-duration 0", "step-duration"),
    ("export RUN --out tiny.yaml", "tiny.yaml"),
    ("plot nowhere", "not a run folder"),
    ("plot RUN --traces gaba", "no trace 'gaba'"),
    ("plot RUN --arm nobody", "no arm 'nobody'"),
    ("plot RUN --animal 99", "no animal 99"),
    ("plot RUN --out figure.nosuch", "not written as .nosuch"),
    ("plot RUN --out figure", "without a suffix"),
    ("evaluate RUN --measure beauty", "no measure 'beauty'"),
    ("evaluate RUN --measure ocular_dominance", "two eyes"),
    ("evaluate RUN --measure dream_match", "kept nothing of it"),
    ("evaluate RUN --arm nobody", "no arm 'nobody'"),
    ("compare RUN", "SECOND"),
    ("inspect tiny.yaml", "run folder|cannot be read"),
    ("list wishes", "wishes"),
    ("new nowhere/x.yaml", "cannot write"),
]


@pytest.mark.parametrize(("line", "says"), WRONG)
def test_wrong_input_is_one_line_and_exit_code_1(place, line, says):
    if line.endswith("--device cuda"):
        torch = pytest.importorskip("torch")
        if torch.cuda.is_available():
            return
    folder, run, _ = place
    done = command(*shlex.split(line.replace("RUN", str(run))), cwd=folder)
    assert "Traceback" not in done.stderr + done.stdout
    if not line:
        assert re.search(says, done.stdout + done.stderr)
        return
    assert done.returncode == 1, done.stdout
    assert re.search(says, done.stderr), done.stderr
    assert len(done.stderr.strip().split("\n")) == 1, done.stderr


def test_the_checkout_runs_without_installing_in_several_processes_too(tmp_path):
    # Worker processes import cli.py again: unguarded, each of them would start the command anew.
    (tmp_path / "tiny.yaml").write_text(TINY)
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "cli.py"),
            *shlex.split("run tiny.yaml --arms control --seeds 2 --jobs 2"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "target activity relative" in done.stdout


def test_an_error_that_nobody_foresaw_is_one_line_and_debug_shows_where(monkeypatch, tmp_path):
    def fails(*_, **__):
        raise RuntimeError("no\nroom " + 2000 * "x")

    monkeypatch.setattr("neuro_aws.backends.rate.engine.Engine.step", fails)
    (tmp_path / "tiny.yaml").write_text(TINY)
    words = ["run", "tiny.yaml", "--jobs", "1"]
    done = command(*words, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("neuro-aws: unexpected RuntimeError in simulator.py:")
    assert ": no room xxx" in done.stderr
    assert "--debug" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert len(done.stderr) < 600
    (folder,) = (tmp_path / "runs" / "tiny").iterdir()
    assert "Traceback" in (folder / "run.log").read_text()
    with pytest.raises(RuntimeError, match="no\nroom"):
        command("--debug", *words, cwd=tmp_path)


@pytest.mark.parametrize("key", ["schedule.\u00b2.cycles", "schedule.\u0663.cycles"])
def test_a_key_of_set_with_digits_of_another_script_is_refused(key):
    done = command("validate", str(ROOT / "protocols" / "quickstart.yaml"), "--set", f"{key}=1")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "unexpected" not in done.stderr


def test_validate_lists_the_targets_of_some_animals_only():
    path = str(ROOT / "protocols" / "quickstart.yaml")
    done = command("validate", path, "--seeds", "10000")
    assert done.returncode == 0
    assert len(done.stdout) < 10_000
    assert "and so on, 10,000 animals" in done.stdout


def test_run_takes_code_of_the_users_own_with_consent_and_draws_its_values(tmp_path):
    (tmp_path / "my_code.py").write_text(
        "from neuro_aws.metrics import Value\n\n\n"
        "def sparseness(subject):\n"
        "    yield Value('sparseness', float((subject.waking()[1] > 0).double().mean()), 1)\n"
    )
    (tmp_path / "p.yaml").write_text(TINY + "  - {measure: 'my_code:sparseness'}\n")
    refused = command("run", "p.yaml", "--jobs", "1", cwd=tmp_path)
    assert refused.returncode == 1
    assert "--allow-code" in refused.stderr
    done = command("run", "p.yaml", "--jobs", "1", "--allow-code", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "sparseness" in done.stdout
    (folder,) = (tmp_path / "runs" / "tiny").iterdir()
    drawn = outcome_figure(open_run(folder, allow_code=True))
    labels = [f"{axes.get_xlabel()} {axes.get_ylabel()}" for axes in drawn.axes]
    assert any("sparseness" in label for label in labels), labels

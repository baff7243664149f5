"""Sweeps: every point and animal an ordinary run, whatever happens to workers and scheduler."""

import json
import os
import signal
import threading
import time
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest

from neuro_aws import Options, Protocol, open_run, run
from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment import cluster, sweep, sweep_plan, sweep_table
from neuro_aws.experiment.compare import bits
from neuro_aws.experiment.sweep_runs import Errand, SweepRun, found, simulate
from neuro_aws.experiment.workers import lock
from neuro_aws.plots.sweep import sweep_figure
from neuro_aws.protocol.grid import grid
from tests.calls import command, started
from tests.cluster import Cluster, Fire, children, nap
from tests.conftest import TINY

pytest.importorskip("distributed")

SCALE = "network.noise.scale"
RATE = "algorithm.feedback.rate"
FRAGILE = [f"{key}={value}" for key, value in {
    "algorithm.feedback.optimiser": "sgd",
    "network.normalisation": "none",
    "network.bottom": "linear",
}.items()]  # fmt: skip
"""With these, and a rate of 10, weights are no longer finite after some steps."""


def planned(text, sets, seeds, options=None, **grid_options):
    def load(overrides):
        return Protocol.from_text(text, "tiny.yaml", overrides)

    made = grid(sets, **grid_options)
    return sweep_plan.plan(made, load, animals=seeds, step="written-out", options=options)


def assert_each_ended_once_with_the_bits_of_run(done, text, tmp_path, look=lambda row: True):
    places = list((done.folder.parent / "runs").iterdir())
    assert len(places) == len(done.rows) == len(done.finished)
    assert {row.run.key for row in done.rows} == {place.name for place in places}
    for place in places:
        begun = [path for path in place.glob("*/*") if path.is_dir()]
        assert len(begun) == 1, begun
        assert open_run(begun[0]).provenance["outcome"] == "finished"
    table = pd.read_parquet(done.folder / "table.parquet")
    keys = [column for column in table if column not in ("value", "run")]
    assert not table.duplicated(keys).any()
    assert table["run"].nunique() == len(done.rows)
    alone = Options(step="written-out", out=str(tmp_path / "alone"), seeds=1, jobs=1)
    for row in filter(look, done.rows):
        protocol = Protocol.from_text(text, "tiny.yaml", row.run.overrides)
        options = Options(**{**vars(alone), "seed": row.run.animal})
        wanted, there = run(protocol, options=options), open_run(row.outcome.folder)
        lines = list(bits(wanted, there))
        assert len(lines) == 3
        assert all("identical" in line for line in lines), lines
        assert there.metrics.equals(wanted.metrics)


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """Return a cluster of one worker that is there for all tests."""
    with Cluster(tmp_path_factory.mktemp("cluster"), workers=1) as there:
        yield there


def test_a_worker_killed_in_the_middle_costs_nothing(tmp_path, there):
    options = sweep_plan.Options(out=str(tmp_path), scheduler=there.address)
    plan = planned(TINY, [f"{SCALE}=0.1,0.3,0.2"], [0, 3], options)
    fire = Fire(there, tmp_path / "tiny" / "runs", kills=1, pause=0.0)
    fire.start()
    ended = []
    done = sweep.run(plan, options, report=ended.append)
    fire.over.set()
    fire.join()
    assert fire.killed == 1
    assert sorted(row.run.key for row in ended) == sorted(row.run.key for row in plan.rows)
    assert not done.failed
    resumed = [row for row in done.rows if "resumed" in open_run(row.outcome.folder).provenance]
    looked = [*resumed, *done.rows[:2]]
    assert_each_ended_once_with_the_bits_of_run(done, TINY, tmp_path, lambda row: row in looked)


@pytest.mark.slow
def test_a_hundred_runs_under_fire(tmp_path):
    """Workers are killed at random throughout, and the scheduler once, halfway."""
    scales = ",".join(f"{0.1 + 0.01 * k:.2f}" for k in range(25))
    with Cluster(tmp_path, workers=2) as there:
        options = sweep_plan.Options(out=str(tmp_path), scheduler=there.address, save_seconds=0.2)
        plan = planned(TINY, [f"{SCALE}={scales}"], range(4), options)
        runs = tmp_path / "tiny" / "runs"
        fire = Fire(there, runs, kills=10, pause=10.0, restart_after=50)
        fire.start()
        ended = []
        done = sweep.run(plan, options, report=ended.append)
        fire.over.set()
        fire.join()
    print(f"{fire.killed} workers killed, scheduler restarted {fire.restarted} times")
    assert fire.killed >= 5
    assert fire.restarted == 1
    assert len({row.run.key for row in ended}) == len(ended) == len(plan.rows) == 100
    assert not done.failed
    assert_each_ended_once_with_the_bits_of_run(done, TINY, tmp_path)


def test_a_task_whose_local_worker_is_killed_is_done_again(tmp_path):
    tasks = {name: (tmp_path / name, 0.5) for name in "abc"}
    spread = cluster.spread(nap, tasks, jobs=1, scheduler=None, stop=threading.Event())

    def kill() -> None:
        while (
            not (begun := [p.read_text() for p, _ in tasks.values() if p.exists()]) or not begun[0]
        ):
            time.sleep(0.01)
        os.kill(int(begun[0]), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    ended = list(spread)
    killer.join()
    assert sorted(one.name for one in ended) == ["a", "b", "c"]
    assert len({one.result for one in ended}) == 1  # all by the second process
    begun = sorted(len(path.read_text().split()) for path, _ in tasks.values())
    assert begun == [1, 1, 2]
    assert not any(os.path.exists(f"/proc/{one.result}") for one in ended)


@pytest.fixture(scope="module")
def swept(tmp_path_factory, there):
    """Return the folder of a sweep of which two runs of four fail."""
    folder = tmp_path_factory.mktemp("swept")
    (folder / "tiny.yaml").write_text(TINY)
    return folder, sweep_command(folder, f"{RATE}=0.01,10", "--scheduler", there.address)


def sweep_command(folder, rates, *more):
    sets = [word for one in [*FRAGILE, rates] for word in ("--set", one)]
    words = ["sweep", "tiny.yaml", "--seeds", "0-1", "--step", "written-out"]
    return command(*words, *sets, *more, cwd=folder)


def test_what_fails_is_reported_and_the_rest_is_finished(swept):
    folder, done = swept
    assert done.returncode == 1
    assert "2 points x 2 animals, 4 to make" in done.stdout
    assert "finished      2, 0 of them before; failed 2" in done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == 3, done.stderr
    for animal, line in enumerate(lines[:2]):
        assert line.startswith(f"failed: animal {animal}, {RATE}=10: ")
        assert "no longer finite" in line
    assert "2 of 4 runs failed; the others are finished" in lines[2]
    (manifest,) = folder.glob("sweeps/tiny/*/manifest.json")
    known = json.loads(manifest.read_text())
    assert known["axes"] == {RATE: ["0.01", "10"]}
    assert [run["outcome"][:8] for run in known["runs"]] == [*2 * ["finished"], *2 * ["failed: "]]
    assert all((manifest.parent / run["folder"]).is_dir() for run in known["runs"])


def test_the_table_is_tidy_and_has_every_bit_of_what_was_measured(swept):
    folder, _ = swept
    (path,) = folder.glob("sweeps/tiny/*/table.parquet")
    table = pd.read_parquet(path)
    assert list(table.columns) == [RATE, *sweep_table.MEASURED, "run"]
    assert set(table[RATE]) == {0.01}
    texts = dict.fromkeys(["value", "period", "name", "group"], str)
    again = pd.read_csv(path.with_suffix(".csv"), keep_default_na=False, dtype=texts)
    assert [float(value or "nan") for value in again.pop("value")] == pytest.approx(
        table["value"].tolist(), rel=0, abs=0, nan_ok=True
    )
    assert again.to_numpy().tolist() == table.drop(columns="value").to_numpy().tolist()
    for place, part in table.groupby("run", sort=False):
        metrics = open_run(path.parent / place).metrics
        assert part["value"].tolist() == metrics["value"].tolist()
        assert part[["animal", "arm", "step", "group"]].to_numpy().tolist() == (
            metrics[["animal", "arm", "step", "group"]].to_numpy().tolist()
        )
    assert (path.parent / "figure.png").stat().st_size > 10_000


def test_what_is_finished_is_not_run_again_even_by_another_sweep(swept, monkeypatch):
    folder, _ = swept
    before = {path: path.stat().st_mtime_ns for path in folder.glob("sweeps/tiny/runs/*/*/*/*")}
    monkeypatch.setattr("neuro_aws.experiment.cluster.spread", None)  # nothing is to be spread
    done = sweep_command(folder, f"{RATE}=0.01")
    assert done.returncode == 0, done.stderr
    assert "0 to make" in done.stdout
    assert "finished      2, 2 of them before; failed 0" in done.stdout
    after = {path: path.stat().st_mtime_ns for path in folder.glob("sweeps/tiny/runs/*/*/*/*")}
    assert before == after


def test_a_recording_altered_since_is_named_and_not_taken(swept, monkeypatch):
    folder, _ = swept
    monkeypatch.setattr("neuro_aws.experiment.cluster.spread", None)
    sweep_command(folder, f"{RATE}=0.01")  # its manifest knows the hashes
    made = folder.glob("sweeps/tiny/runs/*/tiny/*-s1/provenance.json")
    (altered,) = [p.parent / "recording.h5" for p in made if '"finished"' in p.read_text()]
    good = altered.read_bytes()
    try:
        altered.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        done = sweep_command(folder, f"{RATE}=0.01")
    finally:
        altered.write_bytes(good)
    assert done.returncode == 1, done.stdout
    assert "was altered since it was made" in done.stderr
    assert "finished      1, 1 of them before; failed 1" in done.stdout


def test_a_finished_run_whose_folder_is_damaged_costs_the_others_nothing(swept, monkeypatch):
    folder, _ = swept
    monkeypatch.setattr("neuro_aws.experiment.cluster.spread", None)
    made = folder.glob("sweeps/tiny/runs/*/tiny/*-s1/provenance.json")
    (lost,) = [p.parent / "protocol.yaml" for p in made if '"finished"' in p.read_text()]
    aside = lost.rename(folder / "aside.yaml")
    try:
        done = sweep_command(folder, f"{RATE}=0.01")
    finally:
        aside.rename(lost)
    assert done.returncode == 1, done.stdout
    assert "finished      1, 1 of them before; failed 1" in done.stdout
    assert done.stderr.startswith("failed: animal 1, the protocol as it is: ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (f"--set {SCALE}=0.1,-1", f"at {SCALE}=-1: --set {SCALE}: "),
        ("--set network.noise.scal=0.1,0.2", "scale"),
        ("--set seeds=3", "--seeds"),
        ("--seeds 4", "4-4"),
        ("--arms contrl", "no arm 'contrl'"),
        ("--device cuda:99", "--device"),
        ("--device auto --scheduler tcp://127.0.0.1:1", "the same for all of them"),
        ("--zip --set a=1,2 --set b=1,2,3", "different lengths"),
        (f"--set {SCALE}=0.1,0.2 --random 5", "the grid has 2"),
        ("--scheduler nowhere://x --jobs 2", "--jobs"),
        ("--scheduler nowhere://x", "no scheduler there"),
        ("--step compiled --set network.products=bfloat16", "products are in bfloat16"),
        ("--seeds 0-99999 --set network.noise.scale=0.1,0.2", "more than 100000 runs"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(words, said, tmp_path, monkeypatch):
    (tmp_path / "tiny.yaml").write_text(TINY)
    done = command("sweep", "tiny.yaml", *words.split(), cwd=tmp_path)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.glob("sweeps/*/runs/*"))


def test_the_last_point_is_validated_before_the_first_one_is_run(tmp_path):
    with pytest.raises(NeuroAWSError, match=r"at network.layers=\[64\]"):
        planned(TINY, ["network.layers=[64,20,6],[64,10,6],[64]"], [0])


def test_a_run_is_known_by_what_decides_its_numbers():
    one = SweepRun("text", ("a=1", "b=2"), False, ("control",), 0, "compiled", "1")
    same = SweepRun("text", ("b=2", "a=1"), False, ("control",), 0, "compiled", "1")
    assert one.key == same.key
    changed = {"text": "t", "overrides": ("a=1",), "short": True, "arms": (), "animal": 1}
    changed |= {"step": "written-out", "version": "2", "code": "hash", "data": "hash"}
    changed |= {"device": "cuda"}
    keys = {SweepRun(**{**vars(one), key: value}).key for key, value in changed.items()}
    assert len(keys | {one.key}) == len(changed) + 1 == len(vars(one)) + 1


def test_a_run_that_another_process_makes_is_waited_for_and_taken(tmp_path):
    """As when a worker that was given up lives on: a file is locked by whoever opened it."""
    errand = Errand(planned(TINY, [], [0]).rows[0].run, tmp_path, "tiny.yaml")
    ended = []
    waiting = threading.Thread(target=lambda: ended.append(simulate(errand)))
    with lock(errand.place / "run.lock", "this"):
        waiting.start()
        options = Options(out=str(errand.place), arms=("control",), seeds=1, step="written-out")
        made = run(errand.protocol(), options=options)
        assert waiting.is_alive()
    waiting.join(60)
    assert [Path(outcome.folder) for outcome in ended] == [made.folder] == [found(errand.place)]
    assert len(ended[0].sha256) == 64


def test_a_worker_of_another_version_refuses(tmp_path):
    run_ = SweepRun(TINY, (), False, ("control",), 0, "written-out", "0.0.0")
    assert "the sweep 0.0.0" in simulate(Errand(run_, tmp_path, "tiny.yaml")).error


def test_a_run_is_made_of_the_data_that_it_is_known_by(tmp_path):
    """A stimulus file that changed makes other runs; while a sweep is under way, an error."""
    file = tmp_path / "mine.npy"
    pixels = np.random.default_rng(0).uniform(-1, 1, (300, 64))
    np.save(file, pixels)
    text = TINY.replace("source: digits", f"source: array, file: {file}")
    before = planned(text, [], [0]).rows[0].run
    np.save(file, -pixels)
    after = planned(text, [], [0]).rows[0].run
    assert before.key != after.key
    said = simulate(Errand(before, tmp_path, "tiny.yaml")).error
    assert "data files that the protocol names changed since the sweep began" in said


def test_the_device_is_that_of_every_run(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(
        "neuro_aws.experiment.sweep_runs.run",
        lambda protocol, options: made.append(options) or Mock(folder=tmp_path),
    )
    monkeypatch.setattr("neuro_aws.experiment.sweep_runs.outcome", lambda folder: None)
    options = sweep_plan.Options(scheduler="tcp://there:8786", device="cuda")
    plan = planned(TINY, [], [0], options)  # there need be none here: workers have it
    simulate(Errand(plan.rows[0].run, tmp_path, "tiny.yaml"))
    assert made[0].device == plan.device == "cuda"


def table_of(axes, values, points):
    """Return a table of one value, made up: each animal has that of its point, and a little more."""
    rows = [
        {**dict(zip(axes, point, strict=True)), "animal": animal, "arm": arm, "period": "p",
         "cycle": 0, "step": 10 + k, "name": "ach_gap", "layer": -1, "group": "",
         "value": values + 0.1 * animal + k, "run": "r"}
        for k, point in enumerate(points) for animal in range(3) for arm in ("control", "silenced")
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_figure_has_a_column_for_each_value_of_a_second_setting():
    points = [(x, text) for x in (0.1, 0.2, 0.4) for text in ("exact", "surrogate")]
    drawn = sweep_figure(table_of(["a.x", "b"], 1.0, points), ["a.x", "b"], ["control"], "tiny")
    shown = [axes for axes in drawn.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown] == ["b exact", "b surrogate"]
    line = next(
        line
        for line in shown[1].lines
        if len(line.get_xdata()) == 3 and line.get_linestyle() == "-"
    )
    assert line.get_xdata().tolist() == [0.1, 0.2, 0.4]
    assert line.get_ydata() == pytest.approx([2.1, 4.1, 6.1])  # 1 + 0.1 + number of the point


def test_points_that_make_no_grid_stand_beside_each_other():
    points = [(0.1, 5), (0.2, 7), (0.4, 6)]
    drawn = sweep_figure(
        table_of(["a", "b"], 0.0, points), ["a", "b"], ["control", "silenced"], "t"
    )
    (axes,) = [axes for axes in drawn.axes if axes.get_visible()]
    labels = [" ".join(label.get_text().split()) for label in axes.get_xticklabels()]
    assert labels == ["a 0.1, b 5", "a 0.2, b 7", "a 0.4, b 6"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_sweep_that_is_stopped_leaves_no_process_and_goes_on(tmp_path, number):
    (tmp_path / "tiny.yaml").write_text(TINY.replace("cycles: 6", "cycles: 2000"))
    words = ["sweep", "tiny.yaml", "--seeds", "0-1", "--jobs", "2", "--save-every", "0.2"]
    words += ["--step", "written-out"]
    with started(*words, cwd=tmp_path) as process:
        while len(list(tmp_path.glob("sweeps/tiny/runs/*/*/*/parts/*/*/part_00000.h5"))) < 2:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        workers = children(process.pid)
        assert len(workers) >= 2
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        deadline = time.time() + 20
        while any(os.path.exists(f"/proc/{pid}") for pid in workers):
            assert time.time() < deadline
            time.sleep(0.1)
    if number == signal.SIGINT:
        assert process.returncode == 1
        assert "The same command goes on" in errors
        assert "Traceback" not in errors
        assert len(errors.splitlines()) == 1
    done = command(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "finished      2, 0 of them before; failed 0" in done.stdout
    for path in tmp_path.glob("sweeps/tiny/runs/*/tiny/*"):
        assert open_run(path).provenance["resumed"]

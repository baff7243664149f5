"""A run that is killed or stopped leaves what it recorded, and resumes to the same bits."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from unittest.mock import Mock

import h5py
import pytest

from neuro_aws import Options, open_run, run
from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.compare import bits
from neuro_aws.experiment.run import Stopped, resume
from neuro_aws.experiment.workers import lock
from neuro_aws.protocol import Protocol
from neuro_aws.protocol.branches import TRUNK
from neuro_aws.recording.checkpoint import Place
from neuro_aws.recording.parts import drop_after, parts
from tests.branches import OneStep, branch, finish, stop
from tests.cluster import children
from tests.conftest import TINY

LONG = TINY.replace("cycles: 6", "cycles: 240").replace("cycles: 4", "cycles: 240")


def start(folder: Path, *more: str, text: str = LONG) -> subprocess.Popen:
    (folder / "p.yaml").write_text(text)
    return subprocess.Popen(
        [sys.executable, "-m", "neuro_aws", "run", "p.yaml", "--save-every", "0.1", *more],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run_folder(folder: Path) -> Path:
    return next((folder / "runs" / "tiny").iterdir())


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    return run(Protocol.from_text(LONG), options=Options(out=str(folder), jobs=1, save_seconds=0.2))


def kill_and_resume(folder: Path, jobs: str, delay: float, resumed_by: int = 1) -> Path:
    process = start(folder, "--jobs", jobs)
    deadline = time.time() + 120
    while not list(folder.glob("runs/tiny/*/parts/*/*/part_00001.h5")):
        assert time.time() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    time.sleep(delay)
    os.kill(process.pid, signal.SIGKILL)  # the workers, if any, notice by themselves
    process.wait()
    found = run_folder(folder)
    with h5py.File(found / "recording.h5", "r") as file:
        assert len(file["s0/common/neuromodulators/ach"]) > 0
    if json.loads((found / "provenance.json").read_text())["outcome"] != "finished":
        resume(found, options=Options(jobs=resumed_by))
    return found


@pytest.mark.parametrize("jobs", [pytest.param("1", marks=pytest.mark.slow), "2"])
def test_a_run_killed_at_a_random_moment_resumes_to_the_same_bits(tmp_path, unbroken, jobs):
    found = kill_and_resume(tmp_path, jobs, random.random() * 1.0)
    lines = list(bits(unbroken, open_run(found)))
    assert len(lines) == 3
    assert all("identical" in line for line in lines), lines
    a, b = unbroken.metrics, open_run(found).metrics
    assert a.equals(b)


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(10))
def test_killed_again_and_again(tmp_path, unbroken, attempt):
    jobs = 1 + attempt % 2
    found = kill_and_resume(tmp_path, str(jobs), random.random() * 3.0, resumed_by=jobs)
    assert all("identical" in line for line in bits(unbroken, open_run(found)))


def test_ctrl_c_stops_cleanly_and_says_how_to_resume(tmp_path, unbroken):
    process = start(tmp_path, "--jobs", "2")
    while not list(tmp_path.glob("runs/tiny/*/parts/*/*/part_00000.h5")):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "neuro-aws run --resume" in errors
    assert "Traceback" not in errors
    found = run_folder(tmp_path)
    assert json.loads((found / "provenance.json").read_text())["outcome"] == "stopped"
    done = resume(found, options=Options(jobs=1))
    assert all("identical" in line for line in bits(unbroken, done))
    with pytest.raises(NeuroAWSError, match="has finished"):
        resume(found)


def test_ctrl_c_does_not_kill_workers_that_are_still_starting(tmp_path):
    process = start(tmp_path, "--jobs", "2", text=TINY)
    struck = set()
    deadline = time.time() + 120
    while process.poll() is None:
        assert time.time() < deadline
        for worker in {w for w in children(process.pid) if is_worker(w)} - struck:
            os.kill(worker, signal.SIGINT)  # as a terminal does, to all processes in front
            struck.add(worker)
        time.sleep(0.002)
    _, errors = process.communicate()
    assert len(struck) == 2
    assert process.returncode == 0, errors  # the parent has had no Ctrl-C


def is_worker(pid: int) -> bool:
    with suppress(OSError):
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def test_from_python_stopping_raises_stopped(tmp_path, tiny):
    class StopAtOnce:
        def begin(self, run, expected, steps):
            os.kill(os.getpid(), signal.SIGINT)

        def update(self, task, steps, note): ...

        def end(self): ...

    long = Protocol.from_text(TINY.replace("cycles: 6", "cycles: 400"))
    with pytest.raises(Stopped, match="--resume"):
        run(long, options=Options(out=str(tmp_path), jobs=1), progress=StopAtOnce())


def test_two_processes_cannot_run_one_folder(tmp_path):
    with (
        lock(tmp_path / "x.lock", "this"),
        pytest.raises(NeuroAWSError, match="another process"),
        lock(tmp_path / "x.lock", "this", seconds=0.2),
    ):
        pass


def test_a_broken_checkpoint_is_named(tmp_path, tiny):
    place = Place(tmp_path, 0, TRUNK)
    place.rolling.parent.mkdir(parents=True)
    place.rolling.write_bytes(b"not a checkpoint")
    with pytest.raises(NeuroAWSError, match="checkpoint cannot be read"):
        finish(branch(tiny, tmp_path))


def test_parts_after_the_checkpoint_are_dropped(tmp_path, tiny):
    one = stop(branch(tiny, tmp_path, pace=OneStep(0.0)), 3)
    assert len(parts(one.place.parts)) == 4
    drop_after(one.place.parts, 1, one.out.columns)
    assert len(parts(one.place.parts)) == 1
    with h5py.File(one.place.parts / "master.h5") as file:
        assert file["neuromodulators/step"][...].tolist() == [0]


@pytest.mark.parametrize("links", [True, False])
def test_a_single_part_is_read_by_another_name_of_it(tmp_path, tiny, monkeypatch, links):
    """Or by a copy, where a file cannot have two names; a second part brings virtual datasets."""
    if not links:
        monkeypatch.setattr("neuro_aws.recording.parts.os.link", Mock(side_effect=OSError))
    one = stop(branch(tiny, tmp_path, pace=OneStep(0.0)), 2)
    folder, columns = one.place.parts, one.out.columns
    master = folder / "master.h5"

    def steps() -> list[int]:
        with h5py.File(master) as file:
            return file["neuromodulators/step"][...].tolist()

    assert steps() == [0, 1]
    for _ in range(2):  # the second time the name is there already
        drop_after(folder, 1, columns)
        assert steps() == [0]
        assert master.samefile(parts(folder)[0]) is links
    drop_after(folder, 0, columns)
    assert list(folder.iterdir()) == []


def test_diverging_weights_stop_the_run_with_a_reason(tmp_path):
    text = TINY.replace(
        "targets:\n", "algorithm: {feedback: {rate: 10, optimiser: sgd}}\ntargets:\n"
    )
    text = text.replace("[64, 20, 6],", "[64, 20, 6], normalisation: none, bottom: linear,")
    text = text.replace("- ach_gap", "- ach_gap\n  - linear_probe")
    with pytest.raises(NeuroAWSError, match="no longer finite"):
        run(Protocol.from_text(text), options=Options(out=str(tmp_path), jobs=1))


def test_a_run_killed_in_its_first_moment_can_be_inspected_and_resumed(tmp_path, tiny, monkeypatch):
    """Its folder appears whole: with protocol, provenance and an index of what will be recorded."""
    monkeypatch.setattr("neuro_aws.experiment.run._continue", lambda folder, *rest: folder)
    folder = run(tiny, options=Options(out=str(tmp_path), jobs=1))  # and there it is killed
    monkeypatch.undo()
    opened = open_run(folder)
    assert opened.held(0, "control") == (0, [])
    assert opened.provenance["outcome"] == "running"
    assert resume(folder).provenance["outcome"] == "finished"
    hidden = [p.name for p in folder.parent.iterdir() if p.name.startswith(".")]
    assert hidden == []


def test_provenance_says_resumed_only_of_a_run_that_was(tmp_path, tiny):
    plain = run(tiny, options=Options(out=str(tmp_path), jobs=1))
    assert "resumed" not in plain.provenance

    class StopAtOnce:
        def begin(self, run, expected, steps):
            os.kill(os.getpid(), signal.SIGINT)

        def update(self, task, steps, note): ...

        def end(self): ...

    with pytest.raises(Stopped):
        run(tiny, options=Options(out=str(tmp_path / "b"), jobs=1), progress=StopAtOnce())
    folder = run_folder_of(tmp_path / "b")
    assert open_run(folder).provenance["outcome"] == "stopped"
    assert len(resume(folder).provenance["resumed"]) == 1


def run_folder_of(out: Path) -> Path:
    return next(p for p in (out / "tiny").iterdir() if not p.name.startswith("."))

"""A machine that gives too little: one line that names the folder, and nothing recorded is lost."""

import os
import resource
import subprocess
import sys
from typing import NamedTuple

import pytest

from neuro_aws import open_run, resume
from neuro_aws.experiment.compare import bits
from neuro_aws.recording import room
from tests.calls import command
from tests.conftest import TINY


class Usage(NamedTuple):
    """What ``shutil.disk_usage`` tells."""

    free: int


UNLIMITED = resource.RLIM_INFINITY


def limited(which: int, size: int, *words: str, cwd) -> subprocess.CompletedProcess:
    """Call the command under a limit of the operating system."""

    def limit():
        resource.setrlimit(which, (size, UNLIMITED))

    return subprocess.run(
        [sys.executable, "-m", "neuro_aws", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        preexec_fn=limit,
    )


def one_line(done) -> str:
    assert done.returncode == 1, (done.returncode, done.stderr[-300:])
    assert len(done.stderr.splitlines()) == 1, done.stderr[:500]
    assert "unexpected" not in done.stderr
    return done.stderr


@pytest.fixture
def folder(tmp_path):
    # some 4 MB of recording: long enough for parts to fit where the whole does not
    (tmp_path / "p.yaml").write_text(
        TINY.replace("every: 3}]", "every: 1}]").replace("20, 6", "400, 6")
    )
    return tmp_path


@pytest.mark.parametrize("kilobytes", [1, 400])
def test_a_limit_on_files_that_nothing_fits_in_leaves_nothing_behind(folder, kilobytes):
    done = limited(
        resource.RLIMIT_FSIZE, kilobytes * 1024, "run", "p.yaml", "--jobs", "1", cwd=folder
    )
    assert "runs/tiny: " in one_line(done)
    assert not list((folder / "runs" / "tiny").iterdir())


@pytest.mark.parametrize("jobs", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_a_run_that_meets_a_limit_on_files_goes_on_to_the_same_bits(folder, jobs):
    words = ["run", "p.yaml", "--jobs", jobs, "--save-every", "0.1"]
    whole = limited(resource.RLIMIT_FSIZE, UNLIMITED, *words, "--out", "whole", cwd=folder)
    assert whole.returncode == 0, whole.stderr
    (unbroken,) = (folder / "whole" / "tiny").iterdir()
    size = (unbroken / "recording.h5").stat().st_size
    done = limited(resource.RLIMIT_FSIZE, size, *words, cwd=folder)
    (run,) = (folder / "runs" / "tiny").iterdir()
    said = one_line(done)
    assert "ulimit -f" in said
    assert f"neuro-aws run --resume runs/tiny/{run.name}" in said
    assert "Traceback" not in (run / "run.log").read_text()
    assert all("identical" in line for line in bits(open_run(unbroken), resume(run)))


def test_a_full_disk_names_the_folder_and_how_to_go_on(folder, monkeypatch):
    """No disk can be filled here: it says that it is, at every tenth question."""
    asked = []

    def full(where):
        asked.append(where)
        return Usage(0 if len(asked) % 10 == 0 else 10**12)

    monkeypatch.setattr(room.shutil, "disk_usage", full)
    done = command("run", "p.yaml", "--jobs", "1", cwd=folder)
    (run,) = (folder / "runs" / "tiny").iterdir()
    for _ in range(20):
        if done.returncode == 0:
            break
        assert "the disk is full" in one_line(done)
        assert "neuro-aws run --resume" in done.stderr
        assert run.name in done.stderr
        done = command("run", "--jobs", "1", "--resume", str(run), cwd=folder)
    monkeypatch.undo()
    assert done.returncode == 0
    assert open_run(run).provenance["outcome"] == "finished"


def test_a_quota_that_shows_only_when_something_is_written_is_met_before_hdf5(
    tmp_path, monkeypatch
):
    def over(*_):
        raise OSError(122, "Disk quota exceeded")

    monkeypatch.setattr(os, "posix_fallocate", over)
    with pytest.raises(room.Full, match="Disk quota exceeded"):
        room.refuse_full(tmp_path, 10)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "megabytes"), [(["validate", "p.yaml"], 100), (["run", "p.yaml", "--jobs", "1"], 900)]
)
def test_too_little_memory_is_said_before_a_library_fails(folder, words, megabytes):
    done = limited(resource.RLIMIT_AS, megabytes * 10**6, *words, cwd=folder)
    assert "ulimit -v" in one_line(done)
    assert not (folder / "runs").exists()


def test_a_library_that_cannot_be_loaded_is_a_line(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "neuro_aws.experiment.verify", None)
    done = command("run", "p.yaml", "--jobs", "1", cwd=folder)
    assert done.returncode == 0
    (run,) = (folder / "runs" / "tiny").iterdir()
    assert "cannot be loaded" in one_line(command("inspect", str(run), "--verify"))

"""A matrix that is killed or stopped goes on with --resume to the bytes of the unbroken one's tables."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from neuro_aws import open_run
from tests.calls import command, started
from tests.experiment.test_matrix import SMALL

pytestmark = pytest.mark.slow

LONGER = SMALL.replace("cycles: 8", "cycles: 300")
MOMENTS = {
    "in the first run": "runs/images-aws/*/parts/*/*/part_00000.h5",
    "in the last run": "runs/images-wake_sleep/*/parts/*/*/part_00000.h5",
    "between runs": "runs/images-aws/*/metrics.json",
    "while it writes its tables": "effects.csv",
}
"""What is there when it is killed, below the folder of the matrix."""


def tables(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.csv")}


def matrix(folder: Path, *words: str):
    (folder / "small.yaml").write_text(LONGER)
    return started("matrix", "small.yaml", "--save-every", "0.3", *words, cwd=folder)


def broken(process: subprocess.Popen, folder: Path, moment: str, number: int) -> tuple[Path, str]:
    """Send a signal when something is there; return the folder of the matrix, and what it said."""
    while not (found := list(folder.glob(f"out/small/*/{MOMENTS[moment]}"))):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=600)
    depth = len(Path(MOMENTS[moment]).parts)
    return found[0].parents[depth - 1], errors


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    with matrix(folder, "--jobs", "1", "--out", "out") as process:
        _, errors = process.communicate(timeout=6000)
        assert process.returncode == 0, errors
    (found,) = folder.glob("out/small/*")
    written = tables(found)
    assert {"matrix.csv", "effects.csv", "criteria.csv", "power.csv"} <= written.keys()
    return written


@pytest.mark.parametrize(
    ("moment", "number", "jobs"),
    [
        ("in the first run", signal.SIGKILL, "1"),
        ("in the last run", signal.SIGINT, "2"),
        ("between runs", signal.SIGKILL, "1"),
        ("while it writes its tables", signal.SIGKILL, "1"),
    ],
)
def test_a_broken_matrix_goes_on_to_the_same_tables(tmp_path, unbroken, moment, number, jobs):
    with matrix(tmp_path, "--jobs", jobs, "--out", "out") as process:
        found, errors = broken(process, tmp_path, moment, number)
    if number == signal.SIGINT:
        assert process.returncode == 1
        assert f"neuro-aws matrix --resume {found.relative_to(tmp_path)}" in errors
        assert len(errors.splitlines()) == 1
    done = command("matrix", "--resume", str(found), "--jobs", "1")
    assert done.returncode == 0, done.stderr
    assert tables(found) == unbroken
    runs = [path for path in found.glob("runs/*/*") if path.is_dir()]
    assert len(runs) == 3
    assert all(open_run(path).provenance["outcome"] == "finished" for path in runs)

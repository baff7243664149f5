"""The lines on SLURM in docs/sweeps.md, run as they stand, with an `sbatch` that keeps what it is given."""

import os
import re
import shlex
import subprocess
import sys
import time

import pytest
from distributed.cli.dask_worker import main as dask_worker

from tests.conftest import ROOT

SBATCH = """#!/bin/sh
cp "$1" "$SUBMITTED/$$.new" && mv "$SUBMITTED/$$.new" "$SUBMITTED/$$.sh"
echo "Submitted batch job $$"
"""


def documented() -> str:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "sweeps.md").read_text(), re.S)
    (block,) = [block for block in blocks if "SLURMCluster(" in block]
    return block


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Return what the documented lines print, and the scripts that they submit."""
    folder = tmp_path_factory.mktemp("slurm")
    for name, text in {"sbatch": SBATCH, "scancel": "#!/bin/sh\n"}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    place = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "SUBMITTED": str(folder),
        "DASK_CONFIG": str(folder / "config"),  # where dask-jobqueue puts its defaults
    }
    pipe = subprocess.PIPE
    words = [sys.executable, "-c", documented()]
    with subprocess.Popen(
        words, cwd=folder, env=os.environ | place, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as process:
        deadline = time.time() + 120
        while len(list(folder.glob("*.sh"))) < 4:
            assert process.poll() is None, process.communicate()
            assert time.time() < deadline
            time.sleep(0.1)
        out, errors = process.communicate("\n", timeout=60)
    assert process.returncode == 0, errors
    return out, [path.read_text() for path in folder.glob("*.sh")]


def test_the_job_script_asks_slurm_for_what_the_document_says(done):
    out, scripts = done
    assert len(scripts) == 4
    for script in scripts:
        asked = re.findall(r"^#SBATCH (.*)$", script, re.M)
        assert {"-p compute", "-n 1", "--cpus-per-task=16", "--mem=30G", "-t 04:00:00"} <= {*asked}
    assert "#SBATCH -p compute" in out


def test_its_workers_have_one_thread_each_and_go_before_slurm_kills_them(done):
    out, scripts = done
    (address,) = re.findall(r"^(tcp://\S+:\d+)$", out, re.M)
    for script in scripts:
        program, *words = shlex.split(script.strip().splitlines()[-1])
        assert program == sys.executable
        assert words[:3] == ["-m", "distributed.cli.dask_worker", address]
        given = dask_worker.make_context("dask worker", words[2:]).params  # Dask's own parser
        assert given["scheduler"] == address
        assert (given["n_workers"], given["nthreads"]) == ("16", 1)
        assert given["lifetime"] == "225m"
        assert given["nanny"]

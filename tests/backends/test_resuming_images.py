"""A convolutional run that is killed and resumed ends in the bits of the unbroken one."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from neuro_aws import Options, Protocol, open_run, resume, run
from neuro_aws.experiment.compare import bits

TEXT = """
schema_version: 3
name: images
preset: {preset}
stimulus: {{source: digits, side: 16, batch: 16}}
network:
  dcgan: {{filters: 2, latents: 4, side: 16}}
  inverse_relu: 0.5
  discriminator: {{hidden: 4}}
algorithm: {{feedforward: {{decay: {{factor: 0.9, every: 10}}}}}}
schedule: [{{name: training, cycles: {cycles}, phases: [{{repeat: 2, phases: [{{wake: 1}}, {{rem: 1}}]}}]}}]
record: {{images: 10}}
keep: {{every: 5, last: 2, best: diversity}}
measure: [{{measure: diversity, every: 10}}]
"""


def start(folder: Path, preset: str, cycles: int) -> subprocess.Popen:
    (folder / "p.yaml").write_text(TEXT.format(preset=preset, cycles=cycles))
    return subprocess.Popen(
        [sys.executable, "-m", "neuro_aws", "run", "p.yaml", "--save-every", "0.2", "--jobs", "1"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("preset", "cycles"),
    [("dcgan", 40), pytest.param("published_doubly", 30, marks=pytest.mark.slow)],
)
def test_a_killed_run_resumes_to_the_same_bits(tmp_path, preset, cycles):
    """Weights, moments, running statistics, the learnt prior, R, decays: all of them."""
    text = TEXT.format(preset=preset, cycles=cycles)
    whole = run(Protocol.from_text(text, "p.yaml"), options=Options(out=str(tmp_path / "whole")))
    process = start(tmp_path, preset, cycles)
    deadline = time.time() + 120
    while not list(tmp_path.glob("runs/images/*/parts/*/*/part_00000.h5")):
        assert time.time() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    time.sleep(random.random() * 0.5)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    runs = [whole.folder, next((tmp_path / "runs" / "images").iterdir())]
    if json.loads((runs[1] / "provenance.json").read_text())["outcome"] != "finished":
        resume(runs[1], options=Options(jobs=1))
    done = [open_run(folder) for folder in runs]
    lines = list(bits(*done))
    assert lines
    assert all("identical" in line for line in lines), lines
    assert done[0].metrics.equals(done[1].metrics)
    pictures = [opened.pictures(0, "control") for opened in done]
    assert pictures[0].equals(pictures[1])
    assert len(pictures[0].step) > 2
    for folder in runs:
        kept = sorted(p.name for p in (folder / "checkpoints" / "s0").iterdir())
        last = [f"control.{(cycles - back) * 4:08d}.npz" for back in (5, 0)]
        assert kept == [*last, "control.best.npz", "control.best.txt", "control.npz"]
    noted = [(f / "checkpoints" / "s0" / "control.best.txt").read_text() for f in runs]
    lowest = (
        done[0].metrics.query("name == 'diversity' and step > 0").groupby("step")["value"].mean()
    )
    assert noted[0] == noted[1]
    assert int(noted[0].split()[-1]) == lowest.idxmin()

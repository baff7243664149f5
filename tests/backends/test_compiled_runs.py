"""Which form of the step a run takes: chosen once, said, and kept; refused with its reason."""

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from neuro_aws import Options, Protocol, Session, open_run, resume, run
from neuro_aws.backends.rate import forms
from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.compare import bits
from tests.calls import command
from tests.conftest import TINY, TINY_CONV
from tests.spiking import protocol as spiking

needs_numba = pytest.mark.skipif(
    importlib.util.find_spec("numba") is None, reason="the compiled step needs numba"
)
HELD = TINY.replace("preset: without_homeostasis\n", "")
CYCLES = {"compiled": 150, "written-out": 30}


def tiny(*settings: str, text: str = TINY) -> Protocol:
    return Protocol.from_text(text, "tiny.yaml", settings)


NOT_COVERED = {
    "algorithm.name=doubly_adversarial": "the algorithm has no compiled form",
    "algorithm.name=tests.algorithms.test_conformance:Own": "the algorithm has no compiled form",
    "network.memory={hopfield: continuous}": "the top layer has a memory",
    "network.inverse_relu=0.5": "axons carry an inverse ReLU",
    "network.order=published": "dreams normalise before the transfer function",
    "network.lateral=[1]": "layers have lateral weights",
    "network.discriminator.pooled=true": "D is pooled, noisy or reads spreads",
    "network.discriminator.spread=true": "D is pooled, noisy or reads spreads",
    "network.discriminator.noise=0.1": "D is pooled, noisy or reads spreads",
    "network.discriminator.penalty_form=l1": "D's penalty is another one than l2 of all states",
    "network.discriminator.penalty_scope=pair": "D's penalty is another one than l2 of all states",
}


@pytest.mark.parametrize("setting", list(NOT_COVERED))
def test_what_is_not_covered_is_written_out_for_a_reason(setting):
    form = forms.chosen(tiny(setting))
    assert str(form) == f"written-out ({NOT_COVERED[setting]})"
    with pytest.raises(NeuroAWSError, match=NOT_COVERED[setting]):
        forms.chosen(tiny(setting), asked="compiled")


def test_so_are_spikes_and_other_devices():
    assert forms.chosen(spiking()).reason == "spikes are simulated by Brian2"
    assert forms.chosen(tiny(), device="cuda:0").reason == "it computes on cuda:0"


@needs_numba
def test_convolutional_steps_take_kernels_where_they_fit():
    conv = tiny("network.dcgan={filters: 2, latents: 4, side: 16}", text=TINY_CONV)
    assert str(forms.chosen(conv)) == "compiled"
    assert forms.chosen(conv, device="cuda:0").reason == "it computes on cuda:0"


@needs_numba
def test_one_arm_that_is_not_covered_decides_for_all():
    assert str(forms.chosen(tiny())) == "compiled"
    rival = "arms.rival={set: {algorithm: {name: doubly_adversarial}}, reference: rival}"
    assert forms.chosen(tiny(rival)).reason == "the algorithm has no compiled form"


def test_without_numba_it_is_written_out_and_a_compiled_run_is_not_resumed(monkeypatch):
    monkeypatch.setattr(forms, "installed", lambda: False)
    assert forms.chosen(tiny()).reason == "numba is not installed"
    for refused in (
        lambda: forms.chosen(tiny(), asked="compiled"),
        lambda: forms.kept("compiled", tiny(), "cpu", "runs/x"),
    ):
        with pytest.raises(NeuroAWSError, match=r"neuro-aws\[fast\]") as caught:
            refused()
        assert "\n" not in str(caught.value)
    assert not forms.kept("written-out (asked for)", tiny(), "cpu", "runs/x").compiled


@needs_numba
def test_validate_provenance_and_log_say_it(tmp_path):
    (tmp_path / "p.yaml").write_text(TINY)
    said = command("validate", str(tmp_path / "p.yaml"))
    assert "\nstep: compiled\n" in said.stdout
    for asked, expected in (("auto", "compiled"), ("written-out", "written-out (asked for)")):
        done = run(tiny(), options=Options(out=str(tmp_path / asked), step=asked))
        assert done.provenance["step"] == expected
        assert f"step: {expected}\n" in (done.folder / "run.log").read_text()


def test_validate_needs_neither_torch_nor_numba():
    code = (
        "import sys; from neuro_aws.backends.rate import forms; from neuro_aws.protocol import Protocol\n"
        "print(forms.chosen(Protocol.load('protocols/quickstart.yaml')))\n"
        "assert not {'torch', 'numba'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@needs_numba
def test_both_forms_give_the_same_experiment_to_rounding(tmp_path):
    settings = ("network.precision=float64",)
    runs = [
        run(tiny(*settings), options=Options(out=str(tmp_path / step), step=step))
        for step in ("compiled", "written-out")
    ]
    assert np.allclose(*(done.metrics["value"] for done in runs), rtol=1e-6)
    ach = [done.traces(0, "rem_silenced").ach.values for done in runs]
    assert np.allclose(*ach, rtol=1e-5, atol=1e-6)


def killed(folder: Path, text: str, step: str) -> Path:
    """Start a run, and kill it once it has saved something."""
    (folder / "p.yaml").write_text(text)
    arguments = ["run", "p.yaml", "--save-every", "0.2", "--jobs", "1", "--step", step]
    process = subprocess.Popen(
        [sys.executable, "-m", "neuro_aws", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.time() + 240
    while not list(folder.glob("runs/tiny/*/parts/*/*/part_00000.h5")):
        assert time.time() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    time.sleep(random.random() * 0.3)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return next((folder / "runs" / "tiny").iterdir())


@needs_numba
def test_a_numba_that_is_of_no_use_is_left_alone_or_refused(monkeypatch):
    form = forms.chosen(tiny())
    assert form.compiled
    monkeypatch.setitem(sys.modules, "neuro_aws.backends.rate.compiled", None)
    fallen = forms.loaded(form)
    assert not fallen.compiled
    assert fallen.reason.startswith("numba cannot be used: ")
    assert Session(tiny()).form == fallen
    with pytest.raises(NeuroAWSError, match="numba cannot be used"):
        forms.loaded(form, "compiled")


@needs_numba
@pytest.mark.parametrize("step", ["compiled", pytest.param("written-out", marks=pytest.mark.slow)])
def test_a_killed_run_resumes_in_its_form_to_the_same_bits(tmp_path, step):
    cycles = f"cycles: {CYCLES[step]}"
    text = HELD.replace("cycles: 6", cycles).replace("cycles: 4", cycles)
    protocol = Protocol.from_text(text, "p.yaml")
    whole = run(protocol, options=Options(out=str(tmp_path / "whole"), step=step))
    found = killed(tmp_path, text, step)
    if json.loads((found / "provenance.json").read_text())["outcome"] != "finished":
        resume(found, options=Options(jobs=1))
    done = open_run(found)
    assert done.provenance["step"].startswith(step)
    lines = list(bits(whole, done))
    assert lines
    assert all("identical" in line for line in lines), lines
    assert whole.metrics.equals(done.metrics)


@needs_numba
def test_a_session_takes_the_form_of_its_run_to_the_same_bits(tmp_path):
    done = run(tiny(), options=Options(out=str(tmp_path), step="written-out"))
    assert str(Session(tiny()).form) == "compiled"
    assert not Session.from_run(done, 0, "control").form.compiled
    assert Session.from_run(done, 0, "control", step="compiled").form.compiled
    ends = {}
    for step in ("written-out", "compiled"):
        session = Session(tiny(), arm="control", step=step)
        session.step(70)
        ends[step] = session.weights["feedforward_into1"]
    final = Session.from_run(done, 0, "control").weights["feedforward_into1"]
    assert np.array_equal(ends["written-out"], final)
    assert np.allclose(ends["compiled"], final, atol=1e-4)


@needs_numba
def test_weights_assigned_and_units_silenced_in_a_session_act_in_the_next_step():
    s = Session(tiny(), arm="control")
    s.step(7)  # the next one is in wake
    s.weights["feedforward_into1"][[2]] = 0.0
    s.weights["feedforward_into1_bias"][[2]] = -100.0
    end = s.silence(layer=2, ids=[3])
    probe = [s.probe("activity", layer=layer) for layer in (1, 2)]
    s.step(1)
    assert float(probe[0].data[0, 2]) == 0.0
    assert float(probe[1].data[0, 3]) == 0.0
    end()
    s.step(1)
    assert float(probe[1].data[1, 3]) != 0.0

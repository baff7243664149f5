"""Nothing is lost or altered without being named: checkpoints, parts, the recording, the end of a run."""

import json
import os
import random
import shutil
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest

from neuro_aws import Options, open_run, resume, run
from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.compare import bits
from neuro_aws.experiment.run import Stopped
from neuro_aws.experiment.workers import lock
from neuro_aws.protocol import Protocol
from neuro_aws.recording import checkpoint
from neuro_aws.recording.checkpoint import Place
from tests.calls import command
from tests.conftest import TINY


class StopAfter:
    """Presses Ctrl-C once so many steps of a branch are simulated."""

    def __init__(self, branch: str, steps: int) -> None:
        self.branch, self.steps = branch, steps

    def begin(self, run, expected, steps): ...

    def update(self, task, steps, note):
        if task.branch == self.branch and steps >= self.steps:
            os.kill(os.getpid(), signal.SIGINT)

    def end(self): ...


@pytest.fixture(scope="module")
def protocol():
    return Protocol.from_text(TINY, "tiny.yaml")


@pytest.fixture(scope="module")
def whole(protocol, tmp_path_factory):
    return run(protocol, options=Options(out=str(tmp_path_factory.mktemp("whole")), jobs=1))


@pytest.fixture(scope="module")
def stopped_once(protocol, tmp_path_factory):
    """Return the folder of a run whose trunk is finished and whose first arm is under way."""
    out = tmp_path_factory.mktemp("stopped")
    options = Options(out=str(out), jobs=1, save_seconds=0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neuro_aws.experiment.branch.SAVING_SHARE", 0.0)  # save at every look
        with pytest.raises(Stopped):
            run(protocol, options=options, progress=StopAfter("control", 5))
    (folder,) = (out / "tiny").iterdir()
    return folder


@pytest.fixture
def stopped(stopped_once, tmp_path):
    return Path(shutil.copytree(stopped_once, tmp_path / "stopped"))


def damage(path: Path, how: str) -> None:
    """Remove a file, cut it in two, or flip a bit in its middle."""
    data = bytearray(path.read_bytes())
    if how == "removed":
        path.unlink()
    elif how == "cut":
        path.write_bytes(data[: len(data) // 2])
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data)


def test_a_checkpoint_that_is_cut_or_altered_anywhere_is_refused(tmp_path):
    rng, path = random.Random(0), tmp_path / "a.npz"
    state = {"w": np.arange(600.0).reshape(20, 30), "nothing": np.zeros((0, 3)), "n": np.array(3)}
    checkpoint.save(path, state, {"step": 4, "parts": []})
    data = path.read_bytes()
    for _ in range(300):
        bit = rng.randrange(8 * len(data))
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        for altered in (bytes(flipped), data[: bit // 8], data + b"\0"):
            path.write_bytes(altered)
            with pytest.raises(
                NeuroAWSError, match="its SHA-256 does not fit|no SHA-256 at its end"
            ):
                checkpoint.load(path)
    path.write_bytes(data)
    assert np.array_equal(checkpoint.load(path)[0]["w"], state["w"])


@pytest.mark.parametrize("how", ["removed", "cut", "altered"])
@pytest.mark.parametrize("branch", ["common", "control"])
def test_a_lost_part_is_named_and_its_loss_is_recorded_where_it_is_accepted(
    stopped, whole, branch, how
):
    """Of a branch that has come to its end as of one under way."""
    found = sorted(Place(stopped, 0, branch).parts.glob("part_*.h5"))
    assert len(found) > 2
    damage(found[1], how)
    what = "is missing" if how == "removed" else "was cut or altered"
    with pytest.raises(NeuroAWSError, match=f"part_00001.h5 of the recording {what}.*accept-loss"):
        resume(stopped)
    done = resume(stopped, options=Options(accept_loss=True))
    assert done.provenance["outcome"] == "finished"
    losses = done.intervals(0, "control", "losses")
    assert losses["label"].tolist() == [f"part_00001.h5 {what}"]
    (start,), (stop,) = losses["start"], losses["stop"]
    mine, theirs = (one.traces(0, "control") for one in (done, whole))
    gone = np.setdiff1d(theirs.step, mine.step)
    assert gone.tolist() == list(range(start, stop))
    assert len(gone) > 0
    kept = theirs.sel(step=mine.step)
    assert np.array_equal(mine.ach, kept.ach)
    for arm in set(done.arms) - {"control"} if branch == "control" else ():
        assert np.array_equal(done.traces(0, arm).ach, whole.traces(0, arm).ach)


def test_several_lost_parts_are_given_up_together(stopped):
    parts = Place(stopped, 0, "common").parts
    damage(parts / "part_00000.h5", "removed")
    damage(parts / "part_00001.h5", "cut")
    damage(parts / "part_00002.h5", "cut")
    with pytest.raises(
        NeuroAWSError, match="part_00000.h5 of the recording is missing, and 2 more"
    ):
        resume(stopped)
    done = resume(stopped, options=Options(accept_loss=True))
    assert len(done.intervals(0, "control", "losses")) == 3


def test_an_altered_checkpoint_stops_a_resumption(stopped):
    damage(Place(stopped, 0, "control").rolling, "altered")
    done = command("run", "--resume", str(stopped), "--jobs", "1")
    assert done.returncode == 1
    assert "checkpoint cannot be read" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("how", ["altered", "cut", "removed"])
def test_verify_names_what_is_damaged_in_a_run_under_way(stopped, how):
    sound = command("inspect", str(stopped), "--verify")
    assert sound.returncode == 0, sound.stderr
    damage(Place(stopped, 0, "common").parts / "part_00002.h5", how)
    damage(Place(stopped, 0, "control").rolling, "altered")
    found = command("inspect", str(stopped), "--verify")
    assert found.returncode == 1
    what = "is missing" if how == "removed" else "was cut or altered"
    assert f"parts/s0/common/part_00002.h5: {what}" in found.stdout
    assert "checkpoints/s0/control.resume.npz: checkpoint cannot be read" in found.stdout
    assert "2 of " in found.stderr


def test_verify_finds_one_altered_bit_of_a_recording(whole, tmp_path):
    """Every chunk carries a checksum: what cannot be read is named, and no number is another."""
    folder = Path(shutil.copytree(whole.folder, tmp_path / "run"))
    path = folder / "recording.h5"
    assert command("inspect", str(folder), "--verify").returncode == 0
    with h5py.File(path) as file:
        where = file["s0/control/neuromodulators/ach"].id.get_chunk_info(0).byte_offset
    data = bytearray(path.read_bytes())
    data[where] ^= 4
    path.write_bytes(data)
    with pytest.raises(NeuroAWSError, match=r"neuromodulators/ach is damaged.*inspect --verify"):
        open_run(folder).traces(0, "control")
    found = command("inspect", str(folder), "--verify")
    assert found.returncode == 1
    assert "/s0/control/neuromodulators/ach damaged" in found.stdout
    (folder / "protocol.yaml").write_text(TINY + "\n")
    assert "was altered since" in command("inspect", str(folder), "--verify").stdout


@pytest.mark.parametrize("moment", ["drawing", "clearing up"])
def test_a_run_killed_at_its_very_end_is_completed(protocol, whole, tmp_path, monkeypatch, moment):
    """`finished` is the last thing that is written."""

    def killed(*_, **__):
        if moment == "clearing up":
            part = next((next((tmp_path / "tiny").iterdir()) / "parts").rglob("part_*.h5"))
            part.unlink()  # some of it was cleared up already
        raise SystemExit("killed")

    with monkeypatch.context() as patch:
        name = "neuro_aws.plots.figures.draw_run" if moment == "drawing" else "shutil.rmtree"
        patch.setattr(name, killed)
        with pytest.raises(SystemExit):
            run(protocol, options=Options(out=str(tmp_path), jobs=1))
    (folder,) = (tmp_path / "tiny").iterdir()
    assert open_run(folder).provenance["outcome"] != "finished"
    assert (folder / "parts").exists()
    (folder / "checkpoints" / "s0" / "common.resume.123.tmp").touch()  # killed while saving, before
    drawn = []
    monkeypatch.setattr("neuro_aws.plots.figures.draw_run", drawn.append)
    done = resume(folder)
    assert done.provenance["outcome"] == "finished"
    assert len(drawn) == 1
    assert not (folder / "parts").exists()
    assert {path.suffix for path in (folder / "checkpoints").rglob("*.*")} == {".npz"}
    assert all("identical" in line for line in bits(whole, done))
    assert done.metrics.equals(whole.metrics)


def test_weights_that_are_not_finite_are_not_evaluated(whole, tmp_path):
    folder = Path(shutil.copytree(whole.folder, tmp_path / "run"))
    path = Place(folder, 0, "control").final
    state, facts = checkpoint.load(path)
    name = next(key for key in state if key.endswith("feedforward_into1"))
    state[name].flat[0] = np.nan
    checkpoint.save(path, state, {"step": facts["step"], "parts": facts["parts"]})
    done = command("evaluate", str(folder), "--measure", "reconstruction")
    assert done.returncode == 1
    assert "feedforward_into1 holds numbers that are not finite" in done.stderr


def test_inspect_says_how_a_run_goes_on_that_was_stopped_or_killed(stopped):
    assert f"tiny: stopped; neuro-aws run --resume {stopped} goes on" in (
        command("inspect", str(stopped)).stdout
    )
    facts = json.loads((stopped / "provenance.json").read_text())
    (stopped / "provenance.json").write_text(json.dumps(facts | {"outcome": "running"}))
    assert "tiny: killed; neuro-aws run --resume" in command("inspect", str(stopped)).stdout
    with lock(stopped / "run.lock", "this"):
        assert "tiny: running\n" in command("inspect", str(stopped)).stdout


DAMAGED = [
    "{}",
    "[]",
    "not JSON",
    "[" * 100_000,
    {"animals": ["/../../../esc"]},
    {"animals": []},
    {"animals": [True]},
    {"animals": [-1]},
    {"arms": "control"},
    {"arms": ["../../esc"]},
    {"overrides": [3]},
    {"git": None},
    {"protocol": None},
]


@pytest.mark.parametrize("damage", DAMAGED, ids=lambda d: str(d)[:30])
def test_a_damaged_provenance_is_one_line_and_writes_nothing(stopped_once, tmp_path, damage):
    folder = tmp_path / "a" / "b" / "run"
    folder.mkdir(parents=True)
    for name in ("provenance.json", "protocol.yaml", "recording.h5"):
        shutil.copy(stopped_once / name, folder)
    path = folder / "provenance.json"
    if isinstance(damage, dict):
        path.write_text(json.dumps(json.loads(path.read_text()) | damage))
    else:
        path.write_text(damage)
    before = sorted(tmp_path.rglob("*"))
    for words in (["inspect"], ["plot"], ["evaluate"], ["run", "--jobs", "1", "--resume"]):
        done = command(*words, str(folder))
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert "provenance.json" in done.stderr
        assert "unexpected" not in done.stderr
        assert len(done.stderr) < 1000
    assert sorted(tmp_path.rglob("*")) == before

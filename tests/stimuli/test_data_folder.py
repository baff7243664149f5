"""The folder of data sets that a run used is written down, and found again by what comes after."""

from pathlib import Path

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from neuro_aws import Options, Protocol, resume, run, stimuli
from neuro_aws.cli.evaluate import command as evaluate_command
from neuro_aws.cli.run import command as run_command
from neuro_aws.errors import NeuroAWSError
from neuro_aws.experiment.progress import Silent
from neuro_aws.protocol.data import data_root
from neuro_aws.recording import provenance
from tests.conftest import TINY
from tests.stimuli.valid_files import idx


def command(which: click.Command, arguments: list[str]) -> Result:
    return CliRunner().invoke(which, arguments)


@pytest.fixture
def fashion(tmp_path: Path, monkeypatch) -> Path:
    """Return a folder that holds fashion-mnist/, made up, and clear the environment variable that names one."""
    monkeypatch.delenv("NEURO_AWS_DATA", raising=False)
    folder = tmp_path / "data" / "fashion-mnist"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, n in (("train", 70), ("t10k", 60)):
        drawn = rng.integers(0, 255, (n, 28, 28), dtype=np.uint8)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(drawn))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.arange(n, dtype=np.uint8) % 10))
    return folder.parent


FASHION = (
    TINY.replace("source: digits", "source: fashion_mnist, side: 7, held_out: 50")
    .replace("layers: [64,", "layers: [49,")
    .replace("cycles: 6", "cycles: 1")
    .replace("cycles: 4", "cycles: 1")
)


def test_the_folder_of_the_data_is_remembered(fashion, tmp_path):
    path = tmp_path / "fashion.yaml"
    path.write_text(FASHION)
    runs = ("--out", str(tmp_path / "runs"), "--jobs", "1")
    done = command(run_command, [str(path), "--data", str(fashion), *runs])
    assert done.exit_code == 0, done.output
    (folder,) = (tmp_path / "runs" / "tiny").iterdir()
    assert provenance.read(folder)["data"] == str(fashion)
    again = command(evaluate_command, [str(folder), "--measure", "ach_gap"])
    assert again.exit_code == 0, again.output
    moved = fashion.rename(tmp_path / "moved")
    lost = command(evaluate_command, [str(folder), "--measure", "ach_gap"])
    assert lost.exit_code == 1
    given = [str(folder), "--measure", "ach_gap", "--data", str(moved)]
    assert command(evaluate_command, given).exit_code == 0
    assert data_root() is None  # nothing is left behind in the process


def test_a_resumed_run_finds_its_data_again(fashion, tmp_path):
    protocol = Protocol.from_text(FASHION)
    options = Options(out=str(tmp_path), data=str(fashion))
    whole = run(protocol, options=options)

    class Stopper(Silent):
        def update(self, *_: object) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(protocol, options=options, progress=Stopper())
    (broken,) = (f for f in (tmp_path / "tiny").iterdir() if f != whole.folder)
    moved = fashion.rename(tmp_path / "moved")
    with pytest.raises(NeuroAWSError, match="no such folder"):
        resume(broken)
    resumed = resume(broken, options=Options(data=str(moved)))
    assert resumed.provenance["data"] == str(moved)
    assert resumed.metrics.equals(whole.metrics)


def test_validation_holds_out_the_last_training_images(fashion, tmp_path):
    """Settings are chosen by images of the training file: no test image is looked at."""
    test, last = (
        stimuli.load(
            Protocol.from_text(
                FASHION, "f", [f"stimulus.folder={fashion}/fashion-mnist", *more]
            ).spec.stimulus,
            0,
            torch.float32,
        )
        for more in ((), ("stimulus.validation=true",))
    )
    assert (len(test.train), len(last.train)) == (70, 20)
    assert torch.equal(torch.cat([last.train, last.held_out]), test.train)
    assert not torch.equal(last.held_out, test.held_out)
    assert last.held_out_labels is not None
    assert test.train_labels is not None
    assert torch.equal(last.held_out_labels, test.train_labels[-50:])


def test_validation_needs_training_images_beside_it(fashion):
    small = FASHION.replace("held_out: 50", "held_out: 69, validation: true")
    with pytest.raises(NeuroAWSError, match="holds 70 images, but 71 are needed"):
        run(Protocol.from_text(small), options=Options(data=str(fashion), jobs=1))
